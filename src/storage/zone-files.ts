// Verified reads of zones: the one place where bytes of data files are held against their checksums before they are
// used. The chain is catalogue -> columns header -> columns -> pages (spec, section 9).

import { ZgqError } from '../errors.ts'
import type { CatalogueZone } from '../format/catalogue.ts'
import { decodeColumns, verifyColumn, type ColumnsExpectation, type ColumnsLayout } from '../format/columns.ts'
import { checksum, ELEMENT_BYTES, PAGE_BYTES, pageCount } from '../format/layout.ts'
import type { Verify } from '../types.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import { columnsOf, expectIds, openExtent, type OpenExtent, type ReadExtent } from './extents.ts'
import type { Readers } from './open-readers.ts'
import { PageLedger } from './page-ledger.ts'
import type { FileRange } from './reader.ts'
import { areFinite, isZeroRow } from '../format/row-values.ts'

/** Where a row is. */
export interface RowPlace {
  readonly zone: CatalogueZone
  readonly row: number
}

/** One kind of extent of the zones, to be asked for before it is read. */
export interface ZoneSource {
  /** Tells whether `prefetch` does anything with this reader. */
  readonly canPrefetch: boolean
  byteLength(zone: CatalogueZone): number
  /** Asks the system for all of these zones at once. */
  prefetch(zones: readonly CatalogueZone[]): void
}

/** Reads since the last `resetCounters`. */
export interface ReadCounters {
  bytesRead: number
  pagesVerified: number
}

/** Rows of a zone, and where their parts are to be copied. */
export interface RowsTarget {
  readonly zone: CatalogueZone
  readonly firstRow: number
  /** rows * dim * 4 bytes */
  readonly rows: Uint8Array
  /** rows * 8 bytes */
  readonly ids: Uint8Array
  /** rows * 4 bytes, cosine only */
  readonly inverseNorms: Uint8Array | undefined
}

// Offsets of the columns of a verified zone, so that its columns need no second decoding.
const IDS = 0
const NORMS = 1
const PAGE_CRCS = 2
const PLACES = 3

/** Thrown where bytes would have to be read that nothing may be read: the search is then for another thread. */
export const WOULD_READ = new Error('bytes would have to be read')

export class ZoneFiles {
  /** Segments and columns, as a scan of rows reads them. */
  readonly segmentSource: ZoneSource
  /** Codes, as a scan of codes reads them. */
  readonly codesSource: ZoneSource
  readonly counters: ReadCounters = { bytesRead: 0, pagesVerified: 0 }
  /**
   * Whether reads may block. While false, only rows that were read before may be read; all else throws WOULD_READ.
   */
  mayRead = true
  readonly #snapshot: Snapshot
  readonly #readers: Readers
  readonly #paths: readonly string[]
  readonly #verifiesPages: boolean
  readonly #verified: PageLedger
  /** PLACES offsets a zone; 0 = the columns have not been verified. */
  readonly #columnPlaces: Float64Array
  readonly #page = new Uint8Array(PAGE_BYTES)
  readonly #crc = new Uint8Array(4)
  readonly #crcView = new DataView(this.#crc.buffer)
  /** Offset of the ids in the codes extent of each zone; 0 = the codes have not been verified. */
  readonly #codesIds: Float64Array
  /** Where the verified page CRCs of a zone are: beside its vectors or beside its codes. */
  readonly #pageCrcs = new Map<number, { readonly file: number; readonly offset: number }>()

  constructor(snapshot: Snapshot, readers: Readers, options: { verify: Verify; paths: readonly string[] }) {
    this.#snapshot = snapshot
    this.#readers = readers
    this.#paths = options.paths
    this.#verifiesPages = options.verify !== 'none'
    this.#verified = new PageLedger(snapshot.zones.map((zone) => pageCount(this.segmentBytes(zone))))
    this.#columnPlaces = new Float64Array(snapshot.zones.length * PLACES)
    this.segmentSource = {
      canPrefetch: this.#canPrefetch,
      byteLength: (zone) => this.segmentBytes(zone),
      prefetch: (zones) => {
        this.#prefetch(
          zones.flatMap((zone) => [
            columnsRange(zone),
            { file: zone.file, offset: zone.segmentOffset, byteLength: this.segmentBytes(zone) }
          ])
        )
      }
    }
    this.codesSource = {
      canPrefetch: this.#canPrefetch,
      byteLength: (zone) => zone.codesByteLength,
      prefetch: (zones) => {
        this.#prefetch(
          zones.map((zone) => ({ file: zone.codesFile, offset: zone.codesOffset, byteLength: zone.codesByteLength }))
        )
      }
    }
    this.#codesIds = new Float64Array(snapshot.zones.length)
  }

  segmentBytes(zone: CatalogueZone): number {
    return zone.rowCount * this.#snapshot.meta.dim * ELEMENT_BYTES
  }

  /** Asks for large pages under memory that starts on a page. */
  largePages(memory: Uint8Array): void {
    this.#readers.largePages(memory)
  }

  resetCounters(): void {
    this.counters.bytesRead = 0
    this.counters.pagesVerified = 0
  }

  get #canPrefetch(): boolean {
    return this.#readers.settled.kind !== 'pread'
  }

  #prefetch(ranges: readonly FileRange[]): void {
    this.#readers.settled.prefetch(ranges)
  }

  /** Copies verified rows with their ids and norms; throws ZGQ_CORRUPT, ZGQ_TRUNCATED or ZGQ_IO. */
  readRows(target: RowsTarget): void {
    const { zone, firstRow } = target
    this.#expectMayRead()
    const at = zone.zone * PLACES
    this.#expectColumns(zone)
    this.#readSettled(zone, zone.columnsOffset + this.#columnPlaces[at + IDS] + firstRow * 8, target.ids)
    if (target.inverseNorms !== undefined) {
      this.#readSettled(zone, zone.columnsOffset + this.#columnPlaces[at + NORMS] + firstRow * 4, target.inverseNorms)
    }
    this.readSegment(zone, firstRow * this.#snapshot.meta.dim * ELEMENT_BYTES, target.rows)
    const rowBytes = this.#snapshot.meta.dim * ELEMENT_BYTES
    for (let at = 0; at < target.rows.byteLength; at += rowBytes) this.#expectDirection(zone, target.rows, at)
  }

  /** A row of length zero would be the nearest to every query: under cosine there is none. */
  #expectDirection(zone: CatalogueZone, rows: Uint8Array, start: number): void {
    const { metric, dim } = this.#snapshot.meta
    if (metric !== 'cosine' || !isZeroRow(rows, start, dim * ELEMENT_BYTES)) return
    throw new ZgqError('ZGQ_CORRUPT', `a row of zone ${zone.zone} has length zero, which cosine cannot compare`, {
      path: this.#paths[zone.file]
    })
  }

  /** Reads the verified ids of a zone as u64, two words each, low first. */
  readIdWords(zone: CatalogueZone): Uint32Array {
    this.#expectColumns(zone)
    const words = new Uint32Array(zone.rowCount * 2)
    this.#readSettled(
      zone,
      zone.columnsOffset + this.#columnPlaces[zone.zone * PLACES + IDS],
      new Uint8Array(words.buffer)
    )
    return words
  }

  /** Copies one verified row. */
  readRow(zone: CatalogueZone, row: number): Float32Array {
    this.#expectColumns(zone)
    const values = new Float32Array(this.#snapshot.meta.dim)
    this.readSegment(zone, row * values.byteLength, new Uint8Array(values.buffer))
    return values
  }

  /** Verifies the columns of a zone at their first use. */
  #expectColumns(zone: CatalogueZone): void {
    if (this.#columnPlaces[zone.zone * PLACES + IDS] === 0) this.openColumns(zone)
  }

  /** Reads and verifies the columns beside the rows of a zone, and notes where they are. */
  openColumns(zone: CatalogueZone): OpenExtent {
    const expected = { ...this.#expectedColumns(zone), byteLength: zone.columnsByteLength }
    const read: ReadExtent = (offset, target) => {
      this.#readFresh(zone.file, zone.columnsOffset + offset, target)
    }
    const extent = openExtent(read, expected, this.#verifiesPages)
    const { ids, inverseNorms, pageCrcs } = extent.layout
    const at = zone.zone * PLACES
    this.#columnPlaces[at + IDS] = ids.offset
    this.#columnPlaces[at + NORMS] = inverseNorms?.offset ?? 0
    this.#columnPlaces[at + PAGE_CRCS] = pageCrcs.offset
    this.#pageCrcs.set(zone.zone, { file: zone.file, offset: zone.columnsOffset + pageCrcs.offset })
    return extent
  }

  /** Reads and verifies the codes of a zone, without keeping them. */
  openCodes(zone: CatalogueZone): OpenExtent {
    const expected = { ...this.#expectedCodes(zone), byteLength: zone.codesByteLength }
    const read: ReadExtent = (offset, target) => {
      this.#readFresh(zone.codesFile, zone.codesOffset + offset, target)
    }
    return openExtent(read, expected, this.#verifiesPages)
  }

  #readFresh(file: number, offset: number, target: Uint8Array): void {
    this.#readers.fresh.read(file, offset, target)
    this.counters.bytesRead += target.byteLength
  }

  #expectedColumns(zone: CatalogueZone): ColumnsExpectation {
    const { dim, metric } = this.#snapshot.meta
    return {
      path: this.#paths[zone.file],
      offset: zone.columnsOffset,
      segment: zone.segment,
      rowCount: zone.rowCount,
      dim,
      hasInverseNorms: metric === 'cosine',
      headerCrc: zone.columnsCrc,
      bits: 0
    }
  }

  #expectedCodes(zone: CatalogueZone): ColumnsExpectation {
    const { dim, bits } = this.#snapshot.meta
    return {
      path: this.#paths[zone.codesFile],
      offset: zone.codesOffset,
      segment: zone.segment,
      rowCount: zone.rowCount,
      dim,
      hasInverseNorms: false,
      headerCrc: zone.codesCrc,
      bits
    }
  }

  /**
   * Copies the codes extent of a zone (`codesByteLength` bytes) into `target` and returns where its columns are in it,
   * verified at the first call. Throws ZGQ_CORRUPT, ZGQ_TRUNCATED, ZGQ_UNSUPPORTED or ZGQ_IO.
   */
  readCodes(zone: CatalogueZone, target: Uint8Array): ColumnsLayout {
    this.#expectMayRead()
    const isFirst = this.#codesIds[zone.zone] === 0
    const reader = isFirst ? this.#readers.fresh : this.#readers.settled
    reader.read(zone.codesFile, zone.codesOffset, target)
    this.counters.bytesRead += target.byteLength
    const expected = this.#expectedCodes(zone)
    const layout = decodeColumns(target, expected)
    if (!isFirst) return layout
    if (this.#verifiesPages) {
      for (const column of columnsOf(layout)) verifyColumn(target, column, expected)
      const start = target.byteOffset + layout.ids.offset
      expectIds(new Uint32Array(target.buffer, start, zone.rowCount * 2), expected)
    }
    this.#codesIds[zone.zone] = layout.ids.offset
    this.#pageCrcs.set(zone.zone, { file: zone.codesFile, offset: zone.codesOffset + layout.pageCrcs.offset })
    return layout
  }

  /** Asks the system for single rows at once. */
  prefetchRows(rows: readonly RowPlace[]): void {
    const byteLength = this.#snapshot.meta.dim * ELEMENT_BYTES
    this.#prefetch(
      rows.map(({ zone, row }) => ({ file: zone.file, offset: zone.segmentOffset + row * byteLength, byteLength }))
    )
  }

  /** Tells whether a row lies in pages that were verified before. */
  isRowVerified(zone: CatalogueZone, row: number): boolean {
    if (!this.#verifiesPages) return true
    const byteLength = this.#snapshot.meta.dim * ELEMENT_BYTES
    return this.#verified.hasAll(
      zone.zone,
      Math.floor((row * byteLength) / PAGE_BYTES),
      Math.ceil(((row + 1) * byteLength) / PAGE_BYTES)
    )
  }

  /** Copies the id of a row of a zone whose codes were read before: u64. */
  copyId(zone: CatalogueZone, row: number, target: Uint8Array): void {
    this.#readers.settled.read(zone.codesFile, zone.codesOffset + this.#codesIds[zone.zone] + row * 8, target)
    this.counters.bytesRead += target.byteLength
  }

  /** Copies one row of a zone whose columns or codes were read before: dim * 4 bytes. */
  copyRow(zone: CatalogueZone, row: number, target: Uint8Array): void {
    if (this.isRowVerified(zone, row)) this.#readSettled(zone, zone.segmentOffset + row * target.byteLength, target)
    else this.#copyFreshRow(zone, row * target.byteLength, target)
    this.#expectDirection(zone, target, 0)
  }

  /** Reads the pages that bytes of a segment lie in one by one, whole, so that each can be verified. */
  #copyFreshRow(zone: CatalogueZone, offset: number, target: Uint8Array): void {
    this.#expectMayRead()
    const end = offset + target.byteLength
    for (let page = Math.floor(offset / PAGE_BYTES); page * PAGE_BYTES < end; page++) {
      this.#readers.fresh.read(zone.file, zone.segmentOffset + page * PAGE_BYTES, this.#page)
      this.counters.bytesRead += PAGE_BYTES
      this.#expectPage({ zone, page, crc: this.#readPageCrc(zone, page) }, this.#page)
      const from = Math.max(offset, page * PAGE_BYTES)
      const to = Math.min(end, (page + 1) * PAGE_BYTES)
      target.set(this.#page.subarray(from - page * PAGE_BYTES, to - page * PAGE_BYTES), from - offset)
    }
  }

  #readPageCrc(zone: CatalogueZone, page: number): number {
    const place = this.#pageCrcs.get(zone.zone)
    if (place === undefined) throw new TypeError(`the columns of zone ${zone.zone} were not read`)
    this.#readers.settled.read(place.file, place.offset + page * 4, this.#crc)
    return this.#crcView.getUint32(0, true)
  }

  /** Copies bytes of a segment, verifying every page of it that was not touched before. */
  readSegment(zone: CatalogueZone, offset: number, target: Uint8Array): void {
    const firstPage = Math.floor(offset / PAGE_BYTES)
    const endPage = Math.ceil((offset + target.byteLength) / PAGE_BYTES)
    if (!this.#verifiesPages || this.#verified.hasAll(zone.zone, firstPage, endPage)) {
      this.#readSettled(zone, zone.segmentOffset + offset, target)
      return
    }
    this.#readers.fresh.read(zone.file, zone.segmentOffset + offset, target)
    this.counters.bytesRead += target.byteLength
    const crcs = new Uint8Array((endPage - firstPage) * 4)
    this.#readers.settled.read(
      zone.file,
      zone.columnsOffset + this.#columnPlaces[zone.zone * PLACES + PAGE_CRCS] + firstPage * 4,
      crcs
    )
    const expected = new DataView(crcs.buffer)
    for (let page = firstPage; page < endPage; page++) {
      if (this.#verified.has(zone.zone, page)) continue
      this.#verifyPage({ zone, page, crc: expected.getUint32((page - firstPage) * 4, true) }, offset, target)
    }
  }

  /**
   * Checks one page in `target`, which holds bytes of the segment from `offset` on; a page that is only partly there is
   * read whole.
   */
  #verifyPage(check: { zone: CatalogueZone; page: number; crc: number }, offset: number, target: Uint8Array): void {
    const { zone, page } = check
    const start = page * PAGE_BYTES - offset
    let bytes = target.subarray(Math.max(0, start), start + PAGE_BYTES)
    if (bytes.byteLength < PAGE_BYTES) {
      this.#readers.fresh.read(zone.file, zone.segmentOffset + page * PAGE_BYTES, this.#page)
      bytes.set(this.#page.subarray(Math.max(0, -start), Math.max(0, -start) + bytes.byteLength))
      bytes = this.#page
    }
    this.#expectPage(check, bytes)
  }

  /** Holds a whole page against its checksum and notes that it passed. */
  #expectPage(check: { zone: CatalogueZone; page: number; crc: number }, bytes: Uint8Array): void {
    const { zone, page, crc } = check
    const computed = checksum(bytes)
    if (computed !== crc) {
      throw new ZgqError(
        'ZGQ_CORRUPT',
        `a page of zone ${zone.zone} is damaged: its CRC is ${computed}, expected ${crc}`,
        {
          path: this.#paths[zone.file],
          offset: zone.segmentOffset + page * PAGE_BYTES
        }
      )
    }
    if (!areFinite(bytes))
      throw new ZgqError('ZGQ_CORRUPT', `a row of zone ${zone.zone} holds what is not a finite number`, {
        path: this.#paths[zone.file],
        offset: zone.segmentOffset + page * PAGE_BYTES
      })
    this.counters.pagesVerified++
    this.#verified.add(zone.zone, page)
  }

  #expectMayRead(): void {
    if (!this.mayRead) throw WOULD_READ
  }

  #readSettled(zone: CatalogueZone, offset: number, target: Uint8Array): void {
    this.#readers.settled.read(zone.file, offset, target)
    this.counters.bytesRead += target.byteLength
  }
}

function columnsRange(zone: CatalogueZone): FileRange {
  return { file: zone.file, offset: zone.columnsOffset, byteLength: zone.columnsByteLength }
}
