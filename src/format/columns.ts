// The columns extent of a segment (spec, section 4): what belongs to its rows besides the vectors. No I/O.

import { ZgqError } from '../errors.ts'
import type { IdType } from '../types.ts'
import { alignUp, bytesEqual, checksum, pageCount, ELEMENT_BYTES, type Extent } from './layout.ts'
import { planesByteLength, refinedRowBytes } from './codes.ts'
import { COLUMN_KINDS, type ExtentKind } from './kinds.ts'
import { MOST_ID_BYTES } from './string-ids.ts'
import { struct } from './struct.ts'
import { highWord, joinU64 } from './u64.ts'

export const COLUMNS_HEADER = struct(24, {
  magic: { offset: 0, type: 'bytes4' },
  columnCount: { offset: 4, type: 'u32' },
  segment: { offset: 8, type: 'u64' },
  rowCount: { offset: 16, type: 'u64' }
})

export const COLUMN_ENTRY = struct(32, {
  kind: { offset: 0, type: 'u32' },
  flags: { offset: 4, type: 'u32' },
  offset: { offset: 8, type: 'u64' },
  byteLength: { offset: 16, type: 'u64' },
  crc: { offset: 24, type: 'u32' },
  field: { offset: 28, type: 'u32' }
})

export const COLUMNS_MAGIC = Uint8Array.of(0x5a, 0x43, 0x4f, 0x4c)
export const COLUMN_ALIGNMENT = 64
const REQUIRED = 1
/** Columns that an extent may have; of fields there are some for each. */
export const MOST_COLUMNS = 1024

type ColumnKind = keyof typeof COLUMN_KINDS

/** Codes of the columns that extents of a kind may have. */
function codesIn(extent: ExtentKind): readonly number[] {
  return Object.values(COLUMN_KINDS).flatMap((kind) =>
    (kind.in as readonly string[]).includes(extent) ? kind.code : []
  )
}

const KNOWN_CODES = {
  columns: codesIn('columns'),
  codes: codesIn('codes'),
  fields: codesIn('fields'),
  payload: codesIn('payload')
}

/** A column to be written. */
export interface Column {
  readonly kind: ColumnKind
  readonly bytes: Uint8Array
  /** Number of the field that it belongs to; of none where it is left out. */
  readonly field?: number
}

/** Where a column lies in its extent, and its checksum. */
export interface ColumnExtent extends Extent {
  readonly crc: number
}

/** The columns of a segment as a reader finds them; offsets count from the start of the extent. */
export interface ColumnsLayout {
  /** u64; undefined where ids are strings. */
  readonly ids: ColumnExtent | undefined
  /** Where ids are strings, beside the rows alone. */
  readonly stringIds: ColumnExtent | undefined
  readonly inverseNorms: ColumnExtent | undefined
  readonly pageCrcs: ColumnExtent
  /** Only in codes files. */
  readonly planes: ColumnExtent | undefined
  /** Only in codes files, with more than one bit a dimension. */
  readonly refinedCodes: ColumnExtent | undefined
}

/** Facts of an extent with columns by the catalogue, to be compared with its bytes. */
export interface ExtentExpectation {
  readonly path: string
  /** Offset of the extent in its file. */
  readonly offset: number
  readonly segment: number
  readonly rowCount: number
  readonly headerCrc: number
}

/** The same of one beside rows, or of codes. */
export interface ColumnsExpectation extends ExtentExpectation {
  readonly dim: number
  readonly hasInverseNorms: boolean
  readonly idType: IdType
  /** Bits a dimension in an extent of a codes file; 0 in one of a vectors file. */
  readonly bits: number
}

/** A column as its entry describes it. */
export interface ColumnEntry extends ColumnExtent {
  readonly kind: number
  /** 0: of no field. */
  readonly field: number
}

/** Bytes of header and entries of an extent. */
export function columnsTableBytes(columnCount: number): number {
  return COLUMNS_HEADER.byteLength + COLUMN_ENTRY.byteLength * columnCount
}

/** Bytes of header and entries as the header says, of which `bytes` has the begin; not more than there may be. */
export function statedTableBytes(bytes: Uint8Array): number {
  const { offset } = COLUMNS_HEADER.fields.columnCount
  if (bytes.byteLength < COLUMNS_HEADER.byteLength) return bytes.byteLength
  const columnCount = new DataView(bytes.buffer, bytes.byteOffset).getUint32(offset, true)
  return columnsTableBytes(Math.min(columnCount, MOST_COLUMNS))
}

/** Encodes a columns extent; returns its bytes and the CRC of header and entries. */
export function encodeColumns(
  segment: number,
  rowCount: number,
  columns: readonly Column[]
): { bytes: Uint8Array; headerCrc: number } {
  const { byteLength, ...table } = encodeTable({ segment, rowCount }, columns.map(described))
  const bytes = new Uint8Array(byteLength)
  bytes.set(table.bytes)
  columns.forEach((column, i) => {
    bytes.set(column.bytes, table.offsets[i])
  })
  return { bytes, headerCrc: table.headerCrc }
}

function described({ kind, bytes, field = 0 }: Column): ColumnToDescribe {
  return { kind, field, byteLength: bytes.byteLength, crc: checksum(bytes) }
}

/** A column of which the table of an extent is made. */
export interface ColumnToDescribe {
  readonly kind: ColumnKind
  readonly field: number
  readonly byteLength: number
  readonly crc: number
}

/** Header and entries of an extent, where its columns go, and how long it is. */
export interface ColumnsTable {
  readonly bytes: Uint8Array
  readonly headerCrc: number
  readonly offsets: readonly number[]
  readonly byteLength: number
}

/** Encodes header and entries of an extent whose columns are written behind them. */
export function encodeTable(
  of: { readonly segment: number; readonly rowCount: number },
  columns: readonly ColumnToDescribe[]
): ColumnsTable {
  const bytes = new Uint8Array(columnsTableBytes(columns.length))
  let end = bytes.byteLength
  COLUMNS_HEADER.encode({ magic: COLUMNS_MAGIC, columnCount: columns.length, ...of }, bytes)
  const offsets = columns.map(({ kind, ...column }, i) => {
    const offset = alignUp(end, COLUMN_ALIGNMENT)
    end = offset + column.byteLength
    const entry = { ...column, kind: COLUMN_KINDS[kind].code, flags: REQUIRED, offset }
    COLUMN_ENTRY.encode(entry, bytes, COLUMNS_HEADER.byteLength + COLUMN_ENTRY.byteLength * i)
    return offset
  })
  return { bytes, headerCrc: checksum(bytes), offsets, byteLength: end }
}

/**
 * Decodes and verifies header and entries of a columns extent of `byteLength` bytes. `bytes` is all of it, or its start
 * with as many entries as there may be.
 * Throws ZGQ_CORRUPT where they do not fit the catalogue, ZGQ_UNSUPPORTED for an unknown required column.
 */
export function decodeColumns(
  bytes: Uint8Array,
  expected: ColumnsExpectation,
  byteLength = bytes.byteLength
): ColumnsLayout {
  const { rowCount, dim, bits, idType } = expected
  const entries = decodeEntries({ bytes, byteLength, kind: bits > 0 ? 'codes' : 'columns' }, expected)
  const segmentPages = pageCount(rowCount * dim * ELEMENT_BYTES)
  const column = (kind: ColumnKind, byteLength?: number): ColumnExtent =>
    expectColumn({ entries, kind, byteLength }, expected)
  return {
    ids: idType === 'integer' ? column('ids', rowCount * 8) : undefined,
    stringIds: idType === 'string' && bits === 0 ? stringIdsColumn(entries, expected) : undefined,
    inverseNorms: expected.hasInverseNorms ? column('inverseNorms', rowCount * 4) : undefined,
    pageCrcs: column('pageCrcs', segmentPages * 4),
    planes: bits > 0 ? column('planes', planesByteLength(rowCount, dim)) : undefined,
    refinedCodes: bits > 1 ? column('refinedCodes', rowCount * refinedRowBytes(dim, bits)) : undefined
  }
}

/** Its length is not known before it is read; a bound of it is. */
function stringIdsColumn(entries: readonly ColumnEntry[], expected: ColumnsExpectation): ColumnExtent {
  const found = expectColumn({ entries, kind: 'stringIds' }, expected)
  const { rowCount } = expected
  const startBytes = (rowCount + 1) * 4
  if (found.byteLength < startBytes + rowCount || found.byteLength > startBytes + rowCount * MOST_ID_BYTES)
    throw damage(expected, found.offset, `column stringIds of ${rowCount} rows has ${found.byteLength} bytes`)
  return found
}

/** Finds a column of no field; throws ZGQ_CORRUPT where it is missing or has another length. */
export function expectColumn(
  of: { readonly entries: readonly ColumnEntry[]; readonly kind: ColumnKind; readonly byteLength?: number | undefined },
  expected: ExtentExpectation
): ColumnExtent {
  const { entries, kind, byteLength } = of
  const found = entries.find((entry) => entry.kind === COLUMN_KINDS[kind].code && entry.field === 0)
  if (found === undefined) throw damage(expected, 0, `column ${kind} is missing`)
  if (byteLength !== undefined && found.byteLength !== byteLength)
    throw damage(expected, found.offset, `column ${kind} has ${found.byteLength} bytes, expected ${byteLength}`)
  return found
}

/** Decodes and verifies header and entries of an extent of a kind; throws as `decodeColumns` does. */
export function decodeEntries(
  of: { readonly bytes: Uint8Array; readonly byteLength: number; readonly kind: keyof typeof KNOWN_CODES },
  expected: ExtentExpectation
): ColumnEntry[] {
  const { bytes, byteLength } = of
  if (bytes.byteLength < COLUMNS_HEADER.byteLength)
    throw damage(expected, 0, `columns extent has only ${bytes.byteLength} bytes`)
  const columnCount = new DataView(bytes.buffer, bytes.byteOffset).getUint32(
    COLUMNS_HEADER.fields.columnCount.offset,
    true
  )
  const tableBytes = columnsTableBytes(columnCount)
  if (columnCount > MOST_COLUMNS || tableBytes > bytes.byteLength)
    throw damage(expected, 4, `columns extent names ${columnCount} columns, more than fit`)
  const computed = checksum(bytes.subarray(0, tableBytes))
  if (computed !== expected.headerCrc)
    throw damage(expected, 0, `columns header has CRC ${computed}, the catalogue says ${expected.headerCrc}`)
  const header = COLUMNS_HEADER.decode(bytes, 0, expected.path)
  if (!bytesEqual(header.magic, COLUMNS_MAGIC)) throw damage(expected, 0, 'columns header has a wrong magic')
  if (header.segment !== expected.segment)
    throw damage(expected, 8, `columns of segment ${header.segment}, expected ${expected.segment}`)
  if (header.rowCount !== expected.rowCount)
    throw damage(expected, 16, `columns for ${header.rowCount} rows, expected ${expected.rowCount}`)
  const knownCodes = KNOWN_CODES[of.kind]
  const belongsToField = of.kind === 'fields'
  const entries: ColumnEntry[] = []
  let [lastKind, lastField] = [0, 0]
  let end = tableBytes
  for (let i = 0; i < columnCount; i++) {
    const entry = COLUMN_ENTRY.decode(bytes, COLUMNS_HEADER.byteLength + COLUMN_ENTRY.byteLength * i, expected.path)
    if (entry.offset < end || entry.offset + entry.byteLength > byteLength)
      throw damage(expected, entry.offset, `column of kind ${entry.kind} leaves its extent or overlaps another`)
    end = entry.offset + entry.byteLength
    if (entry.offset % COLUMN_ALIGNMENT !== 0)
      throw damage(
        expected,
        entry.offset,
        `column of kind ${entry.kind} does not start on a multiple of ${COLUMN_ALIGNMENT} bytes`
      )
    if (entry.kind < lastKind || (entry.kind === lastKind && entry.field <= lastField))
      throw damage(expected, entry.offset, `column of kind ${entry.kind} is listed after kind ${lastKind}`)
    lastKind = entry.kind
    lastField = entry.field
    if ((entry.field !== 0) !== belongsToField && knownCodes.includes(entry.kind))
      throw damage(
        expected,
        entry.offset,
        `column of kind ${entry.kind} belongs to field ${entry.field}, expected ${belongsToField ? 'one' : 'none'}`
      )
    if (!knownCodes.includes(entry.kind) && (entry.flags & REQUIRED) !== 0) {
      throw new ZgqError(
        'ZGQ_UNSUPPORTED',
        `segment ${expected.segment} needs a column of kind ${entry.kind}, which this version does not know`,
        { path: expected.path }
      )
    }
    const { kind, field, offset, byteLength: length, crc } = entry
    entries.push({ kind, field, offset, byteLength: length, crc })
  }
  return entries
}

/** Encodes ids (safe integers >= 0) as u64. */
export function encodeIds(ids: Float64Array): Uint8Array {
  const words = new Uint32Array(ids.length * 2)
  for (let i = 0; i < ids.length; i++) {
    words[i * 2] = ids[i] >>> 0
    words[i * 2 + 1] = highWord(ids[i])
  }
  return new Uint8Array(words.buffer)
}

/** Decodes u64 ids, two words each, low first; one above 2^53 - 1 comes out as no safe integer. */
export function decodeIds(words: Uint32Array): Float64Array {
  return Float64Array.from({ length: words.length / 2 }, (_, i) => joinU64(words[i * 2], words[i * 2 + 1]))
}

function damage(expected: ExtentExpectation, offset: number, message: string): ZgqError {
  return new ZgqError('ZGQ_CORRUPT', message, { path: expected.path, offset: expected.offset + offset })
}
