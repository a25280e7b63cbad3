// Estimates of distances from codes: how far they are off, on average and at most so often as their bound says
// (format-spec, section 8.2).

import { describe, expect, it } from 'vitest'

import { codeWidth } from '../src/format/codes.ts'
import { Rotator } from '../src/quantizer/rotation.ts'
import type { Metric } from '../src/types.ts'
import { distance, product, rowOf, squaredDistance } from './support/brute-force.ts'
import {
  decodeRefined,
  decodePlanes,
  encodeZones,
  makeCodeProblem,
  scanProblem,
  type CodeProblem,
  type DecodedRow
} from './support/code-problems.ts'
import { normal } from './support/datasets.ts'
import { memoryOf, put } from './support/kernels.ts'
import { randomFrom, randomVectors } from './support/random.ts'

const METRICS: readonly Metric[] = ['l2', 'cosine', 'ip']
const CASES = METRICS.flatMap((metric) =>
  [1, 2, 4, 8].flatMap((bits) => [100, 128, 512, 768, 1536].map((dim, i) => ({ metric, bits, dim, seed: 90 + i })))
)
const ROWS = 512
const QUERIES = 20
const SCANNED_QUERIES = 8
/**
 * Share of a normal distribution that is more than 1, 2 and 3 standard deviations off, and how far a share may be from
 * that.
 */
const TAILS = [
  { t: 1, share: 0.3173, tolerance: 0.02 },
  { t: 2, share: 0.0455, tolerance: 0.01 },
  { t: 3, share: 0.0027, tolerance: 0.002 }
]

interface Estimated {
  readonly estimate: number
  /** One standard deviation. */
  readonly deviation: number
  readonly distance: number
  /** What errors of distances are held against. */
  readonly scale: number
}

/** Two zones with queries like their rows: not around the origin, so that <u, c'> and <r, c> count. */
function makeProblems(shape: { metric: Metric; bits: number; dim: number }, seed: number): CodeProblem[] {
  const random = randomFrom(seed)
  const first = makeCodeProblem({ ...shape, rowCounts: [ROWS / 2, ROWS / 2] }, random, (next) => normal(next) + 0.3)
  const queries = randomVectors({ count: QUERIES, dim: shape.dim }, random, (next) => normal(next) + 0.3)
  return Array.from({ length: QUERIES }, (_, i) => ({
    ...first,
    query: shape.metric === 'cosine' ? unit(rowOf(queries, shape.dim, i)) : rowOf(queries, shape.dim, i)
  }))
}

function unit(vector: Float32Array): Float32Array {
  const norm = Math.sqrt(product(vector, vector))
  return vector.map((x) => x / norm)
}

/** Moves two zones apart, to both sides of the origin, and the queries with the first of them. */
function moveApart(problems: readonly CodeProblem[], by: number): CodeProblem[] {
  const moved = (vector: Float32Array, sign: number): Float32Array => vector.map((x) => x + sign * by)
  return problems.map(({ zones: [near, far], query, quantizer }) => ({
    quantizer,
    query: moved(query, 1),
    zones: [near, far].map(({ centroid, rows }, zone) => ({
      centroid: moved(centroid, zone === 0 ? 1 : -1),
      rows: moved(rows, zone === 0 ? 1 : -1)
    }))
  }))
}

/**
 * Distance and what to hold errors against: the distance itself; for ip, which may be 0, the product of the lengths.
 */
function truth({ quantizer, query }: CodeProblem, row: Float32Array): { distance: number; scale: number } {
  const exact = distance(quantizer.metric, query, product(query, query), row)
  return {
    distance: exact,
    scale: quantizer.metric === 'ip' ? Math.sqrt(product(query, query) * product(row, row)) : exact
  }
}

/** Estimates by the formula of the spec in double precision, from the bytes that the kernel wrote. */
function estimateByFormula(problems: readonly CodeProblem[]): Estimated[] {
  const { quantizer, zones } = problems[0]
  const { dim, metric, bits } = quantizer
  const memory = memoryOf('wasm')
  const width = codeWidth(dim)
  const rotated = put(
    memory,
    Float32Array.from({ length: QUERIES * width }, (_, i) =>
      i % width < dim ? problems[Math.floor(i / width)].query[i % width] - quantizer.mean[i % width] : 0
    )
  )
  new Rotator(memory, dim, quantizer.flips).rotate(rotated, QUERIES)
  const decoded = encodeZones(memory, problems[0]).map(({ planes, refinedCodes }) =>
    Array.from({ length: ROWS / 2 }, (_, row) =>
      refinedCodes === undefined ? decodePlanes(planes, row, width) : decodeRefined(refinedCodes, row, { width, bits })
    )
  )
  const errors = zones.map(({ centroid, rows }, zone) =>
    decoded[zone].map((code, row) => errorOf(code, metric, squaredDistance(rowOf(rows, dim, row), centroid)))
  )
  return problems.flatMap((problem, i) =>
    zones.flatMap(({ centroid, rows }, zone) => {
      const query = memory.float32At(rotated + i * width * 4, width)
      const toCentroid = squaredDistance(problem.query, centroid)
      const base =
        metric === 'l2' ? toCentroid : metric === 'cosine' ? toCentroid / 2 : -product(problem.query, centroid)
      return decoded[zone].map((code, row) => ({
        ...truth(problem, rowOf(rows, dim, row)),
        estimate: base + code.add - code.multiply * dot(code, query),
        deviation: errors[zone][row] * Math.sqrt(toCentroid)
      }))
    })
  )
}

/** The error of a code by its definition; norm2: |r|^2. Of sign planes the file has the largest of each block only. */
function errorOf({ multiply, levels, error }: DecodedRow, metric: Metric, norm2: number): number {
  const product = norm2 / (metric === 'l2' ? multiply / 2 : multiply)
  const own =
    multiply * Math.sqrt((levels.reduce((sum, u) => sum + u * u, 0) - product ** 2 / norm2) / (levels.length - 1))
  // A float32 `multiply` is off by up to 2^-24, and what 8 bits lose of |u|^2 is some 2^-14 of it.
  const tolerance = levels.some((u) => Math.abs(u) > 8) ? 0.01 : 0.001
  if (levels.some((u) => Math.abs(u) > 0.5)) expect(Math.abs(error / own - 1)).toBeLessThan(tolerance)
  else expect(error).toBeGreaterThan(own * 0.999)
  return own
}

function dot({ levels }: DecodedRow, query: Float32Array): number {
  let sum = 0
  for (let i = 0; i < levels.length; i++) sum += levels[i] * query[i]
  return sum
}

/**
 * Estimates of the rows of some zones as a scan has them: what a candidate's lowest likely distance is below its
 * estimate at a confidence of 1 is one deviation.
 */
function estimateByScan(problems: readonly CodeProblem[], zones = [0, 1]): Estimated[] {
  const codes = encodeZones(memoryOf('wasm'), problems[0])
  return problems.flatMap((problem) => {
    const { candidates } = scanProblem(memoryOf('wasm'), problem, {
      k: ROWS,
      candidates: ROWS,
      confidence: { planes: 1, refined: 1, slack: 0, planesSlack: 0 },
      codes
    })
    expect(candidates).toHaveLength(ROWS)
    return candidates
      .filter(({ zone }) => zones.includes(zone))
      .map(({ low, estimate, zone, row }) => ({
        ...truth(problem, rowOf(problem.zones[zone].rows, problem.query.length, row)),
        estimate,
        deviation: estimate - low
      }))
  })
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

function bias(estimates: readonly Estimated[]): number {
  return mean(estimates.map((found) => found.estimate - found.distance)) / mean(estimates.map(({ scale }) => scale))
}

/** Share of the estimates that are off by more than t deviations. */
function shareOutside(estimates: readonly Estimated[], t: number): number {
  return mean(estimates.map((found) => (Math.abs(found.estimate - found.distance) > t * found.deviation ? 1 : 0)))
}

describe.each(CASES)(
  'estimates under $metric from $bits bits of $dim dimensions (seed $seed)',
  ({ seed, ...shape }) => {
    it('are right on average and off as seldom as a normal variable, by the formula', () => {
      const estimates = estimateByFormula(makeProblems(shape, seed))
      const found = { bias: bias(estimates), shares: TAILS.map(({ t }) => shareOutside(estimates, t)) }
      expect(Math.abs(found.bias)).toBeLessThan(0.001)
      TAILS.forEach(({ share, tolerance, t }, i) => {
        expect(Math.abs(found.shares[i] - share), `beyond ${t} deviations: ${found.shares[i]}`).toBeLessThan(tolerance)
      })
    })

    it('are right on average and off no more often than that in a scan, which rounds the query', () => {
      const estimates = estimateByScan(makeProblems(shape, seed).slice(0, SCANNED_QUERIES))
      const found = { bias: bias(estimates), shares: TAILS.map(({ t }) => shareOutside(estimates, t)) }
      expect(Math.abs(found.bias)).toBeLessThan(0.001)
      TAILS.forEach(({ share, tolerance, t }, i) => {
        expect(found.shares[i], `beyond ${t} deviations`).toBeLessThan(share + 1.5 * tolerance)
      })
    })
  }
)

/** All queries lie in about one direction from the origin and are rounded much alike: that is one draw, not many. */
const FAR_TOLERANCE = 0.1

describe.each(CASES.filter(({ metric, dim }) => metric === 'l2' && dim < 1000))(
  'estimates under $metric from $bits bits of $dim dimensions (seed $seed)',
  ({ seed, ...shape }) => {
    it.each([30, 1000, 10_000])(
      'are off no more often than that in a zone that is %d times as far from the origin as it is wide',
      (by) => {
        const estimates = estimateByScan(moveApart(makeProblems(shape, seed).slice(0, SCANNED_QUERIES), by), [0])
        TAILS.forEach(({ share, t }) => {
          expect(shareOutside(estimates, t), `beyond ${t} deviations`).toBeLessThan(share + FAR_TOLERANCE / t ** 2)
        })
      }
    )
  }
)
