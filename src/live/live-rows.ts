// What changed in an open index since its segments were written: fresh rows, deleted rows, patches. Each commit that is
// taken makes another version.

import type { Changes, MaskRow } from '../catalogue/changes.ts'
import { ZgqError } from '../errors.ts'
import { NO_CHANGES, type ChangesMeta } from '../format/changes-record.ts'
import type { SegmentTable } from '../format/segment-table.ts'
import type { KernelMemory } from '../kernels/kernel-memory.ts'
import { FreshRows, type FreshRowsFacts } from './fresh-rows.ts'
import { LiveMasks, type Deleted } from './live-masks.ts'
import { Patches } from './patches.ts'

export class LiveRows {
  readonly fresh: FreshRows
  readonly #path: string
  #masks: LiveMasks
  #patches: Patches
  #meta: ChangesMeta = NO_CHANGES
  #commit = 0
  #version = 0

  constructor(memory: KernelMemory, of: FreshRowsFacts) {
    this.#path = of.path
    this.fresh = new FreshRows(memory, of)
    this.#masks = LiveMasks.none(memory)
    this.#masks.take()
    this.#patches = new Patches(of)
  }

  /** Goes on with what `before` knows, over other segments: those that stayed are found by their numbers. */
  static after(
    before: LiveRows,
    memory: KernelMemory,
    of: FreshRowsFacts & { readonly before: SegmentTable; readonly segments: SegmentTable }
  ): LiveRows {
    const { segments } = of
    const live = new LiveRows(memory, of)
    const hasStayed = ({ segment }: { readonly segment: number }): boolean => segments.find(segment) !== -1
    live.fresh.change(before.fresh.list(), undefined)
    const masks = before.#masks.rows().filter(hasStayed)
    if (masks.length > 0) live.#takeMasks(masks, segments)
    const patches = before.#patches.rows(of.before).filter(hasStayed)
    live.#patches = live.#patches.with(patches, { segments, deleted: [] })
    live.#meta = before.#meta
    live.#commit = before.#commit
    live.#version = before.#version + 1
    return live
  }

  /** What changes with every commit that is taken. */
  get version(): number {
    return this.#version
  }

  /** The last commit that was taken. */
  get commit(): number {
    return this.#commit
  }

  get meta(): ChangesMeta {
    return this.#meta
  }

  get masks(): LiveMasks {
    return this.#masks
  }

  get patches(): Patches {
    return this.#patches
  }

  /** Nothing changed since the segments were written, or is left of it. */
  get isUnchanged(): boolean {
    return this.fresh.count === 0 && this.#masks.areNone && this.#patches.areNone
  }

  /**
   * Takes what is new; returns the slots of segments whose rows match filters otherwise than before. Throws ZGQ_CORRUPT
   * where counts do not fit, after which the index must be opened anew.
   */
  take(changes: Changes, segments: SegmentTable): Set<number> {
    const { fresh, kept, masks, patches, meta, commit } = changes
    this.fresh.change(fresh, kept)
    if (masks.length > 0 || !this.#masks.covers(segments)) this.#takeMasks(masks, segments)
    const slotOf = (segment: number): number => segments.at(segments.find(segment)).slot
    const slots = new Set(masks.map(({ segment }) => slotOf(segment)))
    if (masks.length > 0 || patches.length > 0) {
      const deleted = Array.from(slots, (slot) => this.#masks.of(slot)).filter(
        (one): one is Deleted => one !== undefined
      )
      this.#patches = this.#patches.with(patches, { segments, deleted })
    }
    for (const { segment } of patches) slots.add(slotOf(segment))
    this.#meta = meta
    this.#commit = commit
    this.#version++
    this.#expectCounts(meta)
    return slots
  }

  #takeMasks(masks: readonly MaskRow[], segments: SegmentTable): void {
    const before = this.#masks
    this.#masks = before.with(masks, segments)
    this.#masks.take()
    before.giveBack()
  }

  #expectCounts({ freshCount, deletedCount, patchCount }: ChangesMeta): void {
    const found = [this.fresh.count, this.#masks.deletedCount, this.#patches.count]
    const expected = [freshCount, deletedCount, patchCount]
    const names = ['fresh rows', 'deleted rows', 'patches']
    const wrong = found.findIndex((count, i) => count !== expected[i])
    if (wrong !== -1)
      throw new ZgqError(
        'ZGQ_CORRUPT',
        `the catalogue has ${found[wrong]} ${names[wrong]}, expected ${expected[wrong]}`,
        {
          path: this.#path
        }
      )
  }

  /** Gives the kernel memory back. */
  close(): void {
    this.fresh.close()
    this.#masks.giveBack()
  }
}
