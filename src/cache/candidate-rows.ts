// The bounded cache of single rows that were reranked, in kernel memory, where the kernel finds them by a table of
// hashes: what is read slowly is read once. Where files are mapped, the system keeps what was read: rows are kept here
// only if there is room for all of them, so that a warm search needs no call for each.

import type { Segment } from '../format/segment-table.ts'
import { KEPT_ADDRESS_AT, KEPT_ENTRY_BYTES, KEPT_ROW_AT, KEPT_SEGMENT_AT, KEPT_USED_AT } from '../kernels/layouts.ts'
import { keptHome } from '../kernels/addresses.ts'
import type { KernelMemory } from '../kernels/kernel-memory.ts'
import type { SegmentFiles } from '../storage/segment-files.ts'
import type { Ordinal } from '../storage/segment-reads.ts'

/** Rows that room is made for at first; then for as many again as there are. */
const FIRST_ROWS = 64
/** Entries of the table for each row that there is room for, at least: it is half empty. */
const ENTRIES_OF_ROW = 2
const WORDS = KEPT_ENTRY_BYTES / 4
const [SEGMENT, ROW, ADDRESS, USED] = [KEPT_SEGMENT_AT / 4, KEPT_ROW_AT / 4, KEPT_ADDRESS_AT / 4, KEPT_USED_AT / 4]

/** Kernel memory for a row: dim * 4 bytes. */
export interface RowSlot {
  readonly address: number
  readonly bytes: Uint8Array
}

/** What limits a cache of rows: bytes, and how many rows there are. */
export interface CandidateRowsLimits {
  readonly cacheBytes: number
  readonly rowCount: number
}

/** Bytes that a row takes here, with its entries of the table, which may be twice as long as it must be. */
export function bytesOfRow(rowBytes: number): number {
  return rowBytes + 2 * ENTRIES_OF_ROW * KEPT_ENTRY_BYTES
}

export class CandidateRows {
  readonly #memory: KernelMemory
  readonly #files: SegmentFiles
  readonly #rowBytes: number
  /** Rows that there may be, and whether those are all. */
  #capacity = 0
  #hasRoomForAll = false
  /** Address of the table of 2^#bits entries; 0 before the first row. */
  #table = 0
  #bits = 0
  /** Regions of kernel memory that rows lie in. */
  readonly #regions: number[] = []
  #roomFor = 0
  /** Addresses of rows that are free. */
  readonly #free: number[] = []
  /** Second chance: the hand goes round the table and passes over rows that were used since it came by last. */
  #hand = 0

  constructor(dim: number, files: SegmentFiles, of: CandidateRowsLimits & { readonly memory: KernelMemory }) {
    this.#memory = of.memory
    this.#files = files
    this.#rowBytes = dim * 4
    this.limit(of)
  }

  /** Sets how many rows may be kept; gives all back where there are more of them. */
  limit({ cacheBytes, rowCount }: CandidateRowsLimits): void {
    const most = Math.floor(cacheBytes / bytesOfRow(this.#rowBytes))
    this.#hasRoomForAll = rowCount <= most
    this.#capacity = Math.min(most, rowCount)
    if (this.#roomFor > this.#capacity) this.#giveBack()
  }

  /** Ids of rows are not read: heaps hold ordinals. */
  get usesOrdinals(): boolean {
    return this.#files.usesOrdinals
  }

  /** The table for the kernel. */
  get table(): number {
    return this.#table
  }

  /** The table has 2^bits entries. */
  get bits(): number {
    return this.#bits
  }

  /** Tells whether a row can be copied without a read. */
  isAtHand(segment: Segment, row: number): boolean {
    return (this.#files.isMapped && this.#files.isRowVerified(segment, row)) || this.addressOf(segment, row) !== 0
  }

  /** Address of a row that is kept here, or 0. */
  addressOf({ slot }: Pick<Segment, 'slot'>, row: number): number {
    if (this.#table === 0) return 0
    const { words } = this.#memory
    for (let at = this.#home(slot, row); ; at = this.#after(at)) {
      const entry = this.#entry(at)
      if (words[entry + ADDRESS] === 0) return 0
      if (words[entry + ROW] === row && words[entry + SEGMENT] === slot) return words[entry + ADDRESS]
    }
  }

  /** Copies a row that is not kept if that takes no read; tells whether it did. Kernel memory may move. */
  copy(segment: Segment, row: number, target: RowSlot): boolean {
    if (!this.#files.isMapped || !this.#files.isRowVerified(segment, row)) return false
    this.#files.copyVerifiedRow(segment, row, target.bytes)
    this.#keep(segment.slot, row, target)
    return true
  }

  /** Reads a row and keeps it. Kernel memory may move. */
  read(segment: Segment, row: number, target: RowSlot): void {
    this.#files.copyRow(segment, row, target.bytes)
    this.#keep(segment.slot, row, target)
  }

  /** Reads the id of a row of a segment whose codes had to leave kernel memory: u64. */
  readId(segment: Segment, row: number, target: Uint8Array): void {
    this.#files.copyId(segment, row, target)
  }

  /** Asks the system for rows at once. */
  prefetch(rows: readonly Ordinal[]): void {
    this.#files.prefetchRows(rows)
  }

  /** Forgets the rows of segments in these slots. */
  drop(slots: readonly number[]): void {
    const dropped = new Set(slots)
    for (let at = 0; this.#table !== 0 && at < 2 ** this.#bits;) {
      const entry = this.#entry(at)
      const { words } = this.#memory
      // What moves into its place may have to go too.
      if (words[entry + ADDRESS] !== 0 && dropped.has(words[entry + SEGMENT])) this.#free.push(this.#remove(at))
      else at++
    }
  }

  /** Gives all its kernel memory back. */
  #giveBack(): void {
    for (const region of this.#regions.splice(0)) this.#memory.free(region)
    this.#memory.free(this.#table)
    this.#table = 0
    this.#bits = 0
    this.#roomFor = 0
    this.#free.length = 0
    this.#hand = 0
  }

  #keep(slot: number, row: number, { address }: RowSlot): void {
    // Whether files are mapped may be decided after the first searches.
    if (this.#files.isMapped && !this.#hasRoomForAll) {
      if (this.#roomFor > 0) this.#giveBack()
      return
    }
    if (this.addressOf({ slot }, row) !== 0) return
    if (this.#free.length === 0 && this.#roomFor < this.#capacity) this.#grow()
    if (this.#roomFor === 0) return
    const place = this.#free.pop() ?? this.#freePlace()
    this.#memory.bytes.copyWithin(place, address, address + this.#rowBytes)
    this.#enter({ slot, row, address: place, wasUsed: 0 })
  }

  /** Takes the place of a row that was not used. */
  #freePlace(): number {
    for (;;) {
      const at = this.#hand
      const { words } = this.#memory
      const entry = this.#entry(at)
      if (words[entry + ADDRESS] !== 0 && words[entry + USED] === 0) return this.#remove(at)
      words[entry + USED] = 0
      this.#hand = this.#after(at)
    }
  }

  /** Makes room for as many rows again, or for no more where kernel memory ends: a search can do without. */
  #grow(): void {
    const more = Math.min(Math.max(FIRST_ROWS, this.#roomFor), this.#capacity - this.#roomFor)
    try {
      const bits = Math.ceil(Math.log2((this.#roomFor + more) * ENTRIES_OF_ROW))
      if (bits > this.#bits) this.#growTable(bits)
      const start = this.#memory.allocate(more * this.#rowBytes)
      this.#regions.push(start)
      for (let i = more - 1; i >= 0; i--) this.#free.push(start + i * this.#rowBytes)
      this.#roomFor += more
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      this.#capacity = this.#roomFor
    }
  }

  #growTable(bits: number): void {
    const [before, entries] = [this.#table, this.#table === 0 ? 0 : 2 ** this.#bits]
    this.#table = this.#memory.allocate(2 ** bits * KEPT_ENTRY_BYTES)
    this.#bits = bits // only once there is room
    const { words } = this.#memory
    for (let at = 0; at < entries; at++) {
      const entry = before / 4 + at * WORDS
      const [slot, row, address, wasUsed] = words.subarray(entry, entry + WORDS)
      if (address !== 0) this.#enter({ slot, row, address, wasUsed })
    }
    this.#memory.free(before)
    this.#hand = 0
  }

  #enter(of: { slot: number; row: number; address: number; wasUsed: number }): void {
    const { words } = this.#memory
    let at = this.#home(of.slot, of.row)
    while (words[this.#entry(at) + ADDRESS] !== 0) at = this.#after(at)
    const entry = this.#entry(at)
    words[entry + SEGMENT] = of.slot
    words[entry + ROW] = of.row
    words[entry + ADDRESS] = of.address
    words[entry + USED] = of.wasUsed
  }

  /** Takes an entry out and moves those behind it that would not be found any more; returns the row's address. */
  #remove(removed: number): number {
    const { words } = this.#memory
    const last = 2 ** this.#bits - 1
    const address = words[this.#entry(removed) + ADDRESS]
    let free = removed
    for (let at = this.#after(free); words[this.#entry(at) + ADDRESS] !== 0; at = this.#after(at)) {
      const entry = this.#entry(at)
      const home = this.#home(words[entry + SEGMENT], words[entry + ROW])
      if (((at - home) & last) < ((at - free) & last)) continue
      words.copyWithin(this.#entry(free), entry, entry + WORDS)
      free = at
    }
    words.fill(0, this.#entry(free), this.#entry(free) + WORDS)
    return address
  }

  /** Where a row is looked for first. */
  #home(slot: number, row: number): number {
    return keptHome(this.#bits, slot, row)
  }

  #after(at: number): number {
    return (at + 1) & (2 ** this.#bits - 1)
  }

  /** Index of an entry in words. */
  #entry(at: number): number {
    return this.#table / 4 + at * WORDS
  }
}
