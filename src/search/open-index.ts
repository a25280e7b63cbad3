// An index that is open: its files, its context, and how it comes to know what is written to it. Each commit is taken
// between two calls, never in the middle of one.

import { resolve } from 'node:path'

import type { Changes } from '../catalogue/changes.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import { CatalogueWatch } from '../catalogue/watch.ts'
import { nowMicros } from '../clock.ts'
import { isMissingFile, ZgqError } from '../errors.ts'
import { sameChanges, type ChangesMeta } from '../format/changes-record.ts'
import { bytesEqual } from '../format/layout.ts'
import { withStoredSnapshot } from '../storage/open-packed.ts'
import type { Readers } from '../storage/open-readers.ts'
import { adoptSnapshot, takeChanges } from './adopt-snapshot.ts'
import { openContext, type CheckedOpenOptions, type OpenedContext } from './open-context.ts'
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

/** Of a packed index, which nobody changes: what takes its place is another one, to be opened anew. */
const STILL = { hasChanged: () => false, read: () => undefined, close: () => undefined }

export class OpenIndex {
  #opened: OpenedContext
  #requested: RequestedIndex
  readonly #watch: Pick<CatalogueWatch, 'hasChanged' | 'read' | 'close'>
  #askedAt = -Infinity
  /** It was asked in this turn of the event loop. */
  #wasAsked = false
  /** What was taken may be incomplete: all is opened anew before the next answer. */
  #isBroken = false
  /** Readers of generations before that somebody still works with. */
  readonly #readersBefore = new Set<Readers>()

  private constructor(opened: OpenedContext) {
    this.#opened = opened
    this.#requested = requestedIndex(opened.snapshot, opened.context.documents.live.fresh.count)
    this.#watch = opened.snapshot.packed === undefined ? new CatalogueWatch(opened.snapshot) : STILL
  }

  /** Opens an index, packed or not; throws as `withStoredSnapshot` and `openContext` do, and what `expect` throws. */
  static open(folder: string, options: CheckedOpenOptions, expect?: (snapshot: Snapshot) => void): OpenIndex {
    return withStoredSnapshot(folder, (snapshot) => {
      expect?.(snapshot)
      return new OpenIndex(openContext(placed(snapshot), options))
    })
  }

  /** Opens it for the own reading of who writes to it; throws ZGQ_MISMATCH where another index has taken its place. */
  static openSame(folder: string, options: CheckedOpenOptions, indexId: Uint8Array): OpenIndex {
    return OpenIndex.open(folder, options, ({ meta }) => {
      if (bytesEqual(meta.indexId, indexId)) return
      throw new ZgqError('ZGQ_MISMATCH', 'the index was moved or replaced: open it again', { path: folder })
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
    if (this.#isBroken || this.#watch.hasChanged()) this.refresh()
  }

  /**
   * Does work that reads, with all that was committed. Where it misses a file that a fold has given up since, it is
   * done once more on what there is by then. Throws as `refresh` and the work do.
   */
  read<Result>(work: () => Result): Result {
    this.refreshIfDue()
    const { commit } = this
    try {
      return work()
    } catch (error) {
      if (!this.hasMovedOn(error, commit)) throw error
      return work()
    }
  }

  /**
   * Tells whether an error is of a file that is missing, and more was committed since `commit`, which it then takes.
   */
  hasMovedOn(error: unknown, commit: number): boolean {
    if (!isMissingFile(error)) return false
    this.refresh()
    return this.commit !== commit
  }

  /** The last commit that was taken. */
  get commit(): number {
    return this.context.documents.live.commit
  }

  readonly #endTurn = (): void => {
    this.#wasAsked = false
  }

  /**
   * Takes what was committed; tells whether there was something. Throws ZGQ_CORRUPT, ZGQ_TRUNCATED, ZGQ_UNSUPPORTED,
   * ZGQ_MISMATCH or ZGQ_IO.
   */
  refresh(): boolean {
    const { commit } = this
    if (this.#isBroken) this.#reopen()
    const news = this.#watch.read(this.seen)
    try {
      if (news !== undefined) this.take(news)
    } catch (error) {
      if (!isMissingFile(error)) throw error
      this.#reopen()
    }
    return this.commit !== commit
  }

  /** Opens all anew where it could not be taken whole; searches under way that have to read reject. */
  #reopen(): void {
    const { snapshot: before, options, readers } = this.#opened
    const opened = withStoredSnapshot(before.folder, (snapshot) => {
      if (!bytesEqual(snapshot.meta.indexId, before.meta.indexId))
        throw new ZgqError('ZGQ_MISMATCH', 'the index was replaced by another one: open it again', {
          path: before.folder
        })
      return openContext(placed(snapshot), options)
    })
    readers.close()
    this.#opened = opened
    this.#requested = requestedIndex(opened.snapshot, opened.context.documents.live.fresh.count)
    this.#isBroken = false
  }

  /** Takes news that were read since `seen`. */
  take({ snapshot, changes }: News): void {
    const { live } = this.context.documents
    if (snapshot === undefined && changes.commit === live.commit && sameChanges(changes.meta, live.meta)) return
    try {
      if (snapshot !== undefined) this.#adopt(snapshot)
      takeChanges(this.context, changes)
    } catch (error) {
      this.#isBroken = true
      throw error
    }
    this.#requested = requestedIndex(this.snapshot, this.context.documents.live.fresh.count)
  }

  #adopt(snapshot: Snapshot): void {
    const before = this.#opened
    this.#opened = adoptSnapshot(before, snapshot)
    const { readers, context } = before
    if (readers === this.#opened.readers) return
    this.#readersBefore.add(readers)
    context.states.whenUnused(() => {
      readers.close()
      this.#readersBefore.delete(readers)
    })
  }

  /** Closes files and mappings; nothing else is called then. */
  close(): void {
    this.#watch.close()
    this.#opened.readers.close()
    for (const readers of this.#readersBefore) readers.close()
  }
}

/** Files come later, when the program may have another working folder. */
function placed(snapshot: Snapshot): Snapshot {
  return { ...snapshot, folder: resolve(snapshot.folder), cataloguePath: resolve(snapshot.cataloguePath) }
}
