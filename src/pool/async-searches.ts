// Searches of an open index that leave the event loop free: what is checked before them, and the pool that runs them.

import { ZgqError } from '../errors.ts'
import type { ThreadsInfo } from '../info-types.ts'
import { isPlain, type DocumentSearch, type FoundDocuments } from '../search/document-search.ts'
import { checkWants } from '../search/hit-wants.ts'
import { isIdQuery, notFound } from '../search/id-query.ts'
import { expectId } from '../search/lookup.ts'
import type { OpenIndex } from '../search/open-index.ts'
import { checkAsyncRequest, checkQueries, checkQuery } from '../search/request.ts'
import type { SeenQueries } from '../search/seen-queries.ts'
import type { AsyncSearchOptions, Id, IdQuery, QueryVector } from '../types.ts'
import { readVectorLater, searchDocumentsLater } from './later-documents.ts'
import { SearchPool } from './search-pool.ts'

/** What such searches are of. */
export interface AsyncSource {
  readonly index: OpenIndex
  readonly seen: SeenQueries
  /** Worker threads at most. */
  readonly threads: number
}

/** A pool, and how many calls are under way that hold it. */
interface HeldPool {
  readonly pool: SearchPool
  calls: number
}

/** Work with a pool for a search that was checked. */
type PoolWork<Result> = (pool: SearchPool, of: CheckedSearch) => Promise<Result>

interface CheckedSearch extends DocumentSearch {
  readonly signal: AbortSignal | undefined
}

export class AsyncSearches {
  readonly #source: AsyncSource
  #lazyPool: HeldPool | undefined
  /** Of generations before, with calls that are under way. */
  readonly #poolsBefore = new Set<HeldPool>()
  #isClosed = false

  constructor(source: AsyncSource) {
    this.#source = source
  }

  get threadsInfo(): ThreadsInfo {
    return this.#current().pool.threadsInfo
  }

  /** Searches many queries; rejects as `ZgqIndex.searchBatch` does. */
  async batch(queries: Float32Array | Float64Array, options: AsyncSearchOptions): Promise<FoundDocuments[]> {
    const first = this.#check(options)
    const own = checkQueries(queries, this.#source.index.snapshot.meta.dim).slice()
    return await this.#repeating({ first, options }, (pool, of) => this.#run(pool, own, { ...of, isBatch: true }))
  }

  /** Searches one query; rejects as `ZgqIndex.searchAsync` does. */
  async one(query: QueryVector | IdQuery<Id>, options: AsyncSearchOptions): Promise<FoundDocuments> {
    const { index } = this.#source
    const { dim, metric } = index.snapshot.meta
    const first = this.#check(options)
    if (!isIdQuery(query)) {
      const own = checkQuery(query, dim, metric).slice()
      const [found] = await this.#repeating({ first, options }, (pool, of) =>
        this.#run(pool, own, { ...of, isBatch: false })
      )
      return found
    }
    const { id } = query
    expectId(id, index.context.documents)
    return await this.#repeating({ first, options }, async (pool, of) => {
      const row = await readVectorLater(pool, id, of.signal)
      if (row === undefined) throw notFound(id)
      const [found] = await this.#run(pool, row.vector, { ...of, leftOut: id, isBatch: false })
      return found
    })
  }

  /** Where work misses a file that a fold has given up since, it is done once more on what there is by then. */
  async #repeating<Result>(
    asked: { readonly first: CheckedSearch; readonly options: AsyncSearchOptions },
    work: PoolWork<Result>
  ): Promise<Result> {
    const { index } = this.#source
    const { commit } = index
    try {
      return await this.#holding(asked.first, work)
    } catch (error) {
      if (this.#isClosed || !index.hasMovedOn(error, commit)) throw error
      return await this.#holding(this.#check(asked.options), work)
    }
  }

  /** Works with a pool on the generation that there is now, which the search was checked for. */
  async #holding<Result>(of: CheckedSearch, work: PoolWork<Result>): Promise<Result> {
    const held = this.#current()
    const lease = held.pool.context.states.lease()
    held.calls++
    try {
      return await work(held.pool, of)
    } finally {
      held.calls--
      lease.end()
      if (held.calls === 0 && this.#poolsBefore.delete(held)) held.pool.close()
    }
  }

  #check(options: AsyncSearchOptions): CheckedSearch {
    const { context, requested } = this.#source.index
    const request = checkAsyncRequest(options, requested)
    const wants = checkWants(options, context.documents.filters)
    return { request, wants, leftOut: undefined, signal: options.signal }
  }

  async #run(
    pool: SearchPool,
    queries: Float32Array,
    of: CheckedSearch & { readonly isBatch: boolean }
  ): Promise<FoundDocuments[]> {
    this.#expectOpen()
    const { context, fetcher } = pool
    const { request, signal, isBatch } = of
    if (isPlain(context, of)) return await pool.run({ queries, request, isBatch, signal })
    const found = await searchDocumentsLater({ context, pool, fetcher }, { queries, isBatch, signal }, of)
    this.#expectOpen()
    return found
  }

  /** The pool, made at the first call that needs it. Its threads know the index as it was then. */
  #current(): HeldPool {
    const before = this.#lazyPool
    if (
      before?.pool.isOutdated === true &&
      (before.calls === 0 || before.pool.context !== this.#source.index.context)
    ) {
      if (before.calls === 0) before.pool.close()
      else this.#poolsBefore.add(before)
      this.#lazyPool = undefined
    }
    this.#lazyPool ??= { pool: new SearchPool(this.#source), calls: 0 }
    return this.#lazyPool
  }

  #expectOpen(): void {
    if (!this.#isClosed) return
    throw new ZgqError('ZGQ_CLOSED', 'the index was closed', { path: this.#source.index.snapshot.folder })
  }

  /** Searches that are not done reject with ZGQ_CLOSED; worker threads end as soon as they are through. */
  close(): void {
    this.#isClosed = true
    this.#lazyPool?.pool.close()
    for (const { pool } of this.#poolsBefore) pool.close()
  }
}
