// Where the bytes of a packed index come from, and how a source says that it failed. Nothing here, and nothing that
// is loaded from here, needs Node.

import { ZgqError, type ZgqErrorCode } from '../errors.ts'

/** Which state of an object an answer is of: as much of it as the answer says. */
export interface ObjectVersion {
  /** Changes whenever the object does. */
  readonly etag?: string | undefined
  /** Of the whole object. */
  readonly byteLength?: number | undefined
}

export interface GotBytes extends ObjectVersion {
  readonly bytes: Uint8Array
  /** From the request to the begin of its answer, where the source can tell that from the time of the transfer. */
  readonly latencyMs?: number | undefined
}

/** Where the bytes of a packed index come from: one object ('' is its name) or several. */
export interface ByteSource {
  /** As errors name it, without secrets: an URL without its query, `s3://bucket/prefix`. */
  readonly place?: string | undefined
  /**
   * Resolves to `length` bytes at `offset` of an object, fewer only where it ends before. Rejects with ZGQ_NOT_FOUND
   * where there is no such object. Asks once: what may pass is a `RequestFailure` that says so, or an error of any
   * other class than ZgqError, and its caller repeats it.
   */
  getBytes(name: string, offset: number, length: number, signal: AbortSignal): Promise<GotBytes>
  /** Names of objects that begin with a prefix; absent where nobody can list. */
  list?(prefix: string, signal: AbortSignal): Promise<string[]>
}

/** A range of bytes of an object of a source. */
export interface ObjectRange {
  readonly name: string
  readonly offset: number
  readonly byteLength: number
}

export interface FailureFacts {
  readonly code: ZgqErrorCode
  /** Whether the same request may succeed a little later. */
  readonly mayPass?: boolean
  /** How long the server wants to be left alone. */
  readonly retryAfterMs?: number | undefined
  /** The HTTP status of the answer, if there was one. */
  readonly status?: number
  /** Bytes of the answer that came nevertheless. */
  readonly bytesReceived?: number
  /** What the answer says of the object nevertheless. */
  readonly version?: ObjectVersion
  readonly path?: string | undefined
  readonly offset?: number
  readonly cause?: unknown
}

/** A request that failed; the facts tell whether to repeat it. */
export class RequestFailure extends ZgqError {
  readonly #message: string
  readonly facts: FailureFacts

  constructor(message: string, facts: FailureFacts) {
    super(facts.code, message, facts)
    this.#message = message
    this.facts = facts
  }

  /** The failure that ends a request which was tried several times. */
  after(attempts: number): RequestFailure {
    return attempts === 1
      ? this
      : new RequestFailure(`${this.#message}; gave up after ${attempts} attempts`, this.facts)
  }
}

/** An object is not the one any more that was read before. What was learnt of it is void: open it again. */
export class ChangedObject extends ZgqError {
  constructor(message: string, place: { readonly path?: string | undefined }) {
    super('ZGQ_MISMATCH', message, place)
  }
}

/** How errors name an object of a source. */
export function placeOf(source: ByteSource, name: string): string | undefined {
  const { place } = source
  if (name === '' || place === undefined) return name === '' ? place : name
  return place.endsWith('/') ? place + name : `${place}/${name}`
}

/** Why something failed, for people. Node's fetch says it in the cause of its error. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { cause } = error
  if (!(cause instanceof Error)) return error.message
  // Several addresses were tried, each in vain: Node gives that no message.
  const why = cause.message !== '' || !('code' in cause) ? cause.message : String(cause.code)
  return `${error.message} (${why})`
}
