// The seam to SQLite: as much of a driver as catalogues and queries need. Its errors have SQLite's own names as `code`
// (SQLITE_BUSY, SQLITE_IOERR_READ, ...), whatever the driver.

/** A value that goes into a statement. */
export type SqlValue = number | string | Uint8Array | null

export interface OpenMode {
  /** `read` and `write`: a database that exists; `create`: one that may not exist yet. */
  readonly mode: 'read' | 'write' | 'create'
}

export interface Driver {
  readonly name: 'better-sqlite3'
  /** Opens a database; waits up to five seconds where another connection holds it. */
  open(path: string, options: OpenMode): Database
}

export interface Database {
  /** Runs statements that give no rows. */
  exec(sql: string): void
  prepare(sql: string): Statement
  /** Sets or asks a pragma (`user_version`, `synchronous = FULL`); returns the first value that it gives. */
  pragma(sql: string): unknown
  /** Ends what runs, and closes; a second call does nothing. */
  close(): void
}

/** Rows are arrays of values, in the order of the columns; BLOBs are bytes. */
export interface Statement {
  /** Gives the rows one at a time: none is read before it is asked for. */
  iterate(...values: SqlValue[]): Iterable<unknown[]>
  all(...values: SqlValue[]): unknown[][]
  run(...values: SqlValue[]): void
}

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
