// The readers of an index that is read from afar: all that they copy was fetched before.

import { ZgqError } from '../errors.ts'
import type { FetchedBytes } from '../storage/fetched-bytes.ts'
import { fileOf, type DataFiles, type FileRange } from '../storage/reader.ts'
import type { SegmentReaders } from '../storage/readers.ts'

export class FetchedReaders implements SegmentReaders {
  readonly files: DataFiles
  readonly isMapped = false
  readonly comesAnew = true
  #fetched: FetchedBytes | undefined

  constructor(files: DataFiles) {
    this.files = files
  }

  withFetched<Result>(fetched: FetchedBytes, work: () => Result): Result {
    this.#fetched = fetched
    try {
      return work()
    } finally {
      this.#fetched = undefined
    }
  }

  isReadable(range: FileRange): boolean {
    return this.#fetched?.has(range) === true
  }

  readFresh(file: number, offset: number, target: Uint8Array): void {
    if (this.#fetched?.copy(file, offset, target) === true) return
    // Whoever reads says before what it will read: of files that are laid out as this version knows them.
    throw new ZgqError('ZGQ_UNSUPPORTED', `${target.byteLength} bytes were not fetched: they lie at an unusual place`, {
      path: fileOf(this.files, file).path,
      offset
    })
  }

  readSettled(file: number, offset: number, target: Uint8Array): void {
    this.readFresh(file, offset, target)
  }

  prefetch(): void {
    // What is needed is fetched by its own round.
  }

  largePages(): boolean {
    return false
  }
}
