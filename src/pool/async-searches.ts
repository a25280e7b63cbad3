// Searches of an open index that leave the event loop free: what is checked before them, and the pool that runs them.

import { ZgqError } from '../errors.ts'
import type { ThreadsInfo } from '../info-types.ts'
import { isPlain, type DocumentSearch, type FoundDocuments } from '../search/document-search.ts'
import { checkWants } from '../search/hit-wants.ts'
import { isIdQuery, notFound } from '../search/id-query.ts'
import { heapIdOf } from '../search/index-rows.ts'
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

interface CheckedSearch extends DocumentSearch {
  readonly signal: AbortSignal | undefined
}

export class AsyncSearches {
  readonly #source: AsyncSource
  #lazyPool: SearchPool | undefined
  #isClosed = false

  constructor(source: AsyncSource) {
    this.#source = source
  }

  get threadsInfo(): ThreadsInfo {
    return this.#pool().threadsInfo
  }

  /** Searches many queries; rejects as `ZgqIndex.searchBatch` does. */
  async batch(queries: Float32Array | Float64Array, options: AsyncSearchOptions): Promise<FoundDocuments[]> {
    const of = this.#check(options)
    return await this.#run(checkQueries(queries, this.#source.index.snapshot.meta.dim), { ...of, isBatch: true })
  }

  /** Searches one query; rejects as `ZgqIndex.searchAsync` does. */
  async one(query: QueryVector | IdQuery<Id>, options: AsyncSearchOptions): Promise<FoundDocuments> {
    const { index } = this.#source
    const { dim, metric } = index.snapshot.meta
    const of = this.#check(options)
    if (!isIdQuery(query)) {
      const [found] = await this.#run(checkQuery(query, dim, metric), { ...of, isBatch: false })
      return found
    }
    const { id } = query
    const { context } = index
    expectId(id, context.documents)
    const row = await readVectorLater({ context, fetcher: this.#pool().fetcher }, id, of.signal)
    if (row === undefined) throw notFound(id)
    const leftOut = heapIdOf(context, row.found, id)
    const [found] = await this.#run(row.vector, { ...of, leftOut, isBatch: false })
    return found
  }

  #check(options: AsyncSearchOptions): CheckedSearch {
    const { context, requested } = this.#source.index
    const request = checkAsyncRequest(options, requested)
    const wants = checkWants(options, context.documents.filters)
    return { request, wants, leftOut: undefined, signal: options.signal }
  }

  async #run(queries: Float32Array, of: CheckedSearch & { readonly isBatch: boolean }): Promise<FoundDocuments[]> {
    this.#expectOpen()
    const { context } = this.#source.index
    const { request, signal, isBatch } = of
    const pool = this.#pool()
    if (isPlain(context, of)) return await pool.run({ queries, request, isBatch, signal })
    const found = await searchDocumentsLater({ context, pool, fetcher: pool.fetcher }, { queries, isBatch, signal }, of)
    this.#expectOpen()
    return found
  }

  /** The pool, made at the first call that needs it. Its threads know the index as it was then. */
  #pool(): SearchPool {
    if (this.#lazyPool?.isOutdated === true) {
      this.#lazyPool.close()
      this.#lazyPool = undefined
    }
    this.#lazyPool ??= new SearchPool(this.#source)
    return this.#lazyPool
  }

  #expectOpen(): void {
    if (!this.#isClosed) return
    throw new ZgqError('ZGQ_CLOSED', 'the index was closed', { path: this.#source.index.snapshot.folder })
  }

  /** Searches that are not done reject with ZGQ_CLOSED; worker threads end as soon as they are through. */
  close(): void {
    this.#isClosed = true
    this.#lazyPool?.close()
  }
}
