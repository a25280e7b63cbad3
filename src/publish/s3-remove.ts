// Removes objects of a bucket: up to a thousand by one request, or one by one where a store does not do that. And what
// stopped uploads left, which no list shows.

import { ZgqError } from '../errors.ts'
import { inParallel } from '../pack/parallel.ts'
import type { S3Bucket } from './s3-bucket.ts'
import { statusOf } from './s3-errors.ts'
import type { Send } from './s3-list.ts'

const MOST_AT_ONCE = 1000 // S3's limit
const REQUESTS_AT_A_TIME = 8
/** What stores answer that do not remove several at once. */
const NOT_SEVERAL = new Set([400, 404, 405, 411, 501])

interface Removal {
  readonly names: readonly string[]
  readonly send: Send
}

/** Removes objects; those that are not there are no error. Rejects as sources do. */
export async function removeObjects(bucket: S3Bucket, { names, send }: Removal, signal: AbortSignal): Promise<void> {
  if (names.length === 1) {
    await removeOne(bucket, { name: names[0], send }, signal)
    return
  }
  for (let first = 0; first < names.length; first += MOST_AT_ONCE) {
    const some = names.slice(first, first + MOST_AT_ONCE)
    const rest = await removeSeveral(bucket, { names: some, send }, signal)
    await inParallel(rest, { most: REQUESTS_AT_A_TIME, signal }, async (name, ending) => {
      await removeOne(bucket, { name, send }, ending)
    })
  }
}

/** Returns the names that the store did not remove, for whatever reason: removing each for itself says which. */
async function removeSeveral(bucket: S3Bucket, { names, send }: Removal, signal: AbortSignal): Promise<string[]> {
  try {
    const { Errors = [] } = await send(`remove ${names.length} objects`, signal, ({ sdk, client, abortSignal }) => {
      const Objects = names.map((name) => ({ Key: bucket.keyOf(name) }))
      const command = new sdk.DeleteObjectsCommand({ Bucket: bucket.name, Delete: { Objects, Quiet: true } })
      return client.send(command, { abortSignal })
    })
    const failed = new Set(Errors.map(({ Key }) => Key))
    return names.filter((name) => failed.has(bucket.keyOf(name)))
  } catch (error) {
    const status = statusOf(error)
    if (status !== undefined && NOT_SEVERAL.has(status)) return [...names]
    throw error
  }
}

async function removeOne(
  bucket: S3Bucket,
  { name, send }: { readonly name: string; readonly send: Send },
  signal: AbortSignal
): Promise<void> {
  try {
    await send(`remove ${name}`, signal, ({ sdk, client, abortSignal }) => {
      const command = new sdk.DeleteObjectCommand({ Bucket: bucket.name, Key: bucket.keyOf(name) })
      return client.send(command, { abortSignal })
    })
  } catch (error) {
    // Some stores say that there was none.
    if (error instanceof ZgqError && error.code === 'ZGQ_NOT_FOUND') return
    throw error
  }
}

/**
 * Drops uploads below a prefix that were not completed, as good as it goes: not every store tells of them, and their
 * rules remove them in the end.
 */
export async function dropUploads(
  bucket: S3Bucket,
  { prefix, send }: { readonly prefix: string; readonly send: Send },
  signal: AbortSignal
): Promise<void> {
  try {
    const Prefix = bucket.keyOf(prefix)
    // A thousand, as many as one answer has: as many pieces of work were not stopped in one build.
    const { Uploads = [] } = await send(`list uploads of ${prefix}*`, signal, ({ sdk, client, abortSignal }) =>
      client.send(new sdk.ListMultipartUploadsCommand({ Bucket: bucket.name, Prefix }), { abortSignal })
    )
    const below = Uploads.filter(({ Key }) => Key?.startsWith(Prefix))
    await inParallel(below, { most: REQUESTS_AT_A_TIME, signal }, async ({ Key, UploadId }, ending) => {
      await send(`drop the upload of ${Key}`, ending, ({ sdk, client, abortSignal }) =>
        client.send(new sdk.AbortMultipartUploadCommand({ Bucket: bucket.name, Key, UploadId }), {
          abortSignal
        })
      )
    })
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof ZgqError)) throw error
  }
}
