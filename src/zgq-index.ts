// An open index: open, search, info, close. What a search does is in search/search.ts, where it runs in
// pool/search-pool.ts.

import { availableParallelism } from 'node:os'

import { expectPath } from './arguments.ts'
import { describe } from './describe.ts'
import { ZgqError } from './errors.ts'
import { ordinalOf } from './format/ordinals.ts'
import { checkOptionNames, expectOneOf, expectWholeNumber } from './options.ts'
import { payloadOf } from './search/documents.ts'
import { summarizeField, type FieldSummary, type FieldSummaryOptions } from './search/field-summary.ts'
import { checkPayload, checkWants, type PayloadWish } from './search/hit-wants.ts'
import { describeIndex, describeZones } from './search/index-info.ts'
import { expectId, findRow } from './search/lookup.ts'
import {
  isPlain,
  searchDocuments,
  searchDocumentsLater,
  type DocumentSearch,
  type FoundDocuments
} from './pool/document-search.ts'
import {
  checkAsyncRequest,
  checkForm,
  checkQueries,
  checkQuery,
  checkRequest,
  requestedIndex,
  type RequestedIndex
} from './search/request.ts'
import { openContext, type CheckedOpenOptions } from './search/open-context.ts'
import { SearchPool } from './pool/search-pool.ts'
import type { SearchContext } from './search/search-context.ts'
import { rowsOf, type DocumentsOptions } from './search/rows.ts'
import { search } from './search/search.ts'
import { SeenQueries } from './search/seen-queries.ts'
import { withSnapshot } from './catalogue/reader.ts'
import type { Snapshot } from './catalogue/snapshot.ts'
import type { Readers } from './storage/open-readers.ts'
import type { Ordinal } from './storage/segment-reads.ts'
import type {
  AsyncSearchOptions,
  ExplainedHits,
  Filter,
  Hit,
  Id,
  IdQuery,
  IndexInfo,
  OpenOptions,
  Payload,
  QueryVector,
  SearchOptions,
  StoredDocument,
  ZoneInfo
} from './types.ts'

const MIB = 2 ** 20
const DEFAULT_CACHE_BYTES = 256 * MIB
/** Leaves room for centroids and heaps below the 4 GiB of wasm32. */
const MAX_CACHE_BYTES = 3072 * MIB

const MOST_THREADS = 64
/** Beside the caller's thread, which has a core. More of them share the same memory bandwidth. */
const DEFAULT_MOST_THREADS = 8

interface OpenParts {
  readonly snapshot: Snapshot
  readonly readers: Readers
  readonly context: SearchContext
  readonly options: CheckedOpenOptions & { readonly threads: number }
  readonly requested: RequestedIndex
  readonly seen: SeenQueries
}

/**
 * A vector index on disk, open for searching. Instances come from `ZgqIndex.open`. `I`: the type of its ids, `P`: of
 * its payloads; both are for the compiler, which takes the caller's word for them.
 */
export class ZgqIndex<I extends Id = number, P = Payload> {
  readonly #path: string
  /** Undefined once closed, so that memory is given back while the object lives on. */
  #parts: OpenParts | undefined
  #lazyPool: SearchPool | undefined

  private constructor(parts: OpenParts) {
    if (!areParts(parts)) throw new TypeError(`use ZgqIndex.open(path) instead of new ZgqIndex(${describe(parts)})`)
    this.#parts = parts
    this.#path = parts.snapshot.folder
  }

  /**
   * Opens the index in folder `path` (a path or a `file:` URL). Reads the catalogue and the header pages, no vectors;
   * creates no file. Throws ZGQ_NOT_FOUND, ZGQ_NOT_AN_INDEX, ZGQ_UNSUPPORTED, ZGQ_CORRUPT, ZGQ_TRUNCATED, ZGQ_MISMATCH
   * or ZGQ_IO; TypeError or RangeError for bad options.
   */
  static open<I extends Id = number, P = Payload>(path: string | URL, options: OpenOptions = {}): ZgqIndex<I, P> {
    const folder = expectPath('path', path)
    const checked = checkOpenOptions(options)
    return withSnapshot(folder, (snapshot) => {
      expectModel(snapshot, options.model)
      const own = { requested: requestedIndex(snapshot), seen: new SeenQueries() }
      return new ZgqIndex<I, P>({ ...openContext(snapshot, checked), ...own, options: checked })
    })
  }

  /**
   * Finds the vectors nearest to `query` (`dim` values, or `{ id }` of a stored vector, which is left out), nearest
   * first; equal distances: lower id first. Throws ZGQ_DIMENSION, ZGQ_NON_FINITE, ZGQ_ZERO_VECTOR for the query,
   * ZGQ_NOT_FOUND for an id that is not there, ZGQ_FILTER; ZGQ_CORRUPT, ZGQ_TRUNCATED, ZGQ_IO for the files;
   * ZGQ_CLOSED.
   */
  search(query: QueryVector | IdQuery<I>, options: SearchOptions & { readonly explain: true }): ExplainedHits<I, P>
  search(
    query: QueryVector | IdQuery<I>,
    options?: SearchOptions & { readonly explain?: false | undefined }
  ): Hit<I, P>[]
  search(query: QueryVector | IdQuery<I>, options?: SearchOptions): Hit<I, P>[] | ExplainedHits<I, P>
  search(query: QueryVector | IdQuery<Id>, options: SearchOptions = {}): FoundDocuments {
    const { context, requested, seen } = this.#expectOpen()
    const request = checkRequest(options, requested)
    const wants = checkWants(options, context.documents.filters)
    const { vector, leftOut } = this.#queryOf(query)
    const of = { request, wants, leftOut }
    if (!isPlain(context, of)) {
      const { found, isUnlike } = searchDocuments(context, vector, of)
      seen.note(request, isUnlike)
      return found
    }
    const result = search(context, vector, request)
    seen.note(request, result.isUnlike)
    return result.explain === undefined ? result.hits : { hits: result.hits, explain: result.explain }
  }

  /** Checks a query; one by its id is looked up. */
  #queryOf(query: QueryVector | IdQuery<Id>): { readonly vector: Float32Array; readonly leftOut: number | undefined } {
    const { snapshot, context } = this.#expectOpen()
    const { dim, metric } = snapshot.meta
    if (!isIdQuery(query)) return { vector: checkForm(query, dim, metric), leftOut: undefined }
    const found = this.#find(query.id)
    if (found === undefined) throw new ZgqError('ZGQ_NOT_FOUND', `there is no vector with id ${describe(query.id)}`)
    const { usesOrdinals } = context.documents
    const leftOut = usesOrdinals ? ordinalOf(found.segment.slot, found.row) : Number(query.id)
    return { vector: context.files.readRow(found), leftOut }
  }

  /** Tells whether the index has a vector with this id. Throws as `search` does for the files. */
  has(id: I): boolean {
    return this.#find(id) !== undefined
  }

  /**
   * Returns a copy of the vector with this id (`dim` values, as the caller gave them), or undefined. Throws as `search`
   * does for the files.
   */
  get(id: I): Float32Array | undefined {
    const found = this.#find(id)
    return found === undefined ? undefined : this.#expectOpen().context.files.readRow(found)
  }

  /**
   * Returns the row with this id, vector and payload, or undefined where there is none. Throws as `search` does for the
   * files.
   */
  document(id: I): StoredDocument<I, P> | undefined
  document(id: Id): StoredDocument<Id, unknown> | undefined {
    const found = this.#find(id)
    if (found === undefined) return undefined
    const { files, documents } = this.#expectOpen().context
    return { id, vector: files.readRow(found), payload: payloadOf(documents, found, true) }
  }

  /** Counts the rows, or those that meet a filter. Throws ZGQ_FILTER, and as `search` does for the files. */
  count(filter?: Filter): number {
    const { snapshot, context } = this.#expectOpen()
    if (filter === undefined) return snapshot.meta.count
    const { filters } = context.documents
    const masks = filters.take(filters.compile(filter))
    filters.giveBack(masks)
    return masks.matchCount
  }

  /**
   * Goes through all ids, or those of the rows that meet a filter, in the order of the files, reading them as they are
   * asked for. Throws ZGQ_FILTER, and as `search` does for the files; ZGQ_CLOSED once the index is closed.
   */
  ids(filter?: Filter): IterableIterator<I>
  ids(filter?: Filter): IterableIterator<Id> {
    return this.#idsOf(this.#rows(filter))
  }

  *#idsOf(rows: Iterable<Ordinal>): IterableIterator<Id> {
    for (const ordinal of rows) yield this.#expectOpen().context.documents.files.idOf(ordinal)
  }

  /**
   * Goes through all rows, or those that meet a filter, with vectors and payloads, in the order of the files, reading
   * them as they are asked for. Throws as `ids` does.
   */
  documents(options?: DocumentsOptions): IterableIterator<StoredDocument<I, P>>
  documents(options: DocumentsOptions = {}): IterableIterator<StoredDocument<Id, unknown>> {
    checkOptionNames('documents', options, ['filter', 'payload'])
    const { filter, payload = true } = options
    return this.#documentsOf(this.#rows(filter), checkPayload(payload))
  }

  *#documentsOf(rows: Iterable<Ordinal>, wish: PayloadWish): IterableIterator<StoredDocument<Id, unknown>> {
    for (const ordinal of rows) {
      const { files, documents } = this.#expectOpen().context
      const id = documents.files.idOf(ordinal)
      const vector = files.readRow(ordinal)
      yield { id, vector, payload: wish === false ? undefined : payloadOf(documents, ordinal, wish) }
    }
  }

  #rows(filter: Filter | undefined): Iterable<Ordinal> {
    const { snapshot, context } = this.#expectOpen()
    const { segments, files, filters } = context.documents
    const compiled = filter === undefined ? undefined : filters.compile(filter)
    return rowsOf({ segments, files, fields: snapshot.fields }, compiled)
  }

  /**
   * Tells which values a declared field has: how many rows, the commonest values or the range. Reads the columns of the
   * field: about a second for a million rows. Throws ZGQ_FILTER for a field that is not declared, as `search` does for
   * the files, and ZGQ_CLOSED.
   */
  fieldSummary(name: string, options: FieldSummaryOptions = {}): FieldSummary {
    const { snapshot, context } = this.#expectOpen()
    const { segments, files } = context.documents
    return summarizeField({ segments, files, fields: snapshot.fields }, name, options)
  }

  #find(id: unknown): Ordinal | undefined {
    const { documents } = this.#expectOpen().context
    expectId(id, documents)
    return findRow(documents, id)
  }

  /**
   * Searches many queries (`queries`: n * `dim` values, row after row) and leaves the event loop free; resolves to the
   * hits of each, the same as of `search`. The queries are copied before this returns. Rejects as `search` throws, with
   * the number of the query; with the reason of `signal`; with ZGQ_IO if a worker thread dies, ZGQ_CLOSED if the index
   * is closed meanwhile. What was called waits in memory: await a batch before the next.
   */
  searchBatch(
    queries: Float32Array | Float64Array,
    options: AsyncSearchOptions & { readonly explain: true }
  ): Promise<ExplainedHits<I, P>[]>
  searchBatch(
    queries: Float32Array | Float64Array,
    options?: AsyncSearchOptions & { readonly explain?: false | undefined }
  ): Promise<Hit<I, P>[][]>
  searchBatch(
    queries: Float32Array | Float64Array,
    options?: AsyncSearchOptions
  ): Promise<(Hit<I, P>[] | ExplainedHits<I, P>)[]>
  async searchBatch(queries: Float32Array | Float64Array, options: AsyncSearchOptions = {}): Promise<FoundDocuments[]> {
    const { snapshot } = this.#expectOpen()
    const of = this.#checkAsync(options, undefined)
    return await this.#searchLater(checkQueries(queries, snapshot.meta.dim), { ...of, isBatch: true })
  }

  /**
   * Searches one query and leaves the event loop free, even where files have to be read; resolves to the hits of
   * `search`, rejects as `searchBatch` does.
   */
  searchAsync(
    query: QueryVector | IdQuery<I>,
    options: AsyncSearchOptions & { readonly explain: true }
  ): Promise<ExplainedHits<I, P>>
  searchAsync(
    query: QueryVector | IdQuery<I>,
    options?: AsyncSearchOptions & { readonly explain?: false | undefined }
  ): Promise<Hit<I, P>[]>
  searchAsync(query: QueryVector | IdQuery<I>, options?: AsyncSearchOptions): Promise<Hit<I, P>[] | ExplainedHits<I, P>>
  async searchAsync(query: QueryVector | IdQuery<Id>, options: AsyncSearchOptions = {}): Promise<FoundDocuments> {
    const { dim, metric } = this.#expectOpen().snapshot.meta
    const { vector, leftOut } = isIdQuery(query)
      ? this.#queryOf(query)
      : { vector: checkQuery(query, dim, metric), leftOut: undefined }
    const [found] = await this.#searchLater(vector, { ...this.#checkAsync(options, leftOut), isBatch: false })
    return found
  }

  #checkAsync(
    options: AsyncSearchOptions,
    leftOut: number | undefined
  ): DocumentSearch & { readonly signal: AbortSignal | undefined } {
    const { context, requested } = this.#expectOpen()
    const request = checkAsyncRequest(options, requested)
    return { request, wants: checkWants(options, context.documents.filters), leftOut, signal: options.signal }
  }

  async #searchLater(
    queries: Float32Array,
    of: DocumentSearch & { readonly signal: AbortSignal | undefined; readonly isBatch: boolean }
  ): Promise<FoundDocuments[]> {
    const { context } = this.#expectOpen()
    const { request, signal, isBatch } = of
    const pool = this.#pool()
    if (isPlain(context, of)) return await pool.run({ queries, request, isBatch, signal })
    const found = await searchDocumentsLater({ context, pool, fetcher: pool.fetcher }, { queries, isBatch, signal }, of)
    this.#expectOpen()
    return found
  }

  /** The pool of this index, made at the first call that needs it. */
  #pool(): SearchPool {
    const parts = this.#expectOpen()
    this.#lazyPool ??= new SearchPool({ ...parts, threads: parts.options.threads })
    return this.#lazyPool
  }

  /** Describes the index and how it was opened. Throws ZGQ_CLOSED. */
  info(): IndexInfo {
    return describeIndex(this.#expectOpen(), this.#pool().threadsInfo)
  }

  /**
   * Describes every zone, in the order of their numbers. Makes copies: 4 * dim bytes a zone and call. Reads no vectors.
   * Throws ZGQ_CLOSED.
   */
  zones(): ZoneInfo[] {
    return describeZones(this.#expectOpen().snapshot)
  }

  /**
   * Closes files and mappings; searches that are not done reject with ZGQ_CLOSED, and worker threads end as soon as
   * they are through with what they are at. Calling it again does nothing.
   */
  close(): void {
    this.#lazyPool?.close()
    this.#parts?.readers.close()
    this.#parts = undefined
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #expectOpen(): OpenParts {
    if (this.#parts === undefined) throw new ZgqError('ZGQ_CLOSED', 'the index was closed', { path: this.#path })
    return this.#parts
  }
}

/** Throws ZGQ_MISMATCH where queries come from another model than the vectors. */
function expectModel(snapshot: Snapshot, model: unknown): void {
  if (model === undefined) return
  if (typeof model !== 'string') throw new TypeError(`model must be a string, found ${describe(model)}`)
  if (snapshot.model === undefined || snapshot.model === model) return
  throw new ZgqError(
    'ZGQ_MISMATCH',
    `the vectors are of model ${describe(snapshot.model)}, the queries of ${describe(model)}: distances mean nothing`,
    { path: snapshot.folder }
  )
}

function isIdQuery(query: unknown): query is IdQuery<Id> {
  return (
    typeof query === 'object' && query !== null && !ArrayBuffer.isView(query) && !Array.isArray(query) && 'id' in query
  )
}

/** JavaScript can call the constructor, whatever its types say. */
function areParts(parts: unknown): parts is OpenParts {
  return typeof parts === 'object' && parts !== null && 'snapshot' in parts && 'context' in parts
}

function checkOpenOptions(options: OpenOptions): OpenParts['options'] {
  checkOptionNames('open', options, ['mapping', 'cacheBytes', 'verify', 'threads', 'model'])
  const {
    mapping = 'auto',
    cacheBytes = DEFAULT_CACHE_BYTES,
    verify = 'touch',
    threads = Math.min(Math.max(1, availableParallelism() - 1), DEFAULT_MOST_THREADS)
  } = options
  expectOneOf('mapping', mapping, ['auto', 'mmap', 'mmap-io', 'pread'])
  expectOneOf('verify', verify, ['touch', 'open', 'none'])
  expectWholeNumber('cacheBytes', cacheBytes, { least: 0, most: MAX_CACHE_BYTES })
  expectWholeNumber('threads', threads, { least: 0, most: MOST_THREADS })
  return { mapping, cacheBytes, verify, threads }
}
