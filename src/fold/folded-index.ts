// What an index is once a step of a fold is published: all its segments, files and centroids.

import type { Snapshot } from '../catalogue/snapshot.ts'
import type { FoldToPublish } from '../catalogue/publish-fold.ts'
import type { FileRecord } from '../format/file-record.ts'
import type { QuantizerMeta } from '../format/quantizer.ts'
import type { EXTENT_KINDS } from '../format/kinds.ts'
import { encodeSegmentRecords, type SegmentRecord } from '../format/segment-record.ts'
import { SegmentTable, type Segment } from '../format/segment-table.ts'
import { KernelMemory } from '../kernels/kernel-memory.ts'
import { loadKernel } from '../kernels/load-kernel.ts'
import { encodeCentroids } from '../quantizer/encode-centroids.ts'
import type { StepPlan } from './plan-step.ts'
import type { WrittenFold } from './write-fold.ts'

/** Deltas that came later are numbered behind the built zones. */
export type FoldedIndex = Pick<
  FoldToPublish,
  'segments' | 'files' | 'centroids' | 'zoneCount' | 'zoneCodes' | 'quantizer'
>

/** What of an index stays, and what comes. */
export interface FoldParts {
  readonly plan: Pick<StepPlan, 'numbering' | 'removed'>
  readonly written: WrittenFold
  /** As it is from now on. */
  readonly quantizer: QuantizerMeta | undefined
}

const EXTENTS = ['rows', 'columns', 'codes', 'fields', 'payload'] satisfies (keyof typeof EXTENT_KINDS)[]

/** Works out the built zones after a step. */
export function foldedZones(snapshot: Snapshot, { plan, written, quantizer }: FoldParts): FoldedIndex {
  const { meta, segments: before, files } = snapshot
  const { dim, metric } = meta
  const { zoneCount, kept, written: zones } = plan.numbering
  const removed = new Set(plan.removed)
  const stays = [...before].filter(({ zone, segment }) => zone < meta.zoneCount && !removed.has(segment))
  const segments = [...stays.map((segment) => ({ ...segment, zone: numberOf(kept, segment) })), ...written.segments]
  const centroids = new Float32Array(zoneCount * dim)
  for (const [from, to] of kept) centroids.set(snapshot.centroids.subarray(from * dim, (from + 1) * dim), to * dim)
  for (const [i, { zone }] of zones.entries()) centroids.set(written.centroids[i], zone * dim)
  const zoneCodes =
    quantizer === undefined
      ? new Uint8Array(0)
      : encodeCentroids(new KernelMemory(loadKernel()), centroids, { dim, metric, quantizer })
  return {
    segments: segments.sort((a, b) => a.segment - b.segment),
    files: neededFiles([...files, ...written.files], segments),
    centroids,
    zoneCount,
    zoneCodes,
    quantizer
  }
}

function numberOf(kept: ReadonlyMap<number, number>, { zone, segment }: Segment): number {
  const number = kept.get(zone)
  if (number === undefined) throw new Error(`segment ${segment} is of zone ${zone}, which does not stay`)
  return number
}

/** Files that segments need, and ids files. */
export function neededFiles(files: readonly FileRecord[], segments: readonly SegmentRecord[]): FileRecord[] {
  const needed = new Set<number>()
  for (const segment of segments)
    for (const kind of EXTENTS) if (segment[kind].byteLength > 0) needed.add(segment[kind].file)
  const hasRows = segments.length > 0
  return files
    .filter(({ file, kind }) => needed.has(file) || (kind === 'ids' && hasRows))
    .sort((a, b) => a.file - b.file)
}

/** Adds the deltas that stay, behind the built zones. */
export function withDeltas(folded: FoldedIndex, snapshot: Snapshot, removed: ReadonlySet<number>): FoldedIndex {
  const { meta, segments: before, centroids: all } = snapshot
  const { dim } = meta
  const deltas = [...before].filter(({ zone, segment }) => zone >= meta.zoneCount && !removed.has(segment))
  if (deltas.length === 0) return folded
  const centroids = new Float32Array((folded.zoneCount + deltas.length) * dim)
  centroids.set(folded.centroids)
  for (const [i, { zone }] of deltas.entries())
    centroids.set(all.subarray(zone * dim, (zone + 1) * dim), (folded.zoneCount + i) * dim)
  const records = deltas.map((segment, i) => ({ ...segment, zone: folded.zoneCount + i }))
  const segments = [...folded.segments, ...records].sort((a, b) => a.segment - b.segment)
  const numbers = new Set(folded.files.map(({ file }) => file))
  const others = snapshot.files.filter(({ file, kind }) => kind === 'delta' && !numbers.has(file))
  return { ...folded, centroids, segments, files: neededFiles([...folded.files, ...others], segments) }
}

/** The built zones after a step as a snapshot, which a calibration can be measured on before they are published. */
export function asSnapshot(snapshot: Snapshot, folded: FoldedIndex, generation: number): Snapshot {
  const { meta } = snapshot
  const segments = new SegmentTable(encodeSegmentRecords(folded.segments), folded.zoneCount)
  return {
    ...snapshot,
    ...folded,
    meta: {
      ...meta,
      generation,
      count: segments.totals.rows,
      zoneCount: folded.zoneCount,
      deltaZoneCount: 0,
      segmentCount: segments.count,
      fileCount: folded.files.length
    },
    segments,
    calibration: null
  }
}
