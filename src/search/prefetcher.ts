// Asks for the segments of a search before they are scanned: all at once, unless that is so much that the first would
// be evicted before the last is read.

import type { Segment } from '../format/segment-table.ts'
import type { ExtentSource } from '../storage/segment-files.ts'

/** Bytes asked for at a time. A search with an ordinary nprobe stays below and is one round of input. */
const WINDOW_BYTES = 64 * 2 ** 20

export class Prefetcher {
  readonly #missing: readonly Segment[]
  readonly #source: ExtentSource
  /** How many of the missing segments were asked for. */
  #asked = 0
  #rounds = 0

  /** `missing`: segments to be read, in the order in which they will be scanned. */
  constructor(missing: readonly Segment[], source: ExtentSource) {
    this.#missing = missing
    this.#source = source
  }

  /** Dependent rounds of input so far: windows where the reader prefetches, else one for each segment. */
  get rounds(): number {
    return this.#source.canPrefetch() ? this.#rounds : this.#missing.length
  }

  /** Asks for the next window once the scan reaches a segment that was not asked for. */
  reach(segment: Segment): void {
    if (this.#missing[this.#asked] !== segment) return
    const first = this.#asked
    let bytes = 0
    while (this.#asked < this.#missing.length && bytes < WINDOW_BYTES)
      bytes += this.#source.byteLength(this.#missing[this.#asked++])
    this.#source.prefetch(this.#missing.slice(first, this.#asked))
    this.#rounds++
  }
}
