// Verified reads of what rows have besides vectors: ids, fields and payloads (spec, section 4). What is small and asked
// for again is kept, decoded, within bounds; payloads are read row by row.

import { COLUMN_KINDS } from '../format/kinds.ts'
import {
  COLUMNS_HEADER,
  columnsTableBytes,
  decodeEntries,
  MOST_COLUMNS,
  statedTableBytes,
  type ColumnEntry
} from '../format/columns.ts'
import { checkFieldLength, decodeField } from '../format/decode-field.ts'
import type { EncodedField, FieldColumn, FieldColumnKind } from '../format/field-columns.ts'
import type { DeclaredField } from '../format/fields.ts'
import { checksum } from '../format/layout.ts'
import { MOST_PAYLOAD_BYTES } from '../format/payload.ts'
import { decodePayloadHead, payloadHeadBytes, type PayloadTable } from '../format/payload-extent.ts'
import type { FileExtent } from '../format/segment-record.ts'
import type { Segment } from '../format/segment-table.ts'
import { decodeStringIds, idTextAt, type StringIds } from '../format/string-ids.ts'
import { u64At } from '../format/u64.ts'
import { ZgqError } from '../errors.ts'
import type { Verify } from '../types.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import { ColumnCache } from './column-cache.ts'
import { PIECE_BYTES } from './extents.ts'
import { fileOf, type FileRange } from './reader.ts'
import type { SegmentReaders } from './readers.ts'
import type { SegmentFiles } from './segment-files.ts'
import type { Ordinal, ReadCounters } from './segment-reads.ts'

/** Ids of a segment: u64 as two words, low first, or strings. */
type Ids = { readonly words: Uint32Array } | StringIds

/** Numbers of what is kept of a segment: by slot, then ids, places of payloads, and the columns of each field. */
const KEYS_OF_SLOT = 512
const IDS_KEY = 0
const PAYLOADS_KEY = 1
/** Fields are numbered from 1 on. */
const FIELD_KEY = 1
const FIELD_COLUMNS: readonly FieldColumnKind[] = [
  'fieldNumbers',
  'fieldBits',
  'fieldPresence',
  'fieldStrings',
  'fieldLists',
  'fieldDictionary'
]
const FIELD_KINDS: ReadonlyMap<number, FieldColumnKind> = new Map(
  FIELD_COLUMNS.map((kind) => [COLUMN_KINDS[kind].code, kind])
)

export interface DocumentFilesOptions {
  readonly verify: Verify
  /** Bytes of decoded ids, places of payloads and columns of fields that are kept. */
  readonly cacheBytes: number
}

/** Tables of segments: of the ids of rows, and of the places of their payloads. */
export interface TableWants {
  readonly ids: boolean
  readonly payloads: boolean
}

export class DocumentFiles {
  readonly #snapshot: Pick<Snapshot, 'meta'>
  readonly #files: SegmentFiles
  readonly #readers: SegmentReaders
  readonly #verifies: boolean
  readonly #ids: ColumnCache<Ids>
  readonly #payloads: ColumnCache<PayloadTable>
  readonly #fields: ColumnCache<FieldColumn>

  constructor(
    snapshot: Pick<Snapshot, 'meta'>,
    of: { readonly files: SegmentFiles; readonly readers: SegmentReaders },
    options: DocumentFilesOptions
  ) {
    this.#snapshot = snapshot
    this.#files = of.files
    this.#readers = of.readers
    this.#verifies = options.verify !== 'none'
    this.#ids = new ColumnCache(options.cacheBytes / 4)
    this.#payloads = new ColumnCache(options.cacheBytes / 4)
    this.#fields = new ColumnCache(options.cacheBytes / 2)
  }

  /** Forgets what it knows of segments, whose slots may be others' from then on. */
  drop(slots: readonly number[]): void {
    const dropped = new Set(slots)
    for (const cache of [this.#ids, this.#payloads, this.#fields])
      cache.dropWhere((key) => dropped.has(Math.floor(key / KEYS_OF_SLOT)))
  }

  /** Where reads are counted: with the search that they are for. */
  get counters(): ReadCounters {
    return this.#files.counters
  }

  /** Returns the id of a row; throws ZGQ_CORRUPT, ZGQ_TRUNCATED, ZGQ_UNSUPPORTED or ZGQ_IO. */
  idOf({ segment, row }: Ordinal): number | string {
    const ids = this.#ids.get(segment.slot * KEYS_OF_SLOT + IDS_KEY) ?? this.#readIds(segment)
    return 'words' in ids ? u64At(ids.words, row) : idTextAt(ids, row)
  }

  #readIds(segment: Segment): Ids {
    const { columns } = segment
    const { layout, read } = this.#files.openColumns(segment)
    const column = layout.stringIds ?? layout.ids
    if (column === undefined) throw new TypeError(`segment ${segment.segment} has no ids`)
    const bytes = readWhole(column, read)
    const place = { path: this.#pathOf(columns), offset: columns.offset + column.offset }
    const ids =
      layout.stringIds === undefined
        ? { words: new Uint32Array(bytes.buffer) }
        : decodeStringIds(bytes, segment.rowCount, place)
    this.#ids.put(segment.slot * KEYS_OF_SLOT + IDS_KEY, ids, bytes.byteLength)
    return ids
  }

  /** Reads the payload of a row as MessagePack; undefined: it has none. Throws as `idOf` does. */
  payloadOf({ segment, row }: Ordinal): Uint8Array | undefined {
    if (segment.payload.byteLength === 0) return undefined
    const table = this.#payloadTable(segment)
    const range = this.#payloadRange(segment, table, row)
    if (range.byteLength === 0) return undefined
    const bytes = new Uint8Array(range.byteLength)
    this.#read(range.file, range.offset, bytes)
    if (this.#verifies) this.#expectCrc({ segment, row }, { bytes, crc: table.crcs[row], offset: range.offset })
    return bytes
  }

  /** The file that the payload of a row is in. */
  payloadPath({ segment }: Ordinal): string {
    return this.#pathOf(segment.payload)
  }

  /**
   * Calls `take` with the payload of every row of a segment, in order, and where in its file it is; undefined: the row
   * has none. They are good until it returns. Throws as `idOf` does.
   */
  eachPayload(segment: Segment, take: (payload: Uint8Array | undefined, row: number, offset: number) => void): void {
    const { rowCount, payload } = segment
    if (payload.byteLength === 0) {
      for (let row = 0; row < rowCount; row++) take(undefined, row, 0)
      return
    }
    const table = this.#payloadTable(segment)
    let piece = { offset: 0, bytes: new Uint8Array(0) }
    for (let row = 0; row < rowCount; row++) {
      const { file, offset, byteLength } = this.#payloadRange(segment, table, row)
      if (offset + byteLength > piece.offset + piece.bytes.byteLength) {
        const left = payload.offset + payload.byteLength - offset
        piece = { offset, bytes: new Uint8Array(Math.min(left, Math.max(byteLength, PIECE_BYTES))) }
        this.#read(file, offset, piece.bytes)
      }
      const bytes = piece.bytes.subarray(offset - piece.offset, offset - piece.offset + byteLength)
      this.#expectCrc({ segment, row }, { bytes, crc: table.crcs[row], offset })
      take(byteLength === 0 ? undefined : bytes, row, offset)
    }
  }

  #expectCrc(
    { segment, row }: Ordinal,
    of: { readonly bytes: Uint8Array; readonly crc: number; readonly offset: number }
  ): void {
    const computed = checksum(of.bytes)
    if (computed === of.crc) return
    throw new ZgqError(
      'ZGQ_CORRUPT',
      `the payload of row ${row} of segment ${segment.segment} has CRC ${computed}, expected ${of.crc}`,
      { path: this.#pathOf(segment.payload), offset: of.offset }
    )
  }

  #payloadRange({ segment, payload }: Segment, { offsets, start }: PayloadTable, row: number): FileRange {
    const from = u64At(offsets, row)
    const offset = payload.offset + start + from
    const byteLength = u64At(offsets, row + 1) - from
    if (byteLength > MOST_PAYLOAD_BYTES)
      throw new ZgqError(
        'ZGQ_CORRUPT',
        `the payload of row ${row} of segment ${segment} has ${byteLength} bytes, expected at most ` +
          `${MOST_PAYLOAD_BYTES}`,
        { path: this.#pathOf(payload), offset }
      )
    return { file: payload.file, offset, byteLength }
  }

  #payloadTable(segment: Segment): PayloadTable {
    const key = segment.slot * KEYS_OF_SLOT + PAYLOADS_KEY
    const found = this.#payloads.get(key)
    if (found !== undefined) return found
    const { payload, rowCount } = segment
    const { byteLength } = payload
    const headBytes = payloadHeadBytes(rowCount)
    const read = this.#extentBytes(payload, headBytes)
    const stated = statedTableBytes(read(0, Math.min(byteLength, COLUMNS_HEADER.byteLength)))
    const table = decodePayloadHead(
      { byteLength, read },
      {
        ...this.#expected(segment, payload),
        verifiesColumns: this.#verifies,
        // Of what is fetched that is the head alone, whatever the number of columns says that nobody verified yet.
        tableBytes: this.#readers.comesAnew ? Math.min(stated, headBytes) : stated
      }
    )
    this.#payloads.put(key, table, rowCount * 12)
    return table
  }

  /** Reads a field over the rows of a segment; throws as `idOf` does. */
  fieldOf(segment: Segment, field: DeclaredField): FieldColumn {
    const key = segment.slot * KEYS_OF_SLOT + FIELD_KEY + field.number
    return this.#fields.get(key) ?? this.#readField(segment, field, key)
  }

  #readField(segment: Segment, field: DeclaredField, key: number): FieldColumn {
    const { fields, rowCount } = segment
    const read = this.#extentBytes(fields, PIECE_BYTES)
    const entries = decodeEntries(
      {
        bytes: read(0, Math.min(fields.byteLength, columnsTableBytes(MOST_COLUMNS))),
        byteLength: fields.byteLength,
        kind: 'fields'
      },
      this.#expected(segment, fields)
    )
    const { name, type } = field
    const expected = { path: this.#pathOf(fields), segment: segment.segment, rowCount, name, type }
    const encoded: EncodedField = {}
    let byteLength = 0
    for (const entry of entries) {
      const kind = FIELD_KINDS.get(entry.kind)
      if (entry.field !== field.number || kind === undefined) continue
      checkFieldLength({ kind, offset: fields.offset + entry.offset, byteLength: entry.byteLength }, expected)
      encoded[kind] = this.#verifiedColumn(segment, entry, read)
      byteLength += entry.byteLength
    }
    const column = decodeField(encoded, expected)
    this.#fields.put(key, column, byteLength)
    return column
  }

  #verifiedColumn(
    segment: Segment,
    column: ColumnEntry,
    read: (offset: number, byteLength: number) => Uint8Array
  ): Uint8Array {
    const bytes = read(column.offset, column.byteLength)
    const computed = this.#verifies ? checksum(bytes) : column.crc
    if (computed === column.crc) return bytes
    throw new ZgqError(
      'ZGQ_CORRUPT',
      `a column of field ${column.field} of segment ${segment.segment} has CRC ${computed}, expected ${column.crc}`,
      { path: this.#pathOf(segment.fields), offset: segment.fields.offset + column.offset }
    )
  }

  /** Tells whether `fieldOf` has to read nothing. */
  hasField({ slot }: Segment, field: DeclaredField): boolean {
    return this.#fields.has(slot * KEYS_OF_SLOT + FIELD_KEY + field.number)
  }

  /** The ranges that `idOf` and `payloadOf` read for rows before they know where payloads are, as far as not kept. */
  rangesOfTables(ordinals: readonly Ordinal[], wants: TableWants): FileRange[] {
    const ranges: FileRange[] = []
    const seen = new Set<Segment>()
    for (const { segment } of ordinals) {
      if (seen.has(segment)) continue
      seen.add(segment)
      const { slot, payload, rowCount } = segment
      if (wants.ids && !this.#ids.has(slot * KEYS_OF_SLOT + IDS_KEY)) ranges.push(segment.columns)
      if (wants.payloads && payload.byteLength > 0 && !this.#payloads.has(slot * KEYS_OF_SLOT + PAYLOADS_KEY))
        ranges.push(headOf(payload, payloadHeadBytes(rowCount)))
    }
    return ranges
  }

  /** Reads those of these tables that are served and not kept; throws as `idOf` does. */
  loadTables(
    ordinals: readonly Ordinal[],
    of: { readonly wants: TableWants; readonly isServed: (range: FileRange) => boolean }
  ): void {
    for (const ordinal of ordinals) {
      const lacking = this.rangesOfTables([ordinal], of.wants)
      if (lacking.length === 0 || !lacking.every(of.isServed)) continue
      if (of.wants.ids) this.idOf(ordinal)
      if (of.wants.payloads && ordinal.segment.payload.byteLength > 0) this.#payloadTable(ordinal.segment)
    }
  }

  /** The ranges of the payloads of rows, of whose segments the tables are kept or served. */
  rangesOfPayloads(ordinals: readonly Ordinal[]): FileRange[] {
    return ordinals.flatMap(({ segment, row }) => {
      if (segment.payload.byteLength === 0) return []
      const range = this.#payloadRange(segment, this.#payloadTable(segment), row)
      return range.byteLength === 0 ? [] : [range]
    })
  }

  /** Reads bytes of an extent: its first `headBytes` with one read, what is behind them with one each. */
  #extentBytes(extent: FileExtent, headBytes: number): (offset: number, byteLength: number) => Uint8Array {
    const head = new Uint8Array(Math.min(extent.byteLength, headBytes))
    this.#read(extent.file, extent.offset, head)
    return (offset, byteLength) => {
      if (offset + byteLength <= head.byteLength) return head.slice(offset, offset + byteLength)
      const bytes = new Uint8Array(byteLength)
      this.#read(extent.file, extent.offset + offset, bytes)
      return bytes
    }
  }

  #expected(
    segment: Segment,
    extent: FileExtent
  ): { path: string; offset: number; segment: number; rowCount: number; headerCrc: number } {
    const { rowCount } = segment
    const { offset, crc } = extent
    return { path: this.#pathOf(extent), offset, segment: segment.segment, rowCount, headerCrc: crc }
  }

  #pathOf({ file }: FileExtent): string {
    return fileOf(this.#readers.files, file).path
  }

  #read(file: number, offset: number, target: Uint8Array): void {
    this.#readers.readFresh(file, offset, target)
    this.counters.bytesRead += target.byteLength
  }
}

function headOf(extent: FileExtent, byteLength: number): FileRange {
  return { file: extent.file, offset: extent.offset, byteLength: Math.min(extent.byteLength, byteLength) }
}

/** Copies a column, in pieces where it is long. */
function readWhole(
  column: { readonly offset: number; readonly byteLength: number },
  read: (offset: number, byteLength: number) => Uint8Array
): Uint8Array {
  const bytes = new Uint8Array(column.byteLength)
  for (let at = 0; at < bytes.byteLength; at += PIECE_BYTES)
    bytes.set(read(column.offset + at, Math.min(PIECE_BYTES, bytes.byteLength - at)), at)
  return bytes
}
