// Which pages of the segments have passed their checksum since the index was opened.

/** Pages of a chunk: 64 KiB of bits, for 2 GiB of segments. A chunk is there from its first page that passed. */
const CHUNK_PAGES = 2 ** 19

export class PageLedger {
  /** One bit a page of all segments, set once the page has passed. */
  readonly #chunks: (Uint32Array | undefined)[] = []
  /** First page of each segment in that numbering. */
  readonly #firstPages: Float64Array

  constructor(pagesOfSegments: readonly number[]) {
    this.#firstPages = new Float64Array(pagesOfSegments.length)
    let pages = 0
    for (const [segment, count] of pagesOfSegments.entries()) {
      this.#firstPages[segment] = pages
      pages += count
    }
  }

  add(segment: number, page: number): void {
    const bit = this.#firstPages[segment] + page
    const chunk = Math.floor(bit / CHUNK_PAGES)
    const words = (this.#chunks[chunk] ??= new Uint32Array(CHUNK_PAGES / 32))
    const at = bit - chunk * CHUNK_PAGES
    words[at >>> 5] |= 1 << (at & 31)
  }

  has(segment: number, page: number): boolean {
    const bit = this.#firstPages[segment] + page
    const chunk = Math.floor(bit / CHUNK_PAGES)
    const words = this.#chunks[chunk]
    const at = bit - chunk * CHUNK_PAGES
    return words !== undefined && (words[at >>> 5] & (1 << (at & 31))) !== 0
  }

  hasAll(segment: number, firstPage: number, endPage: number): boolean {
    for (let page = firstPage; page < endPage; page++) {
      if (!this.has(segment, page)) return false
    }
    return true
  }
}
