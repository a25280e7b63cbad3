// Queries with their exact neighbours, and what is measured with them: recall and latency, one query at a time.

import type { BuildEntry, ZgqIndex } from './packages.ts'
import { loadZgqBuild } from './packages.ts'
import { mean, quantile } from './report.ts'

export interface Queries {
  readonly vectors: readonly Float32Array[]
  /** One row a query: ids of the exact nearest, nearest first. */
  readonly truth: readonly ArrayLike<number>[]
}

export interface Measured {
  /** recall[i]: of the i-th query that was run */
  readonly recalls: Float64Array
  readonly micros: Float64Array
}

export interface Summary {
  readonly recall: number
  readonly p50Us: number
  readonly p99Us: number
  readonly meanUs: number
}

export async function readQueries(queriesPath: string, truthPath: string, limit: number): Promise<Queries> {
  const { openVectorFile, readIvecs }: BuildEntry = await loadZgqBuild()
  const truth = readIvecs(truthPath)
  const source = openVectorFile(queriesPath)
  try {
    const vectors = Array.from({ length: Math.min(limit, source.count) }, (_, row) => {
      const vector = new Float32Array(source.dim)
      source.readRows(row, vector)
      return vector
    })
    return { vectors, truth: vectors.map((_, row) => truth.values.subarray(row * truth.dim, (row + 1) * truth.dim)) }
  } finally {
    source.close()
  }
}

/** Takes `count` queries, evenly spread. */
export function thinQueries(queries: Queries, count: number): Queries {
  const { length } = queries.vectors
  if (count >= length) return queries
  const rows = Array.from({ length: count }, (_, i) => Math.floor((i * length) / count))
  return { vectors: rows.map((row) => queries.vectors[row]), truth: rows.map((row) => queries.truth[row]) }
}

/** Share of the first k of `truth` among the ids found. */
export function recallOf(found: readonly number[], truth: ArrayLike<number>, k: number): number {
  const nearest = new Set<number>()
  for (let i = 0; i < k; i++) nearest.add(truth[i])
  return found.reduce((sum, id) => sum + (nearest.has(id) ? 1 : 0), 0) / k
}

/** One of the ways to say how far a search goes; none of them: the default. */
export interface SearchKnob {
  readonly nprobe?: number
  readonly recall?: number
  readonly exact?: boolean
}

/** Runs every query once and times each call alone. */
export function measureSearch(index: ZgqIndex, queries: Queries, options: SearchKnob & { k: number }): Measured {
  const { vectors, truth } = queries
  const micros = new Float64Array(vectors.length)
  const recalls = new Float64Array(vectors.length)
  for (let i = 0; i < vectors.length; i++) {
    const startedAt = performance.now()
    const hits = index.search(vectors[i], options)
    micros[i] = (performance.now() - startedAt) * 1000
    recalls[i] = recallOf(
      hits.map((hit) => hit.id),
      truth[i],
      options.k
    )
  }
  return { recalls, micros }
}

/** Rounds over all queries: at least so many, then as many as the time allows, and at most so many. */
const ROUNDS = { least: 3, most: 12, ms: 300 }

/** As `measureSearch`, after an unmeasured round, with the fastest of several rounds for each query. */
export function measureFastest(index: ZgqIndex, queries: Queries, options: SearchKnob & { k: number }): Measured {
  const { recalls } = measureSearch(index, queries, options)
  const fastest = new Float64Array(queries.vectors.length).fill(Infinity)
  const startedAt = performance.now()
  for (let round = 0; round < ROUNDS.most; round++) {
    if (round >= ROUNDS.least && performance.now() - startedAt > ROUNDS.ms) break
    const { micros } = measureSearch(index, queries, options)
    for (let i = 0; i < fastest.length; i++) fastest[i] = Math.min(fastest[i], micros[i])
  }
  return { recalls, micros: fastest }
}

export function summarize({ recalls, micros }: Measured): Summary {
  return { recall: mean(recalls), p50Us: quantile(micros, 0.5), p99Us: quantile(micros, 0.99), meanUs: mean(micros) }
}
