// A bucket to publish to. Objects are put whole; long ones in pieces that S3 joins at the end (a multipart upload).
// Whatever fails in passing is repeated here: the client that we make asks once.

import type { CompletedPart } from '@aws-sdk/client-s3'

import { ZgqError } from '../errors.ts'
import { LATEST_NAME } from '../format/packed-index.ts'
import { checkOptionNames } from '../options.ts'
import type { GotBytes } from '../remote/byte-source.ts'
import { readPiece } from '../pack/file-pieces.ts'
import { holds } from '../pack/manifests.ts'
import type { FileContent, ObjectStore } from '../pack/object-store.ts'
import { Gate, inParallel } from '../pack/parallel.ts'
import { repeat } from './repeat.ts'
import { checkS3Options, S3_OPTION_NAMES, S3Bucket, type S3Options, type S3Session } from './s3-bucket.ts'
import { statusOf } from './s3-errors.ts'
import { listNames, type ListedNames, type ListOptions } from './s3-list.ts'
import { dropUploads, removeObjects } from './s3-remove.ts'
import { sourceOf } from './s3-source.ts'

/** Of what is in memory and on its way at a time, of all objects. */
const PIECES_AT_A_TIME = 4
/** Longer objects go in pieces. */
const MOST_AT_ONCE_BYTES = 32 * 2 ** 20
const PIECE_BYTES = 16 * 2 ** 20
const MOST_PIECES = 10_000 // S3's limit
/** For giving up an upload that failed. */
const DROP_MS = 10_000

/** An object on its way. */
interface Upload {
  readonly name: string
  readonly content: FileContent
}

/** The state of an object. */
export interface FoundObject {
  readonly byteLength: number
  readonly etag: string | undefined
}

/** A store that also gives up objects, and lists what lies deeper. Only our own code needs that. */
export interface BucketStore extends ObjectStore {
  readonly place: string
  /** Looks at an object; undefined where there is none. */
  look(name: string, signal: AbortSignal): Promise<FoundObject | undefined>
  /** Lists objects and folders below the store's prefix. */
  listNames(options: ListOptions, signal: AbortSignal): Promise<ListedNames>
  /** Removes objects, in no order; those that are not there are no error. */
  remove(names: readonly string[], signal: AbortSignal): Promise<void>
  /** Drops what stopped uploads left in the bucket, where the store tells of it. */
  dropUploads(signal: AbortSignal): Promise<void>
}

/**
 * Returns a store for `publishIndex` in a bucket, through the package @aws-sdk/client-s3, which the first request
 * loads. It rejects as `s3Source` does. Throws TypeError for wrong options.
 */
export function s3Store(options: S3Options): ObjectStore {
  checkOptionNames('s3Store', options, S3_OPTION_NAMES)
  checkS3Options(options)
  return openBucketStore(options)
}

/** Returns the store of `s3Store`, with what only our own code needs. */
export function openBucketStore(options: S3Options): BucketStore {
  return new S3Store(new S3Bucket(options))
}

class S3Store implements BucketStore {
  readonly place: string
  readonly #bucket: S3Bucket
  readonly #source: ReturnType<typeof sourceOf>
  readonly #gate = new Gate(PIECES_AT_A_TIME)

  constructor(bucket: S3Bucket) {
    this.#bucket = bucket
    this.#source = sourceOf(bucket)
    this.place = bucket.place
  }

  async getBytes(...asked: Parameters<ObjectStore['getBytes']>): Promise<GotBytes> {
    return await repeat(asked[3], () => this.#source.getBytes(...asked))
  }

  async list(prefix: string, signal: AbortSignal): Promise<string[]> {
    return (await this.listNames({ prefix }, signal)).objects
  }

  async listNames(options: ListOptions, signal: AbortSignal): Promise<ListedNames> {
    // Each page for itself: of a hundred, one may well fail in every round.
    return await listNames(this.#bucket, { ...options, send: (...request) => this.#send(...request) }, signal)
  }

  async remove(names: readonly string[], signal: AbortSignal): Promise<void> {
    await removeObjects(this.#bucket, { names, send: (...request) => this.#send(...request) }, signal)
  }

  async has(name: string, byteLength: number, signal: AbortSignal): Promise<boolean> {
    return (await this.look(name, signal))?.byteLength === byteLength
  }

  async look(name: string, signal: AbortSignal): Promise<FoundObject | undefined> {
    try {
      const { ContentLength, ETag } = await this.#send(`look for ${name}`, signal, ({ sdk, client, abortSignal }) =>
        client.send(new sdk.HeadObjectCommand(this.#key(name)), { abortSignal })
      )
      return { byteLength: ContentLength ?? 0, etag: ETag }
    } catch (error) {
      if (statusOf(error) === 404) return undefined // a bucket that is not there fails elsewhere
      throw error
    }
  }

  async dropUploads(signal: AbortSignal): Promise<void> {
    await dropUploads(this.#bucket, { prefix: '', send: (...request) => this.#send(...request) }, signal)
  }

  async put(name: string, content: Uint8Array | FileContent, signal: AbortSignal): Promise<void> {
    if (content instanceof Uint8Array) await this.#putBytes(name, content, { signal })
    else if (content.byteLength > MOST_AT_ONCE_BYTES) await this.#putPieces({ name, content }, signal)
    else
      await this.#gate.pass(async () => {
        await this.#putBytes(name, await readPiece(content.path, 0, content.byteLength), { signal })
        content.onBytes?.(content.byteLength)
      })
  }

  async putIfAbsent(name: string, bytes: Uint8Array, signal: AbortSignal): Promise<boolean> {
    let mayBeOurs = false
    try {
      await repeat(signal, async (attempt) => {
        // An attempt whose answer was lost may have stored it.
        if (attempt > 0) mayBeOurs = true
        await this.#putBytes(name, bytes, { signal, isNew: true })
      })
      return true
    } catch (error) {
      if (statusOf(error) !== 412) throw error
      return mayBeOurs && (await holds(this, { name, bytes }, signal))
    }
  }

  /** Stores an object at once; with `isNew` rejects with status 412 where there is one. */
  async #putBytes(
    name: string,
    bytes: Uint8Array,
    { signal, isNew = false }: { readonly signal: AbortSignal; readonly isNew?: boolean }
  ): Promise<void> {
    const once = ({ sdk, client, abortSignal }: S3Session): Promise<unknown> =>
      client.send(
        new sdk.PutObjectCommand({
          ...this.#key(name),
          ...headersOf(name),
          Body: bytes,
          ContentLength: bytes.byteLength,
          ...(isNew ? { IfNoneMatch: '*' } : {})
        }),
        { abortSignal }
      )
    // Only the caller knows what an attempt leaves behind.
    if (isNew) await this.#bucket.send(`store ${name} where it is not there`, signal, once)
    else await this.#send(`store ${name}`, signal, once)
  }

  async #putPieces({ name, content }: Upload, signal: AbortSignal): Promise<void> {
    const { UploadId } = await this.#send(`begin to store ${name}`, signal, ({ sdk, client, abortSignal }) =>
      client.send(new sdk.CreateMultipartUploadCommand({ ...this.#key(name), ...headersOf(name) }), {
        abortSignal
      })
    )
    if (UploadId === undefined)
      throw new ZgqError('ZGQ_UNSUPPORTED', `cannot store ${name} in pieces: the store names no upload`, {
        path: this.place
      })
    try {
      const pieces = await this.#storePieces({ name, content }, UploadId, signal)
      await this.#joinPieces({ name, content }, { UploadId, Parts: pieces }, signal)
    } catch (error) {
      await this.#dropPieces(name, UploadId)
      throw error
    }
  }

  async #storePieces({ name, content }: Upload, UploadId: string, signal: AbortSignal): Promise<CompletedPart[]> {
    const pieceBytes = Math.max(PIECE_BYTES, Math.ceil(content.byteLength / MOST_PIECES))
    const count = Math.ceil(content.byteLength / pieceBytes)
    const stored: CompletedPart[] = Array.from({ length: count }, (_, i) => ({ PartNumber: i + 1 }))
    await inParallel(stored.keys(), { most: PIECES_AT_A_TIME, signal }, async (i, ending) => {
      await this.#gate.pass(async () => {
        ending.throwIfAborted()
        const offset = i * pieceBytes
        const Body = await readPiece(content.path, offset, Math.min(pieceBytes, content.byteLength - offset))
        const { ETag } = await this.#send(`store piece ${i + 1} of ${name}`, ending, ({ sdk, client, abortSignal }) =>
          client.send(
            new sdk.UploadPartCommand({
              ...this.#key(name),
              UploadId,
              PartNumber: i + 1,
              Body,
              ContentLength: Body.byteLength
            }),
            { abortSignal }
          )
        )
        stored[i].ETag = ETag
        content.onBytes?.(Body.byteLength)
      })
    })
    return stored
  }

  async #joinPieces(
    { name, content }: Upload,
    { UploadId, Parts }: { readonly UploadId: string; readonly Parts: CompletedPart[] },
    signal: AbortSignal
  ): Promise<void> {
    try {
      await this.#send(`join the pieces of ${name}`, signal, ({ sdk, client, abortSignal }) =>
        client.send(
          new sdk.CompleteMultipartUploadCommand({ ...this.#key(name), UploadId, MultipartUpload: { Parts } }),
          { abortSignal }
        )
      )
    } catch (error) {
      // An attempt whose answer was lost may have joined them; then the upload is known no more.
      if (statusOf(error) === 404 && (await this.has(name, content.byteLength, signal))) return
      throw error
    }
  }

  /** As good as it goes: what is left of an upload costs room until the bucket's rules remove it. */
  async #dropPieces(name: string, UploadId: string): Promise<void> {
    const signal = AbortSignal.timeout(DROP_MS)
    await this.#bucket
      .send(`drop the pieces of ${name}`, signal, ({ sdk, client, abortSignal }) =>
        client.send(new sdk.AbortMultipartUploadCommand({ ...this.#key(name), UploadId }), { abortSignal })
      )
      .catch(() => undefined)
  }

  /** Sends a request that may be sent again. */
  async #send<Result>(
    doing: string,
    signal: AbortSignal,
    work: (session: S3Session) => Promise<Result>
  ): Promise<Result> {
    return await repeat(signal, () => this.#bucket.send(doing, signal, work))
  }

  #key(name: string): { Bucket: string; Key: string } {
    return { Bucket: this.#bucket.name, Key: this.#bucket.keyOf(name) }
  }
}

/** Nothing changes but the hint, so caches on the way may keep everything else. */
function headersOf(name: string): { ContentType: string; CacheControl: string } {
  return name === LATEST_NAME
    ? { ContentType: 'text/plain', CacheControl: 'no-cache' }
    : { ContentType: 'application/octet-stream', CacheControl: 'public, max-age=31536000, immutable' }
}
