// What the kernels do with one query before the scan of codes: its scale, its codes, and distances of centroids in
// bytes. WebAssembly against the scalar twin to the bit, and both against plain arithmetic.

import { describe, expect, it } from 'vitest'

import { METRIC_CODES } from '../src/format/layout.ts'
import type { KernelMemory } from '../src/kernels/kernel-memory.ts'
import {
  PACKED_CROSS_AT,
  PACKED_FACTOR_BYTES,
  SCALAR_INTEGER_STEP_AT,
  SCALAR_MEAN_DISTANCE2_AT,
  SCALAR_MEAN_PRODUCT_AT
} from '../src/kernels/layouts.ts'
import { QueryCodes, QueryRotation } from '../src/quantizer/query-codes.ts'
import { drawFlips } from '../src/quantizer/rotation.ts'
import type { Metric } from '../src/types.ts'
import { product, rowOf, squaredDistance } from './support/brute-force.ts'
import { difference, KERNEL_KINDS, memoryOf, put } from './support/kernels.ts'
import { VALUE_KINDS } from './support/one-zone.ts'
import { anyFloat, randomFrom, randomVectors, smallInteger, type MakeValue } from './support/random.ts'

const SEED = 350
const METRICS: readonly Metric[] = ['l2', 'cosine', 'ip']
const DIMS = [1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 33, 100, 256, 1000, 4096]
const ordinary: MakeValue = (random) => random() * 2 - 1
const VALUES = [['any', anyFloat] as const, ['small integers', smallInteger] as const, ...VALUE_KINDS]
const CONFIDENCE = { planes: 1.9, refined: 2.2, slack: 0.5, planesSlack: 0.2 }

/** Runs the same in both kernels and expects the same bits; returns them. */
function inBoth(run: (memory: KernelMemory) => ArrayLike<number>, where: string): ArrayLike<number> {
  const [wasm, scalar] = KERNEL_KINDS.map((kind) => run(memoryOf(kind)))
  expect(difference(scalar, wasm), where).toBeUndefined()
  return wasm
}

describe('scaleQuery', () => {
  it(`gives the same bits in both kernels, and the query at unit length, negated, or as it is (seed ${SEED})`, () => {
    const random = randomFrom(SEED)
    for (const dim of DIMS) {
      for (const [name, value] of VALUES) {
        const query = randomVectors({ count: 1, dim }, random, value)
        const norm2 = product(query, query)
        for (const metric of METRICS) {
          const where = `${metric}, ${name}, dim ${dim}`
          const [found, ...scaled] = Array.from(
            inBoth((memory) => {
              const [at, out] = [put(memory, query), memory.allocate(dim * 4)]
              const length2 = memory.kernel.scaleQuery(METRIC_CODES[metric], dim, at, out)
              expect(memory.float32At(at, dim), where).toEqual(query)
              return [length2, ...memory.float32At(out, dim)]
            }, where)
          )
          expect(Math.abs(found - norm2), where).toBeLessThanOrEqual(1e-12 * norm2)
          if (metric === 'l2') expect(difference(scaled, query), where).toBeUndefined()
          if (metric === 'ip')
            expect(
              difference(
                scaled,
                query.map((x) => -x)
              ),
              where
            ).toBeUndefined()
          if (metric === 'cosine')
            expect(Math.abs(product(Float32Array.from(scaled), Float32Array.from(scaled)) - 1), where).toBeLessThan(
              1e-6
            )
        }
      }
    }
  })

  it.each([NaN, Infinity, -Infinity])('returns what is not finite where a value is %s, wherever it is', (value) => {
    for (const at of [0, 3, 7, 16]) {
      const query = new Float32Array(17).fill(1)
      query[at] = value
      for (const kind of KERNEL_KINDS) {
        const memory = memoryOf(kind)
        expect(memory.kernel.scaleQuery(METRIC_CODES.l2, 17, put(memory, query), memory.allocate(68))).not.toBeLessThan(
          Infinity
        )
      }
    }
  })
})

interface Rotated {
  readonly dim: number
  readonly flips: Uint8Array
  readonly mean: Float32Array
}

function encode(
  memory: KernelMemory,
  rotated: Rotated,
  query: Float32Array
): { codes: QueryCodes; rotation: QueryRotation } {
  const rotation = new QueryRotation(memory, rotated)
  const codes = new QueryCodes(memory, rotation)
  codes.set(put(memory, query), product(query, query), { confidence: CONFIDENCE, bits: 4 })
  return { codes, rotation }
}

describe('encodeQuery', () => {
  it(`gives the same bits in both kernels, and the length and product around the mean (seed ${SEED + 1})`, () => {
    const random = randomFrom(SEED + 1)
    for (const dim of DIMS) {
      for (const [name, value] of VALUES) {
        const where = `${name}, dim ${dim}`
        const [query, mean] = [value, value].map((make) => randomVectors({ count: 1, dim }, random, make))
        const flips = drawFlips(dim, random)
        const [distance2, withMean] = Array.from(
          inBoth((memory) => {
            const { codes } = encode(memory, { dim, flips, mean }, query)
            const { width, tables, integers, scalars, encoding } = codes
            const [around] = memory.float32At(scalars + SCALAR_MEAN_DISTANCE2_AT, 1)
            const [cross] = memory.float32At(scalars + SCALAR_MEAN_PRODUCT_AT, 1)
            return [
              around,
              cross,
              ...memory.float32At(encoding.rotated, width),
              ...memory.bytesAt(tables, width * 4),
              ...memory.bytesAt(integers, width * 2),
              ...memory.float32At(scalars, 9)
            ]
          }, where)
        )
        if (name !== 'ordinary' && name !== 'small integers') continue
        expect(Math.abs(distance2 - squaredDistance(query, mean)), where).toBeLessThanOrEqual(1e-5 * distance2)
        expect(Math.abs(withMean - product(query, mean)), where).toBeLessThanOrEqual(1e-5 * dim ** 0.5 * 64)
      }
    }
  })
})

const ZONES = 9

interface PackedProblem extends Rotated {
  readonly metric: Metric
  readonly query: Float32Array
  readonly centroids: Float32Array
}

/** Distances by bytes, those of a few positions, then what bounds their error: one a zone. */
function packed(
  memory: KernelMemory,
  problem: PackedProblem
): { all: Float32Array; some: Float32Array; bounds: number[] } {
  const { dim, metric, mean, query, centroids } = problem
  const { kernel } = memory
  const { codes, rotation } = encode(memory, problem, query)
  const { width, integers, scalars } = codes
  const [bytes, factors] = [memory.allocate(ZONES * width), memory.allocate(ZONES * PACKED_FACTOR_BYTES)]
  const integerStep = memory.float32At(scalars + SCALAR_INTEGER_STEP_AT, 1)[0]
  const bounds = Array.from({ length: ZONES }, (_, zone) => {
    const row = memory.allocate(width * 4)
    const centroid = rowOf(centroids, dim, zone)
    memory.float32At(row, dim).set(centroid.map((x, i) => x - mean[i]))
    rotation.rotator.rotate(row, 1)
    const own = factors + zone * PACKED_FACTOR_BYTES
    kernel.packCentroid(row, width, bytes + zone * width, own)
    memory.float32At(own + PACKED_CROSS_AT, 1)[0] = product(centroid, mean) - product(mean, mean)
    const [step, norm2] = memory.float32At(own, 2)
    const [q, c] = [Math.sqrt(squaredDistance(query, mean)), Math.sqrt(norm2)]
    const half = Math.sqrt(width) / 2
    return (
      2 * (q * step * half + (c + step * half) * integerStep * half) +
      1e-5 * (q + c + Math.sqrt(product(mean, mean))) ** 2
    )
  })
  const positions = [8, 0, 3, 3, 5]
  const run = {
    metric: METRIC_CODES[metric],
    packed: bytes,
    factors,
    width,
    integers,
    scalars,
    centroids: put(memory, centroids),
    dim,
    query: put(memory, metric === 'ip' ? query.map((x) => -x) : query),
    out: memory.allocate(ZONES * 4)
  }
  kernel.packedDistances({ ...run, positions: 0, count: ZONES })
  const all = memory.float32At(run.out, ZONES).slice()
  kernel.packedDistances({ ...run, positions: put(memory, Uint32Array.from(positions)), count: positions.length })
  const some = memory.float32At(run.out, positions.length).slice()
  expect(
    difference(
      some,
      positions.map((zone) => all[zone])
    )
  ).toBeUndefined()
  // What was packed belongs to what must be equal in both kernels.
  const packedBytes = Float32Array.from(memory.bytesAt(bytes, ZONES * width))
  return { all, some: Float32Array.from([...packedBytes, ...memory.float32At(factors, ZONES * 4)]), bounds }
}

describe('packCentroid and packedDistances', () => {
  const problemOf = (shape: { dim: number; metric: Metric }, random: () => number, value: MakeValue): PackedProblem => {
    const { dim } = shape
    const vectors = (count: number): Float32Array => randomVectors({ count, dim }, random, value)
    const problem = {
      ...shape,
      flips: drawFlips(dim, random),
      mean: vectors(1),
      query: vectors(1),
      centroids: vectors(ZONES)
    }
    problem.centroids.set(
      problem.query.map((x) => Math.fround(x * 1.001)),
      2 * dim
    )
    problem.centroids.set(problem.query, 3 * dim)
    problem.centroids.set(problem.mean, 4 * dim)
    return problem
  }
  const exactOf = ({ metric, query, dim, centroids }: PackedProblem, zone: number): number => {
    const centroid = rowOf(centroids, dim, zone)
    return metric === 'ip' ? -product(query, centroid) : squaredDistance(query, centroid)
  }

  it(`give the same bits in both kernels, whatever the values (seed ${SEED + 2})`, () => {
    const random = randomFrom(SEED + 2)
    for (const dim of [1, 16, 17, 100, 256, 1000]) {
      for (const metric of METRICS) {
        for (const [name, value] of VALUES) {
          const problem = problemOf({ dim, metric }, random, value)
          inBoth((memory) => {
            const { all, some } = packed(memory, problem)
            return [...all, ...some]
          }, `${metric}, ${name}, dim ${dim}`)
        }
      }
    }
  })

  it(`are as near to the distances as bytes can be, and exact near a centroid (seed ${SEED + 3})`, () => {
    const random = randomFrom(SEED + 3)
    for (const dim of [16, 100, 256, 1000, 2064]) {
      for (const metric of METRICS) {
        for (const value of [ordinary, anyFloat]) {
          const problem = problemOf({ dim, metric }, random, value)
          const { all, bounds } = packed(memoryOf('wasm'), problem)
          for (let zone = 0; zone < ZONES; zone++) {
            const off = Math.abs(all[zone] - exactOf(problem, zone))
            expect(off, `${metric}, dim ${dim}, zone ${zone}`).toBeLessThanOrEqual(bounds[zone])
          }
          if (metric !== 'ip') expect(all[3], `${metric}, dim ${dim}`).toBe(0)
          expect(Math.abs(all[2] - exactOf(problem, 2))).toBeLessThanOrEqual(2e-5 * Math.abs(exactOf(problem, 2)))
        }
      }
    }
  })

  it('sum 16,384 products of the largest byte and integer without overflow', () => {
    const dim = 16_384
    const along = (x: number): Float32Array => Float32Array.from({ length: dim }, (_, i) => (i === 0 ? x : 0))
    const centroids = new Float32Array(ZONES * dim)
    for (let zone = 0; zone < ZONES; zone++) centroids[zone * dim] = 3
    // Without changes of sign the rotation spreads the first coordinate evenly.
    const flat = { dim, flips: new Uint8Array((3 * dim) / 8), mean: along(0), centroids }
    for (const metric of ['l2', 'ip'] as const) {
      const all = inBoth((memory) => packed(memory, { ...flat, metric, query: along(-5) }).all, metric)
      expect(all[0], metric).toBeCloseTo(metric === 'l2' ? 64 : 15, 1)
    }
  })
})
