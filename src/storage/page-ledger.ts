// Which pages of the segments have passed their checksum since the index was opened.

export class PageLedger {
  /** One bit a page of all segments, set once the page has passed. */
  readonly #bits: Uint32Array
  /** First page of each segment in that numbering. */
  readonly #firstPages: Float64Array

  constructor(pagesOfSegments: readonly number[]) {
    this.#firstPages = new Float64Array(pagesOfSegments.length)
    let pages = 0
    for (const [segment, count] of pagesOfSegments.entries()) {
      this.#firstPages[segment] = pages
      pages += count
    }
    this.#bits = new Uint32Array(Math.ceil(pages / 32))
  }

  add(segment: number, page: number): void {
    const bit = this.#firstPages[segment] + page
    this.#bits[Math.floor(bit / 32)] |= 1 << (bit % 32)
  }

  has(segment: number, page: number): boolean {
    const bit = this.#firstPages[segment] + page
    return (this.#bits[Math.floor(bit / 32)] & (1 << (bit % 32))) !== 0
  }

  hasAll(segment: number, firstPage: number, endPage: number): boolean {
    for (let page = firstPage; page < endPage; page++) {
      if (!this.has(segment, page)) return false
    }
    return true
  }
}
