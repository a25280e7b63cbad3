// The files that the code blocks of README.md and docs/ read, under the names that they have there.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import Sqlite from 'better-sqlite3'

import { buildIndex } from '../../src/build.ts'
import { rowOf } from './brute-force.ts'
import { makeVectors } from './datasets.ts'
import { parquet } from './input-files.ts'
import { fbin } from './vector-files.ts'

const DIM = 3
const COUNT = 3000

/** Makes vectors, queries and notes in a folder. */
export function writeDocFiles(folder: string): void {
  const write = (name: string, data: string | Uint8Array): void => {
    writeFileSync(join(folder, name), data)
  }
  const vectors = (count: number, seed: number): Float32Array => makeVectors('clustered', { count, dim: DIM }, seed)
  const base = vectors(COUNT, 1)
  write('vectors.fbin', fbin(base, DIM))
  write('more.fbin', fbin(vectors(100, 2), DIM))
  write('queries.fbin', fbin(vectors(50, 3), DIM))
  write('my-queries.fbin', fbin(vectors(300, 4), DIM))

  const rows = Array.from({ length: 40 }, (_, id) => ({ id, embedding: rowOf(base, DIM, id) }))
  const lists = { embedding: rows.map(({ embedding }) => [...embedding]) }
  write(
    'chunks.parquet',
    parquet({ lists, columns: [{ name: 'id', data: rows.map(({ id }) => BigInt(id)), type: 'INT64' }] })
  )
  const database = new Sqlite(join(folder, 'app.db'))
  database.exec('CREATE TABLE chunks (id INTEGER PRIMARY KEY, embedding BLOB)')
  const insert = database.prepare('INSERT INTO chunks VALUES (?, ?)')
  for (const { id, embedding } of rows) insert.run(id, Buffer.from(embedding.buffer.slice(0)))
  database.close()

  const note = (id: string, i: number): object => ({
    id,
    vector: [...rowOf(base, DIM, i)],
    path: id.slice(0, id.indexOf('#')),
    mtime: i,
    draft: i % 2 === 1,
    body: `passage ${i}`
  })
  const lines = (notes: readonly object[]): string => notes.map((row) => `${JSON.stringify(row)}\n`).join('')
  const ids = ['a.md#0', 'a.md#1', 'b.md#0', 'zoo.md#0', 'zoo.md#1', 'zoo.md#2']
  write('notes.jsonl', lines(ids.map(note)))
  write('more.jsonl', lines([note('tea.md#0', 7), note('tea.md#1', 8)]))
  write('a.jsonl', lines([note('a.md#0', 9)]))
  write('queries.jsonl', lines([{ vector: [1, 0, 0] }, { vector: [0, 1, 0] }]))
}

/** Makes `docs.zgq` and `notes.zgq` of the files in a folder. */
export async function buildDocIndexes(folder: string): Promise<void> {
  await buildIndex({ input: join(folder, 'vectors.fbin'), output: join(folder, 'docs.zgq'), metric: 'cosine' })
  await buildIndex({
    input: join(folder, 'notes.jsonl'),
    output: join(folder, 'notes.zgq'),
    metric: 'cosine',
    fields: { path: 'string', mtime: 'number', draft: 'boolean' },
    payload: ['body']
  })
}
