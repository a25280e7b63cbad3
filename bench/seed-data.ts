// The project's seed table's data: 10,000 x 128 standard normal vectors, 1,000 queries of the same kind, exact
// neighbours by brute force.

import type { Queries } from './queries.ts'
import { normalRows } from './random.ts'

export const SEED_DIM = 128
export const SEED_COUNT = 10_000
export const SEED_QUERIES = 1000
export const SEED_K = 10
export const SEED_ZONES = 100
export const SEED_NPROBE = 20
export const SEED_EF = 200

/** Makes the base: float32, SEED_COUNT * SEED_DIM, row-major. */
export function makeSeedBase(): Float32Array {
  return normalRows(1, SEED_COUNT * SEED_DIM)
}

export function makeSeedQueries(): Float32Array[] {
  const values = normalRows(2, SEED_QUERIES * SEED_DIM)
  return Array.from({ length: SEED_QUERIES }, (_, row) => values.slice(row * SEED_DIM, (row + 1) * SEED_DIM))
}

/** Adds the exact neighbours: squared distances in double precision, ties to the lower row. */
export function findTruth(base: Float32Array, vectors: readonly Float32Array[]): Queries {
  const distances = new Float64Array(SEED_COUNT)
  const truth = vectors.map((query) => {
    for (let row = 0; row < SEED_COUNT; row++) {
      let sum = 0
      for (let i = 0; i < SEED_DIM; i++) sum += (base[row * SEED_DIM + i] - query[i]) ** 2
      distances[row] = sum
    }
    const limit = distances.slice().sort()[SEED_K - 1]
    const near: number[] = []
    for (let row = 0; row < SEED_COUNT; row++) if (distances[row] <= limit) near.push(row)
    return near.sort((a, b) => distances[a] - distances[b] || a - b).slice(0, SEED_K)
  })
  return { vectors, truth }
}
