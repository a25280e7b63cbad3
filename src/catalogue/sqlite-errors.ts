// What an error of SQLite says about a catalogue.

import { systemCode, ZgqError } from '../errors.ts'

/** Codes of bytes that were read and found wrong; a table that is missing is SQLITE_ERROR. */
const DAMAGE = /^SQLITE_(CORRUPT|ERROR|FORMAT|MISMATCH|TOOBIG|SCHEMA|CONSTRAINT|RANGE|EMPTY)/

/** Wraps a failure to read a catalogue once; only wrong bytes are ZGQ_CORRUPT. */
export function wrapSqliteError(error: unknown, path: string): ZgqError {
  if (error instanceof ZgqError) return error
  const code = systemCode(error) ?? ''
  const reason = error instanceof Error ? error.message : String(error)
  const place = { path, cause: error }
  if (code.startsWith('SQLITE_NOTADB'))
    return new ZgqError('ZGQ_NOT_AN_INDEX', `the catalogue is not a SQLite database: ${reason}`, place)
  if (code.startsWith('SQLITE_BUSY'))
    return new ZgqError('ZGQ_LOCKED', `another process is changing the catalogue: ${reason}`, place)
  // A value that JavaScript cannot hold: a text of a gigabyte.
  if (DAMAGE.test(code) || error instanceof RangeError)
    return new ZgqError('ZGQ_CORRUPT', `the catalogue is damaged: ${reason} (${code})`, place)
  return new ZgqError('ZGQ_IO', `the catalogue cannot be read: ${reason}${code === '' ? '' : ` (${code})`}`, place)
}
