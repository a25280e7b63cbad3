// Writing to an open index, on the caller's side: rows are checked and packed here, a thread of their own writes them
// (write-session.ts), and a call resolves once this index sees what it did.

import { resolve } from 'node:path'

import { describe } from '../describe.ts'
import { ZgqError } from '../errors.ts'
import { PayloadEncoder } from '../format/payload.ts'
import type { AddOptions, UpsertOptions, Written } from '../change-types.ts'
import type { CheckedOptions } from '../open-options.ts'
import { checkOptionNames, expectFunction, expectSignal } from '../options.ts'
import { isPlainObject } from '../plain-object.ts'
import type { CheckedOpenOptions } from '../search/open-context.ts'
import type { OpenIndex } from '../search/open-index.ts'
import { Thread } from '../threads/thread.ts'
import type { Filter } from '../types.ts'
import { buffersOf, type Choice, type WriteAnswer, type WriteRequest } from './messages.ts'
import { expectFields, expectIdOf, packRows, type PackedFor } from './pack-rows.ts'
import type { SessionOptions } from './write-session.ts'

/** Memory of the writer's thread for what it reads: ids and fields. */
const CACHE_BYTES = 16 * 2 ** 20

export class IndexWriter {
  readonly #index: OpenIndex
  readonly #folder: string
  readonly #thread: Thread<WriteRequest, WriteAnswer>
  /** Of the last request that was made: settled once it is sent. */
  #sending: Promise<unknown> = Promise.resolve()
  #isClosed = false

  /** Starts the thread; it opens the index at its first request. Throws ZGQ_UNSUPPORTED where its file is missing. */
  constructor(index: OpenIndex, options: CheckedOptions) {
    this.#index = index
    this.#folder = resolve(index.snapshot.folder)
    const { mapping, verify } = options
    // mmap-io works on the main thread only.
    const read = {
      mapping: mapping === 'mmap-io' ? 'pread' : mapping,
      verify,
      cacheBytes: CACHE_BYTES
    } satisfies CheckedOpenOptions
    const { indexId } = index.snapshot.meta
    const data: SessionOptions = { folder: this.#folder, indexId, write: options, read }
    this.#thread = new Thread('writer-worker', data)
  }

  get #packedFor(): PackedFor {
    const { meta, fields } = this.#index.snapshot
    return { dim: meta.dim, metric: meta.metric, idType: meta.idType, fields }
  }

  async add(rows: unknown, options: AddOptions): Promise<Written> {
    checkOptionNames('add', options, ['onProgress', 'signal'])
    return await this.#writeAll(rows, options, { replaces: false, replace: undefined })
  }

  async upsert(rows: unknown, options: UpsertOptions): Promise<Written> {
    checkOptionNames('upsert', options, ['replace', 'onProgress', 'signal'])
    const { replace } = options
    if (replace !== undefined) {
      this.#expectFilter(replace)
      if (isBatches(rows)) throw new TypeError('upsert: replace is not for batches: give all rows in one call')
      if (this.#choosesAll(replace))
        throw new TypeError('upsert: replace is an empty filter and would remove every row')
    }
    return await this.#writeAll(rows, options, { replaces: true, replace })
  }

  async #writeAll(
    rows: unknown,
    { onProgress, signal }: AddOptions,
    how: { readonly replaces: boolean; readonly replace: Filter | undefined }
  ): Promise<Written> {
    expectSignal('signal', signal)
    if (onProgress !== undefined) expectFunction('onProgress', onProgress)
    const write = (batch: unknown): Promise<WriteAnswer> =>
      this.#call(async () => {
        signal?.throwIfAborted()
        const packs = await packRows(batch, this.#packedFor)
        signal?.throwIfAborted()
        return { kind: 'rows', packs, ...how }
      })
    const written = { rows: 0, removed: 0 }
    const note = (answer: WriteAnswer): void => {
      written.rows += answer.rows
      written.removed += answer.removed
      onProgress?.({ rows: written.rows })
    }
    // Not in a loop that waits for its first batch: a call that comes later must not overtake this one.
    if (!isBatches(rows)) note(await write(rows))
    else for await (const batch of rows) note(await write(batch))
    return written
  }

  async update(rows: unknown, values: unknown): Promise<number> {
    const choice = this.#choiceOf('update', rows, isPlainObject(rows) ? rows : undefined)
    if (!isPlainObject(values)) throw new TypeError(`update: the values must be an object, found ${describe(values)}`)
    const encoded = Uint8Array.from(new PayloadEncoder('values').encode(values, 'update'))
    expectFields(values, this.#index.snapshot.fields, 'update')
    const answer = await this.#call(() => ({ kind: 'update', choice, values: encoded }))
    return answer.rows
  }

  async delete(rows: unknown): Promise<number> {
    if (isPlainObject(rows)) checkOptionNames('delete', rows, ['filter'])
    const choice = this.#choiceOf('delete', rows, isPlainObject(rows) ? rows.filter : undefined)
    const answer = await this.#call(() => ({ kind: 'delete', choice }))
    return answer.removed
  }

  /** Throws TypeError, RangeError or ZGQ_FILTER for what is neither ids nor a filter that is not empty. */
  #choiceOf(what: string, rows: unknown, filter: unknown): Choice {
    if (Array.isArray(rows)) {
      const { idType } = this.#packedFor
      return { ids: rows.map((id) => expectIdOf(id, idType)) }
    }
    if (!isPlainObject(rows))
      throw new TypeError(`${what}: expected an array of ids or a filter, found ${describe(rows)}`)
    this.#expectFilter(filter)
    if (this.#choosesAll(filter))
      throw new TypeError(`${what}: the filter is empty and would match every row; give a condition`)
    return { filter }
  }

  /** Throws TypeError or ZGQ_FILTER. */
  #expectFilter(filter: unknown): asserts filter is Filter {
    this.#index.context.documents.filters.compile(filter)
  }

  /** Tells a filter that is empty, however it is written. */
  #choosesAll(filter: Filter): boolean {
    return this.#index.context.documents.filters.compile(filter).predicate.kind === 'all'
  }

  /** The thread works: where it has died, another writer takes its place. */
  get isAlive(): boolean {
    return this.#thread.isAlive
  }

  /**
   * Sends a request once those that were made before it are sent: packing takes turns, and a small call must not
   * overtake a large one.
   */
  async #call(prepare: () => WriteRequest | Promise<WriteRequest>): Promise<WriteAnswer> {
    const turn = this.#sending.then(async () => {
      const request = await prepare()
      if (this.#isClosed) throw this.#closed()
      const transfer = request.kind === 'rows' ? buffersOf(request.packs) : undefined
      // In an object: a promise would be waited for here.
      return { answered: this.#thread.call(request, { transfer }) }
    })
    this.#sending = turn.catch(() => undefined)
    const { answered } = await turn
    let answer: WriteAnswer
    try {
      answer = await answered
    } catch (error) {
      throw this.#isClosed ? this.#closed() : error
    }
    // It was committed: closed meanwhile or not, this is what became of it.
    if (!this.#isClosed) this.#see(answer.commit)
    return answer
  }

  /**
   * Sees a commit, which calls may share. What is in the way of that is for the next read to say: the write was done.
   */
  #see(commit: number): void {
    if (this.#index.context.documents.live.commit >= commit) return
    try {
      this.#index.refresh()
    } catch {
      // A read asks again.
    }
  }

  #closed(): ZgqError {
    return new ZgqError('ZGQ_CLOSED', 'the index was closed before the write was done', { path: this.#folder })
  }

  /** What waits rejects with ZGQ_CLOSED; the thread ends once the transaction at hand is over, and seals the index. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#thread.retire({ kind: 'close' }, { keepsProcess: true })
  }
}

function isBatches(rows: unknown): rows is AsyncIterable<unknown> | Iterable<unknown> {
  if (typeof rows !== 'object' || rows === null || Array.isArray(rows) || ArrayBuffer.isView(rows)) return false
  return Symbol.asyncIterator in rows || Symbol.iterator in rows
}
