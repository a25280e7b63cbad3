// The one place that reads codes of SQLite's errors (driver.ts): of a catalogue that is read or written, and of a
// database of the user's.

import { systemCode, wrapWriteError, writeError, ZgqError } from '../errors.ts'

/** `mismatch`: the statement does not fit the database, as where a table is missing. */
type SqliteFault =
  'not a database' | 'busy' | 'read-only' | 'cannot open' | 'protocol' | 'full' | 'corrupt' | 'mismatch' | 'io'

const FAULTS: readonly (readonly [code: RegExp, fault: SqliteFault])[] = [
  [/^SQLITE_NOTADB/, 'not a database'],
  [/^SQLITE_BUSY/, 'busy'],
  [/^SQLITE_READONLY/, 'read-only'],
  [/^SQLITE_CANTOPEN/, 'cannot open'],
  [/^SQLITE_PROTOCOL/, 'protocol'],
  [/^SQLITE_FULL/, 'full'],
  [/^SQLITE_CORRUPT/, 'corrupt'],
  [/^SQLITE_(ERROR|FORMAT|MISMATCH|TOOBIG|SCHEMA|CONSTRAINT|RANGE|EMPTY)/, 'mismatch'],
  [/^SQLITE_(IOERR|NOMEM)|^ERR_ACCESS_DENIED/, 'io']
]

function faultOf(error: unknown): SqliteFault | undefined {
  const code = systemCode(error) ?? ''
  return FAULTS.find(([pattern]) => pattern.test(code))?.[1]
}

/** Tells whether another connection is in the way. */
export function isBusy(error: unknown): boolean {
  return faultOf(error) === 'busy'
}

/** SQLite wants to roll a journal back, or to recover the log of a dead process, where it may only read. */
export function needsRepair(error: unknown): boolean {
  const fault = faultOf(error instanceof ZgqError ? error.cause : error)
  return fault === 'read-only' || fault === 'cannot open' || fault === 'protocol'
}

/** Wraps a failure to read a catalogue once; only wrong bytes are ZGQ_CORRUPT. */
export function wrapSqliteError(error: unknown, path: string): ZgqError {
  if (error instanceof ZgqError) return error
  const { code, reason, place } = describeFailure(error, path)
  const fault = faultOf(error)
  if (fault === 'not a database')
    return new ZgqError('ZGQ_NOT_AN_INDEX', `the catalogue is not a SQLite database: ${reason}`, place)
  if (fault === 'busy') return new ZgqError('ZGQ_LOCKED', `another process is changing the catalogue: ${reason}`, place)
  // A value that JavaScript cannot hold: a text of a gigabyte.
  if (fault === 'corrupt' || fault === 'mismatch' || error instanceof RangeError)
    return new ZgqError('ZGQ_CORRUPT', `the catalogue is damaged: ${reason} (${code})`, place)
  return new ZgqError('ZGQ_IO', `the catalogue cannot be read: ${reason}${code === '' ? '' : ` (${code})`}`, place)
}

/** Wraps a failure to write a catalogue once. */
export function wrapSqliteWriteError(error: unknown, path: string, doing: string): ZgqError {
  const fault = faultOf(error)
  if (fault === 'corrupt' || fault === 'not a database') return wrapSqliteError(error, path)
  return fault === 'read-only' || fault === 'busy' || fault === 'full'
    ? writeError(fault, doing, { path, cause: error })
    : wrapWriteError(error, path, doing)
}

/** Wraps a failure to query a database of the user's once. */
export function wrapQueryError(error: unknown, path: string): ZgqError {
  if (error instanceof ZgqError) return error
  const { code, reason, place } = describeFailure(error, path)
  if (code === 'SQLITE_READONLY') return notASelect(path, error)
  switch (faultOf(error)) {
    case 'not a database':
      return new ZgqError('ZGQ_BUILD_INPUT', `the file is not a SQLite database: ${reason}`, place)
    case 'busy':
      return new ZgqError(
        'ZGQ_LOCKED',
        `another process has locked the database: ${reason}; repeat when it is done`,
        place
      )
    case 'corrupt':
      return new ZgqError('ZGQ_BUILD_INPUT', `the database is damaged: ${reason}`, place)
    case 'cannot open':
      return new ZgqError(
        'ZGQ_IO',
        `the database cannot be read: ${reason}; one in WAL mode needs a folder that can be written, or a copy ` +
          'without WAL',
        place
      )
    case 'io':
    case 'read-only':
      return new ZgqError('ZGQ_IO', `the database cannot be read: ${reason} (${code})`, place)
    default:
      return new ZgqError('ZGQ_BUILD_INPUT', `the query fails: ${reason}`, place)
  }
}

/** Refuses a statement that gives no rows. */
export function notASelect(path: string, cause?: unknown): ZgqError {
  return new ZgqError('ZGQ_BUILD_INPUT', 'the query is not a SELECT: it gives no rows, or changes the database', {
    path,
    cause
  })
}

function describeFailure(
  error: unknown,
  path: string
): { readonly code: string; readonly reason: string; readonly place: { path: string; cause: unknown } } {
  const reason = error instanceof Error ? error.message : String(error)
  return { code: systemCode(error) ?? '', reason, place: { path, cause: error } }
}
