// Brings the tables of chunks from one state of an index to the next: rows that say the same stay as they are.

import { CHUNK_RECORDS, CHUNK_TABLES, chunkChecksum, type Chunk, type ChunkTable } from '../format/chunks.ts'
import { chunksDigest } from './chunks-digest.ts'
import type { Database } from './driver.ts'
import { isCount, numberedChunks } from './rows.ts'
import { CHUNK_DECLARATIONS, insertStatement } from './tables.ts'

/** A chunk that is there, without its records. */
interface ChunkRow {
  readonly first: number
  readonly count: number
  readonly crc: number
}

/** A chunk of so many records at most is put together with one beside it that is written anew. */
const SMALL_CHUNK = CHUNK_RECORDS / 4

/** Computes the digest over the chunks that are there now: they were verified when they were read or written. */
export function digestOf(database: Database): Uint8Array {
  return chunksDigest(CHUNK_TABLES.flatMap((table) => rowsOf(database, table).map(({ crc }) => crc)))
}

/** Has a table hold these chunks and no others, in the transaction that its caller has begun; returns bytes written. */
export function rewriteChunks(database: Database, table: ChunkTable, chunks: readonly Chunk[]): number {
  const before = new Map(rowsOf(database, table).map((row) => [row.first, row]))
  const remove = database.prepare(`DELETE FROM ${table} WHERE first = ?`)
  const insert = database.prepare(insertStatement(CHUNK_DECLARATIONS[CHUNK_TABLES.indexOf(table)]))
  let byteLength = 0
  const changed = chunks.flatMap((chunk) => {
    const crc = chunkChecksum(chunk)
    const found = before.get(chunk.first)
    if (found?.count !== chunk.count || found.crc !== crc) return { chunk, crc }
    before.delete(chunk.first)
    return []
  })
  for (const first of before.keys()) remove.run(first)
  for (const { chunk, crc } of changed) {
    insert.run(chunk.first, chunk.count, chunk.records, crc)
    byteLength += chunk.records.byteLength
  }
  return byteLength
}

/** Numbered records, in ascending order. */
interface Numbered<T> {
  readonly records: readonly T[]
  readonly numberOf: (record: T) => number
  readonly encode: (records: readonly T[]) => Uint8Array
}

/**
 * Deals numbered records out to chunks that begin where those of the table do: a record that goes then changes one
 * chunk, and not all that follow. Small ones beside a changed one go into it, so that chunks stay few.
 */
export function dealAsBefore<T>(database: Database, table: ChunkTable, of: Numbered<T>): Chunk[] {
  const chunks: Chunk[] = []
  let open: T[] = []
  let isChanged = false
  let small: Chunk[] = []
  const close = (): void => {
    chunks.push(...(isChanged ? numberedChunks(open, of.numberOf, of.encode) : small))
    open = []
    small = []
    isChanged = false
  }
  for (const { records, row } of groupsOf(rowsOf(database, table), of)) {
    const kept = keptOf(records, row, of)
    if (kept !== undefined && kept.count > SMALL_CHUNK) {
      close()
      chunks.push(kept)
    } else {
      open.push(...records.slice(0, kept?.count))
      if (kept === undefined) isChanged = true
      else small.push(kept)
    }
    const added = records.slice(kept?.count ?? records.length)
    open.push(...added)
    if (added.length > 0) isChanged = true
  }
  close()
  return chunks
}

/** Cuts records where the chunks of a table begin; those before the first chunk go with it. */
function* groupsOf<T>(
  rows: readonly ChunkRow[],
  { records, numberOf }: Numbered<T>
): Generator<{ readonly records: readonly T[]; readonly row: ChunkRow | undefined }> {
  if (rows.length === 0) yield { records, row: undefined }
  let start = 0
  for (const [i, row] of rows.entries()) {
    let end = start
    while (end < records.length && (i + 1 === rows.length || numberOf(records[end]) < rows[i + 1].first)) end++
    yield { records: records.slice(start, end), row }
    start = end
  }
}

/** The chunk as it is, where the first of these records are still all of it. */
function keptOf<T>(records: readonly T[], row: ChunkRow | undefined, of: Numbered<T>): Chunk | undefined {
  if (row === undefined || records.length < row.count || of.numberOf(records[0]) !== row.first) return undefined
  const chunk = { first: row.first, count: row.count, records: of.encode(records.slice(0, row.count)) }
  return chunkChecksum(chunk) === row.crc ? chunk : undefined
}

function rowsOf(database: Database, table: ChunkTable): ChunkRow[] {
  return database
    .prepare(`SELECT first, count, crc FROM ${table} ORDER BY first`)
    .all()
    .flatMap(([first, count, crc]) => (isCount(first) && isCount(count) && isCount(crc) ? { first, count, crc } : []))
}
