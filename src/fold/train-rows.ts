// Trains zones on rows in memory: k-means as a build does it (build/train.ts), without tasks and files.

import { Assigner } from '../build/assigner.ts'
import { inOrder, orderZones } from '../build/order-zones.ts'
import { splitLarge } from '../build/split-large.ts'
import { KernelMemory } from '../kernels/kernel-memory.ts'
import { loadKernel } from '../kernels/load-kernel.ts'
import { sampleRows, seededRandom } from '../quantizer/random.ts'
import type { Metric } from '../types.ts'
import type { FoldRows } from './fold-rows.ts'

/** As a build: most movement is in the first rounds, which need fewer rows. */
const EARLY_ROUNDS = 5
const FULL_ROUNDS = 3
const ROUNDS = EARLY_ROUNDS + FULL_ROUNDS
const ROWS_PER_ZONE = 64
const EARLY_ROWS_PER_ZONE = 16
/** Bytes of rows that one call of the kernel takes. */
const CALL_BYTES = 1024 * 1024

/** Zones that were trained. */
export interface TrainedZones {
  /** The point that rows are centred on: float32, dim. */
  readonly origin: Float32Array
  /** float32, zones * dim, not centred; near ones in a row. */
  readonly centroids: Float32Array
}

/** Trains `zones` zones; `onRound` may throw to stop. Rows are seen as the metric sees them: cosine at unit length. */
export function trainRows(
  rows: FoldRows,
  of: { readonly zones: number; readonly metric: Metric; readonly seed: number },
  onRound: (round: number, rounds: number) => void
): TrainedZones {
  const { zones, metric, seed } = of
  const { dim } = rows
  const random = seededRandom(seed)
  const sample = sampleRows(rows.count, Math.min(rows.count, zones * ROWS_PER_ZONE), random)
  const early = sampleRows(sample.length, Math.min(sample.length, zones * EARLY_ROWS_PER_ZONE), random).map(
    (position) => sample[position]
  )
  const assigner = openAssigner({ dim, metric, zones })
  const origin = meanOf(rows, sample, assigner)
  assigner.setCentre(origin)
  const centroids = firstCentroids(rows, sample, { zones, assigner })
  const sizes = new Float64Array(zones)
  const sums = new Float64Array(zones * dim)
  const rounds = zones === 1 ? 1 : ROUNDS
  for (let round = 0; round < rounds; round++) {
    onRound(round, rounds)
    sizes.fill(0)
    sums.fill(0)
    assigner.setCentroids(centroids)
    for (const { view, zoneOf } of assignedRuns(rows, round < EARLY_ROUNDS ? early : sample, assigner)) {
      for (const [i, zone] of zoneOf.entries()) {
        sizes[zone]++
        for (let j = 0; j < dim; j++) sums[zone * dim + j] += view[i * dim + j]
      }
    }
    for (let zone = 0; zone < zones; zone++) {
      if (sizes[zone] === 0) continue
      for (let j = 0; j < dim; j++) centroids[zone * dim + j] = sums[zone * dim + j] / sizes[zone]
    }
    if (round < rounds - 1) splitLarge(centroids, sizes, random)
  }
  const ordered = inOrder(centroids, dim, orderZones(centroids, dim))
  for (let at = 0; at < ordered.length; at++) ordered[at] += origin[at % dim]
  return { origin, centroids: ordered }
}

/** Has kernel memory of its own, which goes with it. */
function openAssigner(of: { readonly dim: number; readonly metric: Metric; readonly zones: number }): Assigner {
  const rowsPerCall = Math.max(1, Math.floor(CALL_BYTES / (of.dim * 4)))
  return new Assigner(new KernelMemory(loadKernel()), { ...of, rowsPerCall })
}

/** Puts rows into the assigner, scaled as the metric wants it. */
function load(rows: FoldRows, some: readonly number[], assigner: Assigner): Float32Array {
  const { dim } = rows
  const view = assigner.rowsView(some.length)
  for (const [i, index] of some.entries()) view.set(rows.vectorAt(index), i * dim)
  assigner.scale(some.length)
  return view
}

function meanOf(rows: FoldRows, sample: readonly number[], assigner: Assigner): Float32Array {
  const { dim } = rows
  const sums = new Float64Array(dim)
  const { rowsPerCall } = assigner.shape
  for (let first = 0; first < sample.length; first += rowsPerCall) {
    const some = sample.slice(first, first + rowsPerCall)
    load(rows, some, assigner)
    assigner.addRows(
      some.map(() => 0),
      sums
    )
  }
  return Float32Array.from(sums, (sum) => sum / sample.length)
}

/** Rows of the sample, one from each stratum, in the centred space. */
function firstCentroids(
  rows: FoldRows,
  sample: readonly number[],
  of: { readonly zones: number; readonly assigner: Assigner }
): Float32Array {
  const { zones, assigner } = of
  const { dim } = rows
  const centroids = new Float32Array(zones * dim)
  const { rowsPerCall } = assigner.shape
  for (let first = 0; first < zones; first += rowsPerCall) {
    const count = Math.min(rowsPerCall, zones - first)
    const some = Array.from({ length: count }, (_, i) => sample[Math.floor(((first + i) * sample.length) / zones)])
    const view = load(rows, some, assigner)
    assigner.centre(count)
    centroids.set(view, first * dim)
  }
  return centroids
}

/** Finds the nearest centroid of rows, some at a time. */
function* assignedRuns(
  rows: FoldRows,
  indexes: readonly number[],
  assigner: Assigner
): Iterable<{ readonly view: Float32Array; readonly zoneOf: Uint32Array }> {
  const { rowsPerCall } = assigner.shape
  for (let first = 0; first < indexes.length; first += rowsPerCall) {
    const some = indexes.slice(first, first + rowsPerCall)
    const view = load(rows, some, assigner)
    assigner.centre(some.length)
    yield { view, zoneOf: assigner.nearest(some.length) }
  }
}

/** Returns the nearest of some centroids (float32, zones * dim, not centred) for rows: their positions. */
export function nearestZones(
  rows: FoldRows,
  indexes: readonly number[],
  of: { readonly centroids: Float32Array; readonly metric: Metric }
): Uint32Array {
  const { centroids, metric } = of
  const { dim } = rows
  const zones = centroids.length / dim
  const found = new Uint32Array(indexes.length)
  if (zones < 2 || indexes.length === 0) return found
  const assigner = openAssigner({ dim, metric, zones })
  const origin = new Float32Array(dim)
  for (let at = 0; at < centroids.length; at++) origin[at % dim] += centroids[at] / zones
  assigner.setCentre(origin)
  assigner.setCentroids(centroids.map((value, at) => value - origin[at % dim]))
  let done = 0
  for (const { zoneOf } of assignedRuns(rows, indexes, assigner)) {
    found.set(zoneOf, done)
    done += zoneOf.length
  }
  return found
}
