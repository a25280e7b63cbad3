// Who searches what, and when: jobs wait in a queue; the caller's thread takes what is little, some milliseconds a turn
// of its event loop, and worker threads take the rest, chunk by chunk. Times decide who works, never what is found.

import { setImmediate } from 'node:timers'

import { nowMicros, sharedMicros } from '../clock.ts'
import { ZgqError } from '../errors.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import type { ThreadsInfo } from '../types.ts'
import type { CheckedOpenOptions } from '../search/open-context.ts'
import {
  BRIEF_MICROS,
  BRIEF_TASKS,
  CHUNK_HITS,
  CORES,
  DELAY_FADES,
  DELAY_SHARE,
  FIRST_DELAY_MICROS,
  LAST_MICROS,
  LEAST_CHUNK_MICROS,
  LONG_DELAY_MICROS,
  MEASURED_MICROS,
  MOST_MICROS_HERE,
  SMALL_INDEX_BYTES,
  TURN_MICROS,
  WORTH_SENDING_DELAYS,
  WORTH_SENDING_MICROS,
  WORTH_STARTING_MICROS
} from './pool-limits.ts'
import type { SearchRequest } from '../search/request.ts'
import { CHUNK_MICROS, unflatten, type Found } from './search-chunk.ts'
import { learnHere, learnReading, learnSharing, learnThere, SearchCosts, type SearchCost } from './search-cost.ts'
import {
  checkQueryOf,
  SearchJob,
  type JobParts,
  type QueryRange,
  type SearchTask,
  type TakenQueries
} from './search-job.ts'
import { SearchThreads, type SearchThread } from './search-threads.ts'
import { search, type SearchContext } from '../search/search.ts'
import type { SeenQueries } from '../search/seen-queries.ts'

export interface PoolSource {
  readonly snapshot: Snapshot
  readonly context: SearchContext
  readonly options: CheckedOpenOptions
  /** Worker threads at most. */
  readonly threads: number
  readonly seen: SeenQueries
}

interface Backlog {
  readonly micros: number
  /** There are queries that the caller's thread leaves to others. */
  readonly isForThreads: boolean
}

export class SearchPool {
  readonly #source: PoolSource
  readonly #costs: SearchCosts
  readonly #threads: SearchThreads
  readonly #isSmall: boolean
  /** There is so much work that threads take part in all of it. */
  #isShared = false
  /** Jobs with queries that nobody has taken; the next one first. */
  readonly #queue = new Set<SearchJob>()
  /** All jobs that are not settled. */
  readonly #jobs = new Set<SearchJob>()
  /** Microseconds that the caller's thread searched in this turn of its event loop. */
  #turnMicros = 0
  #isTurnScheduled = false
  /** Microseconds that the caller's thread searched and threads could have shared. */
  #sharedMicros = 0
  #wantedThreads = 0
  /** Counts brief tasks. */
  #tasks = 0
  /** Microseconds that threads took lately to begin a chunk. */
  #delayMicros = FIRST_DELAY_MICROS

  constructor(source: PoolSource) {
    const { snapshot, options, threads } = source
    this.#source = source
    this.#costs = new SearchCosts(snapshot)
    this.#threads = new SearchThreads({ snapshot, options, most: threads })
    this.#isSmall = snapshot.files.reduce((sum, file) => sum + file.byteLength, 0) <= SMALL_INDEX_BYTES
  }

  /** Work that is worth a message to a thread. */
  get #worthSending(): number {
    return this.#threads.areUsable ? Math.max(WORTH_SENDING_MICROS, this.#delayMicros * WORTH_SENDING_DELAYS) : Infinity
  }

  get #isDelayed(): boolean {
    return this.#delayMicros >= LONG_DELAY_MICROS
  }

  get threadsInfo(): ThreadsInfo {
    return this.#threads.info
  }

  /**
   * Searches the queries of a task: at once what is little, the rest in a promise, with a copy of the queries. Throws
   * and rejects with what `search` throws, with ZGQ_CLOSED, with ZGQ_IO for a thread that died, and with the reason of
   * its signal.
   */
  run(task: SearchTask): Found[] | Promise<Found[]> {
    const { signal, queries, request } = task
    signal?.throwIfAborted()
    const { dim, metric } = this.#source.snapshot.meta
    const cost = this.#costs.of(request)
    const count = queries.length / dim
    const parts = { cost, dim, metric, found: new Array<Found>(), seen: this.#source.seen }
    const isLarge = cost.here > MOST_MICROS_HERE || this.#isAway(cost)
    const isNow = !isLarge && this.#queue.size === 0 && cost.here * count < this.#worthSending
    const isForThreads = isLarge || (isNow && !this.#searchNow(task, parts))
    if (parts.found.length === count) return parts.found
    return new Promise((resolve, reject) => {
      const startedAt = nowMicros()
      const job = new SearchJob(task, parts, (settle) => {
        this.#queue.delete(job)
        this.#jobs.delete(job)
        if (job.isLone && job.wasShared && job.isDone && !job.isForThreads)
          learnSharing(cost, (nowMicros() - startedAt) / (count - parts.found.length))
        settle(resolve, reject)
      })
      job.isForThreads = isForThreads
      this.#add(job)
      // else soon, once for all that was called in this turn
      if (this.#turnMicros < TURN_MICROS || !this.#isTurnScheduled) this.#pump()
    })
  }

  #add(job: SearchJob): void {
    job.isLone = this.#jobs.size === 0
    for (const first of this.#jobs) {
      if (!first.isLone) break // those behind it are not, either
      first.isLone = false
    }
    if (job.isLone && job.cost.solo > 0) {
      job.cost.solo--
      job.isSolo = true
    }
    this.#jobs.add(job)
    this.#queue.add(job)
  }

  /**
   * Searches queries of a task until this turn of the event loop has had its time; returns false if the next one has to
   * read.
   */
  #searchNow(task: SearchTask, parts: JobParts & { readonly found: Found[] }): boolean {
    const { found, dim, cost } = parts
    const count = task.queries.length / dim
    this.#scheduleTurn()
    const isMeasured =
      cost.hereCount < BRIEF_TASKS || cost.here * count > BRIEF_MICROS || this.#tasks++ % BRIEF_TASKS === 0
    let before = isMeasured ? nowMicros() : 0
    while (found.length < count && this.#turnMicros < TURN_MICROS) {
      const one = this.#searchOne(checkQueryOf(task, found.length, parts), task.request)
      const now = isMeasured ? nowMicros() : cost.here
      this.#turnMicros += now - before
      if (one === undefined) {
        learnReading(cost)
        return false
      }
      found.push(one.found)
      parts.seen.note(task.request, one.isUnlike)
      if (!isMeasured) continue
      learnHere(cost, now - before, !this.#threads.areBusy)
      before = now
    }
    return true
  }

  /** Tells whether a task is not worth a try here, as those before had to read. */
  #isAway(cost: SearchCost): boolean {
    if (cost.away === 0 || !this.#threads.areUsable) return false
    cost.away--
    return true
  }

  /** Searches one query on the caller's thread; undefined if that had to read what is for threads to read. */
  #searchOne(query: Float32Array, request: SearchRequest): { found: Found; isUnlike: boolean } | undefined {
    const { hits, explain, isUnlike } = search(this.#source.context, query, request)
    return { found: explain === undefined ? hits : { hits, explain }, isUnlike }
  }

  /** Rejects all that waits with ZGQ_CLOSED, and ends the threads. */
  close(): void {
    for (const job of this.#jobs)
      job.fail(
        new ZgqError('ZGQ_CLOSED', 'the index was closed before the search was done', {
          path: this.#source.snapshot.folder
        })
      )
    this.#threads.close()
  }

  #pump(): void {
    if (this.#jobs.size === 0) return
    if (this.#threads.areUsable) this.#workThere()
    this.#workHere()
  }

  /** Adds up the work that waits, as far as it matters how much that is. */
  #backlog(): Backlog {
    const enough = WORTH_STARTING_MICROS * (this.#source.threads + 1)
    let micros = 0
    let isForThreads = false
    for (const job of this.#queue) {
      if (!job.isSolo || job.isForThreads) micros += job.untaken * (job.cost.there ?? job.cost.here)
      isForThreads ||= job.isForThreads
      if (micros > enough) break
    }
    return { micros, isForThreads }
  }

  /** Threads to be used now: one core is left to the caller's thread where that takes part. */
  get #mostThreads(): number {
    const { threads } = this.#source
    for (const job of this.#queue) if (this.#isForHere(job)) return Math.min(threads, Math.max(1, CORES - 1))
    return threads
  }

  /** Gives threads what is worth it, and starts one where there is work for more of them. */
  #workThere(): void {
    const { micros, isForThreads } = this.#backlog()
    this.#isShared = micros >= this.#worthSending
    if (!this.#isShared && micros >= WORTH_SENDING_MICROS) this.#delayMicros *= DELAY_FADES
    if (!this.#isShared && !isForThreads) return
    const isMeasured = isForThreads || this.#sharedMicros >= MEASURED_MICROS
    const deserved = isMeasured ? Math.floor((micros + this.#sharedMicros) / WORTH_STARTING_MICROS) : 0
    const most = this.#mostThreads
    this.#wantedThreads = Math.min(most, Math.max(deserved, isForThreads ? 1 : 0))
    if (this.#threads.count < this.#wantedThreads) {
      this.#threads.start(() => {
        this.#pump()
      })
      this.#scheduleTurn() // for the next of them
    }
    // One more than a thread is at, so that it need not wait for an answer from here.
    for (const chunks of [1, 2]) {
      for (
        let thread = this.#threads.free(chunks, most);
        thread !== undefined;
        thread = this.#threads.free(chunks, most)
      ) {
        if (!this.#sendChunk(thread, micros)) return
      }
    }
  }

  /** Sends the next chunk of the next job to a thread; returns false if there is none. */
  #sendChunk(thread: SearchThread, backlogMicros: number): boolean {
    for (const job of this.#queue) {
      if (!job.isForThreads && (job.isSolo || !this.#isShared)) continue
      const micros = job.cost.there ?? job.cost.here
      // Little until it is known how fast threads are; smaller chunks towards the end, so that all finish at the same
      // time.
      const least = Math.min(CHUNK_MICROS, Math.max(LEAST_CHUNK_MICROS, this.#delayMicros))
      const share =
        job.cost.there === undefined
          ? least
          : Math.max(least, Math.min(CHUNK_MICROS, backlogMicros / (2 * (this.#threads.readyCount + 1))))
      const most = Math.min(Math.floor(share / micros), Math.floor(CHUNK_HITS / Math.max(1, job.request.k)))
      if (thread.thread.pending > 0 && micros > CHUNK_MICROS) continue // another thread may be free sooner
      const taken = this.#take(job, Math.max(1, most))
      if (taken === undefined) continue
      void this.#searchThere(thread, job, taken)
      return true
    }
    return false
  }

  async #searchThere(thread: SearchThread, job: SearchJob, taken: TakenQueries): Promise<void> {
    job.sent(taken)
    try {
      const queries = taken.queries.slice()
      const isFree = thread.thread.pending === 0
      const sentAt = sharedMicros()
      const flat = await thread.thread.call({ request: job.request, queries }, { transfer: [queries.buffer] })
      job.answered(taken)
      const done = flat.counts.length
      if (isFree) this.#delayMicros += (flat.startedAt - sentAt - this.#delayMicros) * DELAY_SHARE
      learnThere(job.cost, flat.micros / done, done)
      if (taken.from + done < taken.to) this.#giveBack(job, { from: taken.from + done, to: taken.to })
      this.#pump()
      if (!job.isSettled) job.put(taken.from, await unflatten(flat), flat.unlike)
    } catch (error) {
      job.fail(error)
      this.#pump()
    }
  }

  /** Searches on the caller's thread for as long as a turn of its event loop may take. */
  #workHere(): void {
    while (this.#turnMicros < TURN_MICROS) {
      const job = this.#nextHere()
      if (job === undefined) return
      this.#scheduleTurn()
      const taken = this.#take(job, 1)
      if (taken !== undefined) this.#searchHere(job, taken)
    }
  }

  /** The next job for the caller's thread. */
  #nextHere(): SearchJob | undefined {
    for (const job of this.#queue) if (this.#isForHere(job)) return job
    if (!this.#isDelayed) return undefined
    // Threads hold what is left, and their cores have other things to do: repeating the last of it is sooner.
    for (const job of this.#jobs) if (this.#isForHere(job) && job.isRepeatable) return job
    return undefined
  }

  /**
   * The caller's thread has better things to do than long jobs, where there are threads that begin soon: it takes part
   * at their beginning and at their end.
   */
  #isForHere(job: SearchJob): boolean {
    const { areUsable, readyCount } = this.#threads
    if (!areUsable || (job.isSolo && !job.isForThreads)) return true
    const isManned = this.#isShared && readyCount > 0 && readyCount >= this.#wantedThreads && !this.#isDelayed
    return (
      !job.isForThreads && !(isManned && job.microsHere >= TURN_MICROS && job.untaken * job.cost.here > LAST_MICROS)
    )
  }

  #searchHere(job: SearchJob, taken: TakenQueries): void {
    const before = nowMicros()
    try {
      const found = this.#searchOne(taken.queries, job.request)
      const micros = nowMicros() - before
      this.#turnMicros += micros
      job.microsHere += micros
      if (this.#isShared) this.#sharedMicros += micros
      if (found === undefined) {
        this.#leave(job, taken)
        return
      }
      learnHere(job.cost, micros, !this.#threads.areBusy)
      if (job.cost.here > MOST_MICROS_HERE) job.isForThreads = true
      job.put(taken.from, [found.found], [found.isUnlike ? 1 : 0])
    } catch (error) {
      job.fail(error)
    }
  }

  /** Leaves a job whose next query has to read to threads. */
  #leave(job: SearchJob, taken: QueryRange): void {
    job.isForThreads = true
    learnReading(job.cost)
    this.#giveBack(job, taken)
    this.#scheduleTurn()
  }

  /**
   * Takes the next queries of a job, whose turn then comes after all others'; undefined if one of them is refused,
   * which the job fails with.
   */
  #take(job: SearchJob, most: number): TakenQueries | undefined {
    if (job.untaken === 0) return job.repeat()
    this.#queue.delete(job)
    try {
      const taken = job.take(most)
      if (job.untaken > 0) this.#queue.add(job)
      return taken
    } catch (error) {
      job.fail(error)
      return undefined
    }
  }

  #giveBack(job: SearchJob, range: QueryRange): void {
    job.giveBack(range)
    if (job.untaken > 0) this.#queue.add(job)
  }

  /** In the next turn of the event loop there is time for searches again. */
  #scheduleTurn(): void {
    if (this.#isTurnScheduled) return
    this.#isTurnScheduled = true
    setImmediate(() => {
      this.#isTurnScheduled = false
      this.#turnMicros = 0
      this.#pump()
    })
  }
}
