// Labels for filters: of each row a random number, a path, and the numbers of its clusters, a coarse one of 32 and a
// fine one of 1,024, by k-means in two levels, so that labels go with the vectors as folders and topics do.

import { uniform } from './random.ts'

export const COARSE = 32
export const FINE = COARSE * COARSE
const SEED = 7
const LLOYD_ROUNDS = 4
/** Rows a cluster that centres are moved by. */
const SAMPLED = 100

export interface Labels {
  /** Uniform in [0, 1), one a row. */
  readonly random: Float64Array
  /** Fine cluster of each row; the coarse one is the whole number of 32ths of it. */
  readonly fine: Uint16Array
}

export interface RowBlock {
  /** float32, count * dim, row-major; scaled to length 1 where the metric is cosine. */
  readonly values: Float32Array
  readonly count: number
  readonly dim: number
}

export function randomNumbers(count: number): Float64Array {
  const next = uniform(SEED)
  return Float64Array.from({ length: count }, next)
}

/** A thousand folders, each with every thousandth row. */
export function pathOf(row: number): string {
  return `d${row % 1000}/f${row}`
}

/** Finds the fine cluster of each row. */
export function findClusters(block: RowBlock): Uint16Array {
  const next = uniform(SEED + 1)
  const all = Uint32Array.from({ length: block.count }, (_, row) => row)
  const coarse = cluster(block, all, next)
  const fine = new Uint16Array(block.count)
  for (let c = 0; c < COARSE; c++) {
    const members = all.filter((_, i) => coarse[i] === c)
    const parts = cluster(block, members, next)
    for (let i = 0; i < members.length; i++) fine[members[i]] = c * COARSE + parts[i]
  }
  return fine
}

/** Means of the rows of each fine cluster: FINE * dim, and how many rows each has. */
export function meansOf({ values, count, dim }: RowBlock, fine: Uint16Array): { means: Float64Array; sizes: number[] } {
  const means = new Float64Array(FINE * dim)
  const sizes = Array.from({ length: FINE }, () => 0)
  for (let row = 0; row < count; row++) {
    sizes[fine[row]]++
    for (let j = 0; j < dim; j++) means[fine[row] * dim + j] += values[row * dim + j]
  }
  for (let i = 0; i < means.length; i++) means[i] /= sizes[Math.floor(i / dim)] || 1
  return { means, sizes }
}

/** Splits rows into COARSE clusters; returns that of each. */
function cluster(block: RowBlock, rows: Uint32Array, next: () => number): Uint8Array {
  const { values, dim } = block
  const found = new Uint8Array(rows.length)
  if (rows.length === 0) return found
  const pick = (): number => Math.floor(next() * rows.length)
  const centres = new Float32Array(COARSE * dim)
  for (let c = 0; c < COARSE; c++) {
    const row = rows[pick()]
    centres.set(values.subarray(row * dim, (row + 1) * dim), c * dim)
  }
  const sample = Uint32Array.from({ length: Math.min(rows.length, COARSE * SAMPLED) }, () => rows[pick()])
  for (let round = 0; round < LLOYD_ROUNDS; round++) moveCentres(block, sample, centres)
  for (let i = 0; i < rows.length; i++) found[i] = nearestCentre(block, rows[i], centres)
  return found
}

function moveCentres(block: RowBlock, sample: Uint32Array, centres: Float32Array): void {
  const { values, dim } = block
  const sums = new Float64Array(centres.length)
  const sizes = new Uint32Array(COARSE)
  for (const row of sample) {
    const c = nearestCentre(block, row, centres)
    sizes[c]++
    for (let j = 0; j < dim; j++) sums[c * dim + j] += values[row * dim + j]
  }
  for (let i = 0; i < centres.length; i++) {
    const size = sizes[Math.floor(i / dim)]
    if (size > 0) centres[i] = sums[i] / size
  }
}

function nearestCentre({ values, dim }: RowBlock, row: number, centres: Float32Array): number {
  let nearest = 0
  let least = Infinity
  for (let c = 0; c < COARSE; c++) {
    let sum = 0
    for (let j = 0; j < dim && sum < least; j++) {
      const difference = values[row * dim + j] - centres[c * dim + j]
      sum += difference * difference
    }
    if (sum < least) {
      least = sum
      nearest = c
    }
  }
  return nearest
}
