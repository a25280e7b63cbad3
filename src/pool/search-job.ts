// One call of searchAsync or searchBatch: its queries, who took which of them, what was found, and its promise.

import { onAbort } from '../abort.ts'
import { ZgqError } from '../errors.ts'
import type { Metric } from '../types.ts'
import { checkQuery, type SearchRequest } from '../search/request.ts'
import type { Found } from './search-chunk.ts'
import type { SearchCost } from './search-cost.ts'
import type { SeenQueries } from '../search/seen-queries.ts'

export interface SearchTask {
  /** Not checked yet; nobody changes them. float32, n * dim */
  readonly queries: Float32Array
  readonly request: SearchRequest
  /** Tells whether errors name the number of the query. */
  readonly isBatch: boolean
  readonly signal: AbortSignal | undefined
  /** The same queries were counted before. */
  readonly isRepeat?: boolean
}

/** Some queries of a job: from (included) to (excluded). */
export interface QueryRange {
  readonly from: number
  readonly to: number
}

/** Queries that somebody took, to be searched. */
export interface TakenQueries extends QueryRange {
  /** float32, (to - from) * dim */
  readonly queries: Float32Array
}

/** What becomes of a job: one of them is called, once. */
export interface JobEnd {
  resolve(found: Found[]): void
  reject(reason: unknown): void
}

export interface JobParts {
  /** Shared with all jobs of the same kind. */
  readonly cost: SearchCost
  readonly dim: number
  readonly metric: Metric
  /** Hits of the first queries, which were searched before there was a job. */
  readonly found: readonly Found[]
  /** Counts queries whose hits count, each once. */
  readonly seen: SeenQueries
}

export class SearchJob {
  readonly request: SearchRequest
  readonly signal: AbortSignal | undefined
  readonly cost: SearchCost
  /** Its searches on the caller's thread that wait. */
  waiting = 0
  readonly #task: SearchTask
  readonly #parts: JobParts
  readonly #queries: Float32Array
  /** One place a query, filled once. */
  readonly #found: (Found | undefined)[]
  /** Queries that nobody has taken; the next ones last. */
  readonly #ranges: QueryRange[]
  /** Ranges that threads are searching, less those repeated here; the latest last. */
  readonly #sent: { readonly of: QueryRange; to: number }[] = []
  #untaken: number
  #missing: number
  /** Undefined once it was called. */
  #end: JobEnd | undefined
  readonly #endWait: () => void

  constructor(task: SearchTask, parts: JobParts, end: JobEnd) {
    const { length } = parts.found
    const count = task.queries.length / parts.dim
    this.request = task.request
    this.signal = task.signal
    this.cost = parts.cost
    this.#task = task
    this.#parts = parts
    this.#queries = task.queries
    this.#found = [...parts.found]
    this.#ranges = [{ from: length, to: count }]
    this.#untaken = count - length
    this.#missing = count - length
    this.#end = end
    this.#endWait = onAbort(task.signal, () => {
      this.fail(task.signal?.reason)
    })
  }

  /** Queries that nobody has taken. */
  get untaken(): number {
    return this.#untaken
  }

  /** Resolved, rejected or aborted: what is still found is not looked at. */
  get isSettled(): boolean {
    return this.#end === undefined
  }

  /**
   * Takes the next queries, `most` at most; there must be one. Throws ZGQ_NON_FINITE or ZGQ_ZERO_VECTOR for one that
   * cannot be searched.
   */
  take(most: number): TakenQueries {
    const range = this.#ranges.pop() ?? { from: 0, to: 0 }
    const taken = { from: range.from, to: Math.min(range.to, range.from + most) }
    if (taken.to < range.to) this.#ranges.push({ from: taken.to, to: range.to })
    this.#untaken -= taken.to - taken.from
    const own = { queries: this.#queries, isBatch: this.#task.isBatch }
    for (let query = taken.from; query < taken.to; query++) checkQueryOf(own, query, this.#parts)
    return this.#queriesOf(taken)
  }

  /** Notes that queries which were taken are with a thread now. */
  sent(range: QueryRange): void {
    this.#sent.push({ of: range, to: range.to })
  }

  /** Notes that a thread has answered. */
  answered(range: QueryRange): void {
    this.#sent.splice(
      this.#sent.findIndex(({ of }) => of === range),
      1
    )
  }

  /**
   * Returns a query that a thread has in hand and will come to last, for somebody who has nothing else to do; undefined
   * if there is none.
   */
  repeat(): TakenQueries | undefined {
    for (let i = this.#sent.length - 1; i >= 0; i--) {
      const sent = this.#sent[i]
      if (sent.to > sent.of.from) return this.#queriesOf({ from: --sent.to, to: sent.to + 1 })
    }
    return undefined
  }

  /** Takes back queries that were taken and not searched. */
  giveBack(range: QueryRange): void {
    if (this.isSettled) return
    this.#ranges.push(range)
    this.#untaken += range.to - range.from
  }

  /**
   * Notes what queries found, from number `from` on, and which of them were unlike; what was found twice is the same.
   */
  put(from: number, found: readonly Found[], unlike: ArrayLike<number>): void {
    if (this.isSettled) return
    for (const [i, each] of found.entries()) {
      if (this.#found[from + i] !== undefined) continue
      this.#found[from + i] = each
      if (this.#task.isRepeat !== true) this.#parts.seen.note(this.request, unlike[i] === 1)
      this.#missing--
    }
    if (this.#missing === 0) this.#settle()?.resolve(this.#found.filter((each) => each !== undefined))
  }

  /** Rejects, unless the job is settled. */
  fail(reason: unknown): void {
    this.#settle()?.reject(reason)
  }

  /** float32, dim */
  queryAt(query: number): Float32Array {
    const { dim } = this.#parts
    return this.#queries.subarray(query * dim, (query + 1) * dim)
  }

  #queriesOf({ from, to }: QueryRange): TakenQueries {
    const { dim } = this.#parts
    return { from, to, queries: this.#queries.subarray(from * dim, to * dim) }
  }

  #settle(): JobEnd | undefined {
    const end = this.#end
    if (end === undefined) return undefined
    this.#end = undefined
    this.#ranges.length = 0
    this.#untaken = 0
    this.#endWait()
    return end
  }
}

/** Returns a query of a task; throws ZGQ_NON_FINITE or ZGQ_ZERO_VECTOR, and where there are many names its number. */
export function checkQueryOf(
  task: Pick<SearchTask, 'queries' | 'isBatch'>,
  query: number,
  index: Pick<JobParts, 'dim' | 'metric'>
): Float32Array {
  const { dim, metric } = index
  try {
    return checkQuery(task.queries.subarray(query * dim, (query + 1) * dim), dim, metric)
  } catch (error) {
    throw task.isBatch && error instanceof ZgqError
      ? new ZgqError(error.code, `query ${query} of the batch: ${error.message}`)
      : error
  }
}
