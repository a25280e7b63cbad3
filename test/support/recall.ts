// Recall of searches, measured against exact ones; and the real vectors of test/data to measure it on.

import { join } from 'node:path'

import { openVectorFile } from '../../src/build.ts'
import type { Hit, SearchOptions } from '../../src/types.ts'
import type { ZgqIndex } from '../../src/zgq-index.ts'
import { ROOT } from './sources.ts'

/** Ids of the nearest `k` of every query, nearest first, by the exact scan. */
export function exactIds(index: ZgqIndex, queries: readonly Float32Array[], k: number): number[][] {
  return queries.map((query) => index.search(query, { k, exact: true }).map((hit) => hit.id))
}

/** The share of the first k of `nearest` that is among the hits. */
export function recallOf(hits: readonly Hit[], nearest: readonly number[], k: number): number {
  const wanted = new Set(nearest.slice(0, k))
  return hits.filter((hit) => wanted.has(hit.id)).length / wanted.size
}

/** Mean recall@k of searches with these options. */
export function meanRecall(
  index: ZgqIndex,
  queries: readonly Float32Array[],
  truth: readonly (readonly number[])[],
  options: SearchOptions & { k: number; explain?: false }
): number {
  return mean(queries.map((query, i) => recallOf(index.search(query, options), truth[i], options.k)))
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** Reads a file of test/data: float32, count * dim. */
export function readVectors(name: string): { dim: number; rows: Float32Array } {
  const file = openVectorFile(join(ROOT, 'test/data', name))
  try {
    const rows = new Float32Array(file.count * file.dim)
    file.readRows(0, rows)
    return { dim: file.dim, rows }
  } finally {
    file.close()
  }
}
