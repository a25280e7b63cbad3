// The queue as a coordinator uses it: jobs in, and word of what became of them. BullMQ on Redis does the rest.

import { ZgqError } from '../errors.ts'
import { Coordinator } from './coordinators.ts'
import { JobRun, type RunSeam, type RunSession } from './job-run.ts'
import { connectRedis, expectReady, onRefusal, type ConnectOptions } from './redis-connection.ts'
import { wrapRedisError } from './redis-errors.ts'
import { removeRemains } from './remaining-keys.ts'
import { removeJobs } from './remove-jobs.ts'
import { DEFAULT_PREFIX, QUEUE_NAME, type TaskJob } from './task-job.ts'
import { within } from './within.ts'

export interface JobQueueOptions extends ConnectOptions {
  /** What all keys in Redis begin with. Default `bull`, as of BullMQ. */
  readonly prefix?: string | undefined
  /** The first wait before a failed job is repeated; it doubles each time. Default 1,000 ms. */
  readonly retryMs?: number | undefined
  /** How long the store may be without the output of a job that was done. Default 90,000 ms. */
  readonly vainMs?: number | undefined
  /** How often a run looks for what no event told of. Default 2,000 ms. */
  readonly lookMs?: number | undefined
}

const RETRY_MS = 1000
const VAIN_MS = 90_000
const LOOK_MS = 2000
/** Leaving does not wait longer for a Redis that is away, nor closing for one that does not answer. */
const FAREWELL_MS = 5000
const AWAY_MS = 100

/** Has jobs done by workers elsewhere. */
export class JobQueue {
  readonly #session: RunSession
  readonly #prefix: string
  readonly #coordinator: Coordinator
  /** Aborted by `close`. */
  readonly #closing = new AbortController()
  /** Aborted where Redis does not let us in any more. */
  readonly #refused = new AbortController()

  private constructor(session: RunSession, prefix: string) {
    this.#session = session
    this.#prefix = prefix
    this.#coordinator = new Coordinator(session.connection, prefix)
    onRefusal(session.connection, (error) => {
      this.#refused.abort(error)
    })
  }

  /**
   * Connects to the queue. Throws TypeError for a wrong URL. Rejects with ZGQ_IO where Redis is not there in time or
   * refuses the user or the password, and with ZGQ_UNSUPPORTED where a package is missing or Redis is too old.
   */
  static async open(url: string, options: JobQueueOptions = {}): Promise<JobQueue> {
    const { prefix = DEFAULT_PREFIX, retryMs = RETRY_MS, vainMs = VAIN_MS, lookMs = LOOK_MS } = options
    const connection = await connectRedis(url, options)
    const { client, packages } = connection
    const queue = new packages.bullmq.Queue(QUEUE_NAME, { connection: client, prefix })
    const events = new packages.bullmq.QueueEvents(QUEUE_NAME, { connection: client, prefix })
    // Connections come back by themselves, and looks find what events did not tell.
    queue.on('error', () => undefined)
    events.on('error', () => undefined).setMaxListeners(0)
    const opened = new JobQueue({ connection, queue, events, retryMs, vainMs, lookMs }, prefix)
    try {
      await expectReady(connection, options, [queue, events])
      return opened
    } catch (error) {
      await opened.close()
      throw error
    }
  }

  /** The server without user and password. */
  get place(): string {
    return this.#session.connection.place
  }

  /**
   * Has jobs done, at most 2,000 at a time, and resolves once `has` says so of all their outputs. Jobs whose outputs
   * are there are not done again. Rejects with the typed error of a job that failed for good, and with the reason of
   * the signal; the other jobs stay until `leave`. Waits for a Redis that went away as long as it takes, but not for
   * one that refuses the user or the password then (ZGQ_IO).
   */
  async run(jobs: readonly TaskJob[], on: RunSeam, signal?: AbortSignal): Promise<void> {
    const ends = [this.#closing.signal, this.#refused.signal, ...(signal === undefined ? [] : [signal])]
    await new JobRun(this.#session, jobs, on).toEnd(AbortSignal.any(ends))
  }

  /**
   * Registers this coordinator for a build. It counts as long as its process lives, and a minute longer, unless another
   * takes its place by its name. Default: a name that nobody has.
   */
  async join(build: string, name?: string): Promise<void> {
    await this.#ask(() => this.#coordinator.join(build, name))
  }

  /**
   * Ends the registration. Resolves to true where nobody else coordinates this build: its jobs are removed then, those
   * that are being done as well, and what it left elsewhere may be collected. False if Redis is away, since nobody can
   * tell.
   */
  async leave(build: string): Promise<boolean> {
    const { connection, queue } = this.#session
    const left = this.#ask(async () => {
      if ((await this.#coordinator.leave(build)) > 0) return false
      await removeJobs(connection, queue, build)
      await removeRemains(connection, queue, this.#prefix)
      return true
    })
    // Its commands wait for a Redis that is away.
    while (!(await within(FAREWELL_MS, left))) if (connection.client.status !== 'ready') return false
    return left
  }

  /** Ends the connections; runs that are going on reject. */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return
    this.#closing.abort(new ZgqError('ZGQ_CLOSED', 'the queue is closed'))
    const { connection, queue, events } = this.#session
    this.#coordinator.close()
    // BullMQ writes as soon as a queue is opened, whether a build begins or not.
    if (connection.client.status === 'ready')
      await within(FAREWELL_MS, Promise.allSettled([removeRemains(connection, queue, this.#prefix)]))
    const longestMs = connection.client.status === 'ready' ? FAREWELL_MS : AWAY_MS
    await within(longestMs, Promise.allSettled([queue.close(), events.close()]))
    connection.client.disconnect()
  }

  async #ask<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#closing.signal.throwIfAborted()
    try {
      return await work()
    } catch (error) {
      throw wrapRedisError(error, this.place, 'use the queue')
    }
  }
}
