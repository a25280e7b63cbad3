// An open index: open, search, info, close. What a search does is in search/search.ts, where it runs in
// pool/search-pool.ts.

import { availableParallelism } from 'node:os'

import { expectPath } from './arguments.ts'
import { describe } from './describe.ts'
import { ZgqError } from './errors.ts'
import { decodeBuildFacts } from './format/build-facts.ts'
import { fileNameOf } from './format/file-record.ts'
import { hex } from './format/header.ts'
import { checkOptionNames, expectOneOf, expectWholeNumber } from './options.ts'
import { findRow } from './search/lookup.ts'
import {
  checkAsyncRequest,
  checkForm,
  checkQueries,
  checkQuery,
  checkRequest,
  describePlan,
  requestedIndex,
  type RequestedIndex
} from './search/request.ts'
import { openContext, type CheckedOpenOptions } from './search/open-context.ts'
import { findDoubts } from './search/doubts.ts'
import { SearchPool } from './pool/search-pool.ts'
import type { SearchContext } from './search/search-context.ts'
import { search } from './search/search.ts'
import { SeenQueries } from './search/seen-queries.ts'
import { summarizeZones } from './zone-sizes.ts'
import { sqliteInfo } from './catalogue/load-driver.ts'
import { withSnapshot } from './catalogue/reader.ts'
import type { Snapshot } from './catalogue/snapshot.ts'
import type { Readers } from './storage/open-readers.ts'
import type { Ordinal } from './storage/segment-reads.ts'
import type {
  AsyncSearchOptions,
  ExplainedHits,
  Hit,
  IndexInfo,
  OpenOptions,
  QueryVector,
  SearchOptions,
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

/** A vector index on disk, open for searching. Instances come from `ZgqIndex.open`. */
export class ZgqIndex {
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
  static open(path: string | URL, options: OpenOptions = {}): ZgqIndex {
    const folder = expectPath('path', path)
    const checked = checkOpenOptions(options)
    return withSnapshot(folder, (snapshot) => {
      const own = { requested: requestedIndex(snapshot), seen: new SeenQueries() }
      return new ZgqIndex({ ...openContext(snapshot, checked), ...own, options: checked })
    })
  }

  /**
   * Finds the vectors nearest to `query` (`dim` values), nearest first; equal distances: lower id first.
   * Throws ZGQ_DIMENSION, ZGQ_NON_FINITE, ZGQ_ZERO_VECTOR for the query; ZGQ_CORRUPT, ZGQ_TRUNCATED, ZGQ_IO for the
   * files; ZGQ_CLOSED.
   */
  search(query: QueryVector, options: SearchOptions & { readonly explain: true }): ExplainedHits
  search(query: QueryVector, options?: SearchOptions & { readonly explain?: false | undefined }): Hit[]
  search(query: QueryVector, options?: SearchOptions): Hit[] | ExplainedHits
  search(query: QueryVector, options: SearchOptions = {}): Hit[] | ExplainedHits {
    const { snapshot, context, requested, seen } = this.#expectOpen()
    const { meta } = snapshot
    const request = checkRequest(options, requested)
    const result = search(context, checkForm(query, meta.dim, meta.metric), request)
    seen.note(request, result.isUnlike)
    return result.explain === undefined ? result.hits : { hits: result.hits, explain: result.explain }
  }

  /**
   * Tells whether the index has a vector with this id. Asks segment after segment: some milliseconds for a million
   * vectors. Throws as `search` does for the files.
   */
  has(id: number): boolean {
    return this.#find(id) !== undefined
  }

  /**
   * Returns a copy of the vector with this id (`dim` values, as the caller gave them), or undefined. Throws as `search`
   * does for the files.
   */
  get(id: number): Float32Array | undefined {
    const found = this.#find(id)
    return found === undefined ? undefined : this.#expectOpen().context.files.readRow(found)
  }

  #find(id: number): Ordinal | undefined {
    const { snapshot, context } = this.#expectOpen()
    expectWholeNumber('id', id, { least: 0 })
    return findRow(snapshot.segments, context.files, id)
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
  ): Promise<ExplainedHits[]>
  searchBatch(
    queries: Float32Array | Float64Array,
    options?: AsyncSearchOptions & { readonly explain?: false | undefined }
  ): Promise<Hit[][]>
  searchBatch(queries: Float32Array | Float64Array, options?: AsyncSearchOptions): Promise<(Hit[] | ExplainedHits)[]>
  async searchBatch(
    queries: Float32Array | Float64Array,
    options: AsyncSearchOptions = {}
  ): Promise<(Hit[] | ExplainedHits)[]> {
    const { snapshot, requested } = this.#expectOpen()
    const request = checkAsyncRequest(options, requested)
    const vectors = checkQueries(queries, snapshot.meta.dim)
    return await this.#pool().run({ queries: vectors, request, isBatch: true, signal: options.signal })
  }

  /**
   * Searches one query and leaves the event loop free, even where files have to be read; resolves to the hits of
   * `search`, rejects as `searchBatch` does.
   */
  searchAsync(query: QueryVector, options: AsyncSearchOptions & { readonly explain: true }): Promise<ExplainedHits>
  searchAsync(
    query: QueryVector,
    options?: AsyncSearchOptions & { readonly explain?: false | undefined }
  ): Promise<Hit[]>
  searchAsync(query: QueryVector, options?: AsyncSearchOptions): Promise<Hit[] | ExplainedHits>
  async searchAsync(query: QueryVector, options: AsyncSearchOptions = {}): Promise<Hit[] | ExplainedHits> {
    const { snapshot, requested } = this.#expectOpen()
    const { dim, metric } = snapshot.meta
    const request = checkAsyncRequest(options, requested)
    const queries = checkQuery(query, dim, metric)
    const [found] = await this.#pool().run({ queries, request, isBatch: false, signal: options.signal })
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
    const { snapshot, readers, context, options, requested, seen } = this.#expectOpen()
    const { meta, files, segments } = snapshot
    const plan = describePlan(requested)
    return {
      path: snapshot.folder,
      formatVersion: meta.version,
      indexId: hex(meta.indexId),
      count: meta.count,
      dim: meta.dim,
      metric: meta.metric,
      zones: meta.zoneCount,
      bytes: files.reduce((sum, file) => sum + file.byteLength, snapshot.catalogueBytes),
      generation: meta.generation,
      bits: meta.bits,
      calibration: snapshot.calibration,
      plan,
      queries: seen.counts,
      warnings: findDoubts({ ...snapshot, plan, queries: seen.counts }),
      reader: readers.chosen(),
      sqlite: sqliteInfo(),
      kernel: context.workspace.memory.kernel.kind,
      cacheBytes: options.cacheBytes,
      verify: options.verify,
      threads: this.#pool().threadsInfo,
      files: files.map((file) => ({ name: fileNameOf(file), kind: file.kind, bytes: file.byteLength })),
      zoneRows: summarizeZones(meta.zoneCount, (zone) => segments.rowsOfZone(zone)),
      build: decodeBuildFacts(snapshot.encodedBuildFacts, snapshot.folder)
    }
  }

  /**
   * Describes every zone, in the order of their numbers. Makes copies: 4 * dim bytes a zone and call. Reads no vectors.
   * Throws ZGQ_CLOSED.
   */
  zones(): ZoneInfo[] {
    const { snapshot } = this.#expectOpen()
    const { segments, centroids, meta } = snapshot
    return Array.from({ length: meta.zoneCount }, (_, zone) => {
      const info = { zone, rows: 0, radius: 0, minNorm: Infinity, maxNorm: 0 }
      segments.ofZone(zone, ({ rowCount, radius, minNorm, maxNorm }) => {
        info.rows += rowCount
        info.radius = Math.max(info.radius, radius)
        info.minNorm = Math.min(info.minNorm, minNorm)
        info.maxNorm = Math.max(info.maxNorm, maxNorm)
      })
      if (info.rows === 0) info.minNorm = 0
      return { ...info, centroid: centroids.slice(zone * meta.dim, (zone + 1) * meta.dim) }
    })
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

/** JavaScript can call the constructor, whatever its types say. */
function areParts(parts: unknown): parts is OpenParts {
  return typeof parts === 'object' && parts !== null && 'snapshot' in parts && 'context' in parts
}

function checkOpenOptions(options: OpenOptions): OpenParts['options'] {
  checkOptionNames('open', options, ['mapping', 'cacheBytes', 'verify', 'threads'])
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
