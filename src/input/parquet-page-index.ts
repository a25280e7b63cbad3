// Where the pages of a column begin, in files that say so (the OffsetIndex of the Parquet format, PageIndex.md): rows
// in the middle of a large row group are then found without the pages before them.

import type { RowGroup } from 'hyparquet'

import { placeChunk, type ByteRange, type LeafColumn, type PagePlaces, type ParquetFile } from './parquet-pages.ts'

/** No file has an index of more bytes for one column of a row group. */
const MOST_INDEX_BYTES = 2 ** 26

/** A page, and the values of its row group before it. */
interface PagePlace {
  readonly offset: number
  readonly firstValue: number
}

/** The pages of a column in one row group. */
export class PageIndex implements PagePlaces {
  readonly #pages: readonly PagePlace[]
  readonly #range: ByteRange

  /** pages: ascending, the first one at value 0; range: of the column, its dictionary included. */
  constructor(pages: readonly PagePlace[], range: ByteRange) {
    this.#pages = pages
    this.#range = range
  }

  jump(offset: number, value: number): PagePlace | undefined {
    if (offset < this.#pages[0].offset) return undefined
    const page = this.#pages[this.#find(value)]
    return page.offset > offset ? page : undefined
  }

  expect(offset: number, firstValue: number): void {
    const at = this.#find(firstValue)
    const page = this.#pages[at]
    if (page.firstValue === firstValue ? page.offset >= offset : at + 1 === this.#pages.length) return
    throw new Error(`the index of pages does not fit the page that ends at byte ${offset}`)
  }

  /** Lists the bytes that hold some values: the dictionary, if there is one, and their pages. */
  rangesOf(firstValue: number, endValue: number): ByteRange[] {
    const { offset, byteLength } = this.#range
    const first = this.#pages[this.#find(firstValue)]
    const last = this.#find(endValue - 1)
    const end = last + 1 < this.#pages.length ? this.#pages[last + 1].offset : offset + byteLength
    const dictionary = { offset, byteLength: this.#pages[0].offset - offset }
    return [dictionary, { offset: first.offset, byteLength: end - first.offset }].filter((one) => one.byteLength > 0)
  }

  /** Finds the last page that begins at or before a value. */
  #find(value: number): number {
    let low = 0
    let high = this.#pages.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (this.#pages[middle].firstValue <= value) low = middle
      else high = middle - 1
    }
    return low
  }
}

/**
 * Reads the index of the pages of a column of vectors with `dim` values each; undefined where there is none, one that
 * cannot be right, or where a vector has another length: to say which, pages are read from the first one on.
 */
export function readPageIndex(
  parquet: ParquetFile,
  of: { readonly column: LeafColumn; readonly dim: number },
  group: RowGroup
): PageIndex | undefined {
  const { column: chunk, facts, range } = placeChunk(parquet, of.column, group)
  if (Number(facts.num_values) !== Number(group.num_rows) * of.dim) return undefined
  const offset = Number(chunk.offset_index_offset ?? 0)
  const byteLength = chunk.offset_index_length ?? 0
  const isInFile = offset > 0 && byteLength > 0 && offset + byteLength <= parquet.file.byteLength
  if (!isInFile || byteLength > MOST_INDEX_BYTES) return undefined
  const bytes = new Uint8Array(byteLength)
  parquet.file.read(bytes, offset)
  const pages = decodePages(parquet, bytes).map((page) => ({
    offset: Number(page.offset),
    firstValue: Number(page.firstRow) * of.dim
  }))
  return areInOrder(pages, range) ? new PageIndex(pages, range) : undefined
}

interface DecodedPlace {
  readonly offset: bigint | number
  readonly firstRow: bigint | number
}

/** Returns nothing for bytes that are no index. */
function decodePages({ library }: ParquetFile, bytes: Uint8Array): DecodedPlace[] {
  try {
    const { page_locations: pages } = library.readPageIndex({ view: new DataView(bytes.buffer), offset: 0 })
    return pages.map(({ offset, first_row_index: firstRow }) => ({ offset, firstRow }))
  } catch {
    return []
  }
}

function areInOrder(pages: readonly PagePlace[], { offset, byteLength }: ByteRange): boolean {
  if (pages.length === 0 || pages[0].firstValue !== 0 || pages[0].offset < offset) return false
  return pages.every(
    (page, i) =>
      page.offset < offset + byteLength &&
      (i === 0 || (page.offset > pages[i - 1].offset && page.firstValue > pages[i - 1].firstValue))
  )
}
