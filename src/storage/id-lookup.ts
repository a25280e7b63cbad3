// Leads from the hash of an id to the rows that may have it, through the pages of an ids file (spec, section 4.1). Each
// page is verified at its first touch; those above the leaves stay in memory. Whoever looks up an id compares it with
// the one that is stored beside the row.

import type { FileRecord } from '../format/file-record.ts'
import type { IdHash } from '../format/id-hash.ts'
import {
  bytesOfPage,
  ENTRY_WORDS,
  findEntry,
  hasHash,
  ID_ENTRY_BYTES,
  idPage,
  verifyIdPage
} from '../format/id-pages.ts'
import { entriesIn, firstChildOf, idTree, type IdTree } from '../format/id-tree.ts'
import { PAGE_BYTES } from '../format/layout.ts'
import { ZgqError } from '../errors.ts'
import type { Verify } from '../types.ts'
import { PageLedger } from './page-ledger.ts'
import type { FileRange } from './reader.ts'
import type { SegmentReaders } from './readers.ts'
import type { ReadCounters } from './segment-reads.ts'

/** Pages above the leaves that are kept: 8 MB, for all up to 130 million rows. */
const MOST_KEPT_PAGES = 2 ** 11
/** Pages from the root down that are fetched at once: a fetch takes longer than so many bytes. */
const FETCHED_PAGES = 32
/** Entries that one hash may have: of 2^32 ids hardly two share one. More are made to be collected. */
const MOST_EQUAL_HASHES = 2 ** 10
/** The one slot of the ledger. */
const SLOT = 0

/** What reads an ids file. */
export type IdReaders = Pick<SegmentReaders, 'comesAnew' | 'isReadable' | 'readFresh' | 'readSettled'>

export class IdLookup {
  /** Where reads are counted: with the work that they are for. */
  counters: ReadCounters = { bytesRead: 0, pagesVerified: 0 }
  /** Segments and rows that were found last, the least (segment, row) first; good until the next search. */
  segments = new Uint32Array(16)
  rows = new Uint32Array(16)
  /** Number of the ids file. */
  readonly file: number
  readonly #tree: IdTree
  readonly #of: Parameters<typeof verifyIdPage>[2]
  readonly #readers: IdReaders
  readonly #verified = new PageLedger(1)
  /** By slot: a page above the leaves, and its number; one takes the slot of another. */
  readonly #kept: (Uint32Array | undefined)[]
  readonly #keptPages: Float64Array
  readonly #leaf = idPage()
  /** The leaf that was read last; 0: none. */
  #leafPage = 0
  #found = 0

  constructor(
    record: Pick<FileRecord, 'file' | 'rowCount'>,
    of: { readonly readers: IdReaders; readonly path: string; readonly indexId: Uint8Array; readonly verify: Verify }
  ) {
    const { readers, path, indexId, verify } = of
    this.file = record.file
    this.#tree = idTree(record.rowCount)
    this.#of = { path, indexId, tree: this.#tree, verifiesChecksum: verify !== 'none' }
    this.#readers = readers
    const slots = Math.min(MOST_KEPT_PAGES, this.#tree.rootPage - this.#leafCount)
    this.#kept = new Array<Uint32Array | undefined>(slots)
    this.#keptPages = new Float64Array(slots)
    this.#verified.open(SLOT, this.#tree.rootPage + 1)
  }

  /** The ids file. */
  get path(): string {
    return this.#of.path
  }

  get #leafCount(): number {
    return this.#tree.levels[0].pageCount
  }

  /**
   * Finds the rows whose ids may have a hash, and returns how many: `segments` and `rows` name them. Throws
   * ZGQ_CORRUPT, ZGQ_TRUNCATED or ZGQ_IO.
   */
  find(hash: IdHash): number {
    this.#found = 0
    const [leaves] = this.#tree.levels
    for (let page = this.#leafOf(hash); page <= this.#leafCount; page++) {
      const words = this.#leafWords(page)
      const count = entriesIn(leaves, page)
      let entry = findEntry(words, count, hash)
      for (; entry < count && hasHash(words, entry, hash); entry++) {
        if (this.#found === MOST_EQUAL_HASHES) throw this.#tooManyEqual(page, entry)
        this.#note(words, entry * ENTRY_WORDS)
      }
      if (entry < count) break
    }
    return this.#found
  }

  /**
   * Tells what must be read next before `find` reads nothing but pages that were verified; none: nothing. An
   * asynchronous driver fetches these ranges, has `load` take them, and asks again.
   */
  rangesFor(hash: IdHash): FileRange[] {
    const { levels, rootPage } = this.#tree
    let page = rootPage
    for (let level = levels.length - 1; level > 0; level--) {
      if (!this.#isAtHand(page)) {
        const first = page === rootPage ? Math.max(this.#leafCount + 1, rootPage - FETCHED_PAGES + 1) : page
        return [this.#rangeOf(first, page + 1)]
      }
      page = this.#childOf(page, level, hash)
    }
    let found = 0
    // Where there are more, it is for `find` to say so.
    for (; page <= this.#leafCount && found <= MOST_EQUAL_HASHES; page++) {
      if (!this.#isAtHand(page)) return [this.#rangeOf(page, page + 1)]
      const count = entriesIn(levels[0], page)
      const words = this.#leafWords(page)
      let entry = findEntry(words, count, hash)
      for (; entry < count && hasHash(words, entry, hash); entry++) found++
      if (entry < count) break
    }
    return []
  }

  /** Not whether it is kept alone: what is kept may push out another that the same way leads through. */
  #isAtHand(page: number): boolean {
    if (!this.#verified.has(SLOT, page)) return false
    const isKept = page <= this.#leafCount ? this.#leafPage === page : this.#keptAt(page) !== undefined
    return isKept || this.#readers.isReadable(this.#rangeOf(page, page + 1))
  }

  /** Reads and verifies the pages of ranges that `rangesFor` gave; throws as `find` does. */
  load(ranges: readonly FileRange[]): void {
    for (const { offset, byteLength } of ranges) {
      const end = (offset + byteLength) / PAGE_BYTES
      for (let page = offset / PAGE_BYTES; page < end; page++) {
        if (page <= this.#leafCount) this.#leafWords(page)
        else this.#innerWords(page)
      }
    }
  }

  #tooManyEqual(page: number, entry: number): ZgqError {
    return new ZgqError('ZGQ_CORRUPT', `more than ${MOST_EQUAL_HASHES} ids have one hash`, {
      path: this.path,
      offset: page * PAGE_BYTES + entry * ID_ENTRY_BYTES
    })
  }

  #rangeOf(first: number, end: number): FileRange {
    return { file: this.file, offset: first * PAGE_BYTES, byteLength: (end - first) * PAGE_BYTES }
  }

  #note(words: Uint32Array, at: number): void {
    if (this.#found === this.rows.length) {
      this.rows = doubled(this.rows)
      this.segments = doubled(this.segments)
    }
    this.rows[this.#found] = words[at + 2]
    this.segments[this.#found] = words[at + 3]
    this.#found++
  }

  /** The first leaf that may have a hash. */
  #leafOf(hash: IdHash): number {
    let page = this.#tree.rootPage
    for (let level = this.#tree.levels.length - 1; level > 0; level--) page = this.#childOf(page, level, hash)
    return page
  }

  /** The last child that begins below the hash: those of equal hashes may begin in it. */
  #childOf(page: number, level: number, hash: IdHash): number {
    const count = entriesIn(this.#tree.levels[level], page)
    const before = findEntry(this.#innerWords(page), count, hash) - 1
    return firstChildOf(this.#tree, level, page) + Math.max(0, before)
  }

  #slotOf(page: number): number {
    return (page - this.#leafCount - 1) % this.#kept.length
  }

  #keptAt(page: number): Uint32Array | undefined {
    const slot = this.#slotOf(page)
    return this.#keptPages[slot] === page ? this.#kept[slot] : undefined
  }

  #innerWords(page: number): Uint32Array {
    const kept = this.#keptAt(page)
    if (kept !== undefined) return kept
    const slot = this.#slotOf(page)
    this.#keptPages[slot] = 0 // whatever is read now may fail
    const words = (this.#kept[slot] ??= idPage())
    this.#read(page, words)
    this.#keptPages[slot] = page
    return words
  }

  #leafWords(page: number): Uint32Array {
    if (this.#leafPage === page) return this.#leaf
    this.#leafPage = 0
    this.#read(page, this.#leaf)
    this.#leafPage = page
    return this.#leaf
  }

  #read(page: number, words: Uint32Array): void {
    const bytes = bytesOfPage(words)
    if (!this.#readers.comesAnew && this.#verified.has(SLOT, page)) {
      this.#readers.readSettled(this.file, page * PAGE_BYTES, bytes)
    } else {
      this.#readers.readFresh(this.file, page * PAGE_BYTES, bytes)
      verifyIdPage(words, page, this.#of)
      this.#verified.add(SLOT, page)
      this.counters.pagesVerified++
    }
    this.counters.bytesRead += PAGE_BYTES
  }
}

function doubled(values: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const more = new Uint32Array(values.length * 2)
  more.set(values)
  return more
}
