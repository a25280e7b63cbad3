// A query of a database that belongs to the user: opened read-only, read row by row. Nothing of ours is in it, and
// nothing is ever written to it.

import { statSync } from 'node:fs'
import { resolve } from 'node:path'

import type BetterSqlite3 from 'better-sqlite3'

import { systemCode, wrapReadError, ZgqError } from '../errors.ts'
import { loadBetterSqlite3 } from './better-sqlite3.ts'

/** A query that can be read once. */
export interface UserQuery {
  readonly columnNames: readonly string[]
  /** Rows as arrays of values: integers as bigint, BLOBs as bytes. Throws as `openUserQuery` does. */
  readonly rows: Iterable<readonly unknown[]>
  /** Ends the query and closes the database; a second call does nothing. */
  close(): void
}

/**
 * Opens a database read-only and prepares a SELECT. Throws ZGQ_NOT_FOUND, ZGQ_IO, ZGQ_UNSUPPORTED (no better-sqlite3),
 * ZGQ_LOCKED, and ZGQ_BUILD_INPUT for what is no SQLite database and for a query that SQLite refuses, with its message.
 * The file is looked at by SQLite only: to open and close it here would drop the locks that another connection of this
 * process holds.
 */
export function openUserQuery(path: string, sql: string): UserQuery {
  checkFile(path)
  const Sqlite = loadBetterSqlite3()
  let database: BetterSqlite3.Database | undefined
  try {
    database = new Sqlite(resolve(path), { readonly: true, fileMustExist: true })
    return prepare(database, sql, path)
  } catch (error) {
    database?.close()
    throw wrapQueryError(error, path)
  }
}

function prepare(database: BetterSqlite3.Database, sql: string, path: string): UserQuery {
  const statement = database.prepare<unknown[], unknown>(sql)
  if (!statement.reader || !statement.readonly)
    throw new ZgqError('ZGQ_BUILD_INPUT', 'the query is not a SELECT: it gives no rows, or changes the database', {
      path
    })
  const rows = statement.raw(true).safeIntegers(true).iterate()
  return {
    columnNames: statement.columns().map((column) => column.name),
    rows: arraysOf(rows, path),
    close: () => {
      rows.return?.() // while it runs, the database cannot be closed
      database.close()
    }
  }
}

function* arraysOf(rows: Iterator<unknown>, path: string): Generator<readonly unknown[]> {
  try {
    for (let next = rows.next(); next.done !== true; next = rows.next()) {
      const row: unknown = next.value
      if (Array.isArray(row)) yield row
    }
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

function wrapQueryError(error: unknown, path: string): ZgqError {
  if (error instanceof ZgqError) return error
  const code = systemCode(error) ?? ''
  const reason = error instanceof Error ? error.message : String(error)
  const place = { path, cause: error }
  if (code.startsWith('SQLITE_NOTADB'))
    return new ZgqError('ZGQ_BUILD_INPUT', `the file is not a SQLite database: ${reason}`, place)
  if (code.startsWith('SQLITE_BUSY'))
    return new ZgqError('ZGQ_LOCKED', `another process holds the database: ${reason}; repeat when it is done`, place)
  if (code.startsWith('SQLITE_CORRUPT'))
    return new ZgqError('ZGQ_BUILD_INPUT', `the database is damaged: ${reason}`, place)
  if (code.startsWith('SQLITE_CANTOPEN'))
    return new ZgqError(
      'ZGQ_IO',
      `the database cannot be read: ${reason}; one in WAL mode needs a folder that can be written, or a copy ` +
        'without WAL',
      place
    )
  if (code.startsWith('SQLITE_IOERR') || code.startsWith('SQLITE_NOMEM') || code.startsWith('SQLITE_READONLY'))
    return new ZgqError('ZGQ_IO', `the database cannot be read: ${reason} (${code})`, place)
  return new ZgqError('ZGQ_BUILD_INPUT', `the query fails: ${reason}`, place)
}
