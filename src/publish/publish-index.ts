// Publishes an index to a bucket or a folder, from where any number of readers open it.

import { expectPath } from '../arguments.ts'
import { describe } from '../describe.ts'
import { checkOptionNames, expectFunction, expectSignal } from '../options.ts'
import { withPackPlan } from '../pack/pack-plan.ts'
import type { ObjectStore } from '../pack/object-store.ts'
import { publishPlan, type PublishProgress, type PublishReport } from '../pack/publish-plan.ts'
import { parseS3Url, type S3ClientLike } from './s3-bucket.ts'
import { s3Store } from './s3-store.ts'

export interface PublishOptions {
  /** Path of the index. It is not changed; changes since it was built are published, too. */
  readonly index: string | URL
  /** `s3://bucket/prefix`, or a store such as `folderStore(path)` makes. */
  readonly to: string | ObjectStore
  /** The `S3Client` for a bucket. Default: one that takes region and credentials from the environment. */
  readonly client?: S3ClientLike | undefined
  /** URL of a store other than AWS, for a bucket; only without `client`. */
  readonly endpoint?: string | undefined
  /** Region of the bucket; only without `client`. */
  readonly region?: string | undefined
  readonly onProgress?: ((progress: PublishProgress) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

const OPTION_NAMES = ['index', 'to', 'client', 'endpoint', 'region', 'onProgress', 'signal']
const STORE_METHODS = ['getBytes', 'list', 'has', 'put', 'putIfAbsent']

/**
 * Publishes an index as the next generation after those that are at a place: only parts that are not there are sent,
 * and readers find the new one once all is there. Stopped at any moment, it leaves the generation before. Several may
 * publish at once: each gets a number of its own, and readers take the highest. Where the latest generation is of the
 * same index, nothing is published, and `isNew` is false.
 *
 * Rejects with the reason of `signal`; with ZGQ_NOT_FOUND where there is no index or no bucket; with ZGQ_UNSUPPORTED
 * where \@aws-sdk/client-s3 is not installed or the store has no conditional writes; with ZGQ_IO where access is denied
 * or requests fail six times; as opening does. Rejects with TypeError for wrong options.
 */
export async function publishIndex(options: PublishOptions): Promise<PublishReport> {
  checkOptionNames('publishIndex', options, OPTION_NAMES)
  const { onProgress } = options
  if (onProgress !== undefined) expectFunction('onProgress', onProgress)
  const signal = expectSignal('signal', options.signal)
  const index = expectPath('index', options.index)
  const store = storeOf(options)
  return await withPackPlan(index, { layout: 'folder', onProgress, signal }, (plan) =>
    publishPlan(plan, store, { signal, onProgress })
  )
}

function storeOf({ to, client, endpoint, region }: PublishOptions): ObjectStore {
  if (typeof to === 'string') return s3Store({ ...parseS3Url('to', to), client, endpoint, region })
  if (!isStore(to)) throw new TypeError(`to must be s3://BUCKET/PREFIX or a store, found ${describe(to)}`)
  for (const [name, value] of Object.entries({ client, endpoint, region }))
    if (value !== undefined) throw new TypeError(`${name} goes with s3://BUCKET/PREFIX, found a store`)
  return to
}

function isStore(to: unknown): to is ObjectStore {
  if (typeof to !== 'object' || to === null) return false
  return STORE_METHODS.every((name) => typeof Reflect.get(to, name) === 'function')
}
