// What the S3 client rejects with, as ZgqErrors. Credentials stay out: of an answer, only its code, its status and, where
// it is not about access, its text is told; the client's own error, which has headers and signatures, is not passed on.

import { ZgqError, type ZgqErrorCode } from '../errors.ts'

const MOST_CHARACTERS = 200
/** Of a request that was too slow, and of one that another request got in the way of. */
const TRANSIENT_NAMES = new Set(['RequestTimeout', 'ConditionalRequestConflict', 'OperationAborted'])
const UNKNOWN_REGION = 'Region is missing'

/** What of a failed request may be told. */
interface Failure {
  /** The code that the store answered, or the name of the client's own error. */
  readonly name: string
  /** Of the HTTP answer; undefined where there was none. */
  readonly status: number | undefined
  readonly text: string
}

/** A failed request to an object store. */
export class S3RequestError extends ZgqError {
  /** Of the HTTP answer; undefined where there was none. */
  declare readonly status?: number
  /** Whether the same request may succeed a little later. */
  declare readonly isTransient: boolean

  constructor(code: ZgqErrorCode, message: string, of: { failure: Failure; isTransient: boolean; path: string }) {
    const { name, status, text } = of.failure
    const cause = new Error(
      `${name}${status === undefined ? '' : ` (HTTP ${status})`}${text === '' ? '' : `: ${text}`}`
    )
    super(code, message, { path: of.path, cause })
    if (status !== undefined) Object.assign(this, { status })
    // Not shown where errors are printed.
    Object.defineProperty(this, 'isTransient', { value: of.isTransient })
  }
}

export function isTransient(error: unknown): boolean {
  return error instanceof S3RequestError && error.isTransient
}

/** Returns the HTTP status that a request failed with, undefined where there was no answer. */
export function statusOf(error: unknown): number | undefined {
  if (error instanceof S3RequestError) return error.status
  const metadata = propertyOf(error, '$metadata')
  const status = propertyOf(metadata, 'httpStatusCode')
  return typeof status === 'number' ? status : undefined
}

/** Returns a property of whatever it may be. */
export function propertyOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? Object.entries(value).find(([key]) => key === name)?.[1]
    : undefined
}

/** Wraps what the client rejected with; a ZgqError passes through unchanged. */
export function wrapS3Error(error: unknown, path: string, doing: string): ZgqError {
  if (error instanceof ZgqError) return error
  const failure = describeFailure(error)
  const { name, status } = failure
  const make = (code: ZgqErrorCode, why: string, mayPass = false): S3RequestError =>
    new S3RequestError(code, `cannot ${doing}: ${why}`, { failure, isTransient: mayPass, path })
  if (name === 'NoSuchBucket') return make('ZGQ_NOT_FOUND', 'there is no such bucket')
  if (status === 404) return make('ZGQ_NOT_FOUND', 'there is no such object')
  if (status === 401 || status === 403)
    return make('ZGQ_IO', `access denied (${answered(failure)}): check the credentials and what they may do`)
  if (name === 'CredentialsProviderError' || name === 'TokenProviderError')
    return make(
      'ZGQ_IO',
      `no credentials found (${name}): set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile`
    )
  if (status === undefined && failure.text.startsWith(UNKNOWN_REGION))
    return make('ZGQ_IO', 'no region: give one (region, --region) or set AWS_REGION')
  if (status === 301 || status === 307) return make('ZGQ_IO', `the bucket is in another region (${answered(failure)})`)
  if (status === 501) return make('ZGQ_UNSUPPORTED', `the store does not have it (${answered(failure)})`)
  if (status === undefined) return make('ZGQ_IO', `the request failed: ${failure.text || name}`, true)
  const isPassing = status === 429 || status >= 500 || TRANSIENT_NAMES.has(name)
  return make('ZGQ_IO', `${answered(failure)}${failure.text === '' ? '' : `: ${failure.text}`}`, isPassing)
}

function answered({ name, status }: Failure): string {
  return `${name}, HTTP ${String(status)}`
}

function describeFailure(error: unknown): Failure {
  const status = statusOf(error)
  const isAboutAccess = status === 401 || status === 403
  if (!(error instanceof Error)) return { name: 'Error', status, text: isAboutAccess ? '' : shorten(String(error)) }
  // What has no text of its own has that of the client: UnknownError.
  const text = isAboutAccess || error.message === 'UnknownError' ? '' : shorten(error.message)
  return { name: shorten(error.name), status, text }
}

function shorten(text: string): string {
  return text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}...` : text
}
