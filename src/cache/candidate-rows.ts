// The bounded cache of single rows that were reranked, in kernel memory: what is read slowly is read once. Where files
// are mapped the system keeps what was read, and nothing is kept here.

import type { Segment } from '../format/segment-table.ts'
import type { KernelMemory } from '../kernels/kernel-memory.ts'
import type { SegmentFiles } from '../storage/segment-files.ts'
import type { Ordinal } from '../storage/segment-reads.ts'

/** Rows that room is made for at first; then for as many again as there are. */
const FIRST_ROWS = 64
/** Rows are numbered by slot, then in it; a segment has fewer rows than this. */
const ROWS_OF_SLOT = 2 ** 31
const NONE = -1

/** Kernel memory for a row: dim * 4 bytes. */
export interface RowSlot {
  readonly address: number
  readonly bytes: Uint8Array
}

export class CandidateRows {
  readonly #memory: KernelMemory
  readonly #files: SegmentFiles
  readonly #rowBytes: number
  readonly #capacity: number
  readonly #placeOfRow = new Map<number, number>()
  /** By place. */
  #rowAt = new Float64Array(0)
  #wasUsed = new Uint8Array(0)
  /** Addresses by place. */
  readonly #pointers: number[] = []
  /** Places whose rows went. */
  readonly #free: number[] = []
  /** Second chance: the hand goes round and passes over rows that were used since it came by last. */
  #hand = 0

  constructor(dim: number, files: SegmentFiles, options: { memory: KernelMemory; cacheBytes: number }) {
    this.#memory = options.memory
    this.#files = files
    this.#rowBytes = dim * 4
    this.#capacity = Math.floor(options.cacheBytes / this.#rowBytes)
  }

  /** Tells whether a row can be copied without a read. */
  isAtHand(segment: Segment, row: number): boolean {
    if (this.#files.isMapped) return this.#files.isRowVerified(segment, row)
    return this.#placeOfRow.has(segment.slot * ROWS_OF_SLOT + row)
  }

  /** Address of a row that is kept here, or 0. */
  addressOf(segment: Segment, row: number): number {
    const place = this.#placeOfRow.get(segment.slot * ROWS_OF_SLOT + row)
    return place === undefined ? 0 : this.#pointers[place]
  }

  /** Copies a row if that takes no read; tells whether it did. */
  copy(segment: Segment, row: number, target: RowSlot): boolean {
    if (this.#files.isMapped) {
      if (!this.#files.isRowVerified(segment, row)) return false
      this.#files.copyVerifiedRow(segment, row, target.bytes)
      return true
    }
    const place = this.#placeOfRow.get(segment.slot * ROWS_OF_SLOT + row)
    if (place === undefined) return false
    this.#wasUsed[place] = 1
    const from = this.#pointers[place]
    this.#memory.bytes.copyWithin(target.address, from, from + this.#rowBytes)
    return true
  }

  /** Reads a row and keeps it. Kernel memory may move. */
  read(segment: Segment, row: number, target: RowSlot): void {
    this.#files.copyRow(segment, row, target.bytes)
    if (!this.#files.isMapped && this.#capacity > 0) this.#keep(segment.slot * ROWS_OF_SLOT + row, target)
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
    for (const [row, place] of this.#placeOfRow) {
      if (!dropped.has(Math.floor(row / ROWS_OF_SLOT))) continue
      this.#placeOfRow.delete(row)
      this.#rowAt[place] = NONE
      this.#free.push(place)
    }
  }

  #keep(row: number, { address }: RowSlot): void {
    if (this.#placeOfRow.has(row)) return
    const place = this.#freePlace()
    this.#memory.bytes.copyWithin(this.#pointers[place], address, address + this.#rowBytes)
    this.#rowAt[place] = row
    this.#wasUsed[place] = 0
    this.#placeOfRow.set(row, place)
  }

  #freePlace(): number {
    if (this.#free.length === 0 && this.#pointers.length < this.#capacity) this.#grow()
    const free = this.#free.pop()
    if (free !== undefined) return free
    for (;;) {
      const place = this.#hand
      this.#hand = (place + 1) % this.#capacity
      if (this.#wasUsed[place] === 0) {
        this.#placeOfRow.delete(this.#rowAt[place])
        this.#rowAt[place] = NONE
        return place
      }
      this.#wasUsed[place] = 0
    }
  }

  #grow(): void {
    const before = this.#pointers.length
    const more = Math.min(Math.max(FIRST_ROWS, before), this.#capacity - before)
    const start = this.#memory.allocate(more * this.#rowBytes)
    for (let i = 0; i < more; i++) {
      this.#pointers.push(start + i * this.#rowBytes)
      this.#free.push(before + more - 1 - i)
    }
    const [rowAt, wasUsed] = [new Float64Array(before + more).fill(NONE), new Uint8Array(before + more)]
    rowAt.set(this.#rowAt)
    wasUsed.set(this.#wasUsed)
    this.#rowAt = rowAt
    this.#wasUsed = wasUsed
  }
}
