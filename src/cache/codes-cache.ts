// The bounded cache of segments' codes in kernel memory. Each entry is the codes extent of a segment as it lies in its
// file; the kernel finds entries through the table of segments. Memory is a ring of one piece: a hand goes round,
// passes over entries that were used since it came by last (second chance), and takes the place of the others.

import { alignUp, PAGE_BYTES } from '../format/layout.ts'
import { fillOrdinals } from '../format/ordinals.ts'
import type { Segment, SegmentTable } from '../format/segment-table.ts'
import type { KernelMemory } from '../kernels/kernel-memory.ts'
import { segmentEntry } from '../kernels/addresses.ts'
import {
  SEGMENT_CENTROID_NORM2_AT,
  SEGMENT_ENTRY_BYTES,
  SEGMENT_IDS_AT,
  SEGMENT_PAGE_CRCS_AT,
  SEGMENT_PLANES_AT,
  SEGMENT_REFINED_AT,
  SEGMENT_ROW_COUNT_AT,
  SEGMENT_USED_AT
} from '../kernels/layouts.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import type { SegmentFiles } from '../storage/segment-files.ts'

/** Entries start on multiples of this, as columns do in their extent. */
const ALIGNMENT = 64
/** How much larger than needed a ring gets that has to grow. */
const GROWTH = 1.5

/**
 * Times that the hand comes by the start of the ring, from anywhere in it: by then it has passed every entry twice.
 */
const MOST_ROUNDS = 3

interface Entry {
  readonly slot: number
  start: number
  end: number
  /** Searches that wait for bytes and will come back to it. */
  pins: number
  /** Its bytes, where it had to go while they waited. */
  copy: Uint8Array | undefined
  /** The entry behind it in memory. */
  next: Entry | undefined
}

/** Codes that a search which waits will come back to. */
export interface Pin {
  /** The codes of a segment that was pinned and had to go. */
  copyOf(segment: Segment): Uint8Array | undefined
  end(): void
}

/** Where codes are kept, and how many bytes of them. */
export interface CodesCacheOptions {
  readonly memory: KernelMemory
  readonly cacheBytes: number
}

export class CodesCache {
  readonly #memory: KernelMemory
  readonly #files: SegmentFiles
  readonly #cacheBytes: number
  #snapshot: Snapshot
  /** Table of segments as the kernel reads it, by slot. */
  #table = 0
  #tableSlots = 0
  /** Bytes of kernel memory that the ring takes once something is in it. */
  #capacity: number
  readonly #entryOfSlot: (Entry | undefined)[]
  /** Address of the ring; 0 before the first entry. */
  #ring = 0
  #hasLargePages = false
  #first: Entry | undefined
  /** The entry before the hand; undefined: the hand is at the start of the ring. */
  #before: Entry | undefined

  constructor(snapshot: Snapshot, files: SegmentFiles, options: CodesCacheOptions) {
    this.#memory = options.memory
    this.#files = files
    this.#cacheBytes = options.cacheBytes
    this.#snapshot = snapshot
    this.#capacity = this.#capacityFor(snapshot.segments)
    // Of its full length at once: engines turn an array that grows by leaps into a table of hashes.
    this.#entryOfSlot = new Array<Entry | undefined>(snapshot.segments.slotCount)
    this.#makeTable(snapshot.segments.slotCount)
  }

  /** Address of the table of segments; it moves when a snapshot with more slots is adopted. */
  get table(): number {
    return this.#table
  }

  get capacity(): number {
    return this.#capacity
  }

  /** Tells whether codes stay in kernel memory once they are there: there is room for those of all segments. */
  get keepsAll(): boolean {
    return this.#capacity >= this.#roomForAll(this.#snapshot.segments)
  }

  /** Takes another snapshot: the codes of segments in `dropped` slots go, those of all others stay. */
  adopt(snapshot: Snapshot, dropped: readonly number[]): void {
    this.#snapshot = snapshot
    for (const slot of dropped) this.#drop(slot)
    if (this.#capacityFor(snapshot.segments) > this.#capacity) this.#growRing()
    if (snapshot.segments.slotCount > this.#tableSlots) this.#growTable(snapshot.segments.slotCount)
  }

  holds({ slot }: Segment): boolean {
    return this.#entryOfSlot[slot] !== undefined
  }

  /** Address of a segment's ids (u64 a row), or 0 if its codes are not in kernel memory. */
  idsOf({ slot }: Segment): number {
    const { words } = this.#memory
    const entry = segmentEntry(this.#table, slot)
    return words[(entry + SEGMENT_PLANES_AT) / 4] === 0 ? 0 : words[(entry + SEGMENT_IDS_AT) / 4]
  }

  /** Address of the CRCs of a segment's pages (u32 each), or 0 if its codes are not in kernel memory. */
  pageCrcsOf({ slot }: Segment): number {
    const { words } = this.#memory
    const entry = segmentEntry(this.#table, slot)
    return words[(entry + SEGMENT_PLANES_AT) / 4] === 0 ? 0 : words[(entry + SEGMENT_PAGE_CRCS_AT) / 4]
  }

  /**
   * Keeps what kernel memory holds of the segments' codes there while a search waits for the others, as far as there is
   * room; a copy of what has to go is made for it.
   */
  pin(segments: readonly Segment[]): Pin {
    const pinned = new Map<number, Entry>()
    for (const { slot } of segments) {
      const entry = this.#entryOfSlot[slot]
      if (entry === undefined) continue
      pinned.set(slot, entry)
      entry.pins++
    }
    return {
      copyOf: ({ slot, codes }) => pinned.get(slot)?.copy?.subarray(0, codes.byteLength),
      end() {
        for (const entry of pinned.values()) entry.pins--
      }
    }
  }

  /** Notes that a segment is in use, so that the hand passes over it once. */
  touch({ slot }: Segment): void {
    this.#setUsed(slot, 1)
  }

  #setUsed(slot: number, value: 0 | 1): void {
    this.#memory.words[(segmentEntry(this.#table, slot) + SEGMENT_USED_AT) / 4] = value
  }

  #wasUsed(slot: number): boolean {
    return this.#memory.words[(segmentEntry(this.#table, slot) + SEGMENT_USED_AT) / 4] === 1
  }

  /** Brings the codes of a segment into kernel memory. Others may have to leave. */
  load(segment: Segment): void {
    if (this.holds(segment)) return
    // All at once: untouched pages cost nothing, and growing kernel memory has a price of its own.
    if (this.#ring === 0) this.#ring = this.#memory.allocate(this.#capacity)
    if (!this.#hasLargePages) this.#hasLargePages = this.#askForLargePages()
    const { slot, codes } = segment
    const codesBytes = alignUp(codes.byteLength, ALIGNMENT)
    const byteLength = codesBytes + this.#ordinalBytes(segment.rowCount)
    const start = this.#makeRoom(byteLength)
    const layout = this.#files.readCodes(segment, this.#memory.bytesAt(start, codes.byteLength))
    // Entered only now: a read that failed must not leave an entry that looks filled.
    const entry = { slot, start, end: start + byteLength, pins: 0, copy: undefined, next: this.#next }
    this.#link(entry)
    this.#before = entry
    this.#entryOfSlot[slot] = entry
    this.#setUsed(slot, 1)
    const { words, floats } = this.#memory
    const at = segmentEntry(this.#table, slot)
    words[(at + SEGMENT_PLANES_AT) / 4] = start + (layout.planes?.offset ?? 0)
    words[(at + SEGMENT_REFINED_AT) / 4] = layout.refinedCodes === undefined ? 0 : start + layout.refinedCodes.offset
    words[(at + SEGMENT_IDS_AT) / 4] = start + (this.#files.usesOrdinals ? codesBytes : (layout.ids?.offset ?? 0))
    if (this.#files.usesOrdinals) fillOrdinals(this.#memory.bytesAt(start + codesBytes, segment.rowCount * 8), slot, 0)
    words[(at + SEGMENT_PAGE_CRCS_AT) / 4] = start + layout.pageCrcs.offset
    words[(at + SEGMENT_ROW_COUNT_AT) / 4] = segment.rowCount
    // What l2 and cosine know already.
    if (this.#snapshot.meta.metric === 'ip')
      floats[(at + SEGMENT_CENTROID_NORM2_AT) / 4] = this.#centroidNorm2(segment.zone)
  }

  /** All codes, or as many bytes as may be cached; the largest extent always fits. */
  #capacityFor(segments: SegmentTable): number {
    const { mostCodesBytes, mostRows } = segments.totals
    const largest = alignUp(mostCodesBytes, ALIGNMENT) + this.#ordinalBytes(mostRows)
    return Math.max(largest, Math.min(this.#roomForAll(segments), this.#cacheBytes))
  }

  #roomForAll({ count, totals }: SegmentTable): number {
    const ordinals = this.#files.usesOrdinals ? totals.rows * 8 + count * ALIGNMENT : 0
    return totals.codesBytes + count * ALIGNMENT + ordinals
  }

  /** Ordinals are in no file: they are made behind the codes. */
  #ordinalBytes(rowCount: number): number {
    return this.#files.usesOrdinals ? alignUp(rowCount * 8, ALIGNMENT) : 0
  }

  #centroidNorm2(zone: number): number {
    const { centroids, meta } = this.#snapshot
    let sum = 0
    for (let i = zone * meta.dim; i < (zone + 1) * meta.dim; i++) sum += centroids[i] * centroids[i]
    return sum
  }

  #makeTable(slots: number): void {
    this.#table = this.#memory.allocate(slots * SEGMENT_ENTRY_BYTES)
    this.#tableSlots = slots
  }

  #growTable(slots: number): void {
    const [before, bytes] = [this.#table, this.#tableSlots * SEGMENT_ENTRY_BYTES]
    this.#makeTable(slots)
    this.#memory.bytes.copyWithin(this.#table, before, before + bytes)
    this.#memory.free(before)
  }

  /** Makes the ring larger than it must be, so that it need not grow again soon, and takes along what is in it. */
  #growRing(): void {
    const wanted = this.#capacityFor(this.#snapshot.segments)
    const before = { start: this.#ring, byteLength: this.#capacity }
    this.#capacity = Math.max(wanted, Math.min(alignUp(wanted * GROWTH, ALIGNMENT), this.#cacheBytes))
    if (before.start === 0) return
    this.#ring = this.#memory.allocate(this.#capacity)
    this.#memory.bytes.copyWithin(this.#ring, before.start, before.start + before.byteLength)
    this.#memory.free(before.start)
    this.#hasLargePages = false
    const by = this.#ring - before.start
    for (let entry = this.#first; entry !== undefined; entry = entry.next) {
      entry.start += by
      entry.end += by
      const { words } = this.#memory
      const at = segmentEntry(this.#table, entry.slot)
      for (const part of [SEGMENT_PLANES_AT, SEGMENT_REFINED_AT, SEGMENT_IDS_AT, SEGMENT_PAGE_CRCS_AT])
        if (words[(at + part) / 4] !== 0) words[(at + part) / 4] += by
    }
  }

  #drop(slot: number): void {
    const entry = this.#entryOfSlot[slot]
    if (entry === undefined) return
    let before: Entry | undefined
    for (let other = this.#first; other !== entry && other !== undefined; other = other.next) before = other
    if (before === undefined) this.#first = entry.next
    else before.next = entry.next
    if (this.#before === entry) this.#before = before
    this.#forget(slot)
  }

  #forget(slot: number): void {
    this.#entryOfSlot[slot] = undefined
    this.#memory.words[(segmentEntry(this.#table, slot) + SEGMENT_PLANES_AT) / 4] = 0
  }

  /** 1.1 times as fast with 100 MB of codes (bench/README.md). Tells whether nothing is left to ask. */
  #askForLargePages(): boolean {
    const firstPage = alignUp(this.#ring, PAGE_BYTES)
    const byteLength = this.#ring + this.#capacity - firstPage
    return byteLength <= 0 || this.#files.largePages(this.#memory.bytesAt(firstPage, byteLength))
  }

  /** The entry behind the hand. */
  get #next(): Entry | undefined {
    return this.#before === undefined ? this.#first : this.#before.next
  }

  #link(next: Entry | undefined): void {
    if (this.#before === undefined) this.#first = next
    else this.#before.next = next
  }

  /**
   * Moves the hand until `byteLength` bytes behind it are free; returns where they start. Where searches that wait
   * leave no room, they get copies.
   */
  #makeRoom(byteLength: number): number {
    for (let rounds = 0; ;) {
      const next = this.#next
      const free = this.#before?.end ?? this.#ring
      if ((next?.start ?? this.#ring + this.#capacity) - free >= byteLength) return free
      if (next === undefined) {
        rounds++
        this.#before = undefined
      } else if (this.#wasUsed(next.slot) || (next.pins > 0 && rounds < MOST_ROUNDS)) {
        this.#setUsed(next.slot, 0)
        this.#before = next
      } else {
        if (next.pins > 0) next.copy = this.#memory.bytesAt(next.start, next.end - next.start).slice()
        this.#link(next.next)
        this.#forget(next.slot)
      }
    }
  }
}
