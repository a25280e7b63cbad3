// Rows of a segment page by page: those on pages that fit their checksums are good, whatever happened to the others.

import { checksum, ELEMENT_BYTES, PAGE_BYTES } from '../format/layout.ts'
import { areFinite, isZeroRow } from '../format/row-values.ts'
import type { SegmentRecord } from '../format/segment-record.ts'
import { isDamage, type Losses } from './losses.ts'
import type { RemainingColumn } from './remaining-extent.ts'
import type { RemainingFiles } from './remaining-files.ts'
import type { RemainingMeta } from './remains.ts'

/** Some rows, and which of them are good. */
export interface ReadRows {
  /** float32, count * dim */
  readonly vectors: Float32Array
  /** 1: good */
  readonly areGood: Uint8Array
}

export class RemainingRows {
  readonly #segment: SegmentRecord
  readonly #crcs: RemainingColumn
  readonly #of: { readonly meta: RemainingMeta; readonly files: RemainingFiles; readonly losses: Losses }
  readonly #rowBytes: number
  /** The last pages that were found damaged, not noted yet. */
  #damaged = { first: -1, end: -1 }

  constructor(
    segment: SegmentRecord,
    crcs: RemainingColumn,
    of: { readonly meta: RemainingMeta; readonly files: RemainingFiles; readonly losses: Losses }
  ) {
    this.#segment = segment
    this.#crcs = crcs
    this.#of = of
    this.#rowBytes = of.meta.dim * ELEMENT_BYTES
  }

  /** Reads rows, in ascending order from call to call; notes pages that are damaged. */
  read(firstRow: number, count: number): ReadRows {
    const { meta } = this.#of
    const start = firstRow * this.#rowBytes
    const end = start + count * this.#rowBytes
    const firstPage = Math.floor(start / PAGE_BYTES)
    const pages = new Uint8Array((Math.ceil(end / PAGE_BYTES) - firstPage) * PAGE_BYTES)
    const arePagesGood = this.#readPages(firstPage, pages)
    const vectors = new Float32Array(count * meta.dim)
    const bytes = new Uint8Array(vectors.buffer)
    bytes.set(pages.subarray(start - firstPage * PAGE_BYTES, end - firstPage * PAGE_BYTES))
    const areGood = new Uint8Array(count)
    for (let row = 0; row < count; row++) {
      const from = start + row * this.#rowBytes
      const [page, endPage] = [Math.floor(from / PAGE_BYTES), Math.ceil((from + this.#rowBytes) / PAGE_BYTES)]
      if (arePagesGood.subarray(page - firstPage, endPage - firstPage).includes(0)) continue
      areGood[row] = this.#isVector(bytes.subarray(row * this.#rowBytes, (row + 1) * this.#rowBytes), firstRow + row)
    }
    return { vectors, areGood }
  }

  /** Tells whether bytes are a vector that an index can hold; notes those that are not. */
  #isVector(bytes: Uint8Array, row: number): 0 | 1 {
    const { meta } = this.#of
    const what = !areFinite(bytes)
      ? 'is not finite'
      : meta.metric === 'cosine' && isZeroRow(bytes, 0, bytes.byteLength)
        ? 'has length zero'
        : undefined
    if (what === undefined) return 1
    const { segment, rows } = this.#segment
    const offset = rows.offset + row * this.#rowBytes
    this.#of.losses.note(this.#of.files.pathOf(rows.file), offset, `row ${row} of segment ${segment} ${what}`)
    return 0
  }

  #readPages(firstPage: number, pages: Uint8Array): Uint8Array {
    const { files } = this.#of
    const { rows } = this.#segment
    const crcs = new Uint32Array(pages.byteLength / PAGE_BYTES)
    files.read(this.#crcs.file, this.#crcs.offset + firstPage * 4, new Uint8Array(crcs.buffer))
    const areRead = this.#tryRead(rows.offset + firstPage * PAGE_BYTES, pages)
    return Uint8Array.from(crcs, (crc, i) => {
      const page = pages.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES)
      const isRead = areRead || this.#tryRead(rows.offset + (firstPage + i) * PAGE_BYTES, page)
      if (isRead && checksum(page) === crc) return 1
      this.#noteDamaged(firstPage + i)
      return 0
    })
  }

  #tryRead(offset: number, target: Uint8Array): boolean {
    try {
      this.#of.files.read(this.#segment.rows.file, offset, target)
      return true
    } catch (error) {
      if (!isDamage(error)) throw error
      return false
    }
  }

  /** The pages at the ends of what is read may be read twice. */
  #noteDamaged(page: number): void {
    const { first, end } = this.#damaged
    if (page >= first && page < end) return
    if (page === end) {
      this.#damaged = { first, end: page + 1 }
      return
    }
    this.finish()
    this.#damaged = { first: page, end: page + 1 }
  }

  /** Notes what is left to note. */
  finish(): void {
    const { first, end } = this.#damaged
    this.#damaged = { first: -1, end: -1 }
    const { segment, rows } = this.#segment
    const { files, losses } = this.#of
    if (first < 0 || !files.has(rows.file)) return
    const pages = end === first + 1 ? `page ${first} is damaged` : `pages ${first} to ${end - 1} are damaged`
    losses.note(files.pathOf(rows.file), rows.offset + first * PAGE_BYTES, `rows of segment ${segment}: ${pages}`)
  }
}
