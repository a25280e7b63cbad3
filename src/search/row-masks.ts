// Which rows a search may find: a bit for each row of some segments, in kernel memory. They travel with the list of
// segments of a query (takeSegments), so searches with other masks, or none, go on beside it.

import type { KernelMemory } from '../kernels/kernel-memory.ts'

/** Rows that may be found, by segment. */
export interface Masks {
  /** Address of the mask of the segment in a slot; 0: all of its rows may be found. */
  addressOf(slot: number): number
  /** Tells whether no row of the segment in a slot may be found. */
  isEmpty(slot: number): boolean
  /**
   * Address of a table of the same by slot, as the kernel reads it: u32 each, MASK_OF_NONE where no row may be found.
   * Undefined: there is none, and searches take more calls of the kernel.
   */
  readonly table?: number | undefined
}

/** Masks whose rows are counted, as searches with a filter need them. */
export interface CountedMasks extends Masks {
  /** Rows that may be found. */
  readonly matchCount: number
  /** Segments with such rows. */
  readonly segmentCount: number
  /**
   * Built zones to be listed: those with such rows, u32 each, ascending; address 0: all of the first `count`, where
   * they are nearly all.
   */
  readonly zones: { readonly positions: number; readonly count: number }
  /** Notes a search that begins with them, and one that has ended. */
  take(): void
  giveBack(): void
  /** Counts the rows of the segment in a slot that may be found. */
  countOf(slot: number): number
  /** Calls `take` with every row that may be found. */
  eachMatch(take: (slot: number, row: number) => void): void
}

export class RowMasks implements Masks {
  readonly #memory: KernelMemory
  /** Address of the mask of the segment in a slot. */
  readonly #masks = new Map<number, number>()
  /** Slots of segments of which no row may be found. */
  readonly #empty = new Set<number>()

  /** All rows of all segments may be found. */
  constructor(memory: KernelMemory) {
    this.#memory = memory
  }

  /**
   * Sets the mask of the segment in a slot. mask: a bit for each row, lowest bits first; rows behind it may not be
   * found.
   */
  set(of: { readonly slot: number; readonly rowCount: number }, mask: Uint32Array): void {
    this.#forget(of.slot)
    const words = new Uint32Array(Math.ceil(of.rowCount / 32))
    words.set(mask.subarray(0, words.length))
    if (of.rowCount % 32 !== 0) words[words.length - 1] &= 2 ** (of.rowCount % 32) - 1
    if (words.every((word) => word === 0)) {
      this.#empty.add(of.slot)
      return
    }
    const address = this.#memory.allocate(words.byteLength)
    this.#memory.uint32At(address, words.length).set(words)
    this.#masks.set(of.slot, address)
  }

  /** Address of the mask of the segment in a slot; 0: all of its rows may be found. */
  addressOf(slot: number): number {
    return this.#masks.get(slot) ?? 0
  }

  /** Tells whether no row of the segment in a slot may be found. */
  isEmpty(slot: number): boolean {
    return this.#empty.has(slot)
  }

  /** Gives the kernel memory back: all rows may be found again. */
  clear(): void {
    for (const address of this.#masks.values()) this.#memory.free(address)
    this.#masks.clear()
    this.#empty.clear()
  }

  #forget(slot: number): void {
    this.#memory.free(this.addressOf(slot))
    this.#masks.delete(slot)
    this.#empty.delete(slot)
  }
}
