// Conditions for trusting anything in a database: that SQLite is on its guard, and that the schema is
// ours to the letter. Views, triggers and virtual tables run code of whoever wrote the file.

import { ZgqError } from '../errors.ts'
import { expectVersion } from '../format/version.ts'
import type { Database } from './driver.ts'
import { APPLICATION_ID, SCHEMA_ROWS } from './tables.ts'

const SCHEMA: readonly string[] = SCHEMA_ROWS.map((row) => JSON.stringify(row))

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

/**
 * Throws ZGQ_NOT_AN_INDEX for a database that is no catalogue, ZGQ_UNSUPPORTED for one of another version; returns the
 * version.
 */
export function expectCatalogue(database: Database, path: string): number {
  const applicationId = database.pragma('application_id')
  if (applicationId !== APPLICATION_ID) {
    throw new ZgqError(
      'ZGQ_NOT_AN_INDEX',
      `this SQLite database is not a catalogue: its application_id is ${String(applicationId)}, expected ` +
        `${APPLICATION_ID}`,
      { path }
    )
  }
  const version = Number(database.pragma('user_version'))
  expectVersion(version, { path })
  return version
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
