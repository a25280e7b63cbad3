// Every error that the library throws on purpose, apart from TypeError and RangeError for wrong arguments.
// Codes are stable, messages are not.

/** Names what went wrong; programs branch on it. Messages may change, codes may not. */
export type ZgqErrorCode =
  /** Nothing exists at the path. */
  | 'ZGQ_NOT_FOUND'
  /** Something exists at the path, but it is not a ZGQ index. */
  | 'ZGQ_NOT_AN_INDEX'
  /** Something exists at the output path, and the call does not ask to replace it. */
  | 'ZGQ_EXISTS'
  /** The index, the option or the platform needs something that this version does not have. */
  | 'ZGQ_UNSUPPORTED'
  /** Bytes of the index are damaged. */
  | 'ZGQ_CORRUPT'
  /** A file is shorter than it must be. */
  | 'ZGQ_TRUNCATED'
  /**
   * Two things do not belong together: files of different builds in one folder, options of the stages of a build, the
   * model of queries and of vectors, or an index that was opened and the one that is there now.
   */
  | 'ZGQ_MISMATCH'
  /** A vector has the wrong number of dimensions. */
  | 'ZGQ_DIMENSION'
  /** A vector holds NaN or an infinity. */
  | 'ZGQ_NON_FINITE'
  /** A vector has length zero, so the cosine metric cannot compare it. */
  | 'ZGQ_ZERO_VECTOR'
  /** The recall asked for cannot be reached. */
  | 'ZGQ_RECALL'
  /** An id is in the index already, or twice among the rows that are given. */
  | 'ZGQ_ID_EXISTS'
  /** The index was opened for reading, or a file or folder cannot be written. */
  | 'ZGQ_READ_ONLY'
  /**
   * Another process is building or changing the same index, or has a lock on a database. On Windows also: it has the
   * index open that is to be replaced.
   */
  | 'ZGQ_LOCKED'
  /** The index was closed. */
  | 'ZGQ_CLOSED'
  /** The operating system could not read or write: the disk is full, a sector is bad, and the like. */
  | 'ZGQ_IO'
  /** The input of a build is not what its format says, or changed while it was read. */
  | 'ZGQ_BUILD_INPUT'
  /** A filter asks for an unknown field or operator, compares with a wrong type, or is too deep or too long. */
  | 'ZGQ_FILTER'

/** Where an error was seen. */
export interface ZgqErrorPlace {
  readonly path?: string | undefined
  /** Byte offset in `path`. */
  readonly offset?: number | undefined
  readonly cause?: unknown
}

/** Control characters, which steer a terminal, and those that turn the direction of what follows. */
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g

/** Escapes what must not reach a terminal or a log: files that are quoted in a message may be hostile. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** An error with a stable `code`, and the `path` and byte `offset` where that is known. */
export class ZgqError extends Error {
  override readonly name = 'ZgqError'
  readonly code: ZgqErrorCode
  // Declared, not defined: an error without a place has no such properties.
  declare readonly path?: string
  declare readonly offset?: number

  constructor(code: ZgqErrorCode, message: string, place: ZgqErrorPlace = {}) {
    const where =
      place.path === undefined ? '' : ` (${place.path}${place.offset === undefined ? '' : ` at byte ${place.offset}`})`
    super(printable(message + where), place.cause === undefined ? undefined : { cause: place.cause })
    this.code = code
    if (place.path !== undefined) this.path = place.path
    if (place.offset !== undefined) this.offset = place.offset
  }

  /** Makes an error anew that came from another thread; its message names the place already. */
  static restore(sent: { readonly code: ZgqErrorCode; readonly message: string } & ZgqErrorPlace): ZgqError {
    const error = new ZgqError(sent.code, sent.message, { cause: sent.cause })
    if (sent.path !== undefined) Object.assign(error, { path: sent.path })
    if (sent.offset !== undefined) Object.assign(error, { offset: sent.offset })
    return error
  }
}

/** Returns the `code` of a Node.js system error, or undefined for anything else. */
export function systemCode(error: unknown): string | undefined {
  // Not instanceof Error: where the library runs in a vm context, as under Jest, Node's errors are of another realm.
  if (typeof error !== 'object' || error === null || !('code' in error) || typeof error.code !== 'string')
    return undefined
  return error instanceof ZgqError ? undefined : error.code
}

/** Whether the system refuses to touch a file: it is open elsewhere (Windows), or may not be changed. */
export function isRefusal(error: unknown): boolean {
  return ['EBUSY', 'EPERM', 'EACCES'].includes(systemCode(error) ?? '')
}

/** The error of a data file that is not there, or of several. */
export function missingFile(path: string, cause: unknown, what = 'a file of the index is missing'): ZgqError {
  return new ZgqError('ZGQ_CORRUPT', `${what}; zgq repair (repairIndex) saves what is left`, { path, cause })
}

/** Whether a data file was not there: a fold may have given it up since the catalogue was read. */
export function isMissingFile(error: unknown): boolean {
  if (!(error instanceof ZgqError) || error.code !== 'ZGQ_CORRUPT') return false
  const { cause } = error
  // On their way from other threads errors lose their code.
  return systemCode(cause) === 'ENOENT' || (cause instanceof Error && cause.message.startsWith('ENOENT'))
}

/** Whether `node --permission` refused something. */
export function isDenied(error: unknown): boolean {
  return systemCode(error) === 'ERR_ACCESS_DENIED'
}

/** Wraps what `node --permission` refused, with what to do. */
function wrapDenied(error: unknown, path: string, doing: string): ZgqError {
  const permission = typeof error === 'object' && error !== null && 'permission' in error ? error.permission : undefined
  const place = { path, cause: error }
  if (permission === 'FileSystemRead')
    return new ZgqError('ZGQ_IO', `cannot ${doing}: start Node with --allow-fs-read for this path`, place)
  if (permission === 'FileSystemWrite')
    return new ZgqError('ZGQ_READ_ONLY', `cannot ${doing}: start Node with --allow-fs-write for this path`, place)
  const reason = error instanceof Error ? error.message : String(error)
  return new ZgqError(
    'ZGQ_UNSUPPORTED',
    `cannot ${doing}: ${reason} Build in a process without it; opening and searching work under it`,
    place
  )
}

/** Wraps a failure to read once; a ZgqError passes through unchanged. */
export function wrapReadError(error: unknown, path: string, doing: string): ZgqError {
  if (error instanceof ZgqError) return error
  if (isDenied(error)) return wrapDenied(error, path, doing)
  const code = systemCode(error)
  const reason = error instanceof Error ? error.message : String(error)
  if (code === 'ENOENT')
    return new ZgqError('ZGQ_NOT_FOUND', `cannot ${doing}: nothing is there`, { path, cause: error })
  return new ZgqError('ZGQ_IO', `cannot ${doing}: ${reason}`, { path, cause: error })
}

/** Wraps a failure to write once; a ZgqError passes through unchanged. */
export function wrapWriteError(error: unknown, path: string, doing: string): ZgqError {
  const code = systemCode(error)
  if (code === 'EROFS' || code === 'EACCES' || code === 'EPERM')
    return writeError('read-only', doing, { path, cause: error })
  if (code === 'ENOSPC' || code === 'EDQUOT') return writeError('full', doing, { path, cause: error })
  return wrapReadError(error, path, doing)
}

/** Says why a write failed; the cause has the code. */
export function writeError(why: 'read-only' | 'busy' | 'full', doing: string, place: ZgqErrorPlace): ZgqError {
  const code = systemCode(place.cause)
  switch (why) {
    case 'read-only':
      return new ZgqError('ZGQ_READ_ONLY', `cannot ${doing}: permission denied (${code})`, place)
    case 'busy':
      return new ZgqError('ZGQ_LOCKED', `cannot ${doing}: another process is changing it`, place)
    case 'full':
      return new ZgqError('ZGQ_IO', `cannot ${doing}: the disk is full (${code}); free some space and repeat`, place)
  }
}
