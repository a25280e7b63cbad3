// Failures of sources that come from another copy of this library: `zgq/remote` is one file with classes of its own,
// and so errors of `zgq/s3`, or of an app that throws a ZgqError of `zgq`, are of other classes. They are known by what
// they have.

import { ZgqError, type ZgqErrorCode } from '../errors.ts'
import { RequestFailure } from './byte-source.ts'

/** Returns the error as one of this copy; undefined where it is no ZgqError of any. */
export function toOwnError(error: unknown): ZgqError | undefined {
  if (error instanceof ZgqError) return error
  if (!(error instanceof Error) || error.name !== 'ZgqError') return undefined
  const { code, path, offset, facts } = propertiesOf(error)
  if (!isCode(code)) return undefined
  const place = { path: typeof path === 'string' ? path : undefined, cause: error.cause }
  if (typeof facts !== 'object' || facts === null) return ZgqError.restore({ code, message: error.message, ...place })
  const { mayPass, retryAfterMs, status, bytesReceived } = propertiesOf(facts)
  return new RequestFailure(withoutPlace(error.message, { path, offset }), {
    code,
    ...place,
    mayPass: mayPass === true,
    ...numberOf('retryAfterMs', retryAfterMs),
    ...numberOf('status', status),
    ...numberOf('bytesReceived', bytesReceived),
    ...numberOf('offset', offset)
  })
}

function propertiesOf(value: object): Record<string, unknown> {
  return { ...value }
}

function isCode(code: unknown): code is ZgqErrorCode {
  return typeof code === 'string' && code.startsWith('ZGQ_')
}

function numberOf<Name extends string>(name: Name, value: unknown): Partial<Record<Name, number>>
function numberOf(name: string, value: unknown): Partial<Record<string, number>> {
  return typeof value === 'number' ? { [name]: value } : {}
}

/** The message as it was made; the place is put behind it again. */
function withoutPlace(message: string, { path, offset }: { readonly path: unknown; readonly offset: unknown }): string {
  const place = ` (${String(path)}${typeof offset === 'number' ? ` at byte ${offset}` : ''})`
  return message.endsWith(place) ? message.slice(0, -place.length) : message
}
