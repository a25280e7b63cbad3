// One writer of an index, on the thread that owns the connection: waiting calls are planned one after the other, each
// over what those before it left, and share a commit.

import type { Changes, FreshRow, MaskRow, PatchRow } from '../catalogue/changes.ts'
import { ChangeWriter } from '../catalogue/change-writer.ts'
import { setBit, wordCount } from '../format/bitmap.ts'
import { sameChanges, type ChangesMeta } from '../format/changes-record.ts'
import type { IndexMeta } from '../format/index-record.ts'
import { ZgqError } from '../errors.ts'
import { ELEMENT_BYTES } from '../format/layout.ts'
import type { WriteOptions } from '../open-options.ts'
import { takeChanges } from '../search/adopt-snapshot.ts'
import type { CheckedOpenOptions } from '../search/open-context.ts'
import { OpenIndex } from '../search/open-index.ts'
import { writeDelta } from './delta-file.ts'
import type { WriteAnswer, WriteRequest } from './messages.ts'
import { planChange, type Plan } from './plan-change.ts'
import type { Rows } from './rows.ts'

/** Fresh rows, and bytes of them, above which they become a delta. */
const MOST_FRESH_ROWS = 1000
const MOST_FRESH_BYTES = 4 * 2 ** 20
/** Part of that from which on the rows of a call become a delta at once: they are then written once. */
const LARGE_CALL = 0.5

/** What a session works with. */
export interface SessionOptions {
  readonly folder: string
  /** Of the index that the caller has open. */
  readonly indexId: Uint8Array
  readonly write: WriteOptions
  /** For its own reading. */
  readonly read: CheckedOpenOptions
}

/** What became of a request. */
export type Outcome = { readonly answer: WriteAnswer } | { readonly error: unknown }

/** A request that changes rows. */
export type ChangeRequest = Exclude<WriteRequest, { readonly kind: 'close' }>

export class WriteSession {
  readonly #options: SessionOptions
  readonly #writer: ChangeWriter
  #index: OpenIndex
  /** It has taken what was not committed, or not all that was: it is opened anew before it is used. */
  #isStale = false
  /** As they are in the transaction at hand. */
  #meta: IndexMeta
  #changes: ChangesMeta
  /** As they were before it. */
  #before: ChangesMeta
  /** The transaction has a delta, which this session does not see yet: nothing more is planned in it. */
  #hasDelta = false

  constructor(options: SessionOptions) {
    const { folder, indexId, write } = options
    this.#options = options
    this.#index = OpenIndex.openSame(folder, options.read, indexId)
    this.#meta = this.#index.snapshot.meta
    this.#changes = this.#index.context.documents.live.meta
    this.#before = this.#changes
    try {
      this.#writer = ChangeWriter.open(folder, { indexId, ...write })
    } catch (error) {
      this.#index.close()
      throw error
    }
  }

  /** Runs requests, in as few transactions as can be; returns what became of each. */
  run(requests: readonly ChangeRequest[]): Outcome[] {
    const outcomes: Outcome[] = []
    while (outcomes.length < requests.length) outcomes.push(...this.#runSome(requests.slice(outcomes.length)))
    try {
      this.#writer.checkpoint()
    } catch {
      // All is committed, only the log stays long: the next commits try again.
    }
    return outcomes
  }

  /** Runs the first of some requests in one transaction. */
  #runSome(requests: readonly ChangeRequest[]): Outcome[] {
    try {
      this.#begin()
    } catch (error) {
      return requests.map(() => ({ error }))
    }
    const outcomes: Outcome[] = []
    try {
      for (const request of requests) {
        const planned = this.#plan(request)
        const commit = this.#meta.commit + 1
        outcomes.push('error' in planned ? planned : { answer: { ...planned.answer, commit } })
        if (!('error' in planned)) this.#apply(planned)
        if (this.#hasDelta) break
      }
      if (!this.#hasDelta && this.#isFreshFull()) this.#spill()
      if (this.#isChanged) this.#commit()
      else this.#writer.rollback()
    } catch (error) {
      this.#undo()
      return outcomes.map((outcome) => ('error' in outcome ? outcome : { error }))
    }
    if (this.#hasDelta) this.#seeDelta()
    return outcomes
  }

  #seeDelta(): void {
    try {
      this.#index.refresh()
    } catch {
      this.#isStale = true // it is committed: what is in the way now is for the next request
    }
  }

  #commit(): void {
    try {
      this.#writer.commit({ meta: this.#meta, changes: this.#changes })
    } catch (error) {
      if (!(error instanceof ZgqError) || error.code !== 'ZGQ_IO') throw error
      // Where the sync failed, the log may have it whole all the same.
      throw new ZgqError(
        'ZGQ_IO',
        `${error.message}; the write may be stored all the same: check that before you repeat it`,
        {
          cause: error
        }
      )
    }
  }

  /** The transaction has something to commit. */
  get #isChanged(): boolean {
    return this.#hasDelta || !sameChanges(this.#changes, this.#before)
  }

  #begin(): void {
    this.#hasDelta = false
    if (this.#isStale) this.#reopen()
    this.#writer.begin()
    try {
      this.#index.take(this.#writer.read(this.#index.seen))
    } catch (error) {
      this.#undo()
      throw error
    }
    const { live } = this.#index.context.documents
    this.#meta = this.#writer.meta // not of the snapshot: a fold may have reserved numbers since
    this.#changes = live.meta
    this.#before = live.meta
  }

  /** Undoes a transaction that failed, and what was taken of it. */
  #undo(): void {
    this.#writer.rollback()
    this.#isStale = true
  }

  #reopen(): void {
    const { folder, indexId, read } = this.#options
    const index = OpenIndex.openSame(folder, read, indexId)
    this.#index.close()
    this.#index = index
    this.#isStale = false
  }

  /** A request may fail by itself; what fails once it is planned fails the transaction. */
  #plan(request: ChangeRequest): Plan | { readonly error: unknown } {
    try {
      return planChange(this.#index, request)
    } catch (error) {
      return { error }
    }
  }

  #apply(plan: Plan): void {
    const removed = this.#remove(plan)
    const patches = this.#patch(plan)
    const isLarge = isLargeCall(plan.added)
    const fresh = isLarge ? [] : this.#addFresh(plan.added)
    takeChanges(this.#index.context, this.#changesWith({ ...removed, patches, fresh }))
    if (isLarge) this.#addDelta(plan.added)
  }

  #changesWith(parts: Pick<Changes, 'fresh' | 'kept' | 'masks' | 'patches'>): Changes {
    return { meta: this.#changes, commit: this.#meta.commit + 1, ...parts }
  }

  #next(): number {
    const { nextSequence } = this.#changes
    this.#changes = { ...this.#changes, nextSequence: nextSequence + 1 }
    return nextSequence
  }

  #count(by: Partial<Record<keyof ChangesMeta, number>>): void {
    const { freshCount = 0, freshBytes = 0, freshRemoved = 0, deletedCount = 0, patchCount = 0 } = by
    const before = this.#changes
    this.#changes = {
      ...before,
      freshCount: before.freshCount + freshCount,
      freshBytes: before.freshBytes + freshBytes,
      freshRemoved: before.freshRemoved + freshRemoved,
      deletedCount: before.deletedCount + deletedCount,
      patchCount: before.patchCount + patchCount
    }
  }

  #remove({ removedFresh, deleted }: Plan): Pick<Changes, 'kept' | 'masks'> {
    const { live } = this.#index.context.documents
    this.#writer.removeFresh(removedFresh.map(({ sequence }) => sequence))
    const freshBytes = removedFresh.reduce((sum, row) => sum + bytesOfRow(row), 0)
    this.#count({ freshCount: -removedFresh.length, freshBytes: -freshBytes, freshRemoved: removedFresh.length })
    const masks = Array.from(deleted, ([segment, rows]): MaskRow => {
      const before = live.masks.of(segment.slot)
      const words = before?.words.slice() ?? new Uint32Array(wordCount(segment.rowCount))
      for (const row of rows) setBit(words, row)
      const mask = { sequence: this.#next(), segment: segment.segment, rowCount: segment.rowCount, deleted: words }
      this.#writer.putMask(mask, before?.sequence)
      const patches = rows.map((row) => live.patches.find(segment.slot, row)?.sequence)
      const dropped = patches.filter((sequence) => sequence !== undefined)
      this.#writer.removePatches(dropped)
      this.#count({ deletedCount: rows.length, patchCount: -dropped.length })
      return mask
    })
    if (removedFresh.length === 0) return { masks, kept: undefined }
    const gone = new Set(removedFresh.map(({ sequence }) => sequence))
    const left = live.fresh.list().flatMap(({ sequence }) => (gone.has(sequence) ? [] : [sequence]))
    return { masks, kept: Float64Array.from(left) }
  }

  #patch({ patches }: Plan): PatchRow[] {
    const { live } = this.#index.context.documents
    return patches.map(({ segment, row, payload }) => {
      const before = live.patches.find(segment.slot, row)?.sequence
      const patch = { sequence: this.#next(), segment: segment.segment, row, payload }
      this.#writer.putPatch(patch, before)
      if (before === undefined) this.#count({ patchCount: 1 })
      return patch
    })
  }

  #addFresh(rows: Rows): FreshRow[] {
    const { dim } = this.#meta
    const fresh = rows.ids.map((id, i) => ({
      sequence: this.#next(),
      id,
      vector: rows.vectors.slice(i * dim, (i + 1) * dim),
      payload: rows.payloads[i]?.slice()
    }))
    this.#writer.insertFresh(fresh)
    const freshBytes = fresh.reduce((sum, row) => sum + bytesOfRow(row), 0)
    this.#count({ freshCount: fresh.length, freshBytes })
    return fresh
  }

  #isFreshFull(): boolean {
    const { freshCount, freshBytes } = this.#changes
    return freshCount > MOST_FRESH_ROWS || freshBytes > MOST_FRESH_BYTES
  }

  /** Makes a delta of all fresh rows. */
  #spill(): void {
    const fresh = this.#index.context.documents.live.fresh.list()
    const { dim } = this.#meta
    const vectors = new Float32Array(fresh.length * dim)
    for (const [i, { vector }] of fresh.entries()) vectors.set(vector, i * dim)
    const ids = fresh.map(({ id }) => id)
    this.#addDelta({ count: fresh.length, ids, vectors, payloads: fresh.map(({ payload }) => payload) })
    this.#writer.removeFresh(fresh.map(({ sequence }) => sequence))
    const { freshBytes } = this.#changes
    this.#count({ freshCount: -fresh.length, freshBytes: -freshBytes, freshRemoved: fresh.length })
  }

  #addDelta(rows: Rows): void {
    const { folder, quantizer, fields } = this.#index.snapshot
    const delta = writeDelta({ folder, meta: this.#meta, quantizer, fields }, rows)
    this.#meta = this.#writer.addDelta(delta, this.#meta)
    this.#hasDelta = true
  }

  /** Syncs what was committed, where `durability` is `batch`. */
  sync(): void {
    this.#writer.sync()
  }

  close(): void {
    this.#index.close()
    this.#writer.close()
  }
}

function isLargeCall({ count, vectors, payloads }: Rows): boolean {
  const bytes = payloads.reduce((sum, payload) => sum + (payload?.byteLength ?? 0), vectors.byteLength)
  return count >= MOST_FRESH_ROWS * LARGE_CALL || bytes >= MOST_FRESH_BYTES * LARGE_CALL
}

function bytesOfRow({ vector, payload }: FreshRow): number {
  return vector.length * ELEMENT_BYTES + (payload?.byteLength ?? 0)
}
