// What an answer to a range request means, and its body: never more of it than was asked for.

import { wallMillis } from '../clock.ts'
import type { ZgqErrorCode } from '../errors.ts'
import { reasonOf, RequestFailure, type FailureFacts, type GotBytes, type ObjectVersion } from './byte-source.ts'

interface Asked {
  readonly path: string
  readonly offset: number
  readonly byteLength: number
}

/**
 * Reads the answer to a request for a range. Rejects with a RequestFailure for everything but the bytes that were
 * asked for, and with the reason of the signal.
 */
export async function readAnswer(response: Response, asked: Asked, signal: AbortSignal): Promise<GotBytes> {
  const answer = new Answer(response, asked, signal)
  try {
    if (response.status === 206) return await answer.readPart()
    if (response.status === 200) return await answer.readWhole()
    throw answer.refusal()
  } catch (error) {
    // Nobody reads on. That may end the connection, which is what a body without end needs.
    response.body?.cancel().catch(() => undefined)
    signal.throwIfAborted()
    throw error
  }
}

class Answer {
  readonly #response: Response
  readonly #asked: Asked
  readonly #signal: AbortSignal
  readonly #etag: string | undefined

  constructor(response: Response, asked: Asked, signal: AbortSignal) {
    this.#response = response
    this.#asked = asked
    this.#signal = signal
    this.#etag = versionTag(response.headers)
  }

  async readPart(): Promise<GotBytes> {
    const { offset, byteLength } = this.#asked
    const encoding = this.#encoding()
    if (encoding !== undefined)
      throw this.#failure('ZGQ_UNSUPPORTED', `the server sends ranges of a compressed file (${encoding}): ${NO_GZIP}`)
    if (this.#header('content-type')?.toLowerCase().startsWith('multipart/') === true)
      throw this.#failure('ZGQ_IO', 'the server sends several parts (multipart/byteranges) where one was asked for')
    const said = this.#header('content-range')
    // From a page of another origin it can be read only where the server exposes it.
    if (said === undefined) return await this.#readBy(this.#contentLength(), {})
    const range = parseContentRange(said)
    if (range === undefined || range.first !== offset || range.end > offset + byteLength)
      throw this.#failure('ZGQ_IO', `the server sends the range ${said}, expected ${this.#range()}`)
    const version = { byteLength: range.total }
    if (range.end < Math.min(offset + byteLength, range.total ?? 0))
      throw this.#failure('ZGQ_IO', `the server sends less than it could: ${said}, expected ${this.#range()}`, {
        mayPass: true,
        version
      })
    return await this.#readBy(range.end - offset, version)
  }

  /** Reads a part of which so many bytes are to come; undefined: at most what was asked for. */
  async #readBy(expected: number | undefined, version: ObjectVersion): Promise<GotBytes> {
    const most = Math.min(expected ?? Infinity, this.#asked.byteLength)
    const { bytes, isCutOff } = await this.#readBody(most)
    if (isCutOff)
      throw this.#failure(
        'ZGQ_IO',
        `the server sends more than the ${most} bytes of the range: if it compresses the file, ${NO_GZIP}`,
        { bytesReceived: most }
      )
    if (expected !== undefined && bytes.byteLength < most)
      throw this.#failure('ZGQ_IO', `the answer ended after ${bytes.byteLength} of ${most} bytes`, {
        mayPass: true,
        bytesReceived: bytes.byteLength,
        version
      })
    return { bytes, etag: this.#etag, ...version }
  }

  /** All of an object that is no larger than what was asked for will do. */
  async readWhole(): Promise<GotBytes> {
    const { offset, byteLength } = this.#asked
    const said = this.#encoding() === undefined ? this.#contentLength() : undefined
    if (said !== undefined && said > byteLength) throw this.#noRanges(`${said} bytes`)
    const { bytes, isCutOff } = await this.#readBody(byteLength)
    if (isCutOff) throw this.#noRanges(`more than ${bytes.byteLength} bytes`)
    if (said !== undefined && bytes.byteLength < said)
      throw this.#failure('ZGQ_IO', `the answer ended after ${bytes.byteLength} of ${said} bytes`, {
        mayPass: true,
        bytesReceived: bytes.byteLength
      })
    if (offset > 0 && offset >= bytes.byteLength) throw this.#pastEnd(bytes.byteLength)
    return { bytes: bytes.subarray(offset), etag: this.#etag, byteLength: bytes.byteLength }
  }

  /** The failure that a status other than of success means. */
  refusal(): RequestFailure {
    const { status } = this.#response
    const answer = this.#answer()
    if (status === 404 || status === 410)
      return this.#failure('ZGQ_NOT_FOUND', `the server has no such file: ${answer}`)
    if (status === 416) return this.#pastEnd(numberIn(/^bytes \*\/(\d+)$/i, this.#header('content-range')))
    if (status === 401 || status === 403)
      return this.#failure('ZGQ_IO', `not allowed to read this: the server answered ${answer}`)
    const mayPass = status === 408 || status === 425 || status === 429 || status >= 500
    const retryAfterMs = parseRetryAfter(this.#header('retry-after'))
    return this.#failure('ZGQ_IO', `the server answered ${answer}, expected 206`, { mayPass, retryAfterMs })
  }

  #noRanges(found: string): RequestFailure {
    return this.#failure(
      'ZGQ_UNSUPPORTED',
      `the server answered a request for ${this.#range()} with the whole file (${this.#answer()}, ${found}): it does ` +
        'not serve ranges, or a proxy on the way removes them; use a server that does, such as zgq serve FILE'
    )
  }

  #pastEnd(byteLength: number | undefined): RequestFailure {
    const found = byteLength === undefined ? '' : `: it has ${byteLength} bytes`
    const message = `the file ends before byte ${this.#asked.offset}${found} (${this.#answer()})`
    return this.#failure('ZGQ_TRUNCATED', message, { version: { byteLength } })
  }

  #failure(code: ZgqErrorCode, message: string, facts: Partial<FailureFacts> = {}): RequestFailure {
    const { path, offset } = this.#asked
    const version = { etag: this.#etag, ...facts.version }
    return new RequestFailure(message, { ...facts, version, code, path, offset, status: this.#response.status })
  }

  #header(name: string): string | undefined {
    return this.#response.headers.get(name) ?? undefined
  }

  #range(): string {
    const { offset, byteLength } = this.#asked
    return `bytes ${offset}-${offset + byteLength - 1}`
  }

  /** What the server answered, for people; its words are not limited by anything else. */
  #answer(): string {
    return `${this.#response.status} ${this.#response.statusText.slice(0, 80)}`.trimEnd()
  }

  #encoding(): string | undefined {
    const encoding = this.#header('content-encoding')?.trim().toLowerCase()
    // Object stores keep `aws-chunked` from an upload; the bytes are as they were.
    return encoding === undefined || ['', 'identity', 'aws-chunked'].includes(encoding) ? undefined : encoding
  }

  #contentLength(): number | undefined {
    return numberIn(/^(\d+)$/, this.#header('content-length'))
  }

  /** Reads a body of at most so many bytes; where there are more, it is cut off. */
  async #readBody(most: number): Promise<{ readonly bytes: Uint8Array; readonly isCutOff: boolean }> {
    let done = 0
    try {
      const { body } = this.#response
      // Some stand-ins of fetch have no streams.
      if (typeof body?.getReader !== 'function') {
        const bytes = new Uint8Array(await this.#response.arrayBuffer())
        return { bytes: bytes.subarray(0, most), isCutOff: bytes.byteLength > most }
      }
      const reader = body.getReader()
      let bytes = new Uint8Array(most)
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        const chunk: Uint8Array = next.value
        if (done + chunk.byteLength > most) {
          reader.cancel().catch(() => undefined)
          return { bytes, isCutOff: true }
        }
        bytes.set(chunk, done)
        done += chunk.byteLength
      }
      // What asked for much and got little must not keep much.
      if (done < most) bytes = bytes.slice(0, done)
      return { bytes, isCutOff: false }
    } catch (cause) {
      this.#signal.throwIfAborted()
      throw this.#failure('ZGQ_IO', `the answer broke off after ${done} bytes: ${reasonOf(cause)}`, {
        mayPass: true,
        bytesReceived: done,
        cause
      })
    }
  }
}

const NO_GZIP = 'switch compression (Content-Encoding) off for it on the server'

/** What tells states of an object apart. Without an ETag its time will do, which every page may read. */
function versionTag(headers: Headers): string | undefined {
  const modified = headers.get('last-modified')
  return headers.get('etag') ?? (modified === null ? undefined : `Last-Modified ${modified}`)
}

/** Bytes from `first` to before `end`, of `total`; undefined for what makes no sense. */
function parseContentRange(
  text: string
): { readonly first: number; readonly end: number; readonly total: number | undefined } | undefined {
  const found = /^bytes[ =](\d+)-(\d+)\/(\d+|\*)$/i.exec(text.trim())
  if (found === null) return undefined
  const [first, last, total] = [Number(found[1]), Number(found[2]), found[3] === '*' ? undefined : Number(found[3])]
  const isSane = first <= last && last < (total ?? Infinity) && Number.isSafeInteger(total ?? last)
  return isSane ? { first, end: last + 1, total } : undefined
}

function numberIn(pattern: RegExp, text: string | undefined): number | undefined {
  const found = text === undefined ? null : pattern.exec(text.trim())
  const number = found === null ? NaN : Number(found[1])
  return Number.isSafeInteger(number) ? number : undefined
}

/** Milliseconds: the header has seconds, or the time of day. */
function parseRetryAfter(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const seconds = numberIn(/^(\d+)$/, text)
  if (seconds !== undefined) return seconds * 1000
  const time = Date.parse(text)
  return Number.isNaN(time) ? undefined : Math.max(0, time - wallMillis())
}
