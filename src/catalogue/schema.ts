// What is asked of a database before anything in it is trusted: that SQLite is on its guard, and that the schema is
// ours to the letter. Views, triggers and virtual tables run code of whoever wrote the file.

import { ZgqError } from '../errors.ts'
import { CATALOGUE_DDL } from '../format/catalogue.ts'
import type { Database } from './driver.ts'

/** Rows of sqlite_schema: type, name, name of the table, SQL. */
const SCHEMA: readonly string[] = [
  ...CATALOGUE_DDL.split(';\n')
    .filter((sql) => sql !== '')
    .map((sql) => {
      const name = /^CREATE TABLE (\w+)/.exec(sql)?.[1] ?? ''
      return ['table', name, name, sql]
    }),
  ['index', 'sqlite_autoindex_zones_1', 'zones', null] // of UNIQUE
].map((row) => JSON.stringify(row))

const COLUMNS = ['type', 'name', 'tbl_name', 'sql']
const MOST_BYTES = 2 ** 11

/** The columns as SQL: 0 for what is neither NULL nor a short text, so that it is never read. */
const GUARDED = COLUMNS.map(
  (name) =>
    `CASE WHEN typeof(${name}) = 'null' THEN NULL ` +
    `WHEN typeof(${name}) = 'text' AND octet_length(${name}) <= ${MOST_BYTES} THEN ${name} ELSE 0 END`
).join(', ')

/** Has SQLite trust nothing in the file; for reading alone, refuse every change too. */
export function standGuard(database: Database, use: 'read' | 'write'): void {
  database.pragma('trusted_schema = OFF')
  database.pragma('cell_size_check = ON')
  if (use === 'read') database.pragma('query_only = ON')
}

/** Holds the schema against ours; throws ZGQ_CORRUPT. Comes after the version: a newer one may have another. */
export function expectSchema(database: Database, path: string): void {
  const rows = database.prepare(`SELECT ${GUARDED} FROM sqlite_schema LIMIT ?`).all(SCHEMA.length + 1)
  const found = rows.map((row) => JSON.stringify(row))
  const other = found.find((row) => !SCHEMA.includes(row))
  if (other !== undefined || new Set(found).size !== SCHEMA.length)
    throw new ZgqError(
      'ZGQ_CORRUPT',
      `the catalogue has another schema than the format: ${other?.slice(0, 200) ?? 'a table is missing'}`,
      { path }
    )
}
