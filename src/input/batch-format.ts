// Which inputs are read once, in batches, and which options fit which of them. Looks at names alone; what files hold is
// checked where they are opened.

import { extname } from 'node:path'

import { describe } from '../describe.ts'
import type { PayloadColumns } from './payload-columns.ts'

export type BatchFormat = 'parquet' | 'jsonl' | 'hdf5' | 'sqlite'

/** Names the vectors and ids in a file that has more than vectors. */
export interface BatchFileOptions {
  /** Column of the vectors in Parquet, JSON lines and queries, data set in HDF5. */
  readonly column?: string | undefined
  /** Column of the ids in Parquet, JSON lines and queries. */
  readonly idColumn?: string | undefined
  /** A SELECT of ids and vectors, or of vectors, from a SQLite database. Other columns can go into payloads. */
  readonly query?: string | undefined
}

/** What the library itself asks of such a file besides. */
export interface BatchReadOptions extends BatchFileOptions {
  /** Default: the file is read without payloads. */
  readonly payloadColumns?: PayloadColumns | undefined
}

const FORMATS: ReadonlyMap<string, BatchFormat> = new Map([
  ['.parquet', 'parquet'],
  ['.jsonl', 'jsonl'],
  ['.ndjson', 'jsonl'],
  ['.hdf5', 'hdf5'],
  ['.h5', 'hdf5'],
  ['.db', 'sqlite'],
  ['.sqlite', 'sqlite'],
  ['.sqlite3', 'sqlite']
])
export const BATCH_ENDINGS: readonly string[] = [...FORMATS.keys()]

const FITTING: Readonly<Record<keyof BatchFileOptions, readonly BatchFormat[]>> = {
  column: ['parquet', 'jsonl', 'hdf5', 'sqlite'],
  idColumn: ['parquet', 'jsonl', 'sqlite'],
  query: ['sqlite']
}
const OPTION_NAMES: readonly (keyof BatchFileOptions)[] = ['column', 'idColumn', 'query']
const NAMES: Readonly<Record<BatchFormat, string>> = {
  parquet: '.parquet',
  jsonl: '.jsonl',
  hdf5: '.hdf5',
  sqlite: 'a SQLite database'
}

/**
 * Tells the format by the ending; a file of another ending with a query is a SQLite database. Undefined for files of
 * vectors and what is unknown.
 */
export function batchFormatOf(path: string, query?: string): BatchFormat | undefined {
  const ending = extname(path).toLowerCase()
  return FORMATS.get(ending) ?? (query === undefined ? undefined : 'sqlite')
}

/** Formats with columns or keys beside the vectors, which may go into payloads. */
const WITH_COLUMNS: readonly BatchFormat[] = ['parquet', 'jsonl', 'sqlite']

/** Tells whether a file has columns or keys that may go into payloads. */
export function hasColumns(format: BatchFormat | undefined): boolean {
  return format !== undefined && WITH_COLUMNS.includes(format)
}

/**
 * Throws TypeError where `column`, `idColumn` or `query` do not fit the input, where `ids` and `idColumn` compete, and
 * where a database comes without a query.
 */
export function expectBatchOptions(
  options: BatchFileOptions & { readonly input: unknown; readonly ids: unknown }
): void {
  const { input, ids, query, idColumn } = options
  const format = typeof input === 'string' ? batchFormatOf(input, query) : undefined
  for (const name of OPTION_NAMES) {
    const value: unknown = options[name]
    if (value === undefined) continue
    if (typeof value !== 'string' || value === '')
      throw new TypeError(`${name} must be a non-empty string, found ${describe(value)}`)
    if (format === undefined || !FITTING[name].includes(format)) {
      throw new TypeError(
        `${name} is for ${FITTING[name].map((fit) => NAMES[fit]).join(', ')}; the input is ` +
          `${typeof input === 'string' ? describe(input) : 'no file'}`
      )
    }
  }
  if (format === 'sqlite' && query === undefined)
    throw new TypeError('a SQLite database needs a query: SELECT id, vector FROM ...')
  if (idColumn !== undefined && ids !== undefined) throw new TypeError('ids and idColumn cannot be given together')
}
