// The seam to SQLite: as much of a driver as catalogues and queries need. Its errors have SQLite's own names as `code`
// (SQLITE_BUSY, SQLITE_IOERR_READ, ...), whatever the driver.

import type { SqliteDriverName } from '../info-types.ts'

/** A value that goes into a statement. */
export type SqlValue = number | string | Uint8Array | null

export interface OpenMode {
  /** `read` and `write`: a database that exists; `create`: one that may not exist yet. */
  readonly mode: 'read' | 'write' | 'create'
}

export interface Driver {
  readonly name: SqliteDriverName
  /** The version of SQLite itself. */
  readonly version: string
  /** For people: the package and its version, or the Node.js that it comes with. */
  readonly origin: string
  /** Opens a database; waits up to five seconds where another connection holds it. */
  open(path: string, options: OpenMode): Database
}

/** A driver, or the reason why it cannot be had here: a sentence for people, and what to do about it. */
export type LoadedDriver =
  { readonly driver: Driver } | { readonly reason: string; readonly remedy: string; readonly cause?: unknown }

export interface Database {
  /** Runs statements that give no rows. */
  exec(sql: string): void
  prepare(sql: string): Statement
  /** Prepares a query of the user's, which may have any columns and huge integers. */
  query(sql: string): Query
  /** Sets or asks a pragma (`user_version`, `synchronous = FULL`); returns the first value that it gives. */
  pragma(sql: string): unknown
  /** Closes; a second call does nothing. */
  close(): void
}

/**
 * Rows are arrays of values, in the order of the columns, which have different names; BLOBs are bytes. An integer
 * beyond 2^53 is no value of ours: it may come as an error SQLITE_MISMATCH, or as a number that is no safe integer.
 */
export interface Statement {
  /** Gives the rows one at a time: none is read before it is asked for. */
  iterate(...values: SqlValue[]): Iterable<unknown[]>
  all(...values: SqlValue[]): unknown[][]
  run(...values: SqlValue[]): void
}

export interface Query {
  /** Empty where the statement gives no rows. */
  readonly columnNames: readonly string[]
  /** Runs it once; integers come as bigint. While it runs, the database cannot be closed: end the iterator first. */
  rows(): Iterator<unknown[]>
}

/** How long a connection waits for another one, as better-sqlite3 does by itself. */
export const BUSY_MS = 5000

/** Runs `work` in a transaction that takes the lock for writing at once; an error of it undoes all. */
export function inTransaction<T>(database: Database, work: () => T): T {
  database.exec('BEGIN IMMEDIATE')
  try {
    const result = work()
    database.exec('COMMIT')
    return result
  } catch (error) {
    rollBack(database)
    throw error
  }
}

/** A failed statement may have ended the transaction already: the first error says more than this one would. */
function rollBack(database: Database): void {
  try {
    database.exec('ROLLBACK')
  } catch {
    // The transaction is over.
  }
}
