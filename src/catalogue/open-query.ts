// A query of a database that belongs to the user: opened read-only, read row by row. Nothing of ours is in it, and
// nothing is ever written to it. Runs in a process of its own (user-query.ts).

import { statSync } from 'node:fs'

import { wrapReadError, ZgqError } from '../errors.ts'
import type { Database } from './driver.ts'
import { loadDriver } from './load-driver.ts'
import { notASelect, wrapQueryError } from './sqlite-errors.ts'

/** A query that can be read once. */
export interface OpenQuery {
  readonly columnNames: readonly string[]
  /** Rows as arrays of values: integers as bigint, BLOBs as bytes. Throws as `openQuery` does. */
  readonly rows: Iterable<readonly unknown[]>
  /** Ends the query and closes the database; a second call does nothing. */
  close(): void
}

/**
 * Opens a database read-only and prepares a SELECT. Throws ZGQ_NOT_FOUND, ZGQ_IO, ZGQ_UNSUPPORTED (no SQLite),
 * ZGQ_LOCKED, and ZGQ_BUILD_INPUT for what is no SQLite database and for a query that SQLite refuses, with its message.
 * The file is looked at by SQLite only: to open and close it here would drop the locks of its connections.
 */
export function openQuery(path: string, sql: string): OpenQuery {
  checkFile(path)
  const driver = loadDriver()
  let database: Database | undefined
  try {
    database = driver.open(path, { mode: 'read' })
    return prepare(database, sql, path)
  } catch (error) {
    database?.close()
    throw wrapQueryError(error, path)
  }
}

function prepare(database: Database, sql: string, path: string): OpenQuery {
  const query = database.query(sql)
  if (query.columnNames.length === 0) throw notASelect(path)
  const rows = query.rows()
  return {
    columnNames: query.columnNames,
    rows: arraysOf(rows, path),
    close: () => {
      rows.return?.() // while it runs, the database cannot be closed
      database.close()
    }
  }
}

function* arraysOf(rows: Iterator<unknown[]>, path: string): Generator<readonly unknown[]> {
  try {
    for (let next = rows.next(); next.done !== true; next = rows.next()) yield next.value
  } catch (error) {
    throw wrapQueryError(error, path)
  }
}

function checkFile(path: string): void {
  try {
    if (statSync(path).isFile()) return
  } catch (error) {
    throw wrapReadError(error, path, 'open the database')
  }
  throw new ZgqError('ZGQ_BUILD_INPUT', 'the database is not a regular file', { path })
}
