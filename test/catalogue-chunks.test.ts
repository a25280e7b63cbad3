// Packed chunks and values as they are read from a real database: whole, in order, and no further than they are right.

import { afterEach, describe, expect, it } from 'vitest'

import type { Database } from '../src/catalogue/driver.ts'
import { loadDriver } from '../src/catalogue/load-driver.ts'
import { metaChecksum, readChunks, readMeta, type ReadRecords } from '../src/catalogue/rows.ts'
import { CATALOGUE_DDL, CHUNK_DECLARATIONS, insertStatement, META_TABLE } from '../src/catalogue/tables.ts'
import { CHUNK_TABLES, chunkChecksum, type Chunk, type ChunkTable } from '../src/format/chunks.ts'
import { planesByteLength } from '../src/format/codes.ts'
import { codeOf } from './support/errors.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('chunks')
const DIM = 4
const opened: Database[] = []

afterEach(() => {
  for (const database of opened.splice(0)) database.close()
})

function makeDatabase(): Database {
  const database = loadDriver().open(temp.fresh('catalogue.sqlite'), { mode: 'create' })
  opened.push(database)
  database.pragma('synchronous = OFF') // these are not to outlive a crash
  database.exec(CATALOGUE_DDL)
  return database
}

function insert(database: Database, table: ChunkTable, chunk: Chunk, crc = chunkChecksum(chunk)): void {
  const declaration = CHUNK_DECLARATIONS[CHUNK_TABLES.indexOf(table)]
  database.prepare(insertStatement(declaration)).run(chunk.first, chunk.count, chunk.records, crc)
}

/** Bytes of records of each table; of `zone_codes` by zones. */
const BYTES_OF: Record<ChunkTable, (count: number) => number> = {
  files: (count) => count * 64,
  segments: (count) => count * 176,
  zones: (count) => count * DIM * 4,
  zone_codes: (count) => planesByteLength(count, DIM),
  delta_zones: (count) => count * DIM * 4
}

interface Reading {
  readonly table: ChunkTable
  readonly count: number
  readonly catalogueBytes?: number
  readonly bytesOf?: (count: number) => number
}

function read(database: Database, of: Reading): ReadRecords {
  const { table, count, catalogueBytes = 2 ** 30, bytesOf = BYTES_OF[table] } = of
  const isStepped = table.startsWith('zone')
  const expected = { count, bytesOf, isDense: isStepped || table === 'delta_zones', isStepped }
  return readChunks(database, { table, catalogueBytes, path: 'catalogue.sqlite' }, expected)
}

/** Reads a table that has these chunks. */
function readOf(chunks: readonly Chunk[], of: Reading): ReadRecords {
  const database = makeDatabase()
  for (const chunk of chunks) insert(database, of.table, chunk)
  return read(database, of)
}

/** A chunk of numbered records of `width` bytes. */
function numbered(width: number, numbers: readonly number[]): Chunk {
  const records = new Uint8Array(width * numbers.length).fill(0xee)
  const view = new DataView(records.buffer)
  numbers.forEach((number, i) => {
    view.setBigUint64(i * width, BigInt(number), true)
  })
  return { first: numbers[0] ?? 0, count: numbers.length, records }
}

const zones = (first: number, count: number): Chunk => ({
  first,
  count,
  records: Uint8Array.from({ length: count * DIM * 4 }, (_, i) => (first + i) & 255)
})

const blocks = (first: number, count: number): Chunk => ({
  first,
  count,
  records: new Uint8Array(planesByteLength(count, DIM)).fill(first + 1)
})

describe.each([
  ['files', 64],
  ['segments', 176]
] as const)('chunks of table %s', (table, width) => {
  const LARGEST = Number.MAX_SAFE_INTEGER
  const chunks = [numbered(width, [3, 4, 900]), numbered(width, [901]), numbered(width, [2 ** 33, LARGEST])]

  it('are read in order, with gaps between their numbers', () => {
    const { records, checksums } = readOf(chunks.toReversed(), { table, count: 6 })
    expect(records).toEqual(Uint8Array.from(Buffer.concat(chunks.map((chunk) => chunk.records))))
    expect(checksums).toEqual(chunks.map(chunkChecksum))
  })

  it('are none in an empty table', () => {
    expect(readOf([], { table, count: 0 })).toEqual({ records: new Uint8Array(0), checksums: [] })
  })

  it.each([0, 5, 7])('are corrupt where the index has %d records', (count) => {
    expect(codeOf(() => readOf(chunks, { table, count }))).toBe('ZGQ_CORRUPT')
  })

  it('are corrupt where one has another first record than it says', () => {
    expect(codeOf(() => readOf([{ ...numbered(width, [5, 6]), first: 4 }], { table, count: 2 }))).toBe('ZGQ_CORRUPT')
  })

  it('are corrupt with a length that is not that of their records', () => {
    const whole = numbered(width, [1, 2])
    for (const records of [whole.records.slice(1), Uint8Array.of(...whole.records, 0)])
      expect(codeOf(() => readOf([{ ...whole, records }], { table, count: 2 }))).toBe('ZGQ_CORRUPT')
  })

  it('are corrupt with none or more than 4,096 records', () => {
    const numbers = Array.from({ length: 4097 }, (_, i) => i)
    expect(readOf([numbered(width, numbers.slice(1))], { table, count: 4096 }).checksums).toHaveLength(1)
    expect(codeOf(() => readOf([numbered(width, numbers)], { table, count: 4097 }))).toBe('ZGQ_CORRUPT')
    expect(codeOf(() => readOf([numbered(width, [])], { table, count: 0 }))).toBe('ZGQ_CORRUPT')
  })
})

describe.each([
  ['zones', zones],
  ['zone_codes', blocks]
] as const)('chunks of table %s', (table, chunk) => {
  it('are read in order', () => {
    const chunks = [chunk(0, 32), chunk(32, 64), chunk(96, 5)]
    const { records, checksums } = readOf(chunks.toReversed(), { table, count: 101 })
    expect(records).toEqual(Uint8Array.from(Buffer.concat(chunks.map((one) => one.records))))
    expect(checksums).toEqual(chunks.map(chunkChecksum))
  })

  it.each([
    ['the first is missing', [chunk(32, 32)], 32],
    ['there is a gap between them', [chunk(0, 32), chunk(64, 32)], 64],
    ['they overlap', [chunk(0, 64), chunk(32, 32)], 96],
    ['one before the last does not fill its blocks', [chunk(0, 33), chunk(33, 32)], 65],
    ['many are of few zones', [chunk(0, 16), chunk(16, 16), chunk(32, 16)], 48],
    ['the last is missing', [chunk(0, 32)], 64],
    ['there are too many', [chunk(0, 32), chunk(32, 32)], 32]
  ])('are corrupt where %s', (_, chunks, count) => {
    expect(codeOf(() => readOf(chunks, { table, count }))).toBe('ZGQ_CORRUPT')
  })

  it('are corrupt with a length that is not that of their zones', () => {
    const { records } = chunk(0, 40)
    for (const other of [records.slice(1), Uint8Array.of(...records, 0), new Uint8Array(0)])
      expect(codeOf(() => readOf([{ first: 0, count: 40, records: other }], { table, count: 40 }))).toBe('ZGQ_CORRUPT')
  })
})

it('a block of codes without its bytes is corrupt: 16 zones behind 16', () => {
  const empty = { first: 16, count: 16, records: new Uint8Array(0) }
  expect(codeOf(() => readOf([blocks(0, 16), empty], { table: 'zone_codes', count: 32 }))).toBe('ZGQ_CORRUPT')
})

describe('a row of a table of chunks', () => {
  const chunk = zones(0, 3)
  const reading = { table: 'zones', count: 3 } as const

  it('is corrupt after a change of any of its values', () => {
    const changes = [
      'first = 1',
      'first = -1',
      'count = 2',
      'count = -3',
      'count = 3.5',
      "count = 'three'",
      'crc = crc + 1',
      'crc = -1',
      'crc = 1e300',
      "records = CAST(records AS TEXT) || ''",
      'records = zeroblob(48)',
      'records = 7'
    ]
    for (const change of changes) {
      const database = makeDatabase()
      insert(database, 'zones', chunk)
      database.exec(`UPDATE zones SET ${change}`)
      expect([change, codeOf(() => read(database, reading))]).toEqual([change, 'ZGQ_CORRUPT'])
    }
  })

  it('is corrupt after any bit of its records has flipped', () => {
    for (let bit = 0; bit < chunk.records.byteLength * 8; bit += 7) {
      const records = chunk.records.slice()
      records[bit >> 3] ^= 1 << (bit & 7)
      const database = makeDatabase()
      insert(database, 'zones', { ...chunk, records }, chunkChecksum(chunk))
      expect(codeOf(() => read(database, reading))).toBe('ZGQ_CORRUPT')
    }
  })

  it('is corrupt where its records are longer than any chunk, without being read', () => {
    const records = new Uint8Array(2 ** 20 + 16)
    const count = records.byteLength / 4096
    const long = { first: 0, count: Math.ceil(count), records }
    const bytesOf = (zoneCount: number): number => (zoneCount === long.count ? records.byteLength : zoneCount * 4096)
    expect(codeOf(() => readOf([long], { table: 'zones', count: long.count, bytesOf }))).toBe('ZGQ_CORRUPT')
  })

  it('may be longer than 2^20 bytes with 32 long records', () => {
    const width = 65_536 * 4
    const chunk = { first: 0, count: 32, records: new Uint8Array(32 * width) }
    const bytesOf = (count: number): number => count * width
    expect(readOf([chunk], { table: 'zones', count: 32, bytesOf }).records).toHaveLength(2 ** 23)
    const more = { first: 0, count: 33, records: new Uint8Array(33 * width) }
    expect(codeOf(() => readOf([more], { table: 'zones', count: 33, bytesOf }))).toBe('ZGQ_CORRUPT')
  })

  it('is corrupt where all records have more bytes than the catalogue, before memory is taken', () => {
    expect(codeOf(() => read(makeDatabase(), { table: 'zones', count: 2 ** 50 }))).toBe('ZGQ_CORRUPT')
    expect(codeOf(() => readOf([chunk], { ...reading, catalogueBytes: 47 }))).toBe('ZGQ_CORRUPT')
  })
})

describe('values of table meta', () => {
  const put = (database: Database, key: string, value: Uint8Array, crc = metaChecksum(key, value)): void => {
    database.prepare(insertStatement(META_TABLE)).run(key, value, crc)
  }
  const bytes = Uint8Array.of(1, 2, 3)

  it('are read by their keys, also those that are not known', () => {
    const database = makeDatabase()
    for (const key of ['later', 'index']) put(database, key, bytes)
    expect(readMeta(database, 'x')).toEqual(new Map(['index', 'later'].map((key) => [key, bytes])))
  })

  it.each([
    ['another key', "key = 'indez'"],
    ['another value', "value = x'010204'"],
    ['a value that is text', "value = 'abc'"],
    ['a value that is a number', 'value = 7'],
    ['another CRC', 'crc = crc + 1'],
    ['a CRC that is text', "crc = 'x'"]
  ])('are corrupt with %s', (_, change) => {
    const database = makeDatabase()
    put(database, 'index', bytes)
    database.exec(`UPDATE meta SET ${change}`)
    expect(codeOf(() => readMeta(database, 'x'))).toBe('ZGQ_CORRUPT')
  })

  it('are at most 16, of keys of 64 bytes and 2^20 bytes each', () => {
    const database = makeDatabase()
    for (let i = 0; i < 15; i++) put(database, `key ${i}`, bytes)
    put(database, '\u00e4'.repeat(32), new Uint8Array(2 ** 20))
    expect(readMeta(database, 'x').size).toBe(16)
    put(database, 'one more', bytes)
    expect(codeOf(() => readMeta(database, 'x'))).toBe('ZGQ_CORRUPT')
  })

  it.each([
    ['a key of 65 bytes', 'k'.repeat(65), 1],
    ['a value of 2^20 + 1 bytes', 'index', 2 ** 20 + 1]
  ])('are corrupt with %s', (_, key, byteLength) => {
    const database = makeDatabase()
    put(database, key, new Uint8Array(byteLength))
    expect(codeOf(() => readMeta(database, 'x'))).toBe('ZGQ_CORRUPT')
  })
})
