// Which rows of segments are live: bitmaps, in kernel memory for scans, and as deleted rows for everybody else. A
// version does not change; the next one shares what stayed. Searches note that they use one (take, giveBack).

import type { MaskRow } from '../catalogue/changes.ts'
import { countBits, hasBit, lastWordMask, wordCount } from '../format/bitmap.ts'
import type { SegmentTable } from '../format/segment-table.ts'
import type { KernelMemory } from '../kernels/kernel-memory.ts'
import { MASK_OF_NONE } from '../kernels/layouts.ts'

/** Room of a table for segments that come later, so that it need not be made anew for each. */
const SPARE_SLOTS = 1.5

/** The deleted rows of a segment. */
export interface Deleted {
  readonly sequence: number
  readonly segment: number
  readonly slot: number
  readonly rowCount: number
  /** A bit for each deleted row. */
  readonly words: Uint32Array
  readonly count: number
  /** Address of the bitmap of live rows. */
  readonly address: number
  /** Versions that have it. */
  users: number
}

export class LiveMasks {
  readonly #memory: KernelMemory
  readonly #bySlot: ReadonlyMap<number, Deleted>
  /** Deleted rows of all segments. */
  readonly deletedCount: number
  /** Addresses by slot, as kernels read them: see Masks. */
  readonly table: number
  readonly #slotCount: number
  #users = 0

  private constructor(memory: KernelMemory, bySlot: ReadonlyMap<number, Deleted>, slotCount: number) {
    this.#memory = memory
    this.#bySlot = bySlot
    this.#slotCount = slotCount
    this.table = bySlot.size === 0 ? 0 : memory.allocate(slotCount * 4)
    const { words } = memory
    let count = 0
    for (const deleted of bySlot.values()) {
      deleted.users++
      count += deleted.count
      words[this.table / 4 + deleted.slot] = deleted.count === deleted.rowCount ? MASK_OF_NONE : deleted.address
    }
    this.deletedCount = count
  }

  /** All rows are live. */
  static none(memory: KernelMemory): LiveMasks {
    return new LiveMasks(memory, new Map(), 0)
  }

  /** Tells whether the table has all slots of these segments. */
  covers({ slotCount }: SegmentTable): boolean {
    return this.table === 0 || slotCount <= this.#slotCount
  }

  /** The next version, with other masks for some segments. */
  with(rows: readonly MaskRow[], segments: SegmentTable): LiveMasks {
    const bySlot = new Map(this.#bySlot)
    for (const { sequence, segment, deleted } of rows) {
      const { slot, rowCount } = segments.at(segments.find(segment))
      const words = deleted.slice(0, wordCount(rowCount))
      const address = this.#memory.allocate(words.byteLength)
      const live = this.#memory.uint32At(address, words.length)
      for (let i = 0; i < words.length; i++) live[i] = ~words[i]
      live[words.length - 1] &= lastWordMask(rowCount)
      bySlot.set(slot, { sequence, segment, slot, rowCount, words, count: countBits(words), address, users: 0 })
    }
    return new LiveMasks(this.#memory, bySlot, Math.ceil(segments.slotCount * SPARE_SLOTS))
  }

  /** All rows are live. */
  get areNone(): boolean {
    return this.#bySlot.size === 0
  }

  /** Address of the bitmap of live rows of the segment in a slot; 0: all are live. */
  addressOf(slot: number): number {
    return this.#bySlot.get(slot)?.address ?? 0
  }

  /** Tells whether all rows of the segment in a slot are deleted. */
  isEmpty(slot: number): boolean {
    const deleted = this.#bySlot.get(slot)
    return deleted !== undefined && deleted.count === deleted.rowCount
  }

  of(slot: number): Deleted | undefined {
    return this.#bySlot.get(slot)
  }

  isDeleted(slot: number, row: number): boolean {
    const deleted = this.#bySlot.get(slot)
    return deleted !== undefined && hasBit(deleted.words, row)
  }

  /** The masks as the catalogue has them. */
  rows(): MaskRow[] {
    return Array.from(this.#bySlot.values(), ({ sequence, segment, rowCount, words }) => {
      return { sequence, segment, rowCount, deleted: words }
    })
  }

  values(): Iterable<Deleted> {
    return this.#bySlot.values()
  }

  take(): void {
    this.#users++
  }

  /** Gives kernel memory back once nobody uses this version. */
  giveBack(): void {
    if (--this.#users > 0) return
    this.#memory.free(this.table)
    for (const deleted of this.#bySlot.values()) if (--deleted.users === 0) this.#memory.free(deleted.address)
  }
}
