// Reads objects of a bucket by signed requests. It asks once: repeating is for the reader above.

import { onAbort } from '../abort.ts'
import { describe } from '../describe.ts'
import { ZgqError } from '../errors.ts'
import { checkOptionNames } from '../options.ts'
import type { ByteSource, GotBytes } from '../remote/byte-source.ts'
import { checkS3Options, S3_OPTION_NAMES, S3Bucket, type S3Options, type S3Session } from './s3-bucket.ts'
import { propertyOf, statusOf } from './s3-errors.ts'

/** A million names: more is no folder of an index. */
const MOST_PAGES = 1000

/** What is read of an answer; as S3's own type, but that all may be missing. */
interface RangeAnswer {
  readonly Body?: { transformToWebStream(): ReadableStream } | undefined
  readonly ContentRange?: string | undefined
  readonly ETag?: string | undefined
}

/**
 * Returns a source of bytes for `openRemote` that reads from a bucket by signed requests, through the package
 * @aws-sdk/client-s3, which the first request loads. Its requests reject with ZGQ_UNSUPPORTED where that is not
 * installed, or a store ignores ranges, with ZGQ_NOT_FOUND where there is no such bucket or object, and with ZGQ_IO where
 * access is denied or nobody answers. Throws TypeError for wrong options.
 */
export function s3Source(options: S3Options): ByteSource & Required<Pick<ByteSource, 'list'>> {
  checkOptionNames('s3Source', options, S3_OPTION_NAMES)
  checkS3Options('s3Source', options)
  return sourceOf(new S3Bucket(options))
}

/** Returns a source that reads from a bucket. */
export function sourceOf(bucket: S3Bucket): ByteSource & Required<Pick<ByteSource, 'list'>> {
  return {
    place: bucket.place,
    getBytes: (...[name, offset, length, signal]) => getBytes(bucket, { name, offset, length }, signal),
    list: (prefix, signal) => listNames(bucket, prefix, signal)
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
        return await readAnswer(await session.client.send(command, { abortSignal: ending.signal }), wanted)
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

async function readAnswer(answer: RangeAnswer, { name, offset, length }: Wanted): Promise<GotBytes> {
  const { Body, ContentRange, ETag } = answer
  const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(ContentRange ?? '')
  const [first, last] = range === null ? [] : [Number(range[1]), Number(range[2])]
  if (first !== offset || last === undefined || last - first >= length || Body === undefined)
    throw new ZgqError(
      'ZGQ_UNSUPPORTED',
      `cannot read ${name}: the store does not answer ranges: asked for bytes ${offset} to ${offset + length - 1}, ` +
        `found ${ContentRange === undefined ? 'no Content-Range' : describe(ContentRange)}` +
        ' (in browsers, CORS must expose Content-Range and ETag)'
    )
  const bytes = await readBody(Body.transformToWebStream(), last - first + 1)
  return { bytes, etag: ETag, byteLength: range?.[3] === '*' ? undefined : Number(range?.[3]) }
}

/** Reads a body that must have this length; an error of no known kind where it has not, so that it is asked for again. */
async function readBody(body: ReadableStream, byteLength: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(byteLength)
  let done = 0
  const reader = body.getReader()
  for (;;) {
    const { value, done: isOver }: { value?: unknown; done: boolean } = await reader.read()
    if (isOver) break
    if (!(value instanceof Uint8Array) || done + value.byteLength > byteLength)
      throw new Error(`the answer is longer than the ${byteLength} bytes that it promised`)
    bytes.set(value, done)
    done += value.byteLength
  }
  if (done < byteLength) throw new Error(`the answer ended after ${done} of ${byteLength} bytes`)
  return bytes
}

async function listNames(bucket: S3Bucket, prefix: string, signal: AbortSignal): Promise<string[]> {
  return await bucket.send(`list ${prefix}*`, signal, async (session) => {
    const names: string[] = []
    let token: string | undefined
    for (let page = 0; page < MOST_PAGES; page++) {
      const answer = await listPage(bucket, session, { prefix, token, signal })
      for (const { Key } of answer.Contents ?? []) if (Key !== undefined) names.push(Key.slice(bucket.keyOf('').length))
      token = answer.NextContinuationToken
      if (answer.IsTruncated !== true || token === undefined) return names
    }
    throw new ZgqError('ZGQ_UNSUPPORTED', `more than ${MOST_PAGES} pages of names`, { path: bucket.place })
  })
}

async function listPage(
  bucket: S3Bucket,
  { sdk, client }: S3Session,
  of: { readonly prefix: string; readonly token: string | undefined; readonly signal: AbortSignal }
): Promise<{
  Contents?: { Key?: string | undefined }[] | undefined
  NextContinuationToken?: string | undefined
  IsTruncated?: boolean | undefined
}> {
  const command = new sdk.ListObjectsV2Command({
    Bucket: bucket.name,
    Prefix: bucket.keyOf(of.prefix),
    Delimiter: '/', // what lies deeper is not this index
    ContinuationToken: of.token
  })
  return await client.send(command, { abortSignal: of.signal })
}
