// What SQLite's errors mean for a reader of a catalogue.

import { systemCode, ZgqError } from '../errors.ts'

/** Wraps an error of the driver once; a ZgqError passes through unchanged. */
export function wrapSqliteError(error: unknown, path: string): ZgqError {
  if (error instanceof ZgqError) return error
  const code = systemCode(error) ?? ''
  const reason = error instanceof Error ? error.message : String(error)
  if (code.startsWith('SQLITE_NOTADB'))
    return new ZgqError('ZGQ_NOT_AN_INDEX', `the catalogue is not a SQLite database: ${reason}`, { path, cause: error })
  if (code.startsWith('SQLITE_BUSY'))
    return new ZgqError('ZGQ_LOCKED', `another process is changing the catalogue: ${reason}`, { path, cause: error })
  if (/^SQLITE_(IOERR|NOMEM|CANTOPEN|READONLY)/.test(code))
    return new ZgqError('ZGQ_IO', `the catalogue cannot be read: ${reason} (${code})`, { path, cause: error })
  return new ZgqError('ZGQ_CORRUPT', `the catalogue is damaged: ${reason} (${code})`, { path, cause: error })
}
