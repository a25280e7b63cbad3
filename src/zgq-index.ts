// An open index. What a search does is in search/search.ts, where it runs in pool/search-pool.ts, how an index changes
// in write/index-writer.ts.

import { expectPath } from './arguments.ts'
import { expectChangeableFolder } from './catalogue/open-for-changes.ts'
import type {
  AddOptions,
  BackupOptions,
  CreateOptions,
  RowChoice,
  RowsInput,
  UpsertOptions,
  Written
} from './change-types.ts'
import { describe } from './describe.ts'
import { ZgqError } from './errors.ts'
import type { IndexInfo, ZoneInfo } from './info-types.ts'
import { checkOpenOptions, expectModel, type CheckedOptions } from './open-options.ts'
import { checkOptionNames } from './options.ts'
import { AsyncSearches } from './pool/async-searches.ts'
import type { FoundDocuments } from './search/document-search.ts'
import { summarizeField, type FieldSummary, type FieldSummaryOptions } from './search/field-summary.ts'
import { checkPayload } from './search/hit-wants.ts'
import { goThrough } from './search/go-through.ts'
import { describeIndex, describeZones } from './search/index-info.ts'
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
import type { IndexWriter } from './write/index-writer.ts'

interface OpenParts {
  readonly index: OpenIndex
  readonly options: CheckedOptions
  readonly seen: SeenQueries
  readonly later: AsyncSearches
}

/**
 * A vector index on disk, open for searching, or for writing too. Instances come from `ZgqIndex.open` and
 * `ZgqIndex.create`. `I`: the type of its ids, `P`: of its payloads; both are for the compiler, which takes the
 * caller's word for them.
 */
export class ZgqIndex<I extends Id = number, P = Payload> {
  readonly #path: string
  /** Undefined once closed, so that memory is given back while the object lives on. */
  #parts: OpenParts | undefined
  #writer: Promise<IndexWriter> | undefined

  private constructor(parts: OpenParts) {
    if (!areParts(parts)) throw new TypeError(`use ZgqIndex.open(path) instead of new ZgqIndex(${describe(parts)})`)
    this.#parts = parts
    this.#path = parts.index.snapshot.folder
  }

  /**
   * Opens the index in folder `path` (a path or a `file:` URL). Reads the catalogue and the header pages, no vectors;
   * creates no file. Throws ZGQ_NOT_FOUND, ZGQ_NOT_AN_INDEX, ZGQ_UNSUPPORTED, ZGQ_CORRUPT, ZGQ_TRUNCATED, ZGQ_MISMATCH
   * or ZGQ_IO; TypeError or RangeError for bad options.
   */
  static open<I extends Id = number, P = Payload>(path: string | URL, options: OpenOptions = {}): ZgqIndex<I, P> {
    const folder = expectPath('path', path)
    const checked = checkOpenOptions(options)
    const index = OpenIndex.open(folder, checked, (snapshot) => {
      expectModel(snapshot, options)
      if (checked.mode === 'write') expectChangeableFolder(snapshot.folder, checked)
    })
    const { threads } = checked
    const seen = new SeenQueries()
    return new ZgqIndex<I, P>({ index, options: checked, seen, later: new AsyncSearches({ index, seen, threads }) })
  }

  /**
   * Makes an empty index in a folder that is not there yet, and opens it for writing. Rejects with ZGQ_EXISTS where
   * something is, ZGQ_IO, ZGQ_UNSUPPORTED; TypeError or RangeError for bad options.
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
    const { seen } = this.#expectOpen()
    return this.#read((index) => searchIndex(index, { query, options, seen }))
  }

  /** Tells whether the index has a vector with this id. Throws as `search` does for the files. */
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
   * Returns the row with this id, vector and payload, or undefined where there is none. Throws as `search` does for the
   * files.
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
   * Goes through all ids, or those of the rows that meet a filter, in the order of the files, reading them as they are
   * asked for. Which rows there are is settled by the call. Throws ZGQ_FILTER, and as `search` does for the files;
   * ZGQ_CLOSED once the index is closed.
   */
  ids(filter?: Filter): IterableIterator<I>
  ids(filter?: Filter): IterableIterator<Id> {
    return this.#each(filter, (place, { documents }) => ('sequence' in place ? place.id : documents.files.idOf(place)))
  }

  /**
   * Goes through all rows, or those that meet a filter, with vectors and payloads, in the order of the files, reading
   * them as they are asked for. Throws as `ids` does.
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
   * Tells which values a declared field has: how many rows, the commonest values or the range. Reads the columns of the
   * field: about a second for a million rows. Throws ZGQ_FILTER for a field that is not declared, as `search` does for
   * the files, and ZGQ_CLOSED.
   */
  fieldSummary(name: string, options: FieldSummaryOptions = {}): FieldSummary {
    return this.#read(({ snapshot, context }) => {
      const { segments, files, live, cataloguePath: path } = context.documents
      return summarizeField({ segments, files, fields: snapshot.fields, live, path }, name, options)
    })
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
    this.#current()
    return await this.#expectOpen().later.batch(queries, options)
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
    this.#current()
    return await this.#expectOpen().later.one(query, options)
  }

  /**
   * Adds rows: `[{ id, vector, payload }]`, `{ ids, vectors, payloads }`, or batches of them, each in a transaction of
   * its own. They are found once this resolves, and on the disk (see `durability`). Rejects with ZGQ_ID_EXISTS,
   * ZGQ_DIMENSION, ZGQ_NON_FINITE, ZGQ_ZERO_VECTOR, ZGQ_FILTER or TypeError for a row, and nothing of its call or batch
   * is added; with ZGQ_READ_ONLY, ZGQ_LOCKED, ZGQ_MISMATCH, ZGQ_UNSUPPORTED, ZGQ_IO; with ZGQ_CLOSED, and the reason of
   * `signal`.
   */
  async add(rows: RowsInput<I, P>, options: AddOptions = {}): Promise<Written> {
    return await (await this.#write()).add(rows, options)
  }

  /**
   * Adds rows, or replaces those that have their ids; with `replace`, what matches goes and the rows come in one
   * transaction. Rejects as `add` does, but for ids that exist.
   */
  async upsert(rows: RowsInput<I, P>, options: UpsertOptions = {}): Promise<Written> {
    return await (await this.#write()).upsert(rows, options)
  }

  /**
   * Sets keys of the payloads of some rows: `update({ path: 'a.md' }, { draft: true })`, by a filter that is not empty
   * or by ids. Resolves to the number of rows. Rejects as `add` does.
   */
  async update(rows: readonly I[] | Filter, values: Readonly<Record<string, unknown>>): Promise<number> {
    return await (await this.#write()).update(rows, values)
  }

  /**
   * Deletes rows, by ids or by a filter that is not empty; resolves to how many there were. Rejects as `add` does.
   */
  async delete(rows: RowChoice<I>): Promise<number> {
    return await (await this.#write()).delete(rows)
  }

  /**
   * Copies the index, as it is at one moment, to a folder that is not there yet; writes may go on. Rejects with
   * ZGQ_EXISTS, ZGQ_IO, ZGQ_CLOSED, the reason of `signal`.
   */
  async backup(path: string | URL, options: BackupOptions = {}): Promise<void> {
    const folder = expectPath('path', path)
    const { index } = this.#expectOpen()
    const { backupIndex } = await import('./write/backup-index.ts')
    await backupIndex(index.snapshot.folder, folder, options)
  }

  /**
   * Takes what others committed, now; tells whether there was something. Calls do that by themselves, in every turn of
   * the event loop. Throws as `open` does.
   */
  refresh(): boolean {
    return this.#expectOpen().index.refresh()
  }

  /** What writes, started at the first call that needs it. */
  async #write(): Promise<IndexWriter> {
    const { index, options } = this.#expectOpen()
    if (options.mode !== 'write')
      throw new ZgqError('ZGQ_READ_ONLY', "the index was opened for reading: open it with { mode: 'write' }", {
        path: this.#path
      })
    const start = (): Promise<IndexWriter> =>
      import('./write/index-writer.ts').then((module) => new module.IndexWriter(index, options))
    const begun = (this.#writer ??= start())
    let writer: IndexWriter | undefined
    try {
      writer = await begun
    } finally {
      // What failed, or whose thread has died, is begun anew by the next call.
      if (this.#writer === begun && writer?.isAlive !== true) this.#writer = undefined
    }
    this.#expectOpen()
    return writer.isAlive ? writer : await this.#write()
  }

  /** Describes the index and how it was opened. Throws ZGQ_CLOSED. */
  info(): IndexInfo {
    const index = this.#current()
    const { options, seen, later } = this.#expectOpen()
    return describeIndex(index, { options, seen, threads: later.threadsInfo })
  }

  /**
   * Describes every zone, in the order of their numbers. Makes copies: 4 * dim bytes a zone and call. Reads no vectors.
   * Throws ZGQ_CLOSED.
   */
  zones(): ZoneInfo[] {
    return describeZones(this.#current().snapshot)
  }

  /**
   * Closes files and mappings; searches and writes that are not done reject with ZGQ_CLOSED, and worker threads end as
   * soon as they are through with what they are at. Calling it again does nothing.
   */
  close(): void {
    this.#parts?.later.close()
    void this.#writer?.then(
      (writer) => {
        writer.close()
      },
      () => undefined // whoever began it was told
    )
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
