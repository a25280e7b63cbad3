// What the S3 client rejects with, as failures of requests. Credentials stay out: of an answer, only its code, its
// status and, where it is not about access, its text is told; the client's own error, which has headers and signatures,
// is not passed on.

import { ZgqError, type ZgqErrorCode } from '../errors.ts'
import { RequestFailure, type FailureFacts } from '../remote/byte-source.ts'

const MOST_CHARACTERS = 200
/** Another request got in the way (409), or there are too many; beside them, all that the store itself failed at. */
const PASSING = new Set([408, 409, 425, 429])
/** A body that came too slowly; a status of its own it has not (400). */
const TOO_SLOW = 'RequestTimeout'
/** What stores without room answer: AWS has none such, MinIO, Ceph and WebDAV-like gateways do. */
const FULL_STATUS = 507
const FULL_NAME = /StorageFull|QuotaExceeded|InsufficientStorage|InsufficientCapacity/i
const NO_REGION = 'Region is missing'

/** What of a failed request may be told. */
interface Failure {
  /** The code that the store answered, or the name of the client's own error. */
  readonly name: string
  /** Of the HTTP answer; undefined where there was none. */
  readonly status: number | undefined
  readonly text: string
}

/** Whether the same request may succeed a little later. */
export function mayPass(error: unknown): error is RequestFailure {
  return error instanceof RequestFailure && error.facts.mayPass === true
}

/** Returns the HTTP status that a request failed with, undefined where there was no answer. */
export function statusOf(error: unknown): number | undefined {
  if (error instanceof RequestFailure) return error.facts.status
  const status = propertyOf(propertyOf(error, '$metadata'), 'httpStatusCode')
  return typeof status === 'number' ? status : undefined
}

/** Returns a property of whatever it may be. */
export function propertyOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  const found: unknown = Reflect.get(value, name)
  return found
}

/** Wraps what the client rejected with; a ZgqError passes through unchanged. */
export function wrapS3Error(error: unknown, path: string, doing: string): ZgqError {
  if (error instanceof ZgqError) return error
  const failure = describeFailure(error)
  const { name, status, text } = failure
  const answer = status === undefined ? name : `${name}, HTTP ${status}`
  const make = (code: ZgqErrorCode, why: string, passing: Partial<FailureFacts> = {}): RequestFailure =>
    new RequestFailure(`cannot ${doing}: ${why}`, {
      ...passing,
      code,
      path,
      cause: new Error(text === '' ? answer : `${answer}: ${text}`),
      ...(status === undefined ? {} : { status })
    })
  if (name === 'NoSuchBucket') return make('ZGQ_NOT_FOUND', 'there is no such bucket')
  if (status === 404) return make('ZGQ_NOT_FOUND', 'there is no such object')
  if (status === FULL_STATUS || FULL_NAME.test(name))
    return make('ZGQ_IO', `the store is full (${answer}); free some space, or raise its quota, and repeat`)
  if (status === 401 || status === 403)
    return make('ZGQ_IO', `access denied (${answer}): check the credentials and what they may do`)
  if (name === 'CredentialsProviderError' || name === 'TokenProviderError')
    return make('ZGQ_IO', `no credentials (${name}): set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE`)
  if (status === undefined && text.startsWith(NO_REGION))
    return make('ZGQ_IO', 'no region: name one (region, --region), or set AWS_REGION')
  if (status === 301 || status === 307) return make('ZGQ_IO', `the bucket is in another region (${answer})`)
  if (status === 501) return make('ZGQ_UNSUPPORTED', `the store does not do that (${answer})`)
  if (status === undefined) return make('ZGQ_IO', text === '' ? name : text, { mayPass: true })
  return make('ZGQ_IO', text === '' ? answer : `${text} (${answer})`, {
    mayPass: PASSING.has(status) || status >= 500 || name === TOO_SLOW,
    retryAfterMs: retryAfterOf(error)
  })
}

/** Milliseconds. Stores send seconds. */
function retryAfterOf(error: unknown): number | undefined {
  const said = propertyOf(propertyOf(propertyOf(error, '$response'), 'headers'), 'retry-after')
  return typeof said === 'string' && /^\d{1,6}$/.test(said) ? Number(said) * 1000 : undefined
}

function describeFailure(error: unknown): Failure {
  const status = statusOf(error)
  if (!(error instanceof Error)) return { name: 'Error', status, text: shorten(String(error)) }
  // The client's words for an answer without a text.
  const text = error.message === 'UnknownError' ? '' : shorten(error.message)
  return { name: shorten(error.name), status, text: status === 401 || status === 403 ? '' : text }
}

function shorten(text: string): string {
  return text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}...` : text
}
