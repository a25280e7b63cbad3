// What was changed while a step of a fold was at work, carried over to the new places of the rows that it moved. Runs
// in the transaction that publishes the step, over the index as it is in it.

import type { MaskRow, PatchRow } from '../catalogue/changes.ts'
import type { ChangeWriter } from '../catalogue/change-writer.ts'
import { setBit, wordCount } from '../format/bitmap.ts'
import type { ChangesMeta } from '../format/changes-record.ts'
import { ELEMENT_BYTES } from '../format/layout.ts'
import type { SegmentRecord } from '../format/segment-record.ts'
import type { SegmentTable } from '../format/segment-table.ts'
import type { LiveRows } from '../live/live-rows.ts'
import type { StepPlan } from './plan-step.ts'

export interface CarriedStep {
  readonly plan: Pick<StepPlan, 'rows' | 'removed' | 'lifted'>
  /** The new segments. */
  readonly written: readonly SegmentRecord[]
  /** Segments before. */
  readonly segments: SegmentTable
  /** Patches from this sequence on came while the step was at work: earlier ones were taken with their rows. */
  readonly since: number
}

/** Writes masks, patches and removals of fresh rows; returns the counts of changes by then. */
export function carryOver(writer: ChangeWriter, live: LiveRows, step: CarriedStep): ChangesMeta {
  const carrier = new Carrier(writer, live, step)
  carrier.removeFresh()
  carrier.carrySegments()
  carrier.maskLifted()
  return carrier.finish()
}

class Carrier {
  readonly #writer: ChangeWriter
  readonly #live: LiveRows
  readonly #step: CarriedStep
  #meta: ChangesMeta
  /** Deleted rows of new segments. */
  readonly #deleted = new Map<number, Set<number>>()
  readonly #patches: PatchRow[] = []

  constructor(writer: ChangeWriter, live: LiveRows, step: CarriedStep) {
    this.#writer = writer
    this.#live = live
    this.#step = step
    this.#meta = live.meta
  }

  #next(): number {
    const { nextSequence } = this.#meta
    this.#meta = { ...this.#meta, nextSequence: nextSequence + 1 }
    return nextSequence
  }

  #delete(index: number): void {
    const { segment, row } = this.#step.plan.rows.placeOf(index)
    const rows = this.#deleted.get(segment)
    if (rows === undefined) this.#deleted.set(segment, new Set([row]))
    else rows.add(row)
  }

  /** Fresh rows that were taken go; those that went meanwhile are deleted where they are now. */
  removeFresh(): void {
    const left = new Map(this.#live.fresh.list().map((row) => [row.sequence, row]))
    const gone: number[] = []
    let freshBytes = 0
    for (const [sequence, index] of this.#step.plan.rows.fresh()) {
      const row = left.get(sequence)
      if (row === undefined) {
        this.#delete(index)
        continue
      }
      gone.push(sequence)
      freshBytes += row.vector.length * ELEMENT_BYTES + (row.payload?.byteLength ?? 0)
    }
    this.#writer.removeFresh(gone)
    const { freshCount, freshRemoved } = this.#meta
    this.#meta = {
      ...this.#meta,
      freshCount: freshCount - gone.length,
      freshBytes: this.#meta.freshBytes - freshBytes,
      freshRemoved: freshRemoved + gone.length
    }
  }

  /** Masks and patches of segments that go: what came late is for the new places. */
  carrySegments(): void {
    const { plan, segments } = this.#step
    const { masks } = this.#live
    const goneMasks: number[] = []
    for (const number of plan.removed) {
      const { slot } = segments.at(segments.find(number))
      const deleted = masks.of(slot)
      if (deleted !== undefined) {
        goneMasks.push(deleted.sequence)
        this.#meta = { ...this.#meta, deletedCount: this.#meta.deletedCount - deleted.count }
        plan.rows.eachOf(number, (row, index) => {
          if (masks.isDeleted(slot, row)) this.#delete(index)
        })
      }
      this.#carryPatches(slot, number)
    }
    this.#writer.removeMasks(goneMasks)
  }

  #carryPatches(slot: number, number: number, isMoved: (row: number) => boolean = () => true): void {
    const { plan, since } = this.#step
    const { patches } = this.#live
    const rows = (patches.of(slot)?.rows ?? []).filter(isMoved)
    const gone: number[] = []
    for (const row of rows) {
      const patch = patches.find(slot, row)
      if (patch === undefined) continue
      gone.push(patch.sequence)
      const index = plan.rows.indexOf(number, row)
      if (patch.sequence < since || index === undefined) continue
      this.#patches.push({ sequence: 0, ...plan.rows.placeOf(index), payload: patch.payload })
    }
    this.#writer.removePatches(gone)
    this.#meta = { ...this.#meta, patchCount: this.#meta.patchCount - gone.length }
  }

  /** Rows that were lifted out of segments that stay are deleted there. */
  maskLifted(): void {
    const { plan } = this.#step
    for (const [{ segment, slot, rowCount }, rows] of plan.lifted) {
      const before = this.#live.masks.of(slot)
      const words = before?.words.slice() ?? new Uint32Array(wordCount(rowCount))
      const moved = new Set(rows)
      this.#carryPatches(slot, segment, (row) => moved.has(row))
      let count = 0
      for (const row of rows) {
        const index = plan.rows.indexOf(segment, row)
        if (this.#live.masks.isDeleted(slot, row)) {
          if (index !== undefined) this.#delete(index)
          continue
        }
        setBit(words, row)
        count++
      }
      this.#writer.putMask({ sequence: this.#next(), segment, rowCount, deleted: words }, before?.sequence)
      this.#meta = { ...this.#meta, deletedCount: this.#meta.deletedCount + count }
    }
  }

  /** Writes what was carried over. */
  finish(): ChangesMeta {
    const rowsOf = new Map(this.#step.written.map(({ segment, rowCount }) => [segment, rowCount]))
    for (const [segment, rows] of this.#deleted) {
      const rowCount = rowsOf.get(segment) ?? 0
      const words = new Uint32Array(wordCount(rowCount))
      for (const row of rows) setBit(words, row)
      const mask: MaskRow = { sequence: this.#next(), segment, rowCount, deleted: words }
      this.#writer.putMask(mask, undefined)
      this.#meta = { ...this.#meta, deletedCount: this.#meta.deletedCount + rows.size }
    }
    for (const patch of this.#patches) {
      this.#writer.putPatch({ ...patch, sequence: this.#next() }, undefined)
      this.#meta = { ...this.#meta, patchCount: this.#meta.patchCount + 1 }
    }
    return this.#meta
  }
}
