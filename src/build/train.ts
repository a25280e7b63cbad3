// Training: k-means on a sample. Lloyd's algorithm from random rows (Lloyd 1982); small clusters are spent on splitting large ones, so that sizes stay even.

import type { Assigner } from './assigner.ts'
import type { RowSource } from './sources/row-source.ts'

/** Rounds over the early sample, then over all of it: most movement is in the first rounds, which need fewer rows. */
const EARLY_ROUNDS = 5
const FULL_ROUNDS = 3
/** A cluster above this many times the mean is split, as long as one below SMALL times the mean can be given up. */
const LARGE = 2
const SMALL = 0.25

/** Samples that are scaled and centred already, and how many zones to find in them. */
export interface TrainingSet {
  readonly sample: RowSource
  /** A part of the sample. */
  readonly earlySample: RowSource
  readonly zones: number
  readonly random: () => number
  /** Called before each round; may throw to stop. */
  readonly onRound: (round: number, rounds: number) => void | Promise<void>
}

/** Returns `zones` centroids in the space of the sample (float32, zones * dim) and how many of its rows each had in the last round. */
export async function train(assigner: Assigner, set: TrainingSet): Promise<{ centroids: Float32Array; sizes: Float64Array }> {
  const { sample, zones, random } = set
  const { dim } = sample
  const centroids = firstCentroids(set)
  const sums = new Float64Array(zones * dim)
  const sizes = new Float64Array(zones)
  const rounds = zones === 1 ? 1 : EARLY_ROUNDS + FULL_ROUNDS
  for (let round = 0; round < rounds; round++) {
    await set.onRound(round, rounds)
    assigner.setCentroids(centroids)
    sums.fill(0)
    sizes.fill(0)
    accumulate(assigner, round < EARLY_ROUNDS ? set.earlySample : sample, { sums, sizes })
    for (let zone = 0; zone < zones; zone++) {
      if (sizes[zone] === 0) continue
      for (let i = 0; i < dim; i++) centroids[zone * dim + i] = sums[zone * dim + i] / sizes[zone]
    }
    if (round < rounds - 1) splitLarge(centroids, sizes, random)
  }
  await set.onRound(rounds, rounds)
  return { centroids, sizes }
}

/** Distinct rows of the sample, one from each stratum. */
function firstCentroids({ sample, zones, random }: TrainingSet): Float32Array {
  const centroids = new Float32Array(zones * sample.dim)
  for (let zone = 0; zone < zones; zone++) {
    const start = Math.floor((zone * sample.count) / zones)
    const end = Math.floor(((zone + 1) * sample.count) / zones)
    const row = start + Math.floor(random() * (end - start))
    sample.readRows(Math.min(row, sample.count - 1), centroids.subarray(zone * sample.dim, (zone + 1) * sample.dim))
  }
  return centroids
}

interface Accumulation {
  /** float64, zones * dim */
  readonly sums: Float64Array
  readonly sizes: Float64Array
}

function accumulate(assigner: Assigner, sample: RowSource, into: Accumulation): void {
  const { dim } = sample
  const rowsPerCall = assigner.shape.rowsPerCall
  for (let row = 0; row < sample.count; row += rowsPerCall) {
    const count = Math.min(rowsPerCall, sample.count - row)
    const rows = assigner.rowsView(count)
    sample.readRows(row, rows)
    const zones = assigner.nearest(count)
    for (let i = 0; i < count; i++) {
      const zone = zones[i]
      into.sizes[zone]++
      for (let j = 0, at = zone * dim, from = i * dim; j < dim; j++) into.sums[at + j] += rows[from + j]
    }
  }
}

/** Gives the centroids of empty and small clusters to the largest ones: both then start a little apart and share the members. */
function splitLarge(centroids: Float32Array, sizes: Float64Array, random: () => number): void {
  const zones = sizes.length
  const dim = centroids.length / zones
  const mean = sizes.reduce((sum, size) => sum + size, 0) / zones
  const bySize = Array.from(sizes.keys()).sort((a, b) => sizes[a] - sizes[b] || a - b)
  const spread = standardDeviations(centroids, dim)
  for (let low = 0, high = zones - 1; low < high; low++, high--) {
    const small = bySize[low]
    const large = bySize[high]
    const isWorth = sizes[small] === 0 ? sizes[large] > 1 : sizes[small] < SMALL * mean && sizes[large] > LARGE * mean
    if (!isWorth) break
    for (let i = 0; i < dim; i++) {
      const shift = (random() - 0.5) * 0.1 * spread[i]
      centroids[small * dim + i] = centroids[large * dim + i] + shift
      centroids[large * dim + i] -= shift
    }
  }
}

function standardDeviations(centroids: Float32Array, dim: number): Float64Array {
  const deviations = new Float64Array(dim)
  const count = centroids.length / dim
  for (let i = 0; i < dim; i++) {
    let sum = 0
    let squares = 0
    for (let at = i; at < centroids.length; at += dim) {
      sum += centroids[at]
      squares += centroids[at] * centroids[at]
    }
    deviations[i] = Math.sqrt(Math.max(0, squares / count - (sum / count) ** 2))
  }
  return deviations
}
