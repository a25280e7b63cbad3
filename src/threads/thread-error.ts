// Errors on their way between threads: structured clones lose the class and the code of a ZgqError.

import { ZgqError, type ZgqErrorCode } from '../errors.ts'

/** An error as it is sent. */
export type SentError =
  | {
      readonly kind: 'zgq'
      readonly code: ZgqErrorCode
      readonly message: string
      readonly path: string | undefined
      readonly offset: number | undefined
      readonly cause: unknown
    }
  | { readonly kind: 'other'; readonly error: unknown }

export function sendableError(error: unknown): SentError {
  if (!(error instanceof ZgqError)) return { kind: 'other', error }
  return {
    kind: 'zgq',
    code: error.code,
    message: error.message,
    path: error.path,
    offset: error.offset,
    cause: error.cause instanceof Error ? error.cause : undefined
  }
}

export function receivedError(sent: SentError): unknown {
  return sent.kind === 'zgq' ? ZgqError.restore(sent) : sent.error
}
