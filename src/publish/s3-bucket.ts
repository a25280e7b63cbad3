// A bucket, or the objects of a bucket under one prefix, and the client that asks for them: @aws-sdk/client-s3, an
// optional peer that is loaded by the first request. No Node modules here: the client runs in browsers, too.

import type * as s3Package from '@aws-sdk/client-s3'
import type { S3Client } from '@aws-sdk/client-s3'

import { withOwnSignal } from '../abort.ts'
import { describe } from '../describe.ts'
import { ZgqError } from '../errors.ts'
import { wrapS3Error } from './s3-errors.ts'

type Sdk = typeof s3Package

/** What is needed of an `S3Client` of @aws-sdk/client-s3. */
export interface S3ClientLike {
  send(command: object, options?: { abortSignal?: AbortSignal }): Promise<unknown>
}

export interface S3Options {
  readonly bucket: string
  /** Folder of the objects in the bucket, as `indexes/docs`. Default: the bucket itself. */
  readonly prefix?: string | undefined
  /**
   * An `S3Client` of @aws-sdk/client-s3 with its region, credentials and retries. Default: one that takes them from the
   * environment, as the AWS command does, and leaves retries to this library.
   */
  readonly client?: S3ClientLike | undefined
  /** URL of a store other than AWS. Only without `client`. */
  readonly endpoint?: string | undefined
  /** Region of the bucket. Only without `client`. */
  readonly region?: string | undefined
}

export const S3_OPTION_NAMES = ['bucket', 'prefix', 'client', 'endpoint', 'region']

/** How long nothing may come or go before a request counts as failed. */
const CONNECT_MS = 10_000
const SILENCE_MS = 60_000

/** The client, and the package that makes its commands. */
interface OpenSession {
  readonly sdk: Sdk
  readonly client: S3Client
}

/** What a request is made with. */
export interface S3Session extends OpenSession {
  /** Ends the request: of its own, since the SDK adds listeners, and many requests of one caller go out at once. */
  readonly abortSignal: AbortSignal
}

/** Sends requests about one bucket; failures come as ZgqErrors that name the bucket and the prefix, nothing secret. */
export class S3Bucket {
  readonly place: string
  readonly name: string
  readonly #options: S3Options
  readonly #prefix: string
  #session: OpenSession | undefined

  constructor(options: S3Options) {
    const { bucket, prefix } = options
    this.name = bucket
    this.#options = options
    this.#prefix = folderOf(prefix ?? '')
    this.place = `s3://${bucket}/${this.#prefix}`
  }

  /** Returns the key of an object. */
  keyOf(name: string): string {
    return this.#prefix + name
  }

  /** Does what `work` does with the client; rejects with the reason of the signal once it is aborted. */
  async send<Result>(
    doing: string,
    signal: AbortSignal,
    work: (session: S3Session) => Promise<Result>
  ): Promise<Result> {
    signal.throwIfAborted()
    try {
      const session = (this.#session ??= await openSession(this.#options))
      return await withOwnSignal(signal, (abortSignal) => work({ ...session, abortSignal }))
    } catch (error) {
      signal.throwIfAborted()
      throw wrapS3Error(error, this.place, doing)
    }
  }
}

/** Throws TypeError for wrong values of options. */
export function checkS3Options({ bucket, prefix, client, endpoint, region }: S3Options): void {
  if (typeof bucket !== 'string' || bucket === '')
    throw new TypeError(`bucket must be the name of a bucket, found ${describe(bucket)}`)
  for (const [name, value] of Object.entries<unknown>({ prefix, endpoint, region }))
    if (value !== undefined && typeof value !== 'string')
      throw new TypeError(`${name} must be a string, found ${describe(value)}`)
  if (endpoint !== undefined && !/^https?:\/\//i.test(endpoint))
    throw new TypeError(`endpoint must be a URL as https://minio.example.org, found ${describe(endpoint)}`)
  if (client === undefined) return
  if (!isClient(client)) throw new TypeError(`client must be an S3Client, found ${describe(client)}`)
  if (endpoint !== undefined || region !== undefined)
    throw new TypeError("endpoint and region are the client's, where a client is given")
}

/** Reads `s3://bucket/prefix`; throws TypeError for anything else. */
export function parseS3Url(what: string, url: string): { readonly bucket: string; readonly prefix: string } {
  const match = /^s3:\/\/([^/?#]+)(?:\/([^?#]*))?$/i.exec(url)
  if (match === null) throw new TypeError(`${what} must be s3://BUCKET or s3://BUCKET/PREFIX, found ${describe(url)}`)
  return { bucket: match[1], prefix: match[2] ?? '' }
}

/** `docs` and `/docs/` are `docs/`, nothing is nothing. */
function folderOf(prefix: string): string {
  const trimmed = prefix.replace(/^\/+|\/+$/g, '')
  return trimmed === '' ? '' : `${trimmed}/`
}

async function openSession({ client, endpoint, region }: S3Options): Promise<OpenSession> {
  const sdk = await loadSdk()
  if (client !== undefined && isClient(client)) return { sdk, client }
  return {
    sdk,
    client: new sdk.S3Client({
      // Whoever asks repeats what failed, within the time and the number of attempts that it was told: attempts of the
      // client's own would multiply with these, and come under no limit but the client's.
      maxAttempts: 1,
      followRegionRedirects: true,
      requestHandler: { connectionTimeout: CONNECT_MS, socketTimeout: SILENCE_MS },
      ...(region === undefined ? {} : { region }),
      // Names of buckets are no host names of other stores.
      ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true })
    })
  }
}

function isClient(client: unknown): client is S3Client {
  return typeof client === 'object' && client !== null && 'send' in client && typeof client.send === 'function'
}

async function loadSdk(): Promise<Sdk> {
  try {
    return await import('@aws-sdk/client-s3')
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split('\n')[0] : String(cause)
    throw new ZgqError(
      'ZGQ_UNSUPPORTED',
      `buckets need the package @aws-sdk/client-s3, which does not load: ${reason}. Install it beside zgq: ` +
        'npm install @aws-sdk/client-s3',
      { cause }
    )
  }
}
