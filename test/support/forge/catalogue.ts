// The catalogue for a forger: SQL that no sane program runs, and reading and writing meta and chunks with checksums.

import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import Sqlite from 'better-sqlite3'

export type SqlValue = number | bigint | string | Uint8Array | null

export const CATALOGUE = 'catalogue.sqlite'
export const CHUNK_TABLES = ['files', 'segments', 'zones', 'zone_codes', 'delta_zones'] as const
export type ChunkTable = (typeof CHUNK_TABLES)[number]

/** A row of a table of chunks. */
export interface Chunk {
  first: SqlValue
  count: SqlValue
  records: SqlValue
  /** Undefined: the one that fits. */
  crc?: SqlValue | undefined
}

export type Chunks = Record<ChunkTable, Chunk[]>

/** Opens the catalogue and lets a forger do what a sane program never does. */
export function withDatabase(folder: string, work: (database: Sqlite.Database) => void): void {
  const database = new Sqlite(join(folder, CATALOGUE))
  try {
    database.unsafeMode(true)
    database.exec('PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY') // nothing here has to outlive a crash
    work(database)
  } finally {
    database.close()
  }
}

/** Runs statements on the catalogue; nothing is mended. */
export function runSql(folder: string, ...statements: readonly string[]): void {
  withDatabase(folder, (database) => {
    for (const statement of statements) database.exec(statement)
  })
}

/** Writes over rows of sqlite_schema. */
export function editSchema(folder: string, ...statements: readonly string[]): void {
  runSql(folder, 'PRAGMA writable_schema = ON', ...statements)
}

/** Reads all values of `meta`, and the records of each table in one piece. */
export function readTables(folder: string): { meta: Map<string, Uint8Array>; records: Record<ChunkTable, Uint8Array> } {
  const meta = new Map<string, Uint8Array>()
  const records = {} as Record<ChunkTable, Uint8Array>
  withDatabase(folder, (database) => {
    for (const row of database.prepare<[], { key: string; value: Uint8Array }>('SELECT key, value FROM meta').all())
      meta.set(row.key, Uint8Array.from(row.value))
    for (const table of CHUNK_TABLES)
      records[table] = Uint8Array.from(
        Buffer.concat(database.prepare<[], Uint8Array>(`SELECT records FROM ${table} ORDER BY first`).pluck().all())
      )
  })
  return { meta, records }
}

/** Gives every chunk the checksum that fits, unless it was forged; returns the digest over all of them. */
export function mendChunks(chunks: Chunks): Uint8Array {
  const crcs = CHUNK_TABLES.flatMap((table) =>
    chunks[table].map((chunk) => {
      chunk.crc ??= chunkCrc(chunk)
      return Number(chunk.crc)
    })
  )
  return createHash('sha256')
    .update(new Uint8Array(Uint32Array.from(crcs).buffer))
    .digest()
}

export function writeTables(folder: string, of: { meta: ReadonlyMap<string, Uint8Array>; chunks: Chunks }): void {
  withDatabase(folder, (database) => {
    database.exec('BEGIN; DELETE FROM meta')
    for (const [key, value] of of.meta)
      database.prepare('INSERT INTO meta VALUES (?, ?, ?)').run(key, value, metaCrc(key, value))
    for (const table of CHUNK_TABLES) {
      database.exec(`DELETE FROM ${table}`)
      const insert = database.prepare(`INSERT OR REPLACE INTO ${table} VALUES (?, ?, ?, ?)`)
      for (const { first, count, records, crc } of of.chunks[table])
        insert.run(...[first, count, records, crc ?? null].map(integral))
    }
    database.exec('COMMIT')
  })
}

/** better-sqlite3 binds every number as REAL; an integer of SQLite has 63 bits and a sign. */
function integral(value: SqlValue): SqlValue {
  if (typeof value !== 'number' || !Number.isInteger(value)) return value
  return BigInt(value) < 2n ** 63n ? BigInt(value) : 2n ** 63n - 1n
}

function metaCrc(key: string, value: Uint8Array): number {
  return crc32(Buffer.concat([u32(Buffer.byteLength(key)), Buffer.from(key), u32(value.byteLength), value]))
}

/** The CRC of a chunk; what no chunk may hold counts as its nearest. */
function chunkCrc({ first, count, records }: Chunk): number {
  const bytes = records instanceof Uint8Array || typeof records === 'string' ? Buffer.from(records) : Buffer.alloc(0)
  return crc32(Buffer.concat([u64(first), u64(count), bytes]))
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

function u64(value: SqlValue): Buffer {
  const bytes = Buffer.alloc(8)
  if (typeof value === 'bigint' || Number.isSafeInteger(value))
    bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value as number | bigint)))
  return bytes
}
