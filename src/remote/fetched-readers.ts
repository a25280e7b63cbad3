// The readers of an index that is read from afar: all that they copy was fetched before.

import type { FetchedBytes } from '../storage/fetched-bytes.ts'
import { fileOf, type DataFiles, type FileRange } from '../storage/reader.ts'
import type { SegmentReaders } from '../storage/readers.ts'

export class FetchedReaders implements SegmentReaders {
  readonly files: DataFiles
  readonly isMapped = false
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
    // Whoever reads says before what it will read.
    throw new TypeError(`${target.byteLength} bytes at ${offset} of ${fileOf(this.files, file).path} were not fetched`)
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
