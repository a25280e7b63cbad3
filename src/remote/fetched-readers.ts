// The readers of an index that is read from afar: all that they copy was fetched before.

import { NotFetched, type FetchedBytes } from '../storage/fetched-bytes.ts'
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
    // Nearly always it was said before what will be read.
    throw new NotFetched({ file, offset, byteLength: target.byteLength }, fileOf(this.files, file).path)
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
