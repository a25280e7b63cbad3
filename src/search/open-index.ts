// An index that is open: its files, its context, and how it comes to know what is written to it. Each commit is taken
// between two calls, never in the middle of one.

import type { Changes } from '../catalogue/changes.ts'
import { withSnapshot } from '../catalogue/reader.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import { CatalogueWatch } from '../catalogue/watch.ts'
import { nowMicros } from '../clock.ts'
import { sameChanges, type ChangesMeta } from '../format/changes-record.ts'
import type { Readers } from '../storage/open-readers.ts'
import { adoptSnapshot, openContext, takeChanges, type CheckedOpenOptions, type OpenedContext } from './open-context.ts'
import { requestedIndex, type RequestedIndex } from './request.ts'
import type { SearchContext } from './search-context.ts'

/** A program that does not return to its event loop still sees what is written, after so long. */
const MOST_AGE_MICROS = 1000

/** What a catalogue says that is new. */
export interface News {
  /** Undefined where there are no other segments. */
  readonly snapshot: Snapshot | undefined
  readonly changes: Changes
}

export class OpenIndex {
  #opened: OpenedContext
  #requested: RequestedIndex
  readonly #watch: CatalogueWatch
  #askedAt = -Infinity
  /** It was asked in this turn of the event loop. */
  #wasAsked = false
  /** Set once what was taken may be incomplete: nothing more is answered. */
  #failure: unknown

  private constructor(opened: OpenedContext) {
    this.#opened = opened
    this.#requested = requestedIndex(opened.snapshot, opened.context.documents.live.fresh.count)
    this.#watch = new CatalogueWatch(opened.snapshot)
  }

  /** Opens the index in a folder; throws as `withSnapshot` and `openContext` do, and what `expect` throws. */
  static open(folder: string, options: CheckedOpenOptions, expect?: (snapshot: Snapshot) => void): OpenIndex {
    return withSnapshot(folder, (snapshot) => {
      expect?.(snapshot)
      return new OpenIndex(openContext(snapshot, options))
    })
  }

  get snapshot(): Snapshot {
    return this.#opened.snapshot
  }

  get readers(): Readers {
    return this.#opened.readers
  }

  get context(): SearchContext {
    return this.#opened.context
  }

  get options(): CheckedOpenOptions {
    return this.#opened.options
  }

  /** Facts that requests are checked against. */
  get requested(): RequestedIndex {
    return this.#requested
  }

  /** What it has taken so far. */
  get seen(): { readonly snapshot: Snapshot; readonly since: ChangesMeta } {
    return { snapshot: this.snapshot, since: this.context.documents.live.meta }
  }

  /** Counts the rows that are live. */
  get count(): number {
    const { fresh, masks } = this.context.documents.live
    return this.snapshot.meta.count - masks.deletedCount + fresh.count
  }

  /**
   * Takes what was committed, if that was not asked in this turn of the event loop, and lately. Throws as `refresh`
   * does.
   */
  refreshIfDue(): void {
    const now = nowMicros()
    if (this.#wasAsked && now - this.#askedAt < MOST_AGE_MICROS) return
    if (!this.#wasAsked) queueMicrotask(this.#endTurn)
    this.#wasAsked = true
    this.#askedAt = now
    if (this.#failure !== undefined) throw this.#failure
    if (this.#watch.hasChanged()) this.refresh()
  }

  readonly #endTurn = (): void => {
    this.#wasAsked = false
  }

  /**
   * Takes what was committed; tells whether there was something. Throws ZGQ_CORRUPT, ZGQ_TRUNCATED, ZGQ_UNSUPPORTED,
   * ZGQ_MISMATCH or ZGQ_IO.
   */
  refresh(): boolean {
    const { commit } = this.context.documents.live
    this.take(this.#watch.read(this.seen))
    return this.context.documents.live.commit !== commit
  }

  /** Takes news that were read since `seen`. */
  take({ snapshot, changes }: News): void {
    const { live } = this.context.documents
    if (snapshot === undefined && changes.commit === live.commit && sameChanges(changes.meta, live.meta)) return
    try {
      if (snapshot !== undefined) this.#opened = adoptSnapshot(this.#opened, snapshot)
      takeChanges(this.context, changes)
    } catch (error) {
      this.#failure = error
      throw error
    }
    this.#requested = requestedIndex(this.snapshot, this.context.documents.live.fresh.count)
  }

  /** Closes files and mappings; nothing else is called then. */
  close(): void {
    this.#watch.close()
    this.#opened.readers.close()
  }
}
