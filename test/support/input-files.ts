// Writers of the inputs that are read in batches, with other libraries than those that read them where there are any,
// and what reads them back.

import { writeFileSync } from 'node:fs'

import Sqlite from 'better-sqlite3'
import type { SchemaElement } from 'hyparquet'
import { parquetWriteBuffer, type ColumnSource } from 'hyparquet-writer'

import type { BatchFileOptions } from '../../src/input/batch-format.ts'
import { openBatchFile } from '../../src/input/batch-file.ts'
import { rowOf } from './brute-force.ts'

export interface Rows {
  readonly vectors: Float32Array
  readonly dim: number
  readonly ids?: readonly number[]
}

/** The vectors as arrays of numbers. */
export function listsOf({ vectors, dim }: Rows): number[][] {
  return Array.from({ length: vectors.length / dim }, (_, i) => Array.from(rowOf(vectors, dim, i)))
}

const LIST_SCHEMA = (name: string, element: Partial<SchemaElement>): SchemaElement[] => [
  { name, converted_type: 'LIST', repetition_type: 'OPTIONAL', num_children: 1 },
  { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
  { name: 'element', repetition_type: 'OPTIONAL', type: 'FLOAT', ...element }
]

/** Columns of a Parquet file: `lists` hold lists (or null, or lists with nulls), `columns` one value a row. */
export interface ParquetTable {
  readonly lists: Readonly<Record<string, readonly unknown[]>>
  readonly columns?: readonly ColumnSource[]
  readonly element?: Partial<SchemaElement>
  readonly rowGroupSize?: number
  readonly pageSize?: number
}

export function parquet(table: ParquetTable): Uint8Array {
  const { lists, columns = [], element = {}, rowGroupSize = 1000, pageSize = 4096 } = table
  const names = Object.keys(lists)
  const schema: SchemaElement[] = [{ name: 'root', num_children: columns.length + names.length }]
  for (const column of columns)
    schema.push({
      name: column.name,
      ...TYPES[column.type ?? ''],
      repetition_type: column.nullable === true ? 'OPTIONAL' : 'REQUIRED'
    })
  for (const name of names) schema.push(...LIST_SCHEMA(name, element))
  const columnData = [
    ...columns.map(({ name, data }) => ({ name, data })),
    ...names.map((name) => ({ name, data: [...lists[name]] }))
  ]
  return new Uint8Array(parquetWriteBuffer({ columnData, schema, rowGroupSize, pageSize }))
}

const TYPES: Readonly<Record<string, Pick<SchemaElement, 'type' | 'converted_type'>>> = {
  INT64: { type: 'INT64' },
  DOUBLE: { type: 'DOUBLE' },
  STRING: { type: 'BYTE_ARRAY', converted_type: 'UTF8' },
  TIMESTAMP: { type: 'INT64', converted_type: 'TIMESTAMP_MILLIS' }
}

/** A column `embedding`, one of text, and one of ids if there are any. */
export function parquetOf(rows: Rows): Uint8Array {
  const lists = listsOf(rows)
  const columns: ColumnSource[] = [{ name: 'text', type: 'STRING', data: lists.map((_, i) => `text ${i}`) }]
  if (rows.ids !== undefined) columns.unshift({ name: 'id', type: 'INT64', data: rows.ids.map(BigInt) })
  return parquet({ lists: { embedding: lists }, columns })
}

export function jsonLines(rows: Rows): string {
  return `${listsOf(rows)
    .map((vector, i) => JSON.stringify(rows.ids === undefined ? vector : { id: rows.ids[i], vector }))
    .join('\n')}\n`
}

export interface DataSet {
  readonly name: string
  readonly data: Float32Array | Float64Array | Int32Array | Uint8Array
  readonly shape: readonly number[]
}

export async function writeHdf5(path: string, sets: readonly DataSet[]): Promise<void> {
  const hdf5 = await import('h5wasm/node')
  await hdf5.ready
  const file = new hdf5.File(path, 'w')
  for (const { name, data, shape } of sets) file.create_dataset({ name, data, shape: [...shape] })
  file.close()
}

/** A row of the table `chunks`. */
export type Chunk = readonly [id: number | bigint | string | null, embedding: unknown]

export function blob(vector: Float32Array): Buffer {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength)
}

export function writeSqlite(path: string, chunks: Iterable<Chunk>): void {
  const database = new Sqlite(path)
  database.exec('CREATE TABLE chunks (id, embedding)')
  const insert = database.prepare('INSERT INTO chunks VALUES (?, ?)')
  database.transaction(() => {
    for (const chunk of chunks) insert.run(...chunk)
  })()
  database.close()
}

export function chunksOf({ vectors, dim, ids }: Rows): Chunk[] {
  return Array.from({ length: vectors.length / dim }, (_, i) => [ids?.[i] ?? i, blob(rowOf(vectors, dim, i))])
}

/** Reads a batch file whole. */
export async function readAll(
  path: string,
  options: BatchFileOptions = {}
): Promise<{ dim: number; vectors: number[]; ids: (number | string)[] | undefined; batchBytes: number[] }> {
  const source = await openBatchFile(path, options)
  try {
    const [vectors, ids, batchBytes]: [number[], (number | string)[], number[]] = [[], [], []]
    for await (const batch of source.batches) {
      for (const value of batch.vectors) vectors.push(value)
      for (const id of Array.from<number | string>(batch.ids ?? [])) ids.push(id)
      batchBytes.push(batch.vectors.byteLength)
    }
    return { dim: source.dim, vectors, ids: source.idType === undefined ? undefined : ids, batchBytes }
  } finally {
    source.close()
  }
}

/** Writes a file and returns its path. */
export function written(path: string, bytes: Uint8Array | string): string {
  writeFileSync(path, bytes)
  return path
}
