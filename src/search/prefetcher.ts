// Asks for the zones of a search before they are scanned: all at once, unless that is so much that the first would be evicted before the last is read.

import type { CatalogueZone } from '../format/catalogue.ts'
import type { ZoneFiles } from '../storage/zone-files.ts'

/** Bytes of segments asked for at a time. A search with an ordinary nprobe stays below and is one round of input. */
const WINDOW_BYTES = 64 * 2 ** 20

export class Prefetcher {
  readonly #missing: readonly CatalogueZone[]
  readonly #files: ZoneFiles
  /** How many of the missing zones were asked for. */
  #asked = 0
  #rounds = 0

  /** `missing`: zones to be read, in the order in which they will be scanned. */
  constructor(missing: readonly CatalogueZone[], files: ZoneFiles) {
    this.#missing = missing
    this.#files = files
  }

  /** Dependent rounds of input so far: windows where the reader prefetches, else one for each zone. */
  get rounds(): number {
    return this.#files.canPrefetch ? this.#rounds : this.#missing.length
  }

  /** Asks for the next window once the scan reaches a zone that was not asked for. */
  reach(zone: CatalogueZone): void {
    if (this.#missing[this.#asked] !== zone) return
    const first = this.#asked
    let bytes = 0
    while (this.#asked < this.#missing.length && bytes < WINDOW_BYTES) bytes += this.#files.segmentBytes(this.#missing[this.#asked++])
    this.#files.prefetch(this.#missing.slice(first, this.#asked))
    this.#rounds++
  }
}
