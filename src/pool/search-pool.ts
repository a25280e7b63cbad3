// Who searches what, and when: jobs wait in a queue. The caller's thread takes queries in its turns, some milliseconds
// in each turn of its event loop; where there is much to do, worker threads take their share, chunk by chunk. Times
// decide who works, never what is found.

import { ZgqError } from '../errors.ts'
import type { ThreadsInfo } from '../info-types.ts'
import type { OpenIndex } from '../search/open-index.ts'
import { Fetcher } from '../search/fetcher.ts'
import type { SearchContext, SearchResult } from '../search/search-context.ts'
import { isSoonerTogether } from '../search/search-together.ts'
import { search } from '../search/search.ts'
import { searchLater, type LaterContext } from '../search/search-later.ts'
import type { SeenQueries } from '../search/seen-queries.ts'
import { openAsyncReader } from '../storage/open-async-reader.ts'
import {
  CHUNK_HITS,
  FEW_WAITING,
  LEAST_CHUNK_MICROS,
  LONG_MICROS,
  MANY_HITS,
  MOST_HERE,
  MOST_CHUNK_MICROS,
  MOST_TOGETHER,
  MOST_WAITING,
  SMALL_INDEX_BYTES,
  TOGETHER_SHARE,
  WORTH_SENDING_MICROS,
  WORTH_STARTING_MICROS
} from './pool-limits.ts'
import { unflatten, type Found } from './search-chunk.ts'
import type { LiveRows } from '../live/live-rows.ts'
import { learn, SearchCosts, type SearchCost } from './search-cost.ts'
import type { SearchRequest } from '../search/request.ts'
import {
  checkQueryOf,
  SearchJob,
  type JobParts,
  type QueryRange,
  type SearchTask,
  type TakenQueries
} from './search-job.ts'
import { SearchThreads, type SearchThread } from './search-threads.ts'
import { ThreadTurns, TURN_MICROS } from './turns.ts'

export interface PoolSource {
  readonly index: OpenIndex
  /** Worker threads at most. */
  readonly threads: number
  readonly seen: SeenQueries
}

export class SearchPool {
  /** Of the generation that it searches. */
  readonly context: SearchContext
  readonly #index: OpenIndex
  readonly #seen: SeenQueries
  /** The last change of the index that its threads know. */
  readonly #commit: number
  readonly #costs: SearchCosts
  readonly #threads: SearchThreads
  readonly #turns: ThreadTurns
  readonly #later: LaterContext
  /** What reads for searches on the caller's thread. */
  readonly fetcher: Fetcher
  readonly #isSmall: boolean
  #isClosed = false
  /** Jobs with queries that nobody has taken; the next one first. */
  readonly #queue = new Set<SearchJob>()
  /** All jobs that are not settled. */
  readonly #jobs = new Set<SearchJob>()
  /** Searches on the caller's thread that wait for bytes or for their next turn. */
  #waiting = 0

  constructor(source: PoolSource) {
    const { index, threads, seen } = source
    const { snapshot, options, readers } = index
    this.context = index.context
    this.#index = index
    this.#seen = seen
    this.#commit = index.context.documents.live.commit
    this.#costs = new SearchCosts(snapshot)
    const { usesOrdinals } = index.context.documents
    this.#threads = new SearchThreads({ snapshot, options: { ...options, usesOrdinals }, most: threads })
    this.#turns = new ThreadTurns(() => {
      this.#pump()
    })
    this.#isSmall = snapshot.files.reduce((sum, file) => sum + file.byteLength, 0) <= SMALL_INDEX_BYTES
    this.fetcher = new Fetcher(openAsyncReader(readers))
    this.#later = { index: this, turns: this.#turns, fetcher: this.fetcher }
  }

  /** It searches another generation than the index has now; or its threads do, and nothing is under way. */
  get isOutdated(): boolean {
    if (this.context !== this.#index.context) return true
    if (this.#jobs.size > 0 || this.#waiting > 0) return false
    return this.#live.commit !== this.#commit && this.#live.isUnchanged
  }

  get #live(): LiveRows {
    return this.context.documents.live
  }

  /** Searches that stay on the caller's thread, which has the masks of filters, and rows that changed, in memory. */
  #staysHere({ filter }: SearchRequest): boolean {
    return filter !== undefined || this.#live.commit !== this.#commit || !this.#live.isUnchanged
  }

  get threadsInfo(): ThreadsInfo {
    return this.#threads.info
  }

  /**
   * Searches the queries of a task: at once what is little, the rest in a promise. Throws and rejects with what
   * `search` throws, with ZGQ_CLOSED, with ZGQ_IO for a thread that died, and with the reason of its signal.
   */
  run(task: SearchTask): Found[] | Promise<Found[]> {
    task.signal?.throwIfAborted()
    if (this.#isClosed) throw this.#closed('the index was closed')
    const { dim, metric } = this.#index.snapshot.meta
    const count = task.queries.length / dim
    const parts = {
      cost: this.#costs.of(task.request),
      dim,
      metric,
      found: new Array<Found>(),
      seen: this.#seen
    }
    const isNow =
      this.#queue.size === 0 &&
      this.#waiting < MOST_WAITING &&
      !this.#isForThreads(task.request) &&
      (this.#staysHere(task.request) || !this.#isBetterThere(parts.cost))
    const pending = isNow ? this.#searchNow(task, parts) : undefined
    if (parts.found.length === count) return parts.found
    return new Promise((resolve, reject) => {
      const job = new SearchJob(task, parts, {
        resolve: (found) => {
          this.#forget(job)
          resolve(found)
        },
        reject: (reason) => {
          this.#forget(job)
          reject(reason)
        }
      })
      this.#jobs.add(job)
      this.#queue.add(job)
      if (pending !== undefined) {
        const taken = this.#take(job, 1)
        if (taken !== undefined) this.#await(job, taken.from, pending)
      }
      this.#pump()
    })
  }

  #forget(job: SearchJob): void {
    this.#queue.delete(job)
    this.#jobs.delete(job)
  }

  /**
   * Searches queries of a task until this turn of the event loop has had its time; returns the promise of the first
   * that has to wait.
   */
  #searchNow(task: SearchTask, parts: JobParts & { readonly found: Found[] }): Promise<SearchResult> | undefined {
    const { found, dim } = parts
    const count = task.queries.length / dim
    while (found.length < count && this.#turns.hasTime) {
      const result = this.#searchOne(checkQueryOf(task, found.length, parts), task)
      if (result instanceof Promise) return result
      if (task.isRepeat !== true) parts.seen.note(task.request, result.isUnlike)
      learn(parts.cost, result.micros)
      found.push(foundOf(result))
    }
    return undefined
  }

  #searchOne(query: Float32Array, { request, signal }: SearchTask | SearchJob): SearchResult | Promise<SearchResult> {
    if (this.#isSmall) return this.#turns.measure(() => search(this.context, query, request))
    return searchLater(this.#later, { query, request, signal })
  }

  /** Making objects of so many hits would hold up this thread. */
  #isForThreads(request: SearchRequest): boolean {
    return request.k > MANY_HITS && !this.#staysHere(request) && this.#threads.areUsable
  }

  /** A thread is likely to be done sooner than this one in its slices. */
  #isBetterThere({ micros }: SearchCost): boolean {
    return micros > LONG_MICROS && this.#threads.readyCount > 0
  }

  /** Rejects all that waits with ZGQ_CLOSED, and ends the threads. */
  close(): void {
    this.#isClosed = true
    for (const job of this.#jobs) job.fail(this.#closed('the index was closed before the search was done'))
    this.#turns.close()
    this.fetcher.close()
    this.#threads.close()
  }

  #closed(what: string): ZgqError {
    return new ZgqError('ZGQ_CLOSED', what, { path: this.#index.snapshot.folder })
  }

  #pump(): void {
    if (this.#jobs.size === 0 || this.#isClosed) return
    if (this.#threads.areUsable) this.#workThere()
    this.#workHere()
  }

  /** Gives threads what is worth it, and starts one where there is work for more of them. */
  #workThere(): void {
    const { most } = this.#threads
    const micros = this.#backlog((most + 1) * WORTH_STARTING_MICROS)
    const isForThreads = this.#hasManyHits()
    const deserved = Math.max(isForThreads ? 1 : 0, Math.floor(micros / WORTH_STARTING_MICROS))
    if (this.#threads.count < Math.min(most, deserved))
      this.#threads.start(() => {
        this.#pump()
      })
    if (micros < WORTH_SENDING_MICROS && !isForThreads) return
    // Smaller towards the end, so that all finish at the same time.
    const share = micros / (4 * (this.#threads.readyCount + 1))
    const chunkMicros = Math.max(LEAST_CHUNK_MICROS, Math.min(MOST_CHUNK_MICROS, share))
    // One more than a thread is at, so that it need not wait for an answer from here.
    for (const chunks of [1, 2]) {
      for (let thread = this.#threads.free(chunks); thread !== undefined; thread = this.#threads.free(chunks)) {
        if (!this.#sendChunk(thread, chunkMicros)) return
      }
    }
  }

  #hasManyHits(): boolean {
    for (const { request } of this.#queue) if (request.k > MANY_HITS && !this.#staysHere(request)) return true
    return false
  }

  /** Adds up the work that waits, up to `enough`. */
  #backlog(enough: number): number {
    let micros = 0
    for (const job of this.#queue) {
      if (this.#staysHere(job.request)) continue
      micros += job.untaken * job.cost.micros
      if (micros > enough) break
    }
    return micros
  }

  /** Sends the next queries of the next job to a thread; returns false if there are none. */
  #sendChunk(thread: SearchThread, chunkMicros: number): boolean {
    for (const job of this.#queue) {
      if (this.#staysHere(job.request)) continue
      const { micros } = job.cost
      if (thread.thread.pending > 0 && micros > MOST_CHUNK_MICROS) continue // another thread may be free sooner
      const few = Math.max(1, Math.floor(chunkMicros / micros))
      const most = Math.max(1, Math.floor(CHUNK_HITS / Math.max(1, job.request.k)))
      const taken = this.#take(job, Math.min(most, this.#togetherOf(job) ?? few))
      if (taken === undefined) continue
      void this.#searchThere(thread, job, taken)
      return true
    }
    return false
  }

  /** How many queries of a job a thread is to search together; undefined where that is no sooner than one by one. */
  #togetherOf({ untaken, request }: SearchJob): number | undefined {
    const share = Math.min(Math.ceil(untaken * TOGETHER_SHARE), MOST_TOGETHER)
    return !request.explain && isSoonerTogether(this.context, share) ? share : undefined
  }

  async #searchThere(thread: SearchThread, job: SearchJob, taken: TakenQueries): Promise<void> {
    job.sent(taken)
    try {
      const queries = taken.queries.slice()
      const flat = await thread.thread.call({ request: job.request, queries }, { transfer: [queries.buffer] })
      job.answered(taken)
      const done = flat.counts.length
      learn(job.cost, flat.micros / done)
      if (taken.from + done < taken.to) {
        this.#giveBack(job, { from: taken.from + done, to: taken.to })
      }
      this.#pump()
      if (!job.isSettled) job.put(taken.from, await unflatten(flat), flat.unlike)
    } catch (error) {
      job.fail(error)
      this.#pump()
    }
  }

  /** Searches on the caller's thread for as long as a turn of its event loop may take. */
  #workHere(): void {
    while (this.#turns.hasTime && this.#waiting < MOST_WAITING) {
      const next = this.#nextHere()
      if (next === undefined) return
      this.#searchHere(next.job, next.taken)
    }
    if (this.#queue.size > 0) this.#turns.schedule()
  }

  /** Searches queries that were taken until one has to wait or the turn is over, and gives the others back. */
  #searchHere(job: SearchJob, taken: TakenQueries): void {
    const found: Found[] = []
    const unlike: number[] = []
    let query = taken.from
    try {
      for (let isWaiting = false; query < taken.to && !isWaiting && this.#turns.hasTime; query++) {
        const result = this.#searchOne(job.queryAt(query), job)
        isWaiting = result instanceof Promise
        if (result instanceof Promise) {
          this.#await(job, query, result)
        } else {
          learn(job.cost, result.micros)
          found.push(foundOf(result))
          unlike.push(result.isUnlike ? 1 : 0)
        }
      }
    } catch (error) {
      job.fail(error)
      return
    }
    job.put(taken.from, found, unlike)
    if (query < taken.to) this.#giveBack(job, { from: query, to: taken.to })
  }

  /** The next queries for the caller's thread. */
  #nextHere(): { job: SearchJob; taken: TakenQueries } | undefined {
    for (const job of this.#queue) {
      if (this.#isForThreads(job.request) || job.waiting >= this.#mostWaiting(job)) continue
      const taken = this.#take(job, Math.min(MOST_HERE, Math.max(1, Math.floor(TURN_MICROS / job.cost.micros))))
      if (taken !== undefined) return { job, taken }
    }
    // Threads hold what is left, and their cores may have other things to do: repeating the last of it may be sooner,
    // where that takes no reads.
    if (this.#waiting > 0) return undefined
    for (const job of this.#jobs) {
      if (this.#isForThreads(job.request) || job.cost.micros > LONG_MICROS) continue
      const taken = job.repeat()
      if (taken !== undefined) return { job, taken }
    }
    return undefined
  }

  /** How many searches of a job may wait. Threads read with less work than this one. */
  #mostWaiting({ untaken }: SearchJob): number {
    if (untaken < MOST_HERE || !this.#threads.areUsable) return MOST_WAITING
    return this.#threads.readyCount > 0 ? 1 : FEW_WAITING
  }

  /** Waits for the search of a query on the caller's thread. */
  #await(job: SearchJob, query: number, pending: Promise<SearchResult>): void {
    this.#waiting++
    job.waiting++
    pending
      .then(
        (result) => {
          learn(job.cost, result.micros)
          job.put(query, [foundOf(result)], [result.isUnlike ? 1 : 0])
        },
        (error: unknown) => {
          job.fail(error)
        }
      )
      .finally(() => {
        this.#waiting--
        job.waiting--
        this.#pump()
      })
  }

  #giveBack(job: SearchJob, range: QueryRange): void {
    job.giveBack(range)
    if (job.untaken > 0) this.#queue.add(job)
  }

  /**
   * Takes the next queries of a job, whose turn then comes after all others'; undefined if one of them is refused,
   * which the job fails with.
   */
  #take(job: SearchJob, most: number): TakenQueries | undefined {
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
}

function foundOf({ hits, explain }: SearchResult): Found {
  return explain === undefined ? hits : { hits, explain }
}
