// Publishes a step of a fold: one transaction, in which nobody else writes, takes what was changed meanwhile, carries
// it over, and makes the new files part of the index.

import type { ChangeWriter } from '../catalogue/change-writer.ts'
import type { ReservedNumbers } from '../catalogue/reservations.ts'
import { wallMillis } from '../clock.ts'
import type { OpenIndex } from '../search/open-index.ts'
import type { Calibration } from '../types.ts'
import { writeDelta } from '../write/delta-file.ts'
import type { Rows } from '../write/rows.ts'
import { carryOver } from './carry-over.ts'
import { FoldRows } from './fold-rows.ts'
import { neededFiles, withDeltas, type FoldedIndex } from './folded-index.ts'
import type { StepPlan } from './plan-step.ts'
import { takeSegment } from './take-rows.ts'
import type { WrittenFold } from './write-fold.ts'

/** Where a step is published. */
export interface PublishPlace {
  readonly index: OpenIndex
  readonly writer: ChangeWriter
  readonly folder: string
}

export interface StepToPublish {
  readonly plan: StepPlan
  readonly written: WrittenFold
  readonly folded: FoldedIndex
  readonly numbers: ReservedNumbers
  /** Patches from this sequence on came while the step was at work. */
  readonly since: number
  readonly calibration: {
    /** Undefined: as it was. */
    readonly measured: Calibration | null | undefined
    /** Rows that it does not know of. */
    readonly changedRows: number
  }
}

/** Throws ZGQ_LOCKED, ZGQ_IO or ZGQ_MISMATCH; the index is then as it was. */
export function publishStep(place: PublishPlace, step: StepToPublish): void {
  const { index, writer } = place
  writer.begin()
  try {
    index.take(writer.read(index.seen))
    publish(place, step)
  } catch (error) {
    writer.rollback()
    throw error
  }
}

function publish({ index, writer, folder }: PublishPlace, step: StepToPublish): void {
  const { plan, written, numbers, since, calibration } = step
  const { snapshot, context } = index
  const { live } = context.documents
  const removed = new Set(plan.removed)
  const { segments } = snapshot
  const recoded = plan.origin === undefined ? undefined : recodeLater({ index, writer, folder }, step, removed)
  const gone = [...plan.removed, ...(recoded?.removed ?? [])].sort((a, b) => a - b)
  const rows = { ...plan, removed: gone }
  const changes = carryOver(writer, live, { plan: rows, written: written.segments, segments, since })
  const folded = recoded?.folded ?? withDeltas(step.folded, snapshot, removed)
  const before = live.meta.rowsSinceCalibration
  const meta = writer.publishFold(
    {
      ...folded,
      generation: numbers.generation,
      quantizer: plan.origin === undefined ? undefined : folded.quantizer,
      calibration: calibration.measured,
      nowMs: wallMillis()
    },
    { ...writer.meta, ...recoded?.numbers }
  )
  const rowsSinceCalibration = calibration.measured === undefined ? before + calibration.changedRows : 0
  writer.commit({ meta, changes: { ...changes, rowsSinceCalibration } })
}

interface Recoded {
  readonly folded: FoldedIndex
  readonly removed: readonly number[]
  readonly numbers: { readonly generation: number; readonly nextSegment: number; readonly nextFile: number }
}

/** Writes the deltas that came meanwhile once more, with the origin that codes have from now on. */
function recodeLater(
  { index, writer, folder }: PublishPlace,
  { folded }: StepToPublish,
  removed: ReadonlySet<number>
): Recoded | undefined {
  const { snapshot, context } = index
  const { fields } = snapshot
  const { meta } = writer // numbers may have been given since the snapshot
  const later = [...snapshot.segments].filter(({ zone, segment }) => zone >= meta.zoneCount && !removed.has(segment))
  if (later.length === 0) return undefined
  const rows = new FoldRows(meta)
  for (const segment of later) takeSegment(context, rows, { segment })
  const names = later.map(({ segment }) => segment)
  if (rows.count === 0) return { folded, removed: names, numbers: meta }
  const place = { ...meta, zoneCount: folded.zoneCount, deltaZoneCount: 0 }
  const delta = writeDelta({ folder, meta: place, quantizer: folded.quantizer, fields }, rowsOf(rows))
  const centroids = new Float32Array(folded.centroids.length + delta.centroids.length)
  centroids.set(folded.centroids)
  centroids.set(delta.centroids, folded.centroids.length)
  const segments = [...folded.segments, ...delta.segments]
  const { file, generation } = delta.file
  return {
    folded: { ...folded, centroids, segments, files: neededFiles([...folded.files, delta.file], segments) },
    removed: names,
    numbers: { generation, nextSegment: segments[segments.length - 1].segment + 1, nextFile: file + 1 }
  }
}

function rowsOf(rows: FoldRows): Rows {
  const indexes = Uint32Array.from({ length: rows.count }, (_, index) => index)
  const vectors = new Float32Array(rows.count * rows.dim)
  for (const index of indexes) vectors.set(rows.vectorAt(index), index * rows.dim)
  return { count: rows.count, ids: rows.callerIds(), vectors, payloads: rows.payloadsOf(indexes) }
}
