// Reads objects of a bucket by signed requests. It asks once: repeating is for the reader above.

import { onAbort } from '../abort.ts'
import { nowMicros } from '../clock.ts'
import { describe } from '../describe.ts'
import { ZgqError } from '../errors.ts'
import { checkOptionNames } from '../options.ts'
import type { ByteSource, GotBytes } from '../remote/byte-source.ts'
import { checkS3Options, S3_OPTION_NAMES, S3Bucket, type S3Options } from './s3-bucket.ts'
import { propertyOf, statusOf } from './s3-errors.ts'
import { listNames } from './s3-list.ts'

/** What is read of an answer; as S3's own type, but that all may be missing. */
interface RangeAnswer {
  readonly Body?: { transformToWebStream(): ReadableStream } | undefined
  readonly ContentRange?: string | undefined
  readonly ContentLength?: number | undefined
  readonly $metadata: { readonly httpStatusCode?: number | undefined }
  readonly ETag?: string | undefined
}

export interface S3SourceOptions extends S3Options {
  /** Key of an index that is one file, as `zgq pack` makes it; in place of `prefix`. */
  readonly key?: string | undefined
}

/**
 * Returns a source of bytes for `openRemote` that reads from a bucket by signed requests: the latest index under a
 * prefix, or one file. The first request loads the package \@aws-sdk/client-s3. Requests reject with ZGQ_UNSUPPORTED
 * where that is not installed, or a store ignores ranges; with ZGQ_NOT_FOUND where there is no such bucket or object;
 * with ZGQ_IO where access is denied or nobody answers. Throws TypeError for wrong options.
 */
export function s3Source(options: S3SourceOptions): ByteSource {
  checkOptionNames('s3Source', options, [...S3_OPTION_NAMES, 'key'])
  checkS3Options(options)
  const { key, prefix } = options
  if (key === undefined) return sourceOf(new S3Bucket(options))
  if (typeof key !== 'string' || key === '')
    throw new TypeError(`key must be the key of an object, found ${describe(key)}`)
  if (prefix !== undefined)
    throw new TypeError('prefix is for an index of several objects, key for one: give one of them')
  const { place, getBytes } = sourceOf(new S3Bucket(options))
  // Of one object there is nothing to list.
  return {
    place: `${place ?? ''}${key}`,
    getBytes: (...[name, ...range]) => getBytes(name === '' ? key : name, ...range)
  }
}

/** Returns a source that reads from a bucket. */
export function sourceOf(bucket: S3Bucket): ByteSource & Required<Pick<ByteSource, 'list'>> {
  return {
    place: bucket.place,
    getBytes: (...[name, offset, length, signal]) => getBytes(bucket, { name, offset, length }, signal),
    // What lies deeper is not this index.
    list: async (prefix, signal) =>
      (await listNames(bucket, { prefix, send: (...request) => bucket.send(...request) }, signal)).objects
  }
}

interface Wanted {
  readonly name: string
  readonly offset: number
  readonly length: number
}

async function getBytes(bucket: S3Bucket, wanted: Wanted, signal: AbortSignal): Promise<GotBytes> {
  const { name, offset, length } = wanted
  // Also ends an answer whose rest nobody wants.
  const ending = new AbortController()
  const endWait = onAbort(signal, () => {
    ending.abort(signal.reason)
  })
  try {
    return await bucket.send(`read ${name}`, signal, async (session) => {
      const Range = `bytes=${offset}-${offset + length - 1}`
      const command = new session.sdk.GetObjectCommand({ Bucket: bucket.name, Key: bucket.keyOf(name), Range })
      try {
        const startUs = nowMicros()
        const answer = await session.client.send(command, { abortSignal: ending.signal })
        const latencyMs = (nowMicros() - startUs) / 1000
        return { ...(await readAnswer(answer, wanted)), latencyMs }
      } catch (error) {
        if (statusOf(error) === 416) return nothingThere(error)
        throw error
      }
    })
  } finally {
    endWait()
    ending.abort()
  }
}

/** The range begins where the object ends, or behind that. */
function nothingThere(error: unknown): GotBytes {
  const size = Number(propertyOf(error, 'ActualObjectSize'))
  return { bytes: new Uint8Array(), byteLength: Number.isSafeInteger(size) ? size : undefined }
}

async function readAnswer(answer: RangeAnswer, wanted: Wanted): Promise<GotBytes> {
  const { name, offset, length } = wanted
  const { Body, ContentRange, ContentLength, ETag, $metadata } = answer
  if ($metadata.httpStatusCode !== 206 || Body === undefined)
    throw new ZgqError(
      'ZGQ_UNSUPPORTED',
      `cannot read ${name}: the store answered ${String($metadata.httpStatusCode)} to a request for bytes ` +
        `${offset} to ${offset + length - 1}, expected 206: it does not serve ranges`
    )
  // In a browser it can be read only where the bucket's CORS rules expose it.
  const range = ContentRange === undefined ? undefined : parseRange(ContentRange)
  const expected = range === undefined ? ContentLength : range.end - range.first
  if (range !== undefined && !isWanted(range, wanted))
    throw new Error(`the store sent the range ${describe(ContentRange)}, expected ${length} bytes at ${offset}`)
  const bytes = await readBody(Body.transformToWebStream(), Math.min(expected ?? length, length))
  if (bytes.byteLength < (expected ?? 0))
    throw new Error(`the answer ended after ${bytes.byteLength} of ${String(expected)} bytes`)
  return { bytes, etag: ETag, byteLength: range?.total }
}

interface GivenRange {
  readonly first: number
  readonly end: number
  /** Length of the object, where it is said. */
  readonly total: number | undefined
}

function parseRange(text: string): GivenRange {
  const [, first, last, total] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(text) ?? []
  return { first: Number(first), end: Number(last) + 1, total: total === '*' ? undefined : Number(total) }
}

/** Whether it is what was asked for: less only where the object ends before. */
function isWanted({ first, end, total }: GivenRange, { offset, length }: Wanted): boolean {
  const wantedEnd = offset + length
  return first === offset && first < end && end <= wantedEnd && end >= Math.min(wantedEnd, total ?? end)
}

/**
 * Reads a body of at most so many bytes; what is longer is an error of no known kind, so that it is asked for again.
 */
async function readBody(body: ReadableStream, most: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(most)
  let done = 0
  const reader = body.getReader()
  for (;;) {
    const { value, done: isOver }: { value?: unknown; done: boolean } = await reader.read()
    if (isOver) return done === most ? bytes : bytes.slice(0, done)
    if (!(value instanceof Uint8Array) || done + value.byteLength > most)
      throw new Error(`the answer is longer than ${most} bytes`)
    bytes.set(value, done)
    done += value.byteLength
  }
}
