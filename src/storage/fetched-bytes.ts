// Bytes that were fetched before they are needed: verified reads then take them from here.

import { ZgqError } from '../errors.ts'
import type { FileRange } from './reader.ts'

/** A range of a file with its bytes. */
export interface FetchedRange extends FileRange {
  readonly bytes: Uint8Array
}

/**
 * Bytes are needed that were not fetched: they were kept in memory when it was asked what to fetch, and had to go
 * since, or they lie at an unusual place. Whoever can fetches them, and repeats its work.
 */
export class NotFetched extends ZgqError {
  readonly range: FileRange

  constructor(range: FileRange, path: string) {
    const message = `${range.byteLength} bytes were not fetched: they lie where this version does not look for them`
    super('ZGQ_UNSUPPORTED', message, { path, offset: range.offset })
    this.range = range
  }
}

export class FetchedBytes {
  /** By file and offset. */
  readonly #ranges: FetchedRange[]

  constructor(ranges: readonly FetchedRange[]) {
    this.#ranges = [...ranges].sort((a, b) => a.file - b.file || a.offset - b.offset || a.byteLength - b.byteLength)
  }

  add(range: FetchedRange): void {
    this.#ranges.splice(this.#endOf(range.file, range.offset), 0, range)
  }

  /** Tells whether one range has all of these bytes. */
  has(range: FileRange): boolean {
    return this.#find(range.file, range.offset, range.byteLength) !== undefined
  }

  /** Returns bytes of one range; undefined: no range has them all. */
  bytesOf({ file, offset, byteLength }: FileRange): Uint8Array | undefined {
    const found = this.#find(file, offset, byteLength)
    return found?.bytes.subarray(offset - found.offset, offset - found.offset + byteLength)
  }

  /** Copies bytes of one range to `target`; tells whether it had them all. */
  copy(file: number, offset: number, target: Uint8Array): boolean {
    const bytes = this.bytesOf({ file, offset, byteLength: target.byteLength })
    if (bytes !== undefined) target.set(bytes)
    return bytes !== undefined
  }

  #find(file: number, offset: number, byteLength: number): FetchedRange | undefined {
    // The last range that starts at or before the offset, and those before it that may reach as far.
    for (let i = this.#endOf(file, offset) - 1; i >= 0 && this.#ranges[i].file === file; i--) {
      const range = this.#ranges[i]
      if (range.offset + range.byteLength >= offset + byteLength) return range
    }
    return undefined
  }

  /** The position behind all ranges that start at or before a place. */
  #endOf(file: number, offset: number): number {
    let low = 0
    let high = this.#ranges.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const range = this.#ranges[middle]
      if (range.file < file || (range.file === file && range.offset <= offset)) low = middle + 1
      else high = middle
    }
    return low
  }
}
