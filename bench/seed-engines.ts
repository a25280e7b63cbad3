// ZGQ and hnswlib-node behind one call, over the seed table's data. Both get queries in the form that costs them
// nothing to convert.

import { createHnsw, type HnswIndex, type ZgqIndex } from './packages.ts'
import type { Queries } from './queries.ts'
import { recallOf } from './queries.ts'
import { mean, quantile } from './report.ts'
import { SEED_COUNT, SEED_DIM, SEED_K } from './seed-data.ts'

/** Searches query `row` at an effort (nprobe or ef) and returns the ids. */
export type Search = (row: number, effort: number) => number[]

export interface Round {
  readonly p50Us: number
  readonly meanUs: number
}

export function buildHnsw(base: Float32Array): HnswIndex {
  const index = createHnsw('l2', SEED_DIM)
  index.initIndex({ maxElements: SEED_COUNT, m: 16, efConstruction: 200, randomSeed: 100 })
  for (let row = 0; row < SEED_COUNT; row++)
    index.addPoint(Array.from(base.subarray(row * SEED_DIM, (row + 1) * SEED_DIM)), row)
  return index
}

export function searchZgq(index: ZgqIndex, vectors: readonly Float32Array[]): Search {
  return (row, nprobe) => index.search(vectors[row], { k: SEED_K, nprobe }).map((hit) => hit.id)
}

/** Searches as someone does who sets nothing; the effort is not used. */
export function searchZgqDefault(index: ZgqIndex, vectors: readonly Float32Array[]): Search {
  return (row) => index.search(vectors[row], { k: SEED_K }).map((hit) => hit.id)
}

export function searchHnsw(index: HnswIndex, vectors: readonly Float32Array[]): Search {
  const plain = vectors.map((vector) => Array.from(vector)) // hnswlib-node takes no typed arrays
  return (row, ef) => {
    index.setEf(ef)
    return index.searchKnn(plain[row], SEED_K).neighbors
  }
}

export function measureRecall(search: Search, effort: number, { truth }: Queries): number {
  return mean(truth.map((nearest, row) => recallOf(search(row, effort), nearest, SEED_K)))
}

/** Times all queries one by one. */
export function timeRound(search: Search, effort: number, queryCount: number): Round {
  const micros = new Float64Array(queryCount)
  for (let row = 0; row < queryCount; row++) {
    const startedAt = performance.now()
    search(row, effort)
    micros[row] = (performance.now() - startedAt) * 1000
  }
  return { p50Us: quantile(micros, 0.5), meanUs: mean(micros) }
}

/** Finds the smallest effort of at least `from` whose recall reaches `target`; recall is taken to rise with effort. */
export function findEffort(
  recallAt: (effort: number) => number,
  target: number,
  range: { from: number; to: number }
): number {
  let { from, to } = range
  while (from < to) {
    const middle = (from + to) >>> 1
    if (recallAt(middle) >= target) to = middle
    else from = middle + 1
  }
  return from
}
