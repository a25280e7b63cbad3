// One call of searchAsync or searchBatch: its queries, who took which of them, what was found, and its promise.

import { ZgqError } from '../errors.ts'
import type { Metric } from '../types.ts'
import { checkQuery, type SearchRequest } from './request.ts'
import type { Found } from './search-chunk.ts'
import type { SearchCost } from './search-cost.ts'

/** What is searched. */
export interface SearchTask {
  /** Not checked yet. float32, n * dim */
  readonly queries: Float32Array
  readonly request: SearchRequest
  /** Tells whether errors name the number of the query. */
  readonly isBatch: boolean
  readonly signal: AbortSignal | undefined
}

/** Some queries of a job: from (included) to (excluded). */
export interface QueryRange {
  readonly from: number
  readonly to: number
}

/** Called once, at the end of a job, with what is to be done with its promise. */
type OnSettled = (settle: (resolve: (found: Found[]) => void, reject: (reason: unknown) => void) => void) => void

/** What a job is made of. */
export interface JobParts {
  /** Shared with all jobs of the same kind. */
  readonly cost: SearchCost
  readonly dim: number
  readonly metric: Metric
  /** What the first queries found: they were searched before it came to be a job. */
  readonly found: readonly Found[]
}

export class SearchJob {
  readonly request: SearchRequest
  readonly cost: SearchCost
  /** Not, or not any more, for the caller's thread. */
  isForThreads = false
  /** What the caller's thread spent on it. */
  microsHere = 0
  readonly #task: SearchTask
  readonly #parts: JobParts
  /** A copy: callers may change theirs. */
  readonly #queries: Float32Array
  readonly #found: Found[]
  /** Queries that nobody has taken; the next ones last. */
  readonly #ranges: QueryRange[]
  #untaken: number
  #missing: number
  #onSettled: OnSettled | undefined
  readonly #onAbort = (): void => { this.fail(this.#task.signal?.reason) }

  constructor(task: SearchTask, parts: JobParts, onSettled: OnSettled) {
    const { length } = parts.found
    const count = task.queries.length / parts.dim
    this.request = task.request
    this.cost = parts.cost
    this.#task = task
    this.#parts = parts
    this.#queries = task.queries.slice()
    this.#found = [...parts.found]
    this.#ranges = [{ from: length, to: count }]
    this.#untaken = count - length
    this.#missing = count - length
    this.#onSettled = onSettled
    task.signal?.addEventListener('abort', this.#onAbort)
  }

  /** Queries that nobody has taken. */
  get untaken(): number {
    return this.#untaken
  }

  /** Resolved, rejected or aborted: what is still found is not looked at. */
  get isSettled(): boolean {
    return this.#onSettled === undefined
  }

  /** Takes the next queries, `most` at most; there must be one. Throws ZGQ_NON_FINITE or ZGQ_ZERO_VECTOR for one that cannot be searched. */
  take(most: number): QueryRange & { readonly queries: Float32Array } {
    const { dim } = this.#parts
    const range = this.#ranges.pop() ?? { from: 0, to: 0 }
    const taken = { from: range.from, to: Math.min(range.to, range.from + most) }
    if (taken.to < range.to) this.#ranges.push({ from: taken.to, to: range.to })
    this.#untaken -= taken.to - taken.from
    const own = { queries: this.#queries, isBatch: this.#task.isBatch }
    for (let query = taken.from; query < taken.to; query++) checkQueryOf(own, query, this.#parts)
    return { ...taken, queries: this.#queries.subarray(taken.from * dim, taken.to * dim) }
  }

  /** Takes back queries that were taken and not searched. */
  giveBack(range: QueryRange): void {
    this.#ranges.push(range)
    this.#untaken += range.to - range.from
  }

  /** Notes what queries found, from number `from` on. */
  put(from: number, found: readonly Found[]): void {
    if (this.isSettled) return
    for (const [i, each] of found.entries()) this.#found[from + i] = each
    this.#missing -= found.length
    if (this.#missing === 0) this.#settle((resolve) => { resolve(this.#found) })
  }

  /** Rejects, unless the job is settled. */
  fail(reason: unknown): void {
    this.#settle((_, reject) => { reject(reason) })
  }

  #settle(settle: Parameters<OnSettled>[0]): void {
    const onSettled = this.#onSettled
    if (onSettled === undefined) return
    this.#onSettled = undefined
    this.#ranges.length = 0
    this.#untaken = 0
    this.#task.signal?.removeEventListener('abort', this.#onAbort)
    onSettled(settle)
  }
}

/** Returns a query of a task; throws ZGQ_NON_FINITE or ZGQ_ZERO_VECTOR, and where there are many names its number. */
export function checkQueryOf(task: Pick<SearchTask, 'queries' | 'isBatch'>, query: number, index: Pick<JobParts, 'dim' | 'metric'>): Float32Array {
  const { dim, metric } = index
  try {
    return checkQuery(task.queries.subarray(query * dim, (query + 1) * dim), dim, metric)
  } catch (error) {
    throw task.isBatch && error instanceof ZgqError ? new ZgqError(error.code, `query ${query} of the batch: ${error.message}`) : error
  }
}
