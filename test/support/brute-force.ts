// Distances and order by the book, without kernels. Sums run in eight lanes, as the kernels' double-precision sums are
// documented to, so that results can be compared to the bit; on integers the order of summation does not matter.

import type { Metric } from '../../src/types.ts'
import type { Found } from './kernels.ts'

/** Vectors with their ids, and what to look for among them. */
export interface Problem {
  readonly metric: Metric
  /** float32, ids.length * query.length */
  readonly rows: Float32Array
  readonly ids: readonly number[]
  readonly query: Float32Array
}

function laneSum(dim: number, term: (i: number) => number): number {
  const lanes = new Array<number>(8).fill(0)
  const [steps, bulk] = [dim - (dim % 8), dim - (dim % 4)]
  for (let i = 0; i < bulk; i++) lanes[i < steps ? i % 8 : i % 4] += term(i)
  const [a, b, c, d] = [0, 1, 2, 3].map((lane) => lanes[lane] + lanes[lane + 4])
  let sum = a + b + (c + d)
  for (let i = bulk; i < dim; i++) sum += term(i)
  return sum
}

export function product(a: Float32Array, b: Float32Array): number {
  return laneSum(a.length, (i) => a[i] * b[i])
}

export function squaredDistance(a: Float32Array, b: Float32Array): number {
  return laneSum(a.length, (i) => (a[i] - b[i]) * (a[i] - b[i]))
}

export function rowOf(rows: Float32Array, dim: number, row: number): Float32Array {
  return rows.subarray(row * dim, (row + 1) * dim)
}

/** Norms of all rows, in double precision. */
export function norms(rows: Float32Array, dim: number): number[] {
  return Array.from({ length: rows.length / dim }, (_, row) =>
    Math.sqrt(product(rowOf(rows, dim, row), rowOf(rows, dim, row)))
  )
}

export function distance(metric: Metric, query: Float32Array, queryNorm2: number, row: Float32Array): number {
  if (metric === 'l2') return squaredDistance(query, row)
  if (metric === 'ip') return 0 - product(query, row)
  return Math.max(0, 1 - product(query, row) / Math.sqrt(queryNorm2 * product(row, row)))
}

/** All rows that `isLive` admits, nearest first; equal distances: lower id first. */
export function bruteForce(
  problem: Problem,
  queryNorm2 = product(problem.query, problem.query),
  isLive: (row: number) => boolean = () => true
): Found[] {
  const { metric, rows, ids, query } = problem
  return ids
    .map((id, row) => ({ id, row }))
    .filter(({ row }) => isLive(row))
    .map(({ id, row }) => ({ distance: distance(metric, query, queryNorm2, rowOf(rows, query.length, row)), id }))
    .sort((a, b) => a.distance - b.distance || a.id - b.id)
}
