// A worker of builds on a queue: takes tasks, brings what they read, has threads do them, and stores what they leave.

import { availableParallelism, tmpdir } from 'node:os'

import { BucketInputs } from '../artifacts/bucket-inputs.ts'
import { expectUsableStore, isBucketUrl, openArtifactStore } from '../artifacts/open-store.ts'
import { outputOf, type ArtifactTask } from '../build/artifact-names.ts'
import { wallMillis } from '../clock.ts'
import { ZgqError } from '../errors.ts'
import { checkOptionNames, expectFunction, expectWholeNumber } from '../options.ts'
import type { S3ClientLike } from '../publish/s3-bucket.ts'
import { isPlainObject } from '../plain-object.ts'
import { BuildSite, type TaskMeasures } from './build-site.ts'
import { WorkerUnfit } from './job-failures.ts'
import { openJobWorker, type JobWorker, type PerformSeam, type WorkerEvent } from './job-worker.ts'
import { bucketPlaceOf, checkTexts, expectStore, expectUrl, S3_NAMES } from './queue-options.ts'
import type { TaskJob } from './task-job.ts'

/** Options of `openWorker`. */
export interface WorkerOptions {
  /** URL of Redis: `redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]`, or `rediss://` for TLS. */
  readonly queue: string
  /** Where artifacts are, the same as of the build: a folder that all machines see, or `s3://bucket/prefix`. */
  readonly store: string
  /** Tasks at a time, each by a thread. Default: one for each core. `memoryBytes` of the build is for all of them. */
  readonly concurrency?: number | undefined
  /**
   * Folder for copies of what is in a bucket, on a disk with room for some parts of the input. Default: the system's
   * folder for temporary files.
   */
  readonly scratch?: string | undefined
  /** The `S3Client` for buckets. Default: one that takes region and credentials from the environment. */
  readonly client?: S3ClientLike | undefined
  /** URL of a store other than AWS; only without `client`. */
  readonly endpoint?: string | undefined
  /** Region of the buckets; only without `client`. */
  readonly region?: string | undefined
  /** What the keys in Redis begin with. Default `bull`, as BullMQ has it; the same for the build. */
  readonly prefix?: string | undefined
  /**
   * How long a worker may say nothing before others take its tasks, in milliseconds. Default 30,000: it says something
   * by itself while it lives.
   */
  readonly stalledMs?: number | undefined
  /** Called with each task that is done. */
  readonly onTask?: ((done: TaskDone) => void) | undefined
  /** Called with what else happens. */
  readonly onEvent?: ((event: WorkerEvent) => void) | undefined
}

/** A task that a worker has done. */
export interface TaskDone extends TaskMeasures {
  readonly build: string
  /** Name of the artifact that it left. */
  readonly output: string
  /** What it was: sample, partial, assign, write and others. */
  readonly kind: string
  readonly rows: number
  /** Milliseconds since 1970. */
  readonly startedAt: number
}

/** A worker that is at work. */
export interface BuildWorker {
  /** Resolves when `close` has ended the worker; rejects with what else ended it. */
  readonly done: Promise<void>
  /** Ends the worker once its tasks are done; at once: they go back to the queue. */
  close(atOnce?: boolean): Promise<void>
}

const OPTION_NAMES = [
  'queue',
  'store',
  'concurrency',
  'scratch',
  ...S3_NAMES,
  'prefix',
  'stalledMs',
  'onTask',
  'onEvent'
]
/** A build of which no task came for so long is put away; another task opens it again. */
const IDLE_MS = 60_000
const LOOK_MS = 10_000
const STALLED_RANGE = { least: 100, most: 24 * 60 * 60 * 1000 }

/**
 * Opens a worker for builds on a queue, any number of them on any number of machines. Rejects with ZGQ_IO where Redis
 * or the store cannot be reached or deny access; with ZGQ_NOT_FOUND where the store is not there; with ZGQ_UNSUPPORTED
 * where the packages bullmq, ioredis or \@aws-sdk/client-s3 are missing; with TypeError or RangeError for wrong
 * options. `done` rejects with ZGQ_MISMATCH where a build is of another version of this library: its tasks are left to
 * others.
 */
export async function openWorker(options: WorkerOptions): Promise<BuildWorker> {
  checkOptionNames('openWorker', options, OPTION_NAMES)
  const { concurrency = availableParallelism() } = options
  expectUrl('queue', options.queue)
  expectStore('store', options.store)
  expectWholeNumber('concurrency', concurrency, { least: 1, most: 256 })
  const { scratch, endpoint, region } = options
  checkTexts({ scratch, endpoint, region, prefix: options.prefix })
  if (options.stalledMs !== undefined) expectWholeNumber('stalledMs', options.stalledMs, STALLED_RANGE)
  if (options.onTask !== undefined) expectFunction('onTask', options.onTask)
  if (options.onEvent !== undefined) expectFunction('onEvent', options.onEvent)
  const sites = new Sites(options, concurrency)
  await sites.check()
  const { prefix, stalledMs, onEvent } = options
  const jobs = await openJobWorker(options.queue, {
    concurrency,
    prefix,
    stalledMs,
    perform: (job, on) => perform({ sites, options }, job, on),
    ...(onEvent === undefined ? {} : { onEvent })
  })
  return new OpenWorker(jobs, sites)
}

class OpenWorker implements BuildWorker {
  readonly done: Promise<void>
  readonly #jobs: JobWorker
  readonly #sites: Sites
  #closed: Promise<void> | undefined
  #end: () => void = () => undefined

  constructor(jobs: JobWorker, sites: Sites) {
    this.#jobs = jobs
    this.#sites = sites
    const ended = new Promise<void>((resolve) => {
      this.#end = resolve
    })
    const failed = jobs.failed.then(async (error) => {
      await sites.close()
      throw error
    })
    this.done = Promise.race([ended, failed])
    this.done.catch(() => undefined) // whoever does not wait for it is not to be ended by it
  }

  async close(atOnce = false): Promise<void> {
    const closed = this.#jobs.close(atOnce)
    if (atOnce) await this.#sites.close() // ends the tasks
    this.#closed ??= closed.then(async () => {
      await this.#sites.close()
      this.#end()
    })
    await this.#closed
  }
}

async function perform(
  { sites, options }: { readonly sites: Sites; readonly options: WorkerOptions },
  job: TaskJob,
  { rows, signal }: PerformSeam
): Promise<void> {
  const startedAt = wallMillis()
  await sites.use(job.build, signal, async (site) => {
    const task = readTask(job.task)
    if (outputOf(site.shared.recipe, task) !== job.output)
      throw new ZgqError('ZGQ_MISMATCH', `the task that was to leave ${job.output} leaves another artifact here`)
    const measures = await site.run(task, { rows, signal })
    const { build, output } = job
    if (measures !== undefined)
      options.onTask?.({ build, output, kind: task.kind, rows: job.rows, startedAt, ...measures })
  })
}

/** The name of what it leaves says whether a task is one of the recipe. */
function readTask(task: unknown): ArtifactTask
function readTask(task: unknown): unknown {
  if (isPlainObject(task) && typeof task['kind'] === 'string') return task
  throw new ZgqError('ZGQ_MISMATCH', 'a job holds no task of this version')
}

interface OpenSite {
  readonly site: Promise<BuildSite>
  users: number
  usedAt: number
}

/** The builds that a worker has open. */
class Sites {
  readonly #options: WorkerOptions
  readonly #threads: number
  readonly #inputs: BucketInputs
  readonly #open = new Map<string, OpenSite>()
  readonly #timer: NodeJS.Timeout

  constructor(options: WorkerOptions, threads: number) {
    const { client, endpoint, region, scratch } = options
    this.#options = options
    this.#threads = threads
    this.#inputs = new BucketInputs({ client, endpoint, region, scratch })
    this.#timer = setInterval(() => {
      this.#closeIdle().catch(() => undefined) // what is left goes when the worker is closed
    }, LOOK_MS)
    this.#timer.unref()
  }

  /** Rejects where the store cannot be used. */
  async check(): Promise<void> {
    const { store, client, endpoint, region } = this.#options
    await expectUsableStore({ store, ...(isBucketUrl(store) ? { client, endpoint, region } : {}) })
  }

  async use(build: string, signal: AbortSignal, work: (site: BuildSite) => Promise<void>): Promise<void> {
    const open = this.#open.get(build) ?? this.#add(build, signal)
    open.users++
    try {
      await work(await open.site)
    } finally {
      open.users--
      open.usedAt = wallMillis()
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all(Array.from(this.#open.keys(), (build) => this.#close(build)))
    await this.#inputs.close()
  }

  #add(build: string, signal: AbortSignal): OpenSite {
    const open: OpenSite = { site: this.#openSite(build, signal), users: 0, usedAt: wallMillis() }
    this.#open.set(build, open)
    open.site.catch(() => {
      this.#open.delete(build) // another task tries again
    })
    return open
  }

  async #openSite(build: string, signal: AbortSignal): Promise<BuildSite> {
    const { store: place } = this.#options
    const isBucket = isBucketUrl(place)
    const store = await this.#openStore(build, signal)
    try {
      const seam = {
        store,
        bucketPlace: isBucket ? bucketPlaceOf(place, build) : undefined,
        folder: isBucket ? undefined : place,
        inputs: this.#inputs
      }
      return await BuildSite.open(seam, build, { threads: this.#threads, signal })
    } catch (error) {
      await store.close()
      if (error instanceof ZgqError && error.code === 'ZGQ_MISMATCH')
        throw new WorkerUnfit(error.code, error.message, { cause: error })
      throw error
    }
  }

  async #openStore(build: string, signal: AbortSignal): ReturnType<typeof openArtifactStore> {
    const { store, client, endpoint, region, scratch = tmpdir() } = this.#options
    return await openArtifactStore({
      store,
      build,
      signal,
      isBegun: true,
      ...(isBucketUrl(store) ? { client, endpoint, region, scratch } : {})
    })
  }

  async #closeIdle(): Promise<void> {
    for (const [build, { users, usedAt }] of this.#open)
      if (users === 0 && wallMillis() - usedAt > IDLE_MS) await this.#close(build)
  }

  async #close(build: string): Promise<void> {
    const open = this.#open.get(build)
    this.#open.delete(build)
    const site = await open?.site.catch(() => undefined)
    await site?.close()
  }
}
