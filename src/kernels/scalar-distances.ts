// Distances and products in the scalar kernel: twins of assembly/distances.ts, with the same order of summation.

import type { ScanQuery } from './kernel.ts'
import { METRIC_COSINE, METRIC_L2 } from './layouts.ts'

const round = Math.fround

export type Sum = (f: Float32Array, a: number, b: number, dim: number) => number

/**
 * Adds `term` of each value to 16 lanes, as the WebAssembly kernels do with four accumulators, and returns their sum;
 * float32 throughout.
 */
function sumInLanes(dim: number, term: (i: number) => number): number {
  const lanes = new Float32Array(16)
  const steps = dim & ~15
  const bulk = dim & ~3
  let i = 0
  for (; i < steps; i++) lanes[i & 15] += term(i)
  for (; i < bulk; i++) lanes[i & 3] += term(i)
  const joined = [0, 1, 2, 3].map((lane) =>
    round(round(lanes[lane] + lanes[lane + 4]) + round(lanes[lane + 8] + lanes[lane + 12]))
  )
  let sum = round(round(joined[0] + joined[1]) + round(joined[2] + joined[3]))
  for (; i < dim; i++) sum = round(sum + term(i))
  return sum
}

/** a and b are indices into f. */
export const l2Single: Sum = (f, a, b, dim) =>
  sumInLanes(dim, (i) => {
    const d = round(f[a + i] - f[b + i])
    return round(d * d)
  })

export const productSingle: Sum = (f, a, b, dim) => sumInLanes(dim, (i) => round(f[a + i] * f[b + i]))

/** Float32 product over 4 lanes, as `scanQueries` sums. */
export const productInFour: Sum = (f, a, b, dim) => {
  const bulk = dim & ~3
  let s0 = 0,
    s1 = 0,
    s2 = 0,
    s3 = 0
  for (let i = 0; i < bulk; i += 4) {
    s0 = round(s0 + round(f[a + i] * f[b + i]))
    s1 = round(s1 + round(f[a + i + 1] * f[b + i + 1]))
    s2 = round(s2 + round(f[a + i + 2] * f[b + i + 2]))
    s3 = round(s3 + round(f[a + i + 3] * f[b + i + 3]))
  }
  let sum = round(round(s0 + s1) + round(s2 + s3))
  for (let i = bulk; i < dim; i++) sum = round(sum + round(f[a + i] * f[b + i]))
  return sum
}

/** Float32 squared distance over 4 lanes, as `scanQueries` sums. */
export const l2InFour: Sum = (f, a, b, dim) => {
  const bulk = dim & ~3
  const square = (i: number): number => {
    const d = round(f[a + i] - f[b + i])
    return round(d * d)
  }
  let s0 = 0,
    s1 = 0,
    s2 = 0,
    s3 = 0
  for (let i = 0; i < bulk; i += 4) {
    s0 = round(s0 + square(i))
    s1 = round(s1 + square(i + 1))
    s2 = round(s2 + square(i + 2))
    s3 = round(s3 + square(i + 3))
  }
  let sum = round(round(s0 + s1) + round(s2 + s3))
  for (let i = bulk; i < dim; i++) sum = round(sum + square(i))
  return sum
}

/** Adds `term` of each value in eight lanes, in double precision. */
function sumInDoubleLanes(dim: number, term: (i: number) => number): number {
  const lanes = new Float64Array(8)
  const steps = dim & ~7
  const bulk = dim & ~3
  let i = 0
  for (; i < steps; i++) lanes[i & 7] += term(i)
  for (; i < bulk; i++) lanes[i & 3] += term(i)
  const joined = [0, 1, 2, 3].map((lane) => lanes[lane] + lanes[lane + 4])
  let sum = joined[0] + joined[1] + (joined[2] + joined[3])
  for (; i < dim; i++) sum += term(i)
  return sum
}

export const l2Double: Sum = (f, a, b, dim) =>
  sumInDoubleLanes(dim, (i) => (f[a + i] - f[b + i]) * (f[a + i] - f[b + i]))

export const productDouble: Sum = (f, a, b, dim) => sumInDoubleLanes(dim, (i) => f[a + i] * f[b + i])

/** Distance in double precision of the row at index `row` of floats. */
export function exactDistance(floats: Float32Array, query: ScanQuery, row: number): number {
  const { metric, dim, queryNorm2 } = query
  if (metric === METRIC_L2) return l2Double(floats, row, query.query / 4, dim)
  const product = productDouble(floats, row, query.query / 4, dim)
  if (metric !== METRIC_COSINE) return 0 - product
  const distance = 1 - product / Math.sqrt(queryNorm2 * productDouble(floats, row, row, dim))
  return distance > 0 ? distance : 0
}
