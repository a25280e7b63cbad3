// Which pages of a segment have passed their checksum since the index was opened.

/** Pages of a chunk of bits; a chunk is there from its first page that passed. */
const CHUNK_PAGES = 2 ** 19

export class PageLedger {
  readonly #pageCount: number
  /** One bit a page, set once the page has passed. */
  readonly #chunks: (Uint32Array | undefined)[] = []

  constructor(pageCount: number) {
    this.#pageCount = pageCount
  }

  add(page: number): void {
    const chunk = Math.floor(page / CHUNK_PAGES)
    const first = chunk * CHUNK_PAGES
    const words = (this.#chunks[chunk] ??= new Uint32Array(
      Math.ceil(Math.min(CHUNK_PAGES, this.#pageCount - first) / 32)
    ))
    words[(page - first) >>> 5] |= 1 << ((page - first) & 31)
  }

  has(page: number): boolean {
    const chunk = Math.floor(page / CHUNK_PAGES)
    const words = this.#chunks[chunk]
    const at = page - chunk * CHUNK_PAGES
    return words !== undefined && (words[at >>> 5] & (1 << (at & 31))) !== 0
  }

  hasAll(firstPage: number, endPage: number): boolean {
    for (let page = firstPage; page < endPage; page++) {
      if (!this.has(page)) return false
    }
    return true
  }
}
