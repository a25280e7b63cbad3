// The same documents as files of every kind that has columns or keys beside vectors.

import { writeFileSync } from 'node:fs'

import Sqlite from 'better-sqlite3'
import type { SchemaElement } from 'hyparquet'
import { parquetWriteBuffer, type ColumnSource } from 'hyparquet-writer'

import { blob } from './input-files.ts'

/** A document; undefined: it does not have that key. */
export interface Document {
  readonly id: string | number
  readonly vector: readonly number[]
  readonly path: string
  readonly mtime: number | null
  readonly draft: boolean
  readonly tags: readonly string[] | null
  readonly body: string
}

export function documentsOf(count: number, dim: number): Document[] {
  return Array.from({ length: count }, (_, i) => ({
    id: `docs/${(i * 31) % count}.md#${i % 3}`,
    vector: Array.from({ length: dim }, (__, j) => ((i * 31 + j * 17) % 101) / 8 - 5),
    path: `docs/${i % 7}/\u00e4.md`,
    mtime: i % 5 === 3 ? null : i * 1000 + 0.5,
    draft: i % 3 === 0,
    tags: i % 11 === 4 ? null : Array.from({ length: i % 4 }, (__, j) => `tag ${(i + j) % 9}`),
    body: `body ${i} `.repeat(i % 50)
  }))
}

/** Without id and vector. */
export function payloadOf({ id: _, vector: __, ...payload }: Document): object {
  return payload
}

export function writeJsonl(path: string, documents: readonly object[]): string {
  writeFileSync(path, documents.map((document) => `${JSON.stringify(document)}\n`).join(''))
  return path
}

/** Booleans are 0 and 1, lists JSON. */
export function writeDocumentTable(path: string, documents: readonly Document[]): string {
  const database = new Sqlite(path)
  database.exec('CREATE TABLE docs (id, path, embedding, mtime, draft, tags, body)')
  const insert = database.prepare('INSERT INTO docs VALUES (?, ?, ?, ?, ?, ?, ?)')
  database.transaction(() => {
    for (const { id, vector, path: file, mtime, draft, tags, body } of documents) {
      const list = tags === null ? null : JSON.stringify(tags)
      insert.run(id, file, blob(Float32Array.from(vector)), mtime, draft ? 1 : 0, list, body)
    }
  })()
  database.close()
  return path
}

const listOf = (name: string, element: Partial<SchemaElement>): SchemaElement[] => [
  { name, converted_type: 'LIST', repetition_type: 'OPTIONAL', num_children: 1 },
  { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
  { name: 'element', repetition_type: 'OPTIONAL', ...element }
]
const TEXT: Partial<SchemaElement> = { type: 'BYTE_ARRAY', converted_type: 'UTF8' }

/** A column of a Parquet file and its schema. */
export interface TestColumn {
  readonly schema: readonly SchemaElement[]
  readonly source: ColumnSource
}

export function single(name: string, type: Partial<SchemaElement>, source: Omit<ColumnSource, 'name'>): TestColumn {
  return { schema: [{ name, repetition_type: 'OPTIONAL', ...type }], source: { name, ...source } }
}

export function lists(name: string, type: Partial<SchemaElement>, source: Omit<ColumnSource, 'name'>): TestColumn {
  return { schema: listOf(name, type), source: { name, ...source } }
}

export function writeColumns(
  path: string,
  columns: readonly TestColumn[],
  options: { readonly rowGroupSize?: number; readonly pageSize?: number } = {}
): string {
  const schema: SchemaElement[] = [{ name: 'root', num_children: columns.length }, ...columns.flatMap((c) => c.schema)]
  const columnData = columns.map(({ source }) => source)
  writeFileSync(path, new Uint8Array(parquetWriteBuffer({ columnData, schema, ...options })))
  return path
}

/** Several row groups of several pages; texts in another encoding each. */
export function writeDocumentParquet(path: string, documents: readonly Document[]): string {
  const column = <K extends keyof Document>(name: K): Document[K][] => documents.map((document) => document[name])
  return writeColumns(
    path,
    [
      single('id', TEXT, { data: column('id'), encoding: 'DELTA_BYTE_ARRAY' }),
      single('path', TEXT, { data: column('path') }),
      lists('vector', { type: 'FLOAT' }, { data: column('vector') }),
      single('mtime', { type: 'DOUBLE' }, { data: column('mtime') }),
      single('draft', { type: 'BOOLEAN' }, { data: column('draft') }),
      lists('tags', TEXT, { data: column('tags') }),
      single('body', TEXT, { data: column('body'), encoding: 'DELTA_LENGTH_BYTE_ARRAY' })
    ],
    { rowGroupSize: 400, pageSize: 2048 }
  )
}
