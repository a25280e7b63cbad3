// Objects of buckets that builds read in place. One client and one bound on requests for all of them, and one folder
// for their windows.

import { join } from 'node:path'

import { ZgqError } from '../errors.ts'
import { Gate } from '../pack/parallel.ts'
import { checkS3Options, parseS3Url, type S3ClientLike } from '../publish/s3-bucket.ts'
import { openBucketStore, type BucketStore } from '../publish/s3-store.ts'
import { openWindow, type InputObject, type InputWindow } from './input-window.ts'
import { makeScratch, removeScratch } from './scratch-folder.ts'

/** Requests that are on their way, of all windows; each is of some megabytes. */
const REQUESTS_AT_A_TIME = 8

export interface BucketInputsOptions {
  /** The `S3Client`. Default: one that takes region and credentials from the environment. */
  readonly client?: S3ClientLike | undefined
  /** URL of a store other than AWS; only without `client`. */
  readonly endpoint?: string | undefined
  /** Region of the buckets; only without `client`. */
  readonly region?: string | undefined
  /** Folder for windows. Default: the system's temporary folder. */
  readonly scratch?: string | undefined
}

/** Reads objects of buckets in place. */
export class BucketInputs {
  readonly #options: BucketInputsOptions
  readonly #stores = new Map<string, BucketStore>()
  readonly #gate = new Gate(REQUESTS_AT_A_TIME)
  #folder: Promise<string> | undefined
  #windows = 0

  constructor(options: BucketInputsOptions = {}) {
    this.#options = options
  }

  /**
   * Looks at an object that a build is to be made of, `s3://bucket/key`. Rejects with ZGQ_NOT_FOUND, ZGQ_IO or
   * ZGQ_UNSUPPORTED, with TypeError for what is no such URL.
   */
  async look(place: string, signal: AbortSignal): Promise<InputObject> {
    const { store, key } = this.#find(place)
    const found = await store.look(key, signal)
    if (found !== undefined) return { place, ...found }
    throw new ZgqError('ZGQ_NOT_FOUND', 'there is no such object', { path: place })
  }

  /** Opens a window on an object in the state that a build began with; its owner closes it. */
  async open(object: InputObject): Promise<InputWindow> {
    const { store, key } = this.#find(object.place)
    const folder = await this.#makeFolder()
    const path = join(folder, String(this.#windows++), fileNameOf(key))
    return await openWindow({ object, source: store, name: key, path, gate: this.#gate })
  }

  /** Removes the folder of the windows. */
  async close(): Promise<void> {
    const folder = await this.#folder
    if (folder === undefined) return
    await removeScratch(folder)
  }

  async #makeFolder(): Promise<string> {
    const folder = (this.#folder ??= makeScratch(this.#options.scratch))
    return await folder.catch((error: unknown) => {
      this.#folder = undefined
      throw error
    })
  }

  #find(place: string): { readonly store: BucketStore; readonly key: string } {
    const { bucket, prefix: key } = parseS3Url('input', place)
    if (key === '' || key.endsWith('/'))
      throw new TypeError(`input must be s3://BUCKET/KEY of one object, found ${JSON.stringify(place)}`)
    const { client, endpoint, region } = this.#options
    const options = { bucket, client, endpoint, region }
    checkS3Options(options)
    const store = this.#stores.get(bucket) ?? openBucketStore(options)
    this.#stores.set(bucket, store)
    return { store, key }
  }
}

/** The last part of a key: readers go by its ending, and people know it by its name. */
function fileNameOf(key: string): string {
  const name = key.slice(key.lastIndexOf('/') + 1).replace(/[^\w.-]/g, '_')
  return name.slice(-100)
}
