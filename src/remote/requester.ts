// Requests of a source, as readers need them: a few at a time, each repeated where that may help, within its time.

import { describe } from '../describe.ts'
import { ZgqError } from '../errors.ts'
import { expectWholeNumber } from '../options.ts'
import { unlessAborted } from '../storage/async-reader.ts'
import {
  placeOf,
  reasonOf,
  RequestFailure,
  type ByteSource,
  type GotBytes,
  type ObjectRange,
  type ObjectVersion
} from './byte-source.ts'
import { Deadline, nowMs, type Progress } from './deadline.ts'
import { toOwnError } from './foreign-failure.ts'
import { LinkMeasures } from './link-measures.ts'
import { RequestLimit } from './request-limit.ts'

/** How long to wait before the first repetition; each further one waits twice as long. */
const FIRST_DELAY_MS = 200
const MOST_DELAY_MS = 10_000
/** The longest that timers take. */
const MOST_TIMEOUT_MS = 2 ** 31 - 1

export interface RequestOptions {
  /** Requests at a time. Default 6. */
  readonly maxRequests?: number | undefined
  /** How often a request is repeated that failed in a way that may pass. Default 3. */
  readonly retries?: number | undefined
  /** For a request with its repetitions. Default 30,000. */
  readonly timeoutMs?: number | undefined
  /** Spreads repetitions of many readers; for tests. */
  readonly random?: (() => number) | undefined
}

/** What went over the line: requests with their repetitions, and the bytes of their answers. */
export interface ReadTally {
  requests: number
  bytes: number
}

/** What is common to all that a source is asked. */
export interface Call {
  /** Of the object. */
  readonly name: string
  readonly offset?: number
  readonly signal: AbortSignal
  readonly tally: ReadTally | undefined
  /** Throws where an answer is of another state of the object than those before. */
  readonly compare?: (found: ObjectVersion) => void
}

export interface Request extends Call, ObjectRange {
  readonly offset: number
  /** Whether the object may end before the range does. */
  readonly mayEnd: boolean
  readonly compare: (found: ObjectVersion) => void
}

export class Requester {
  readonly source: ByteSource
  readonly limit: RequestLimit
  readonly measures = new LinkMeasures()
  readonly #retries: number
  readonly #timeoutMs: number
  readonly #random: () => number
  readonly #progress: Progress = { lastAnswerMs: -Infinity }

  constructor(source: ByteSource, options: RequestOptions) {
    const { maxRequests = 6, retries = 3, timeoutMs = 30_000, random = Math.random } = options
    expectWholeNumber('maxRequests', maxRequests, { least: 1 })
    expectWholeNumber('retries', retries, { least: 0 })
    expectWholeNumber('timeoutMs', timeoutMs, { least: 1, most: MOST_TIMEOUT_MS })
    this.source = source
    this.limit = new RequestLimit(maxRequests)
    this.#retries = retries
    this.#timeoutMs = timeoutMs
    this.#random = random
  }

  /**
   * Resolves to a range of an object. Rejects with what the source rejects with once that stays, with ZGQ_IO after
   * the time that a request has, and with the reason of the signal.
   */
  async send(request: Request): Promise<GotBytes> {
    return await this.#repeat(request, async (signal) => await this.#ask(request, signal))
  }

  /** Resolves to the names of objects, undefined where the source cannot list; rejects likewise. */
  async list(prefix: string, about: Call): Promise<string[] | undefined> {
    const { source } = this
    if (source.list === undefined) return undefined
    return await this.#repeat(about, async (signal) => await source.list?.(prefix, signal))
  }

  async #repeat<Result>(call: Call, ask: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    let failure: RequestFailure | undefined
    const { progress, timeoutMs } = { progress: this.#progress, timeoutMs: this.#timeoutMs }
    const makeError = (): Error =>
      new ZgqError('ZGQ_IO', `no whole answer within ${timeoutMs} ms (timeoutMs)`, {
        ...this.#placeOf(call),
        cause: failure
      })
    const deadline = new Deadline({ timeoutMs, progress, signal: call.signal, makeError })
    try {
      for (let attempts = 1; ; attempts++) {
        try {
          return await this.#inTurn(call, { deadline, isAgain: attempts > 1, ask })
        } catch (error) {
          deadline.signal.throwIfAborted()
          failure = this.#failureOf(error, call)
        }
        call.compare?.(failure.facts.version ?? {})
        const delay = this.#delayOf(failure, attempts)
        if (failure.facts.mayPass !== true || attempts > this.#retries || delay >= deadline.remainingMs)
          throw failure.after(attempts)
        await pause(delay, deadline.signal)
      }
    } finally {
      deadline.end()
    }
  }

  async #inTurn<Result>(
    { tally }: Call,
    how: {
      readonly deadline: Deadline
      readonly isAgain: boolean
      readonly ask: (signal: AbortSignal) => Promise<Result>
    }
  ): Promise<Result> {
    const { signal } = how.deadline
    await this.limit.enter(signal, how.isAgain)
    try {
      how.deadline.start()
      if (tally !== undefined) tally.requests++
      const result = await unlessAborted(signal, async () => await how.ask(signal))
      this.#progress.lastAnswerMs = nowMs()
      return result
    } catch (error) {
      if (tally !== undefined && error instanceof RequestFailure) tally.bytes += error.facts.bytesReceived ?? 0
      throw error
    } finally {
      this.limit.leave()
    }
  }

  async #ask(request: Request, signal: AbortSignal): Promise<GotBytes> {
    const { name, offset, byteLength, tally } = request
    const startMs = nowMs()
    const runningBefore = this.limit.running
    const got = plain(await this.source.getBytes(name, offset, byteLength, signal))
    // What it still brings is not looked at.
    signal.throwIfAborted()
    if (tally !== undefined) tally.bytes += got.bytes.byteLength
    this.measures.add({
      byteLength: got.bytes.byteLength,
      elapsedMs: nowMs() - startMs,
      latencyMs: got.latencyMs,
      atOnce: (runningBefore + this.limit.running) / 2
    })
    request.compare(got)
    this.#expectLength(request, got)
    return got
  }

  #expectLength(request: Request, got: GotBytes): void {
    const found = got.bytes.byteLength
    const expected = request.byteLength
    if (found === expected || (found < expected && request.mayEnd)) return
    const place = this.#placeOf(request)
    if (found > expected)
      throw new RequestFailure(`the source returned ${found} bytes, expected ${expected}`, { code: 'ZGQ_IO', ...place })
    const ends = got.byteLength === undefined ? '' : `: it has ${got.byteLength} bytes`
    throw new RequestFailure(`the file ends ${expected - found} bytes early, expected ${expected} bytes here${ends}`, {
      code: 'ZGQ_TRUNCATED',
      // Unless the answer says how long the file is, it may as well have been cut on its way.
      mayPass: got.byteLength === undefined,
      ...place
    })
  }

  #failureOf(error: unknown, call: Call): RequestFailure {
    const own = toOwnError(error)
    if (own instanceof RequestFailure) return own
    if (own !== undefined) throw own
    // Of a source that knows nothing of codes.
    return new RequestFailure(`the source failed: ${reasonOf(error)}`, {
      code: 'ZGQ_IO',
      mayPass: true,
      cause: error,
      ...this.#placeOf(call)
    })
  }

  /** Milliseconds until the next attempt: about twice as many each time, no fewer than the server asks for. */
  #delayOf(failure: RequestFailure, attempts: number): number {
    const most = Math.min(FIRST_DELAY_MS * 2 ** (attempts - 1), MOST_DELAY_MS)
    const spread = most * (0.5 + this.#random() / 2)
    const { retryAfterMs } = failure.facts
    return retryAfterMs === undefined ? spread : retryAfterMs + spread / 4
  }

  #placeOf({ name, offset }: Call): { readonly path: string | undefined; readonly offset?: number } {
    const path = placeOf(this.source, name)
    return offset === undefined ? { path } : { path, offset }
  }
}

/** Views other than a Uint8Array have methods of their own: `slice` of a Buffer copies nothing. */
function plain(got: GotBytes): GotBytes {
  const bytes: unknown = Object(got).bytes
  if (!ArrayBuffer.isView(bytes))
    throw new ZgqError('ZGQ_IO', `getBytes returned ${describe(bytes)} as bytes, expected a Uint8Array`)
  return { ...got, bytes: new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength) }
}

async function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  try {
    await unlessAborted(signal, async () => {
      await new Promise<void>((resolve) => {
        timer = setTimeout(resolve, delayMs)
      })
    })
  } finally {
    clearTimeout(timer)
  }
}
