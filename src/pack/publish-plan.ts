// The order of writes that keeps a published index whole at every moment: parts, then the manifest under a number that
// nobody has, then the hint. Whoever is stopped in between leaves parts that no manifest names, and readers where they
// were.

import { ZgqError } from '../errors.ts'
import { hex } from '../format/header.ts'
import { LATEST_NAME, manifestName } from '../format/packed-index.ts'
import type { PackPlan } from './pack-plan.ts'
import { highestManifest, holds, latestText, MANIFEST_PREFIX, setLatest, readLatest } from './manifests.ts'
import type { ObjectStore } from './object-store.ts'
import { inParallel } from './parallel.ts'

const PARTS_AT_A_TIME = 4

export interface PublishProgress {
  /** `upload` counts bytes. */
  readonly stage: string
  readonly done: number
  readonly total: number
}

/** What was published. */
export interface PublishReport {
  /** Number of the manifest that readers find now. */
  readonly manifest: number
  /** SHA-256 in hexadecimal digits: the same for the same index. */
  readonly digest: string
  /** Whether this call made the manifest: false where the latest one was of the same index. */
  readonly isNew: boolean
  /** Parts that were stored. */
  readonly uploaded: number
  /** Parts that were there. */
  readonly reused: number
  /** Bytes that were stored, of parts and the manifest. */
  readonly bytes: number
}

export interface PublishRun {
  readonly signal?: AbortSignal | undefined
  /** What progress is called. Default: upload. */
  readonly stage?: string | undefined
  readonly onProgress?: ((progress: PublishProgress) => void) | undefined
}

/** Publishes what is planned, as the next generation after those that are there. */
export async function publishPlan(plan: PackPlan, store: ObjectStore, run: PublishRun): Promise<PublishReport> {
  const { head } = plan
  const { signal = new AbortController().signal } = run
  const digest = hex(plan.digest)
  const highest = highestManifest(await store.list(MANIFEST_PREFIX, signal))
  if (highest > 0 && (await holds(store, { name: manifestName(highest), bytes: head }, signal))) {
    await setLatest(store, highest, signal) // its publisher may have died before
    return { manifest: highest, digest, isNew: false, uploaded: 0, reused: plan.parts.length, bytes: 0 }
  }
  await expectConditionalPuts(store, highest, signal)
  const stored = await storeParts(plan, store, { ...run, signal })
  const { manifest, isNew } = await takeNumber(store, { first: highest + 1, head }, signal)
  await setLatest(store, manifest, signal)
  return {
    manifest,
    digest,
    isNew,
    uploaded: stored.uploaded,
    reused: plan.parts.length - stored.uploaded,
    bytes: stored.bytes + (isNew ? head.byteLength : 0)
  }
}

/**
 * Refuses a store that stores over an object although it was told not to: there, of two publishers at once one would
 * lose its index unseen. Tried with the hint, which may hold anything for a while. That two at the same moment cannot
 * both succeed is more than can be tried out.
 */
async function expectConditionalPuts(store: ObjectStore, highest: number, signal: AbortSignal): Promise<void> {
  const latest = await readLatest(store, signal)
  const text = latestText(latest ?? Math.max(1, highest))
  if (latest === undefined && !(await store.putIfAbsent(LATEST_NAME, text, signal))) return
  if (await store.putIfAbsent(LATEST_NAME, text, signal))
    throw unsafeStore(store, `it stored ${LATEST_NAME} over an object that was there`)
}

async function storeParts(
  { parts }: PackPlan,
  store: ObjectStore,
  { signal, stage = 'upload', onProgress }: PublishRun & { readonly signal: AbortSignal }
): Promise<{ readonly uploaded: number; readonly bytes: number }> {
  const total = parts.reduce((sum, { byteLength }) => sum + byteLength, 0)
  let done = 0
  let uploaded = 0
  let bytes = 0
  const onBytes = (count: number): void => {
    done += count
    onProgress?.({ stage, done, total })
  }
  onBytes(0)
  await inParallel(parts, { most: PARTS_AT_A_TIME, signal }, async ({ name, path, byteLength }, ending) => {
    if (await store.has(name, byteLength, ending)) {
      onBytes(byteLength)
      return
    }
    await store.put(name, { path, byteLength, onBytes }, ending)
    uploaded++
    bytes += byteLength
  })
  return { uploaded, bytes }
}

/** Stores the manifest under the first number from `first` on that nobody has. */
async function takeNumber(
  store: ObjectStore,
  { first, head }: { readonly first: number; readonly head: Uint8Array },
  signal: AbortSignal
): Promise<{ readonly manifest: number; readonly isNew: boolean }> {
  for (let manifest = first; ; manifest++) {
    const name = manifestName(manifest)
    const isNew = await store.putIfAbsent(name, head, signal)
    const isOurs = await holds(store, { name, bytes: head }, signal)
    // Somebody who publishes the same index may have been faster.
    if (isOurs) return { manifest, isNew }
    if (isNew) throw unsafeStore(store, `${name} does not hold what was stored a moment ago`)
  }
}

function unsafeStore(store: ObjectStore, what: string): ZgqError {
  return new ZgqError(
    'ZGQ_UNSUPPORTED',
    `the store does not keep to If-None-Match: ${what}. Publishers at the same time would lose an index unseen; ` +
      'publish to a store that has conditional writes, or pack into a folder and copy that',
    store.place === undefined ? {} : { path: store.place }
  )
}
