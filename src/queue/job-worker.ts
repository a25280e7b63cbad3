// A worker of the queue: takes jobs, some at a time, and does them by a function. BullMQ repeats what fails, and gives
// the jobs of a worker that ended without a word to others.

import { ZgqError } from '../errors.ts'
import { countCoordinators } from './coordinators.ts'
import { isCurable, LOST_REASON, reasonOf, WorkerUnfit } from './job-failures.ts'
import type { Job, Queue, Worker } from './load-bullmq.ts'
import { connectRedis, expectReady, onRefusal, type ConnectOptions, type RedisConnection } from './redis-connection.ts'
import { wrapRedisError } from './redis-errors.ts'
import { removeRemains } from './remaining-keys.ts'
import { DEFAULT_PREFIX, QUEUE_NAME, readJob, type TaskJob } from './task-job.ts'
import { within } from './within.ts'

/** What a worker tells of itself. */
export type WorkerEvent =
  | { readonly kind: 'taken' | 'done' | 'given back'; readonly job: TaskJob }
  | { readonly kind: 'failed'; readonly job: TaskJob; readonly error: unknown; readonly isRepeated: boolean }
  | { readonly kind: 'disconnected' | 'connected' }

/** What doing a job is told, and tells. */
export interface PerformSeam {
  /** Notes how many rows are done. */
  rows(done: number): void
  /** Aborted where the worker is to end at once, or nobody waits for the job any more. */
  readonly signal: AbortSignal
}

export interface JobWorkerOptions extends ConnectOptions {
  /** Jobs at a time. */
  readonly concurrency: number
  /**
   * Does a job; once the signal is aborted it must end soon, in whatever way. What it throws fails the job, which is
   * repeated where that may help; `WorkerUnfit` ends the worker and costs the job nothing.
   */
  perform(job: TaskJob, on: PerformSeam): Promise<void>
  onEvent?(event: WorkerEvent): void
  /** What all keys in Redis begin with. Default `bull`, as of BullMQ. */
  readonly prefix?: string | undefined
  /**
   * How long a worker may say nothing before others take its jobs. Default 30,000 ms. It says something by itself, but
   * for code that keeps its thread busy.
   */
  readonly stalledMs?: number | undefined
  /** Name of the worker on a board. */
  readonly name?: string | undefined
}

const STALLED_MS = 30_000
/** A machine may end at any time, but not each that takes one job. */
const MOST_STALLED = 50
/** BullMQ keeps a number a minute: a week. */
const METRICS_POINTS = 7 * 24 * 60
const ROWS_MS = 1000
const LONGEST_WATCH_MS = 5000
const RETRY_MS = 1000
/** Closing does not wait longer for a Redis that is away. */
const FAREWELL_MS = 5000

interface ActiveJob {
  readonly job: TaskJob
  readonly queued: Job
  readonly ending: AbortController
  rows: number
  toldRows: number
}

/** Connects to the queue and takes jobs. Rejects as `JobQueue.open` does. */
export async function openJobWorker(url: string, options: JobWorkerOptions): Promise<JobWorker> {
  const connection = await connectRedis(url, options)
  const worker = new JobWorker(connection, options)
  try {
    await worker.start()
    return worker
  } catch (error) {
    await worker.close(true)
    throw error
  }
}

export class JobWorker {
  readonly #connection: RedisConnection
  readonly #options: JobWorkerOptions
  readonly #prefix: string
  readonly #queue: Queue
  readonly #worker: Worker
  readonly #active = new Set<ActiveJob>()
  readonly #performing = new Set<Promise<void>>()
  readonly #timers: NodeJS.Timeout[] = []
  #closed: Promise<void> | undefined
  #isHasty = false
  #fail: (error: ZgqError) => void = () => undefined

  /** Resolves to the error that made the worker end by itself, once its other jobs are done; otherwise never. */
  readonly failed: Promise<ZgqError>

  constructor(connection: RedisConnection, options: JobWorkerOptions) {
    const { concurrency, name, prefix = DEFAULT_PREFIX, stalledMs = STALLED_MS } = options
    const { client, packages } = connection
    this.#connection = connection
    this.#options = options
    this.#prefix = prefix
    this.failed = new Promise((resolve) => {
      this.#fail = resolve
    })
    this.#queue = new packages.bullmq.Queue(QUEUE_NAME, { connection: client, prefix, skipMetasUpdate: true })
    this.#worker = new packages.bullmq.Worker(QUEUE_NAME, (queued: Job, token) => this.#process(queued, token), {
      connection: client,
      prefix,
      concurrency,
      autorun: false,
      lockDuration: stalledMs,
      stalledInterval: Math.ceil(stalledMs / 2),
      maxStalledCount: MOST_STALLED,
      runRetryDelay: RETRY_MS,
      metrics: { maxDataPoints: METRICS_POINTS },
      // Redis takes no spaces in names of connections.
      ...(name === undefined ? {} : { name: name.replaceAll(/[^!-~]+/g, '-') })
    })
    // Connections come back by themselves; a job that is taken away is no failure of the worker.
    this.#queue.on('error', () => undefined)
    this.#worker.on('error', () => undefined)
    client.on('close', this.#onClose)
    client.on('ready', this.#onReady)
    onRefusal(connection, (error) => {
      this.#endBy(error)
    })
  }

  async start(): Promise<void> {
    await expectReady(this.#connection, this.#options, [this.#queue, this.#worker])
    const { stalledMs = STALLED_MS } = this.#options
    this.#timers.push(
      setInterval(() => {
        this.#tellRows()
      }, ROWS_MS),
      setInterval(
        () => {
          this.#giveUpUnwanted().catch(() => undefined) // asked again soon
        },
        Math.min(stalledMs, LONGEST_WATCH_MS)
      )
    )
    this.#worker.run().catch((error: unknown) => {
      this.#endBy(wrapRedisError(error, this.#connection.place, 'take jobs from the queue'))
    })
  }

  /**
   * Takes no more jobs and ends once those at work are done; at once: their signals are aborted, and they go back to
   * the queue at no cost. A second call may be more hasty than the first.
   */
  async close(atOnce = false): Promise<void> {
    if (atOnce) {
      this.#isHasty = true
      for (const { ending } of this.#active) ending.abort(new ZgqError('ZGQ_CLOSED', 'the worker was closed'))
    }
    this.#closed ??= this.#close()
    await this.#closed
  }

  async #close(): Promise<void> {
    const { client } = this.#connection
    // Not `close` yet: it would wait for a Redis that is away, and cannot be hurried then.
    await this.#worker.pause(true)
    while (this.#performing.size > 0) await Promise.allSettled(this.#performing)
    for (const timer of this.#timers) clearInterval(timer)
    const isThere = client.status === 'ready'
    if ((await within(FAREWELL_MS, this.#worker.close(!isThere))) && isThere)
      await within(FAREWELL_MS, removeRemains(this.#connection, this.#queue, this.#prefix))
    client.off('close', this.#onClose)
    client.off('ready', this.#onReady)
    await within(FAREWELL_MS, this.#queue.close())
    client.disconnect()
  }

  readonly #onClose = (): void => {
    this.#tell({ kind: 'disconnected' })
  }

  readonly #onReady = (): void => {
    this.#tell({ kind: 'connected' })
  }

  #tell(event: WorkerEvent): void {
    this.#options.onEvent?.(event)
  }

  /** Ends the worker for a reason of its own. */
  #endBy(error: ZgqError): void {
    void this.close().then(() => {
      this.#fail(error)
    })
  }

  async #process(queued: Job, token: string | undefined): Promise<void> {
    const { UnrecoverableError } = this.#connection.packages.bullmq
    const job = readJob(queued.data)
    if (job === undefined) throw new UnrecoverableError(LOST_REASON)
    const active: ActiveJob = { job, queued, ending: new AbortController(), rows: 0, toldRows: 0 }
    // It was on its way when the worker began to close.
    if (this.#closed !== undefined) return this.#giveBack(active, token)
    this.#tell({ kind: 'taken', job })
    try {
      await this.#perform(active)
      this.#tell({ kind: 'done', job })
    } catch (error) {
      await this.#handle(error, active, token)
    }
  }

  async #perform(active: ActiveJob): Promise<void> {
    const { job, ending } = active
    const rows = (done: number): void => {
      active.rows = done
    }
    const performed = this.#options.perform(job, { rows, signal: ending.signal })
    const settled = performed.then(
      () => undefined,
      () => undefined
    )
    this.#performing.add(settled)
    this.#active.add(active)
    try {
      await performed
    } finally {
      this.#performing.delete(settled)
      this.#active.delete(active)
    }
  }

  /** Says to BullMQ what is to become of a job that was not done. */
  async #handle(error: unknown, active: ActiveJob, token: string | undefined): Promise<never> {
    const { UnrecoverableError } = this.#connection.packages.bullmq
    const { job, ending } = active
    if (error instanceof WorkerUnfit) this.#endBy(error)
    if (error instanceof WorkerUnfit || this.#isHasty) return this.#giveBack(active, token)
    const isRepeated = isCurable(error) && !ending.signal.aborted
    this.#tell({ kind: 'failed', job, error, isRepeated })
    if (!isRepeated) throw new UnrecoverableError(reasonOf(error))
    throw new Error(reasonOf(error), { cause: error })
  }

  async #giveBack({ job, queued }: ActiveJob, token: string | undefined): Promise<never> {
    await queued.moveToWait(token)
    this.#tell({ kind: 'given back', job })
    throw new this.#connection.packages.bullmq.WaitingError()
  }

  #tellRows(): void {
    for (const active of this.#active) {
      if (active.rows === active.toldRows) continue
      active.toldRows = active.rows
      active.queued.updateProgress(active.rows).catch(() => undefined) // told again soon
    }
  }

  /** A job that is gone from Redis is of no use if nobody coordinates its build: others may have removed it. */
  async #giveUpUnwanted(): Promise<void> {
    const { client } = this.#connection
    if (client.status !== 'ready') return
    for (const { job, ending } of this.#active) {
      if ((await client.exists(this.#queue.toKey(job.output))) > 0) continue
      if ((await countCoordinators(this.#connection, this.#prefix, job.build)) > 0) continue
      ending.abort(new ZgqError('ZGQ_CLOSED', `nobody waits for ${job.output} any more`))
    }
  }
}
