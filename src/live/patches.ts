// Payloads that were updated since their rows were written: they overlay payload and fields of rows of segments. A
// version does not change; the next one shares what stayed.

import type { PatchRow } from '../catalogue/changes.ts'
import { hasBit } from '../format/bitmap.ts'
import type { DeclaredField } from '../format/fields.ts'
import type { SegmentTable } from '../format/segment-table.ts'
import { ChangedFields } from './changed-fields.ts'
import type { Deleted } from './live-masks.ts'

/** A row's payload from now on. */
export interface Patch {
  readonly sequence: number
  /** MessagePack. */
  readonly payload: Uint8Array
}

/** The patched rows of a segment. */
export interface PatchedSegment {
  /** Numbers of the rows, in the order of `fields`. */
  readonly rows: readonly number[]
  readonly fields: ChangedFields
}

/** What fields are read by. */
interface FieldsOf {
  readonly fields: readonly DeclaredField[]
  readonly path: string
}

export class Patches {
  readonly #of: FieldsOf
  readonly #bySlot: ReadonlyMap<number, ReadonlyMap<number, Patch>>
  readonly #segments = new Map<number, PatchedSegment>()

  constructor(of: FieldsOf, bySlot: ReadonlyMap<number, ReadonlyMap<number, Patch>> = new Map()) {
    this.#of = of
    this.#bySlot = bySlot
  }

  /** The next version, with these patches; deleted: segments of which rows were deleted, which need none any more. */
  with(
    patches: readonly PatchRow[],
    of: { readonly segments: SegmentTable; readonly deleted: readonly Deleted[] }
  ): Patches {
    const changed = new Map<number, Map<number, Patch>>()
    const rowsOf = (slot: number): Map<number, Patch> => {
      const rows = changed.get(slot) ?? new Map(this.#bySlot.get(slot))
      changed.set(slot, rows)
      return rows
    }
    for (const { sequence, segment, row, payload } of patches) {
      const { slot } = of.segments.at(of.segments.find(segment))
      rowsOf(slot).set(row, { sequence, payload })
    }
    for (const { slot, words } of of.deleted)
      for (const row of this.#bySlot.get(slot)?.keys() ?? []) if (hasBit(words, row)) rowsOf(slot).delete(row)
    if (changed.size === 0) return this
    const bySlot = new Map(this.#bySlot)
    for (const [slot, rows] of changed) {
      if (rows.size === 0) bySlot.delete(slot)
      else bySlot.set(slot, rows)
    }
    return new Patches(this.#of, bySlot)
  }

  /** How many rows are patched. */
  get count(): number {
    let count = 0
    for (const rows of this.#bySlot.values()) count += rows.size
    return count
  }

  get areNone(): boolean {
    return this.#bySlot.size === 0
  }

  find(slot: number, row: number): Patch | undefined {
    return this.#bySlot.get(slot)?.get(row)
  }

  /** The patched rows of the segment in a slot; undefined: there are none. */
  of(slot: number): PatchedSegment | undefined {
    const rows = this.#bySlot.get(slot)
    if (rows === undefined) return undefined
    let found = this.#segments.get(slot)
    if (found === undefined) {
      const payloads = Array.from(rows.values(), ({ payload }) => payload)
      found = { rows: [...rows.keys()], fields: new ChangedFields(payloads, this.#of) }
      this.#segments.set(slot, found)
    }
    return found
  }

  /** The patches as the catalogue has them; segments: those that they are of. */
  rows(segments: SegmentTable): PatchRow[] {
    return Array.from(this.#bySlot, ([slot, ofRows]) => {
      const { segment } = segments.inSlot(slot)
      return Array.from(ofRows, ([row, { sequence, payload }]) => ({ sequence, segment, row, payload }))
    }).flat()
  }

  slots(): Iterable<number> {
    return this.#bySlot.keys()
  }
}
