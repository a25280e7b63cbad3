// Rows of the catalogue, read within bounds: neither a length nor a number of rows is believed before it was looked at.
// A forged tree can repeat rows without end, and a forged row can claim a value as large as the file.

import { ZgqError } from '../errors.ts'
import {
  CHUNK_RECORDS,
  chunkChecksum,
  mostChunkBytes,
  MOST_CHUNK_RECORDS,
  ZONES_STEP,
  type Chunk,
  type ChunkTable
} from '../format/chunks.ts'
import { checksum } from '../format/layout.ts'
import { highWord, joinU64, lowWord } from '../format/u64.ts'
import type { Database, Statement } from './driver.ts'
import { CHUNK_DECLARATIONS, META_TABLE, selectStatement } from './tables.ts'

const MOST_META_ROWS = 16
const MOST_KEY_BYTES = 64
/** Of one value; a quantizer of 65,536 dimensions has 300 KB. */
const MOST_META_BYTES = 2 ** 20

/** Computes the checksum of a row of `meta`: of key and value, each after its length as u32. */
export function metaChecksum(key: string, value: Uint8Array): number {
  return withLength(value, withLength(Buffer.from(key, 'utf8'), 0))
}

/** Values up to so many bytes are put together first: a call of zlib takes longer than to copy them. */
const SCRATCH_BYTES = 2 ** 14
const SCRATCH = Buffer.alloc(SCRATCH_BYTES)

/**
 * Computes the checksum of a row of another table: of its values in turn, integers as u64, bytes after their length.
 */
export function rowChecksum(values: readonly (number | Uint8Array)[]): number {
  let crc = 0
  let used = 0
  for (const value of values) {
    if (used > SCRATCH_BYTES - 8) {
      crc = checksum(SCRATCH.subarray(0, used), crc)
      used = 0
    }
    if (typeof value === 'number') {
      SCRATCH.writeUInt32LE(lowWord(value), used)
      SCRATCH.writeUInt32LE(highWord(value), used + 4)
      used += 8
      continue
    }
    used = SCRATCH.writeUInt32LE(value.byteLength, used)
    if (value.byteLength <= SCRATCH_BYTES - used) {
      SCRATCH.set(value, used)
      used += value.byteLength
    } else {
      crc = checksum(value, checksum(SCRATCH.subarray(0, used), crc))
      used = 0
    }
  }
  return checksum(SCRATCH.subarray(0, used), crc)
}

function withLength(bytes: Uint8Array, before: number): number {
  const length = Buffer.allocUnsafe(4)
  length.writeUInt32LE(bytes.byteLength)
  return checksum(bytes, checksum(length, before))
}

/** Reads the values of `meta` by their keys; throws ZGQ_CORRUPT. */
export function readMeta(database: Database, path: string): Map<string, Uint8Array> {
  const damage = (what: string): ZgqError => new ZgqError('ZGQ_CORRUPT', `table meta ${what}`, { path })
  // In the order of the tree: to look for a key would read other rows, values and all.
  const lengths = database
    .prepare('SELECT octet_length(key) AS a, octet_length(value) AS b FROM meta LIMIT ?')
    .all(MOST_META_ROWS + 1)
  if (lengths.length > MOST_META_ROWS) throw damage(`has more than ${MOST_META_ROWS} rows`)
  for (const [keyBytes, valueBytes] of lengths) {
    if (!(Number(keyBytes) <= MOST_KEY_BYTES && Number(valueBytes) <= MOST_META_BYTES))
      throw damage(`has a row of ${Number(keyBytes) + Number(valueBytes)} bytes`)
  }
  const values = new Map<string, Uint8Array>()
  for (const row of database
    .prepare(`${selectStatement(META_TABLE, MOST_META_BYTES)} LIMIT ?`)
    .iterate(MOST_META_ROWS)) {
    const [key, value, crc] = row
    if (typeof key !== 'string' || !(value instanceof Uint8Array) || metaChecksum(key, value) !== crc)
      throw damage('has a row that does not fit its CRC')
    values.set(key, Uint8Array.from(value)) // aligned, and ours
  }
  return values
}

/** Prepares reading one value of `meta`, of a table that was read as a whole before. */
export function prepareValue(database: Database): Statement {
  const [, value] = META_TABLE.columns
  const guarded = `iif(typeof(value) = '${value.type}' AND octet_length(value) <= ${MOST_META_BYTES}, value, NULL)`
  return database.prepare(`SELECT ${guarded} AS value, crc FROM meta WHERE key = ?`)
}

/** Reads a value by such a statement; undefined: there is none. Throws ZGQ_CORRUPT. */
export function readValue(statement: Statement, key: string, path: string): Uint8Array | undefined {
  const [row] = statement.all(key)
  if (row === undefined) return undefined
  const [value, crc] = row
  if (value instanceof Uint8Array && metaChecksum(key, value) === crc) return Uint8Array.from(value)
  throw new ZgqError('ZGQ_CORRUPT', 'table meta has a row that does not fit its CRC', { path })
}

/** Deals numbered records out to chunks. */
export function numberedChunks<T>(
  records: readonly T[],
  numberOf: (record: T) => number,
  encode: (records: readonly T[]) => Uint8Array
): Chunk[] {
  return Array.from({ length: Math.ceil(records.length / CHUNK_RECORDS) }, (_, i) => {
    const some = records.slice(i * CHUNK_RECORDS, (i + 1) * CHUNK_RECORDS)
    return { first: numberOf(some[0]), count: some.length, records: encode(some) }
  })
}

/** The records that a table of chunks must hold. */
export interface ChunksExpectation {
  /** Records of all chunks together; of `zone_codes` zones. */
  readonly count: number
  /** Bytes of so many records. */
  readonly bytesOf: (count: number) => number
  /** Records are numbered 0, 1, 2, ...: each chunk starts where the one before it ends. */
  readonly isDense: boolean
  /** Every chunk but the last has a multiple of ZONES_STEP records. */
  readonly isStepped: boolean
}

/** Records of a table in one piece, and the checksums of its chunks. */
export interface ReadRecords {
  readonly records: Uint8Array
  readonly checksums: readonly number[]
}

/**
 * Reads all chunks of a table into one array; throws ZGQ_CORRUPT. The length of that was held against the catalogue's.
 */
export function readChunks(
  database: Database,
  of: { table: ChunkTable; catalogueBytes: number; path: string },
  expected: ChunksExpectation
): ReadRecords {
  const { table, path } = of
  const damage = (what: string): ZgqError => new ZgqError('ZGQ_CORRUPT', `table ${table} has ${what}`, { path })
  const byteLength = expected.bytesOf(expected.count)
  if (byteLength > of.catalogueBytes)
    throw damage(`${byteLength} bytes of records by meta value "index", the whole catalogue ${of.catalogueBytes}`)
  const records = new Uint8Array(byteLength)
  const checksums: number[] = []
  let count = 0
  let bytes = 0
  let least = 0
  const select = selectStatement(declarationOf(table), mostChunkBytes(expected.bytesOf(1)))
  for (const row of database.prepare(select).iterate()) {
    const { chunk, crc } = decodeChunk(row, damage)
    if (expected.isDense ? chunk.first !== count : chunk.first < least)
      throw damage(`a chunk from ${chunk.first} on, expected ${expected.isDense ? count : `${least} or more`}`)
    if (expected.isStepped && count % ZONES_STEP !== 0)
      throw damage(`a chunk that ends with zone ${count - 1}, and one after it: its last block is not full`)
    if (chunk.count > expected.count - count) throw damage(`more than ${expected.count} records`)
    if (chunk.records.byteLength !== expected.bytesOf(count + chunk.count) - bytes)
      throw damage(`a chunk of ${chunk.records.byteLength} bytes for ${chunk.count} records`)
    if (!expected.isDense && numberOf(chunk.records) !== chunk.first)
      throw damage(`a chunk from ${chunk.first} on whose first record is ${numberOf(chunk.records)}`)
    if (chunkChecksum(chunk) !== crc) throw damage(`a chunk from ${chunk.first} on that does not fit its CRC`)
    records.set(chunk.records, bytes)
    checksums.push(crc)
    bytes += chunk.records.byteLength
    count += chunk.count
    least = chunk.first + 1
  }
  if (count !== expected.count) throw damage(`${count} records, expected ${expected.count}`)
  return { records, checksums }
}

/** Records of files and segments begin with their number. */
function numberOf(record: Uint8Array): number {
  const view = new DataView(record.buffer, record.byteOffset)
  return joinU64(view.getUint32(0, true), view.getUint32(4, true))
}

function declarationOf(table: ChunkTable): (typeof CHUNK_DECLARATIONS)[number] {
  const found = CHUNK_DECLARATIONS.find(({ name }) => name === table)
  if (found === undefined) throw new TypeError(`there is no table ${table}`)
  return found
}

function decodeChunk(row: readonly unknown[], damage: (what: string) => ZgqError): { chunk: Chunk; crc: number } {
  const [first, count, records, crc] = row
  if (!isCount(first) || !isCount(count) || !(records instanceof Uint8Array) || !isCount(crc))
    throw damage('a row whose values have wrong types or lengths')
  if (count === 0 || count > MOST_CHUNK_RECORDS)
    throw damage(`a chunk of ${count} records, expected 1 to ${MOST_CHUNK_RECORDS}`)
  return { chunk: { first, count, records }, crc }
}

/** Tells a safe integer >= 0. */
export function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
