// Has jobs done and waits for what they leave. The store is the truth: BullMQ's events tell at once where to look, and
// a look at Redis every two seconds finds the jobs that it lost, which are then added again.

import { onAbort } from '../abort.ts'
import { nowMicros } from '../clock.ts'
import { ZgqError } from '../errors.ts'
import { inParallel } from '../pack/parallel.ts'
import { errorOf, LOST_REASON } from './job-failures.ts'
import type { Queue, QueueEvents } from './load-bullmq.ts'
import type { RedisConnection } from './redis-connection.ts'
import { mayPass, wrapRedisError } from './redis-errors.ts'
import { checkOutput, kindOf, type TaskJob } from './task-job.ts'

/** What the queue is like, for progress. Counts are of all builds. */
export interface QueueFacts {
  /** False while Redis is away; the counts are 0 then. */
  readonly isConnected: boolean
  /** Undefined where Redis does not tell. */
  readonly workers: number | undefined
  readonly active: number
  /** Those that wait to be repeated as well. */
  readonly waiting: number
}

/** What is asked and told while jobs are done. */
export interface RunSeam {
  /** Whether what a job leaves is in the store. */
  has(output: string): Promise<boolean>
  /** Told once for each job whose output is there, in any order. */
  done(job: TaskJob): void
  /** Told of the rows that a worker has done so far. */
  progress?(job: TaskJob, rows: number): void
  /** Told every two seconds. */
  waiting?(facts: QueueFacts): void
}

/** What a run works with. */
export interface RunSession {
  readonly connection: RedisConnection
  readonly queue: Queue
  readonly events: QueueEvents
  /** The first wait before a failed job is repeated; it doubles each time. */
  readonly retryMs: number
  /** How long the store may be without the output of a job that was done. */
  readonly vainMs: number
  readonly lookMs: number
}

/** A job that is in Redis, as far as is known. */
interface QueuedJob {
  readonly job: TaskJob
  /** How many looks in a row did not find it in Redis. */
  missed: number
  /** How many times it was done, though the store does not have its output. */
  vain: number
  firstVainMicros: number
  isAsked: boolean
}

/** Redis failed in a way that passes; a later look goes on. */
class Passing extends Error {}

/** More do not wait in Redis: each takes about a kilobyte there. */
const MOST_QUEUED = 2000
const BATCH = 100
const MOST_ASKED = 16
const ATTEMPTS = 5
/** Before a job that was done in vain is done again; folders on a network may show files late. */
const LONGEST_MISSED = 32
const LEAST_VAIN = 3

export class JobRun {
  readonly #session: RunSession
  readonly #on: RunSeam
  /** Jobs whose outputs nobody has seen yet. */
  readonly #open: Map<string, TaskJob>
  readonly #later: Iterator<TaskJob>
  readonly #queued = new Map<string, QueuedJob>()
  readonly #ended: Promise<void>
  #end: (error?: unknown) => void = () => undefined
  #isOver = false
  #isFilling = false
  #isLooking = false
  #hasForgotten = false

  constructor(session: RunSession, jobs: readonly TaskJob[], on: RunSeam) {
    for (const job of jobs) checkOutput(job)
    this.#session = session
    this.#on = on
    this.#open = new Map(jobs.map((job) => [job.output, job]))
    this.#later = [...this.#open.values()].values()
    this.#ended = new Promise((resolve, reject) => {
      this.#end = (error) => {
        this.#isOver = true
        if (error === undefined) resolve()
        else reject(error instanceof Error ? error : new Error(String(error)))
      }
    })
  }

  /** Resolves once all outputs are in the store; rejects with the error of a job that failed for good. */
  async toEnd(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted()
    if (this.#open.size === 0) return
    const { events } = this.#session
    const onCompleted = ({ jobId }: { jobId: string }): void => {
      this.#attend(jobId, (queued) => this.#confirm(queued, true))
    }
    const onFailed = ({ jobId }: { jobId: string }): void => {
      this.#attend(jobId, (queued) => this.#readFailure(queued))
    }
    const onProgress = ({ jobId, data }: { jobId: string; data: unknown }): void => {
      this.#attend(jobId, async ({ job }) => this.#on.progress?.(job, Number(data)))
    }
    events.on('completed', onCompleted).on('failed', onFailed).on('progress', onProgress)
    const timer = setInterval(() => {
      this.#attempt(() => this.#look())
    }, this.#session.lookMs)
    const endWait = onAbort(signal, () => {
      this.#end(signal?.reason ?? new Error('aborted'))
    })
    try {
      this.#attempt(() => this.#fill())
      await this.#ended
    } catch (error) {
      signal?.throwIfAborted()
      throw error
    } finally {
      endWait()
      clearInterval(timer)
      events.off('completed', onCompleted).off('failed', onFailed).off('progress', onProgress)
    }
  }

  #attend(output: string, work: (queued: QueuedJob) => Promise<void>): void {
    const queued = this.#queued.get(output)
    if (queued !== undefined) this.#attempt(() => work(queued))
  }

  /** What fails ends the run, unless it passes. */
  #attempt(work: () => Promise<void>): void {
    if (this.#isOver) return
    work().catch((error: unknown) => {
      if (!(error instanceof Passing)) this.#end(error)
    })
  }

  async #ask<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work()
    } catch (error) {
      if (mayPass(error)) throw new Passing()
      throw wrapRedisError(error, this.#session.connection.place, 'use the queue')
    }
  }

  /** Puts jobs into Redis whose outputs are not in the store, until enough are there. */
  async #fill(): Promise<void> {
    if (this.#isFilling) return
    this.#isFilling = true
    try {
      await this.#forgetFailures()
      while (!this.#isOver && this.#queued.size <= MOST_QUEUED - BATCH) {
        const batch = this.#takeBatch()
        if (batch.length === 0) return
        await this.#add(await this.#withoutDone(batch))
      }
    } finally {
      this.#isFilling = false
    }
  }

  /** A job that failed in an earlier run would be in the way: BullMQ takes no job whose id is there. */
  async #forgetFailures(): Promise<void> {
    if (this.#hasForgotten) return
    const { queue } = this.#session
    const failed = await this.#ask(() => queue.getRanges(['failed'], 0, -1))
    for (const output of failed.filter((id) => this.#open.has(id))) await this.#ask(() => queue.remove(output))
    this.#hasForgotten = true
  }

  #takeBatch(): TaskJob[] {
    const batch: TaskJob[] = []
    while (batch.length < BATCH) {
      const next = this.#later.next()
      if (next.done === true) break
      batch.push(next.value)
    }
    return batch
  }

  async #withoutDone(batch: readonly TaskJob[]): Promise<TaskJob[]> {
    const missing = new Set<TaskJob>()
    const never = new AbortController().signal
    await inParallel(batch, { most: MOST_ASKED, signal: never }, async (job) => {
      if (await this.#on.has(job.output)) this.#settle(job)
      else missing.add(job)
    })
    return batch.filter((job) => missing.has(job))
  }

  async #add(wanted: readonly TaskJob[]): Promise<void> {
    const jobs = wanted.filter(({ output }) => this.#open.has(output))
    if (this.#isOver || jobs.length === 0) return
    // Noted first: what is lost on the way to Redis is missed by the next looks.
    for (const job of jobs)
      if (!this.#queued.has(job.output))
        this.#queued.set(job.output, { job, missed: 0, vain: 0, firstVainMicros: 0, isAsked: false })
    const { queue, retryMs } = this.#session
    await this.#ask(() =>
      queue.addBulk(
        jobs.map((job) => ({
          name: kindOf(job),
          data: job,
          opts: {
            jobId: job.output,
            attempts: ATTEMPTS,
            backoff: { type: 'exponential', delay: retryMs },
            removeOnComplete: true,
            stackTraceLimit: 1
          }
        }))
      )
    )
  }

  /** Asks the store for the output of a job that was done, or that Redis does not have. */
  async #confirm(queued: QueuedJob, wasDone: boolean): Promise<void> {
    if (queued.isAsked) return
    queued.isAsked = true
    try {
      if (await this.#on.has(queued.job.output)) this.#settle(queued.job)
      else if (wasDone) this.#noteVain(queued)
    } finally {
      queued.isAsked = false
    }
  }

  #noteVain(queued: QueuedJob): void {
    if (queued.vain++ === 0) queued.firstVainMicros = nowMicros()
    if (queued.vain < LEAST_VAIN || nowMicros() - queued.firstVainMicros < this.#session.vainMs * 1000) return
    throw new ZgqError(
      'ZGQ_MISMATCH',
      `workers have done ${queued.job.output} ${queued.vain} times, and it is not in the store; ` +
        'all workers of this queue must be given the same store'
    )
  }

  #settle(job: TaskJob): void {
    // An event and a look may both find it.
    if (this.#isOver || !this.#open.delete(job.output)) return
    this.#queued.delete(job.output)
    this.#on.done(job)
    if (this.#open.size === 0) this.#end()
    else if (this.#queued.size <= MOST_QUEUED - BATCH) this.#attempt(() => this.#fill())
  }

  /** An event may be of an earlier failure; what Redis has now counts. */
  async #readFailure({ job: { output } }: QueuedJob): Promise<void> {
    const { queue } = this.#session
    const job = await this.#ask(() => queue.getJob(output))
    if (job?.failedReason === undefined || (await this.#ask(() => job.getState())) !== 'failed') return
    if (job.failedReason === LOST_REASON) await this.#ask(() => queue.remove(output))
    else this.#end(errorOf(job.failedReason, output))
  }

  /** Finds what no event told of: jobs that Redis lost, outputs that came, failures. */
  async #look(): Promise<void> {
    const { connection, queue } = this.#session
    if (connection.client.status !== 'ready') {
      this.#on.waiting?.({ isConnected: false, workers: undefined, active: 0, waiting: 0 })
      return
    }
    if (this.#isLooking) return
    this.#isLooking = true
    try {
      const looked = [...this.#queued.values()]
      const pending = await this.#stillThere(looked)
      const failed = new Set(await this.#ask(() => queue.getRanges(['failed'], 0, -1)))
      for (const queued of looked) {
        const { output } = queued.job
        if (!pending.has(output)) queued.missed++
        else if (failed.has(output)) await this.#readFailure(queued)
        else queued.missed = 0
      }
      await this.#addMissed(looked.filter(({ missed }) => missed > 0))
      await this.#fill()
      await this.#tellFacts()
    } finally {
      this.#isLooking = false
    }
  }

  /** Returns the jobs that Redis has, whatever their state. */
  async #stillThere(jobs: readonly QueuedJob[]): Promise<ReadonlySet<string>> {
    const { connection, queue } = this.#session
    const outputs = jobs.map(({ job }) => job.output)
    const pipeline = connection.client.pipeline()
    for (const output of outputs) pipeline.exists(queue.toKey(output))
    const answers = (await this.#ask(() => pipeline.exec())) ?? []
    return new Set(
      outputs.filter((_, i) => {
        const [error, count] = answers[i] ?? [new Passing()]
        if (error !== null) throw new Passing()
        return count === 1
      })
    )
  }

  async #addMissed(missing: readonly QueuedJob[]): Promise<void> {
    const never = new AbortController().signal
    await inParallel(missing, { most: MOST_ASKED, signal: never }, (queued) => this.#confirm(queued, false))
    const lost = missing.filter(
      ({ job, missed, vain }) => this.#queued.has(job.output) && missed >= Math.min(2 ** (vain + 1), LONGEST_MISSED)
    )
    for (const queued of lost) queued.missed = 0
    await this.#add(lost.map(({ job }) => job))
  }

  async #tellFacts(): Promise<void> {
    if (this.#on.waiting === undefined) return
    const { queue } = this.#session
    const counts = await this.#ask(() => queue.getJobCounts('active', 'wait', 'delayed', 'prioritized'))
    const workers = await queue.getWorkersCount().catch(() => undefined)
    const { active = 0, wait = 0, delayed = 0, prioritized = 0 } = counts
    this.#on.waiting({ isConnected: true, workers, active, waiting: wait + delayed + prioritized })
  }
}
