// Verified reads of segments: the one place where bytes of data files are held against their checksums before they are
// used. The chain is catalogue -> columns header -> columns -> pages (spec, section 9).

import { ZgqError } from '../errors.ts'
import type { ColumnsExpectation, ColumnsLayout } from '../format/columns.ts'
import { checksum, ELEMENT_BYTES, PAGE_BYTES, pageCount } from '../format/layout.ts'
import { areFinite, isZeroRow } from '../format/row-values.ts'
import type { FileExtent } from '../format/segment-record.ts'
import type { Segment } from '../format/segment-table.ts'
import type { Verify } from '../types.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import { copiedExtent, forEachPiece, openExtent, type OpenExtent } from './extents.ts'
import type { FetchedBytes } from './fetched-bytes.ts'
import { fillOrdinals } from '../format/ordinals.ts'
import { PageLedger } from './page-ledger.ts'
import { fileOf, type DataFiles, type FileRange } from './reader.ts'
import type { SegmentReaders } from './readers.ts'
import {
  columnsExpected,
  extentSource,
  newSegmentState,
  pagesOf,
  placesAtHand,
  rangeOfRow,
  type CandidateRanges,
  type ExtentSource,
  type Ordinal,
  type ReadCounters,
  type RowsTarget,
  type PlacesAtHand,
  type SegmentState
} from './segment-reads.ts'

export class SegmentFiles {
  /** Rows and columns, for scans of rows; codes, for scans of codes. */
  readonly rowsSource: ExtentSource
  readonly codesSource: ExtentSource
  /** Where reads are counted: with the search that they are for. */
  counters: ReadCounters = { bytesRead: 0, pagesVerified: 0 }
  /** Heaps hold ordinals, not ids: what a hit needs more is found by its place. */
  readonly usesOrdinals: boolean
  readonly #meta: Snapshot['meta']
  readonly #rowBytes: number
  readonly #readers: SegmentReaders
  #files: DataFiles
  readonly #verifiesPages: boolean
  /** By slot; of its full length at once: engines turn an array that grows by leaps into a table of hashes. */
  readonly #states: (SegmentState | undefined)[]
  readonly #verified: PageLedger
  readonly #page = new Uint8Array(PAGE_BYTES)
  readonly #crc = new Uint8Array(4)

  constructor(
    meta: Snapshot['meta'],
    readers: SegmentReaders,
    options: { readonly verify: Verify; readonly files: DataFiles; readonly usesOrdinals: boolean }
  ) {
    this.usesOrdinals = options.usesOrdinals
    this.#meta = meta
    this.#rowBytes = meta.dim * ELEMENT_BYTES
    this.#readers = readers
    this.#files = options.files
    this.#states = new Array<SegmentState | undefined>(meta.segmentCount)
    this.#verified = new PageLedger(meta.segmentCount)
    this.#verifiesPages = options.verify !== 'none'
    this.rowsSource = extentSource(readers, ({ columns, rows }) => [columns, rows])
    this.codesSource = extentSource(readers, ({ codes }) => [codes])
  }

  /** Forgets what it knows of a segment, whose slot may be another's from then on. */
  drop(slot: number): void {
    this.#states[slot] = undefined
    this.#verified.drop(slot)
  }

  /** Takes the files of another snapshot, whose headers were checked. */
  replaceFiles(files: DataFiles): void {
    this.#files = files
  }

  /** Asks for large pages under memory that starts on a page; tells whether it could. */
  largePages(memory: Uint8Array): boolean {
    return this.#readers.largePages(memory)
  }

  /** Bytes that were read before are in memory as far as the system keeps them: copying them is no read. */
  get isMapped(): boolean {
    return this.#readers.isMapped
  }

  /** Bytes that were read before have to be fetched again, and are verified again. */
  get comesAnew(): boolean {
    return this.#readers.comesAnew
  }

  /** Runs work whose reads are served by bytes that were fetched for it. */
  withFetched<Result>(fetched: FetchedBytes, work: () => Result): Result {
    return this.#readers.withFetched(fetched, work)
  }

  #stateOf(segment: Segment): SegmentState {
    return (this.#states[segment.slot] ??= newSegmentState())
  }

  #pathOf(extent: FileExtent): string {
    return fileOf(this.#files, extent.file).path
  }

  /** Copies verified rows with their ids and norms; throws ZGQ_CORRUPT, ZGQ_TRUNCATED or ZGQ_IO. */
  readRows(target: RowsTarget): void {
    const { segment, firstRow } = target
    const state = this.#withColumns(segment)
    const { file } = segment.columns
    if (this.usesOrdinals) fillOrdinals(target.ids, segment.slot, firstRow)
    else this.#readSettled(file, state.idsOffset + firstRow * 8, target.ids)
    if (target.inverseNorms !== undefined)
      this.#readSettled(file, state.inverseNormsOffset + firstRow * 4, target.inverseNorms)
    this.readSegment(segment, firstRow * this.#rowBytes, target.rows)
    for (let at = 0; at < target.rows.byteLength; at += this.#rowBytes) this.#expectDirection(segment, target.rows, at)
  }

  /** A row of length zero would be the nearest to every query: under cosine there is none. */
  #expectDirection(segment: Segment, rows: Uint8Array, start: number): void {
    if (this.#meta.metric !== 'cosine' || !isZeroRow(rows, start, this.#rowBytes)) return
    throw new ZgqError(
      'ZGQ_CORRUPT',
      `a row of segment ${segment.segment} has length zero, which cosine cannot compare`,
      { path: this.#pathOf(segment.rows) }
    )
  }

  /** Reads what heaps hold for the rows of a segment, ids or ordinals: u64, two words each, low first. */
  readIdWords(segment: Segment): Uint32Array {
    const words = new Uint32Array(segment.rowCount * 2)
    if (this.usesOrdinals) {
      fillOrdinals(new Uint8Array(words.buffer), segment.slot, 0)
      return words
    }
    this.eachIds(segment, (piece, firstRow) => {
      words.set(piece, firstRow * 2)
    })
    return words
  }

  /** Calls `take` with the verified integer ids of a segment, as words, in pieces, and the row of the first of each. */
  eachIds(segment: Segment, take: (words: Uint32Array, firstRow: number) => void): void {
    const { idsOffset } = this.#withColumns(segment)
    forEachPiece({ offset: idsOffset, byteLength: segment.rowCount * 8 }, 8, ({ offset, byteLength }, at) => {
      const words = new Uint32Array(byteLength / 4)
      this.#readSettled(segment.columns.file, offset, new Uint8Array(words.buffer))
      take(words, at / 8)
    })
  }

  /** Copies one verified row. */
  readRow({ segment, row }: Ordinal): Float32Array {
    this.#withColumns(segment)
    const values = new Float32Array(this.#meta.dim)
    this.readSegment(segment, row * this.#rowBytes, new Uint8Array(values.buffer))
    return values
  }

  /** Verifies the columns of a segment at their first use, or whenever they come anew. */
  #withColumns(segment: Segment): SegmentState {
    const state = this.#stateOf(segment)
    if (state.pageCrcsOffset === 0 || this.#readers.comesAnew) this.openColumns(segment)
    return state
  }

  /** Reads and verifies the columns beside the rows of a segment, and notes where they are. */
  openColumns(segment: Segment): OpenExtent {
    const { columns } = segment
    const opened = this.#openFresh(columns, this.#expectedOf(segment, 'columns'))
    const { ids, stringIds, inverseNorms, pageCrcs } = opened.layout
    const state = this.#stateOf(segment)
    state.idsOffset = columns.offset + (ids?.offset ?? 0)
    state.stringIdsOffset = columns.offset + (stringIds?.offset ?? 0)
    state.inverseNormsOffset = columns.offset + (inverseNorms?.offset ?? 0)
    state.pageCrcsOffset = columns.offset + pageCrcs.offset
    return opened
  }

  /** Reads and verifies the codes of a segment, without keeping them. */
  openCodes(segment: Segment): OpenExtent {
    return this.#openFresh(segment.codes, this.#expectedOf(segment, 'codes'))
  }

  #openFresh(extent: FileExtent, expected: ColumnsExpectation): OpenExtent {
    const { byteLength } = extent
    const read = copiedExtent((offset, target) => {
      this.#readFresh(extent.file, extent.offset + offset, target)
    }, byteLength)
    return openExtent({ byteLength, read, verifiesColumns: this.#verifiesPages }, expected)
  }

  #expectedOf(segment: Segment, kind: 'columns' | 'codes'): ColumnsExpectation {
    return columnsExpected({ segment, kind, path: this.#pathOf(segment[kind]) }, this.#meta)
  }

  /**
   * Copies the codes extent of a segment into `target`, which is as long; returns where its columns are, verified at
   * the first call, or whenever they come anew. Throws ZGQ_CORRUPT, ZGQ_TRUNCATED, ZGQ_UNSUPPORTED or ZGQ_IO.
   */
  readCodes(segment: Segment, target: Uint8Array): ColumnsLayout {
    const { codes } = segment
    const state = this.#stateOf(segment)
    const isFirst = state.codesPageCrcsOffset === 0 || this.#readers.comesAnew
    if (isFirst) this.#readFresh(codes.file, codes.offset, target)
    else this.#readSettled(codes.file, codes.offset, target)
    const { layout } = openExtent(
      {
        byteLength: codes.byteLength,
        read: (offset, byteLength) => target.subarray(offset, offset + byteLength),
        verifiesColumns: isFirst && this.#verifiesPages
      },
      this.#expectedOf(segment, 'codes')
    )
    if (!isFirst) return layout
    state.codesIdsOffset = codes.offset + (layout.ids?.offset ?? 0)
    state.codesPageCrcsOffset = codes.offset + layout.pageCrcs.offset
    return layout
  }

  /** Asks the system for single rows at once. */
  prefetchRows(ordinals: readonly Ordinal[]): void {
    this.#readers.prefetch(ordinals.map((ordinal) => rangeOfRow(ordinal, this.#rowBytes)))
  }

  /** Tells whether rows of a segment, with their columns, were read before and can be copied from a mapping. */
  areMapped(segment: Segment, firstRow: number, count: number): boolean {
    if (!this.isMapped || this.#stateOf(segment).pageCrcsOffset === 0) return false
    const pages = pagesOf(segment, firstRow * this.#rowBytes, count * this.#rowBytes)
    return !this.#verifiesPages || this.#verified.hasAll(segment.slot, pages.firstPage, pages.firstPage + pages.count)
  }

  /** Tells whether a row lies in pages that were verified before, and do not come anew. */
  isRowVerified(segment: Segment, row: number): boolean {
    if (!this.#verifiesPages) return true
    // What is at hand without its pages was held when it had been verified.
    if (this.#readers.comesAnew)
      return !this.#readers.isReadable(pagesOf(segment, row * this.#rowBytes, this.#rowBytes).range)
    const start = row * this.#rowBytes
    const endPage = Math.ceil((start + this.#rowBytes) / PAGE_BYTES)
    return this.#verified.hasAll(segment.slot, Math.floor(start / PAGE_BYTES), endPage)
  }

  /** Copies a row that was verified before: dim * 4 bytes. */
  copyVerifiedRow(segment: Segment, row: number, target: Uint8Array): void {
    const { rows } = segment
    this.#readSettled(rows.file, rows.offset + row * target.byteLength, target)
    this.#expectDirection(segment, target, 0)
  }

  /**
   * The ranges that `readRows` reads for some rows of a segment. Columns are read whole where they have to be verified.
   */
  rangesOfRows(segment: Segment, firstRow: number, count: number): FileRange[] {
    const { file } = segment.columns
    const state = this.#stateOf(segment)
    const pages = pagesOf(segment, firstRow * this.#rowBytes, count * this.#rowBytes)
    if (state.pageCrcsOffset === 0 || this.#readers.comesAnew) return [segment.columns, pages.range]
    const ranges: FileRange[] = [
      { file, offset: state.pageCrcsOffset + pages.firstPage * 4, byteLength: pages.count * 4 },
      pages.range
    ]
    if (!this.usesOrdinals) ranges.push({ file, offset: state.idsOffset + firstRow * 8, byteLength: count * 8 })
    if (this.#meta.metric === 'cosine')
      ranges.push({ file, offset: state.inverseNormsOffset + firstRow * 4, byteLength: count * 4 })
    return ranges
  }

  /**
   * The ranges that `copyRow` and `copyId` read for a row: pages, CRCs (or all columns, where none were read, or come
   * anew), id. `hasCodes`: the codes of the segment are in memory.
   */
  rangesOfCandidate({ segment, row }: Ordinal, hasCodes: boolean): CandidateRanges {
    const { range, firstPage, count } = pagesOf(segment, row * this.#rowBytes, this.#rowBytes)
    const from = hasCodes || !this.#readers.comesAnew ? placesAtHand(segment, this.#stateOf(segment)) : undefined
    const inFile = (offset: number, byteLength: number): FileRange =>
      from === undefined ? segment.columns : { file: from.file, offset, byteLength }
    return {
      row: rangeOfRow({ segment, row }, this.#rowBytes),
      firstPage,
      pages: range,
      crcs: inFile((from?.crcs ?? 0) + firstPage * 4, count * 4),
      id: this.usesOrdinals ? undefined : inFile((from?.ids ?? 0) + row * 8, 8)
    }
  }

  /** Reads the columns beside the rows of a segment where neither they nor its codes were read, or where they come. */
  #brought(segment: Segment): PlacesAtHand {
    const { comesAnew } = this.#readers
    const known = placesAtHand(segment, this.#stateOf(segment))
    if (known !== undefined && !(comesAnew && this.#readers.isReadable(segment.columns))) return known
    this.openColumns(segment)
    const { idsOffset, pageCrcsOffset } = this.#stateOf(segment)
    return { file: segment.columns.file, ids: idsOffset, crcs: pageCrcsOffset }
  }

  /** Copies the id or ordinal of a row: u64. */
  copyId(segment: Segment, row: number, target: Uint8Array): void {
    if (this.usesOrdinals) {
      fillOrdinals(target, segment.slot, row)
      return
    }
    const { file, ids } = this.#brought(segment)
    this.#readSettled(file, ids + row * 8, target)
  }

  /** Copies one row: dim * 4 bytes. */
  copyRow(segment: Segment, row: number, target: Uint8Array): void {
    if (this.isRowVerified(segment, row)) {
      this.copyVerifiedRow(segment, row, target)
      return
    }
    this.#copyFreshRow(segment, row * target.byteLength, target)
    this.#expectDirection(segment, target, 0)
  }

  /** Reads the pages that bytes of a segment lie in one by one, whole, so that each can be verified. */
  #copyFreshRow(segment: Segment, offset: number, target: Uint8Array): void {
    const { file, crcs } = this.#brought(segment)
    const end = offset + target.byteLength
    for (let page = Math.floor(offset / PAGE_BYTES); page * PAGE_BYTES < end; page++) {
      this.#readFresh(segment.rows.file, segment.rows.offset + page * PAGE_BYTES, this.#page)
      const at = { file, offset: crcs + page * 4 }
      this.#expectPage({ segment, page, crc: this.#readPageCrcs(at, this.#crc).getUint32(0, true) }, this.#page)
      const from = Math.max(offset, page * PAGE_BYTES)
      const to = Math.min(end, (page + 1) * PAGE_BYTES)
      target.set(this.#page.subarray(from - page * PAGE_BYTES, to - page * PAGE_BYTES), from - offset)
    }
  }

  /** Copies bytes of a segment whose columns were read, verifying every page not touched before. */
  readSegment(segment: Segment, offset: number, target: Uint8Array): void {
    const { rows, columns } = segment
    const firstPage = Math.floor(offset / PAGE_BYTES)
    const endPage = Math.ceil((offset + target.byteLength) / PAGE_BYTES)
    const { comesAnew } = this.#readers
    if (!this.#verifiesPages || (!comesAnew && this.#verified.hasAll(segment.slot, firstPage, endPage))) {
      this.#readSettled(rows.file, rows.offset + offset, target)
      return
    }
    this.#verified.open(segment.slot, pageCount(rows.byteLength))
    this.#readFresh(rows.file, rows.offset + offset, target)
    const { pageCrcsOffset } = this.#stateOf(segment)
    if (pageCrcsOffset === 0) throw new TypeError(`the columns of segment ${segment.segment} were not read`)
    const at = { file: columns.file, offset: pageCrcsOffset + firstPage * 4 }
    const crcs = this.#readPageCrcs(at, new Uint8Array((endPage - firstPage) * 4))
    for (let page = firstPage; page < endPage; page++) {
      if (!comesAnew && this.#verified.has(segment.slot, page)) continue
      const crc = crcs.getUint32((page - firstPage) * 4, true)
      this.#expectPage({ segment, page, crc }, this.#wholePage(segment, page, { offset, target }))
    }
  }

  /** Returns a page of a segment, of which `target` holds bytes from `offset` on; one that is partly there is read. */
  #wholePage(segment: Segment, page: number, from: { offset: number; target: Uint8Array }): Uint8Array {
    const start = page * PAGE_BYTES - from.offset
    const bytes = from.target.subarray(Math.max(0, start), start + PAGE_BYTES)
    if (bytes.byteLength === PAGE_BYTES) return bytes
    this.#readFresh(segment.rows.file, segment.rows.offset + page * PAGE_BYTES, this.#page)
    // What is verified is what is used: the file may change between two reads.
    bytes.set(this.#page.subarray(Math.max(0, -start), Math.max(0, -start) + bytes.byteLength))
    return this.#page
  }

  /** Reads verified CRCs of pages: u32, as many as fit into `target`. */
  #readPageCrcs(at: { readonly file: number; readonly offset: number }, target: Uint8Array): DataView {
    this.#readers.readSettled(at.file, at.offset, target)
    return new DataView(target.buffer)
  }

  /** Holds a whole page against its checksum and notes that it passed. */
  #expectPage(check: { segment: Segment; page: number; crc: number }, bytes: Uint8Array): void {
    const { segment, page, crc } = check
    const damage = (what: string): ZgqError =>
      new ZgqError('ZGQ_CORRUPT', what, {
        path: this.#pathOf(segment.rows),
        offset: segment.rows.offset + page * PAGE_BYTES
      })
    const computed = checksum(bytes)
    if (computed !== crc)
      throw damage(`a page of segment ${segment.segment} is damaged: its CRC is ${computed}, expected ${crc}`)
    if (!areFinite(bytes)) throw damage(`a row of segment ${segment.segment} has a value that is not a finite number`)
    this.counters.pagesVerified++
    this.#verified.open(segment.slot, pageCount(segment.rows.byteLength))
    this.#verified.add(segment.slot, page)
  }

  #readFresh(file: number, offset: number, target: Uint8Array): void {
    this.#readers.readFresh(file, offset, target)
    this.counters.bytesRead += target.byteLength
  }

  #readSettled(file: number, offset: number, target: Uint8Array): void {
    this.#readers.readSettled(file, offset, target)
    this.counters.bytesRead += target.byteLength
  }
}
