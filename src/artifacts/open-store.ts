// Opens the store of one build: a folder that all machines see, or `s3://bucket/prefix`.

import { checkS3Options, parseS3Url, type S3ClientLike } from '../publish/s3-bucket.ts'
import { openBucketStore } from '../publish/s3-store.ts'
import type { ArtifactStore } from './artifact-store.ts'
import { BucketArtifacts } from './bucket-artifacts.ts'
import { openFolderArtifacts } from './folder-artifacts.ts'
import { makeScratch } from './scratch-folder.ts'

export interface StoreOptions {
  /** Path of a folder that exists, or `s3://bucket/prefix`. */
  readonly store: string
  /** Name of the build: its artifacts are below it. */
  readonly build: string
  /** The `S3Client` for a bucket. Default: one that takes region and credentials from the environment. */
  readonly client?: S3ClientLike | undefined
  /** URL of a store other than AWS, for a bucket; only without `client`. */
  readonly endpoint?: string | undefined
  /** Region of the bucket; only without `client`. */
  readonly region?: string | undefined
  /** Folder for copies of a bucket's artifacts, on a disk with room. Default: the system's temporary folder. */
  readonly scratch?: string | undefined
  /** The build must be there: a folder for it is not made. Default false; nothing for a bucket. */
  readonly isBegun?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

/** Whether a store is a bucket, and not a folder. */
export function isBucketUrl(store: string): boolean {
  return /^s3:\/\//i.test(store)
}

/**
 * Opens the store of a build, which is asked once. Rejects with ZGQ_NOT_FOUND where the folder or the bucket is not
 * there; with ZGQ_READ_ONLY where a folder cannot be written; with ZGQ_IO where a bucket cannot be reached or denies
 * access; with ZGQ_UNSUPPORTED where \@aws-sdk/client-s3 is not installed. Rejects with TypeError for wrong options.
 */
export async function openArtifactStore(options: StoreOptions): Promise<ArtifactStore> {
  const { store, build, client, endpoint, region } = options
  if (!isBucketUrl(store)) {
    for (const [name, value] of Object.entries({ client, endpoint, region }))
      if (value !== undefined) throw new TypeError(`${name} goes with s3://BUCKET/PREFIX, found a folder`)
    return await openFolderArtifacts(store, build, options.isBegun)
  }
  const { bucket, prefix } = parseS3Url('store', store)
  const place = { bucket, prefix: `${prefix.replace(/\/+$/, '')}/${build}`, client, endpoint, region }
  checkS3Options(place)
  const objects = openBucketStore(place)
  // Later on, a bucket that is not there would look like one without artifacts. No name begins like that.
  await objects.list('.none', options.signal ?? new AbortController().signal)
  return new BucketArtifacts(objects, await makeScratch(options.scratch))
}
