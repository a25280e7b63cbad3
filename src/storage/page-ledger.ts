// Which pages of segments have passed their checksum since the index was opened: one bit a page. The bits of all
// segments lie together, since a rerank looks at those of many segments: an object for each would be some misses of the
// processor's caches for every row (bench/README.md, "What it costs").

import { Regions } from '../kernels/regions.ts'

/** Pages of a chunk: 64 KiB of bits, for 2 GiB of rows. A chunk is there from its first page that passed. */
const CHUNK_PAGES = 2 ** 19

export class PageLedger {
  readonly #chunks: (Uint32Array | undefined)[] = []
  /** Which numbers of pages are whose. */
  readonly #numbers = new Regions()
  /** Number of the first page of the segment in a slot; 0: it has none yet. */
  #firstPages: Float64Array
  #pageCounts: Float64Array

  constructor(slots: number) {
    this.#firstPages = new Float64Array(slots)
    this.#pageCounts = new Float64Array(slots)
  }

  /** Gives the segment in a slot numbers for its pages, unless it has them. */
  open(slot: number, pageCount: number): void {
    if (slot >= this.#firstPages.length) this.#grow(Math.max(slot + 1, this.#firstPages.length * 2))
    if (this.#firstPages[slot] !== 0) return
    const numbers = this.#numbers.place(pageCount)
    this.#numbers.take(numbers)
    this.#firstPages[slot] = numbers.start
    this.#pageCounts[slot] = pageCount
  }

  /** Forgets the pages of the segment in a slot, which may be another's from then on. */
  drop(slot: number): void {
    const first = this.#firstPages[slot]
    if (first === undefined || first === 0) return
    const end = first + this.#pageCounts[slot]
    for (let number = first; number < end;) {
      const chunk = Math.floor(number / CHUNK_PAGES)
      const start = chunk * CHUNK_PAGES
      const next = Math.min(end, start + CHUNK_PAGES)
      // Numbers are given in whole words.
      this.#chunks[chunk]?.fill(0, (number - start) / 32, Math.ceil((next - start) / 32))
      number = next
    }
    this.#numbers.release(first)
    this.#firstPages[slot] = 0
  }

  /** Notes a page of an opened segment. */
  add(slot: number, page: number): void {
    const number = this.#firstPages[slot] + page
    const chunk = Math.floor(number / CHUNK_PAGES)
    const words = (this.#chunks[chunk] ??= new Uint32Array(CHUNK_PAGES / 32))
    const at = number - chunk * CHUNK_PAGES
    words[at >>> 5] |= 1 << (at & 31)
  }

  has(slot: number, page: number): boolean {
    const number = this.#firstPages[slot] + page
    const chunk = Math.floor(number / CHUNK_PAGES)
    const words = this.#chunks[chunk]
    const at = number - chunk * CHUNK_PAGES
    return words !== undefined && (words[at >>> 5] & (1 << (at & 31))) !== 0
  }

  /** Tells whether pages passed, of an opened segment or another. */
  hasAll(slot: number, firstPage: number, endPage: number): boolean {
    if (!(this.#firstPages[slot] > 0)) return false
    for (let page = firstPage; page < endPage; page++) {
      if (!this.has(slot, page)) return false
    }
    return true
  }

  #grow(slots: number): void {
    const [firstPages, pageCounts] = [new Float64Array(slots), new Float64Array(slots)]
    firstPages.set(this.#firstPages)
    pageCounts.set(this.#pageCounts)
    this.#firstPages = firstPages
    this.#pageCounts = pageCounts
  }
}
