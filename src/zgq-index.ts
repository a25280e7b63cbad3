// An open index. What a search does is in search/search.ts, where it runs in pool/search-pool.ts, how an index changes
// in write/index-writer.ts.

import { expectPath } from './arguments.ts'
import { sqliteInfo } from './catalogue/load-driver.ts'
import { expectChangeableFolder } from './catalogue/open-for-changes.ts'
import { expectUnpacked } from './catalogue/packed-place.ts'
import type {
  AddOptions,
  BackupOptions,
  CreateOptions,
  Optimized,
  OptimizeOptions,
  RowChoice,
  RowsInput,
  UpsertOptions,
  Written
} from './change-types.ts'
import { describe } from './describe.ts'
import { ZgqError } from './errors.ts'
import { IndexChanges } from './index-changes.ts'
import type { IndexInfo, ZoneInfo } from './info-types.ts'
import { checkOpenOptions, expectModel, type CheckedOptions } from './open-options.ts'
import { checkOptionNames } from './options.ts'
import { AsyncSearches } from './pool/async-searches.ts'
import type { FoundDocuments } from './search/document-search.ts'
import { summarizeField, type FieldSummary, type FieldSummaryOptions } from './search/field-summary.ts'
import { checkPayload } from './search/hit-wants.ts'
import { goThrough } from './search/go-through.ts'
import { describeIndex, describePacked, describeZones, NO_SQLITE } from './search/index-info.ts'
import { countRows, documentAt, findPlace, placesOf, vectorAt } from './search/index-rows.ts'
import type { RowPlace } from './search/lookup.ts'
import { OpenIndex } from './search/open-index.ts'
import type { DocumentsOptions } from './search/rows.ts'
import { searchIndex } from './search/search-index.ts'
import { SeenQueries } from './search/seen-queries.ts'
import type {
  AsyncSearchOptions,
  ExplainedHits,
  Filter,
  Hit,
  Id,
  IdQuery,
  OpenOptions,
  Payload,
  QueryVector,
  SearchOptions,
  StoredDocument
} from './types.ts'

interface OpenParts {
  readonly index: OpenIndex
  readonly options: CheckedOptions
  readonly seen: SeenQueries
  readonly later: AsyncSearches
  readonly changes: IndexChanges
}

/**
 * A vector index on disk, open for searching, or for writing too. Instances come from `ZgqIndex.open` and
 * `ZgqIndex.create`. `I` is the type of its ids, `P` that of its payloads. Both are for the compiler; nothing is
 * checked at run time.
 */
export class ZgqIndex<I extends Id = number, P = Payload> {
  readonly #path: string
  /** Undefined once closed, so that memory is given back while the object lives on. */
  #parts: OpenParts | undefined

  private constructor(parts: OpenParts) {
    if (!areParts(parts)) throw new TypeError(`use ZgqIndex.open(path) instead of new ZgqIndex(${describe(parts)})`)
    this.#parts = parts
    this.#path = parts.index.snapshot.folder
  }

  /**
   * Opens the index at `path` (a path or a `file:` URL): its folder, or a packed index, which can be read only (a file
   * of `zgq pack`, or a folder of parts, of which the newest manifest is taken). Reads the catalogue and the header
   * pages, no vectors; creates no file. Throws ZGQ_NOT_FOUND, ZGQ_NOT_AN_INDEX, ZGQ_UNSUPPORTED, ZGQ_CORRUPT,
   * ZGQ_TRUNCATED, ZGQ_MISMATCH or ZGQ_IO; ZGQ_READ_ONLY for writing to a packed one; TypeError or RangeError for bad
   * options.
   */
  static open<I extends Id = number, P = Payload>(path: string | URL, options: OpenOptions = {}): ZgqIndex<I, P> {
    const folder = expectPath('path', path)
    const checked = checkOpenOptions(options)
    const index = OpenIndex.open(folder, checked, (snapshot) => {
      if (checked.mode === 'write') expectUnpacked(snapshot)
      expectModel(snapshot, options)
      if (checked.mode === 'write') expectChangeableFolder(snapshot.folder, checked)
    })
    const { threads } = checked
    const seen = new SeenQueries()
    return new ZgqIndex<I, P>({
      index,
      options: checked,
      seen,
      later: new AsyncSearches({ index, seen, threads }),
      changes: new IndexChanges(index, checked)
    })
  }

  /**
   * Makes an empty index at `path`, where nothing may exist yet, and opens it for writing. Rejects with ZGQ_EXISTS,
   * ZGQ_IO, ZGQ_UNSUPPORTED; TypeError or RangeError for bad options.
   */
  static create<P = Payload>(
    path: string | URL,
    options: CreateOptions & { readonly ids: 'string' }
  ): Promise<ZgqIndex<string, P>>
  static create<I extends Id = number, P = Payload>(path: string | URL, options: CreateOptions): Promise<ZgqIndex<I, P>>
  static async create(path: string | URL, options: CreateOptions): Promise<ZgqIndex<Id, unknown>> {
    const folder = expectPath('path', path)
    const { createIndex } = await import('./write/create-index.ts')
    return ZgqIndex.open(folder, createIndex(folder, options))
  }

  /**
   * Finds the vectors nearest to `query`, nearest first; of equal distances the lower id comes first. `query` has `dim`
   * values, or is `{ id }` of a stored vector, which is not among the hits itself. Throws ZGQ_DIMENSION, ZGQ_NON_FINITE
   * or ZGQ_ZERO_VECTOR for the query, ZGQ_NOT_FOUND for an unknown id, ZGQ_FILTER for the filter, ZGQ_RECALL for the
   * recall; ZGQ_CORRUPT, ZGQ_TRUNCATED or ZGQ_IO for the files; ZGQ_CLOSED.
   */
  search(query: QueryVector | IdQuery<I>, options: SearchOptions & { readonly explain: true }): ExplainedHits<I, P>
  search(
    query: QueryVector | IdQuery<I>,
    options?: SearchOptions & { readonly explain?: false | undefined }
  ): Hit<I, P>[]
  search(query: QueryVector | IdQuery<I>, options?: SearchOptions): Hit<I, P>[] | ExplainedHits<I, P>
  search(query: QueryVector | IdQuery<Id>, options: SearchOptions = {}): FoundDocuments {
    const { seen } = this.#expectOpen()
    return this.#read((index) => searchIndex(index, { query, options, seen }))
  }

  /** Tells whether the index has a row with this id. Throws as `search` does for the files. */
  has(id: I): boolean {
    return this.#read((index) => findPlace(index, id) !== undefined)
  }

  /**
   * Returns a copy of the vector with this id (`dim` values, as the caller gave them), or undefined. Throws as `search`
   * does for the files.
   */
  get(id: I): Float32Array | undefined {
    return this.#read((index) => {
      const found = findPlace(index, id)
      return found && vectorAt(index.context, found)
    })
  }

  /**
   * Returns the row with this id, its vector and its payload, or undefined if there is none. Throws as `search` does
   * for the files.
   */
  document(id: I): StoredDocument<I, P> | undefined
  document(id: Id): StoredDocument<Id, unknown> | undefined {
    return this.#read((index) => {
      const found = findPlace(index, id)
      return found && documentAt(index.context, found, true)
    })
  }

  /** Counts the rows, or those that meet a filter. Throws ZGQ_FILTER, and as `search` does for the files. */
  count(filter?: Filter): number {
    return this.#read((index) => countRows(index, filter))
  }

  /**
   * Goes through the ids of all rows, or of those that meet a filter, in the order of the files. Goes through the rows
   * that exist at the time of the call, and reads ids as the caller asks for them. Throws ZGQ_FILTER, and as `search`
   * does for the files; ZGQ_CLOSED once the index is closed.
   */
  ids(filter?: Filter): IterableIterator<I>
  ids(filter?: Filter): IterableIterator<Id> {
    return this.#each(filter, (place, { documents }) => ('sequence' in place ? place.id : documents.files.idOf(place)))
  }

  /**
   * Goes through all rows, or those that meet a filter, with vectors and payloads, in the order of the files. Reads
   * rows as the caller asks for them. Throws as `ids` does.
   */
  documents(options?: DocumentsOptions): IterableIterator<StoredDocument<I, P>>
  documents(options: DocumentsOptions = {}): IterableIterator<StoredDocument<Id, unknown>> {
    checkOptionNames('documents', options, ['filter', 'payload'])
    const { filter, payload = true } = options
    const wish = checkPayload(payload)
    return this.#each(filter, (place, context) => documentAt(context, place, wish))
  }

  #each<Result>(
    filter: Filter | undefined,
    make: (place: RowPlace, context: OpenIndex['context']) => Result
  ): IterableIterator<Result> {
    const { index } = this.#expectOpen()
    const expectOpen = (): void => void this.#expectOpen()
    return goThrough(index, { places: () => placesOf(index, filter), make, expectOpen })
  }

  /**
   * Tells which values a declared field has: the number of rows, and the most common values or the range. Reads the
   * columns of the field: about a second for a million rows. Throws ZGQ_FILTER for a field that is not declared, as
   * `search` does for the files, and ZGQ_CLOSED.
   */
  fieldSummary(name: string, options: FieldSummaryOptions = {}): FieldSummary {
    return this.#read(({ snapshot, context }) => {
      const { segments, files, live, cataloguePath: path } = context.documents
      return summarizeField({ segments, files, fields: snapshot.fields, live, path }, name, options)
    })
  }

  /**
   * Searches many queries (n * `dim` values, row after row) and leaves the event loop free. Resolves to the hits of
   * each query, the same as those of `search`. Copies the queries before it returns. Pending calls stay in memory:
   * await a batch before you start the next. Rejects as `search` throws, with the number of the query; with the reason
   * of `signal`; with ZGQ_IO if a worker thread dies, with ZGQ_CLOSED if the index is closed meanwhile.
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
    this.#current()
    return await this.#expectOpen().later.batch(queries, options)
  }

  /**
   * Searches one query and leaves the event loop free, even while files are read. Resolves to the hits of `search`;
   * rejects as `searchBatch` does.
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
    this.#current()
    return await this.#expectOpen().later.one(query, options)
  }

  /**
   * Adds rows: `[{ id, vector, payload }]`, `{ ids, vectors, payloads }`, or batches of them. A call, or each batch, is
   * one transaction. Once this resolves, searches find the rows, and they are on disk (see `durability`). Rejects with
   * ZGQ_ID_EXISTS, ZGQ_DIMENSION, ZGQ_NON_FINITE, ZGQ_ZERO_VECTOR, ZGQ_FILTER or TypeError for a row, and then adds
   * nothing of the call or batch; with ZGQ_READ_ONLY, ZGQ_LOCKED, ZGQ_MISMATCH, ZGQ_UNSUPPORTED, ZGQ_IO; with
   * ZGQ_CLOSED; with the reason of `signal`.
   */
  async add(rows: RowsInput<I, P>, options: AddOptions = {}): Promise<Written> {
    return await this.#expectOpen().changes.add(rows, options)
  }

  /**
   * Adds rows, and replaces those with the same ids. With `replace`, it also removes the rows that match that filter,
   * in the same transaction. Rejects as `add` does, except for ids that exist.
   */
  async upsert(rows: RowsInput<I, P>, options: UpsertOptions = {}): Promise<Written> {
    return await this.#expectOpen().changes.upsert(rows, options)
  }

  /**
   * Sets keys in the payloads of the rows with these ids, or that meet a filter, which must not be empty:
   * `update({ path: 'a.md' }, { draft: true })`. Resolves to the number of rows. Rejects as `add` does.
   */
  async update(rows: readonly I[] | Filter, values: Readonly<Record<string, unknown>>): Promise<number> {
    return await this.#expectOpen().changes.update(rows, values)
  }

  /**
   * Deletes the rows with these ids, or that meet a filter, which must not be empty. Resolves to the number of rows
   * that were deleted. Rejects as `add` does.
   */
  async delete(rows: RowChoice<I>): Promise<number> {
    return await this.#expectOpen().changes.delete(rows)
  }

  /**
   * Folds what was written into zones, in a thread: rows that were added join them, deleted rows leave the disk, and
   * zones are split and merged so that searches stay as fast and as good as in a fresh build. Reads and writes go on,
   * in other processes too. Does nothing where there is nothing to do. Rejects with the reason of `signal`, ZGQ_LOCKED
   * where another process folds the index, ZGQ_READ_ONLY, ZGQ_IO, ZGQ_CLOSED; what was published by then stays.
   */
  async optimize(options: OptimizeOptions = {}): Promise<Optimized> {
    return await this.#expectOpen().changes.optimize(options)
  }

  /**
   * Copies the index, as it is at one moment, to a new folder. Writes may go on; it waits for a fold that is under way.
   * Rejects with ZGQ_UNSUPPORTED for a packed index, which can be copied as it is, ZGQ_EXISTS, ZGQ_IO, ZGQ_CLOSED,
   * ZGQ_LOCKED if a fold takes ten minutes, or the reason of `signal`.
   */
  async backup(path: string | URL, options: BackupOptions = {}): Promise<void> {
    const folder = expectPath('path', path)
    const { folder: from, packed } = this.#expectOpen().index.snapshot
    if (packed !== undefined)
      throw new ZgqError('ZGQ_UNSUPPORTED', 'nobody changes a packed index: copy its file or folder as it is', {
        path: from
      })
    const { backupIndex } = await import('./write/backup-index.ts')
    await backupIndex(from, folder, options)
  }

  /**
   * Takes in now what others committed; returns whether there was something. Other calls do this by themselves, once in
   * every turn of the event loop. Of a packed index there is never something: what was opened goes on, and what has
   * taken its place is opened anew. Throws as `open` does.
   */
  refresh(): boolean {
    return this.#expectOpen().index.refresh()
  }

  /** Describes the index and how it was opened. Throws ZGQ_CLOSED. */
  info(): IndexInfo {
    const index = this.#current()
    const { options, seen, later } = this.#expectOpen()
    const ofDisk = {
      mode: options.mode,
      reader: index.readers.chosen(),
      packed: describePacked(index.snapshot),
      sqlite: index.snapshot.packed === undefined ? sqliteInfo() : NO_SQLITE,
      threads: later.threadsInfo
    }
    return { ...describeIndex(index, seen), ...ofDisk }
  }

  /**
   * Describes every zone, in the order of their numbers. Copies their centroids: 4 * dim bytes for each zone. Reads no
   * vectors. Throws ZGQ_CLOSED.
   */
  zones(): ZoneInfo[] {
    return describeZones(this.#current().snapshot)
  }

  /**
   * Closes files and mappings. Searches and writes that are not done reject with ZGQ_CLOSED. Worker threads end as soon
   * as their current work is done. Calling it again does nothing.
   */
  close(): void {
    this.#parts?.later.close()
    this.#parts?.changes.close()
    this.#parts?.index.close()
    this.#parts = undefined
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** Does work that reads, as `OpenIndex.read` does. */
  #read<Result>(work: (index: OpenIndex) => Result): Result {
    const { index } = this.#expectOpen()
    return index.read(() => work(index))
  }

  /** The index with all that was committed before this turn of the event loop. */
  #current(): OpenIndex {
    const { index } = this.#expectOpen()
    index.refreshIfDue()
    return index
  }

  #expectOpen(): OpenParts {
    if (this.#parts !== undefined) return this.#parts
    throw new ZgqError('ZGQ_CLOSED', 'the index was closed', { path: this.#path })
  }
}

/** JavaScript can call the constructor, whatever its types say. */
function areParts(parts: unknown): parts is OpenParts {
  return typeof parts === 'object' && parts !== null && 'index' in parts && 'seen' in parts
}
