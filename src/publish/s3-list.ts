// Names of objects in a bucket, page by page. Who asks decides whether a page that failed is asked for again.

import { ZgqError } from '../errors.ts'
import type { S3Bucket, S3Session } from './s3-bucket.ts'

/** A million names: more is no folder of ours. */
const MOST_PAGES = 1000

export interface ListOptions {
  /** What the names begin with. */
  readonly prefix: string
  /** Whether names with a slash behind the prefix are listed, too. Default: what is before the slash, as a folder. */
  readonly isDeep?: boolean
}

/** Names behind the bucket's own prefix. */
export interface ListedNames {
  readonly objects: string[]
  /** What is before the first slash behind the prefix; without the slash. */
  readonly folders: string[]
}

/** Sends a request, once or more often. */
export type Send = <Result>(
  doing: string,
  signal: AbortSignal,
  work: (session: S3Session) => Promise<Result>
) => Promise<Result>

interface ListPage {
  readonly Contents?: { Key?: string | undefined }[] | undefined
  readonly CommonPrefixes?: { Prefix?: string | undefined }[] | undefined
  readonly NextContinuationToken?: string | undefined
  readonly IsTruncated?: boolean | undefined
}

/** Lists names; rejects as sources do, with ZGQ_UNSUPPORTED where there are more than a million. */
export async function listNames(
  bucket: S3Bucket,
  { prefix, isDeep = false, send }: ListOptions & { readonly send: Send },
  signal: AbortSignal
): Promise<ListedNames> {
  const own = bucket.keyOf('').length
  const names: ListedNames = { objects: [], folders: [] }
  let token: string | undefined
  for (let page = 0; page < MOST_PAGES; page++) {
    const answer: ListPage = await send(`list ${prefix}*`, signal, async ({ sdk, client, abortSignal }) => {
      const command = new sdk.ListObjectsV2Command({
        Bucket: bucket.name,
        Prefix: bucket.keyOf(prefix),
        ...(isDeep ? {} : { Delimiter: '/' }),
        ContinuationToken: token
      })
      return await client.send(command, { abortSignal })
    })
    for (const { Key } of answer.Contents ?? []) if (Key !== undefined) names.objects.push(Key.slice(own))
    for (const { Prefix } of answer.CommonPrefixes ?? [])
      if (Prefix !== undefined) names.folders.push(Prefix.slice(own, -1))
    token = answer.NextContinuationToken
    if (answer.IsTruncated !== true || token === undefined) return names
  }
  throw new ZgqError('ZGQ_UNSUPPORTED', `more than ${MOST_PAGES} pages of names`, { path: bucket.place })
}
