// The kernels of codes: WebAssembly against the scalar twin to the bit, and what rotation, encoding, tables and scan
// promise.

import { describe, expect, it } from 'vitest'

import { codeWidth } from '../src/format/codes.ts'
import { drawFlips, Rotator } from '../src/quantizer/rotation.ts'
import type { Metric } from '../src/types.ts'
import { product, rowOf } from './support/brute-force.ts'
import {
  decodeRefined,
  decodePlanes,
  encodeZones,
  makeCodeProblem,
  queryCodesOf,
  scanProblem,
  zoneDistances,
  zoneOfRows,
  type CodeProblem,
  type CodeScanOptions,
  type CodeShape
} from './support/code-problems.ts'
import { difference, KERNEL_KINDS, memoryOf, put, putBytes, type KernelKind } from './support/kernels.ts'
import { VALUE_KINDS } from './support/one-zone.ts'
import { anyFloat, randomFrom, randomVectors, smallInteger, type MakeValue } from './support/random.ts'

/** Widths 16 to 2,064: powers of two, two windows that overlap much or little, and past the flush of sums at 2,048. */
const DIMS = [1, 16, 17, 48, 100, 112, 128, 784, 1000, 2064]
/** Every way to split the stages of a transform, windows of 16 to 4,096, into passes over memory. */
const ROTATED_DIMS = [...DIMS, 32, 64, 256, 384, 512, 1024, 1536, 4096, 6144]
const BITS = [1, 2, 4, 8]
const METRICS: readonly Metric[] = ['l2', 'cosine', 'ip']
const SEED = 70
const CONFIDENCE = { planes: 1.9, refined: 2.2, slack: 0.5, planesSlack: 0.2 }
const ordinary: MakeValue = (random) => random() * 2 - 1

function eachShape(rowCounts: readonly number[]): CodeShape[] {
  return METRICS.flatMap((metric) => BITS.flatMap((bits) => DIMS.map((dim) => ({ metric, bits, dim, rowCounts }))))
}

function bothKernels<T>(run: (kind: KernelKind) => T): { wasm: T; scalar: T } {
  return { wasm: run('wasm'), scalar: run('scalar') }
}

function wordsOf(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(bytes.slice().buffer)
}

describe('rotateRows', () => {
  function rotated(kind: KernelKind, rows: Float32Array, dim: number, flips: Uint8Array): Float32Array {
    const memory = memoryOf(kind)
    const width = codeWidth(dim)
    const at = put(memory, rows)
    new Rotator(memory, dim, flips).rotate(at, rows.length / width)
    return memory.float32At(at, rows.length)
  }

  /** Rows as they are rotated: padded with zeros to the width. */
  function paddedRows(dim: number, random: () => number, value: MakeValue): Float32Array {
    return randomVectors({ count: 3, dim: codeWidth(dim) }, random, value).map((x, i) =>
      i % codeWidth(dim) < dim ? x : 0
    )
  }

  it(`gives the same bits in both kernels (seed ${SEED})`, () => {
    const random = randomFrom(SEED)
    for (const dim of ROTATED_DIMS) {
      for (const [name, value] of [['any', anyFloat] as const, ...VALUE_KINDS]) {
        const rows = paddedRows(dim, random, value)
        const flips = drawFlips(dim, random)
        const { wasm, scalar } = bothKernels((kind) => rotated(kind, rows, dim, flips))
        expect(difference(wasm, scalar), `dim ${dim}, ${name} values`).toBeUndefined()
      }
    }
  })

  it.each(KERNEL_KINDS)(`keeps lengths and inner products (%s, seed ${SEED + 1})`, (kind) => {
    const random = randomFrom(SEED + 1)
    for (const dim of DIMS) {
      const width = codeWidth(dim)
      const before = paddedRows(dim, random, ordinary)
      const after = rotated(kind, before, dim, drawFlips(dim, random))
      for (const [i, j] of [
        [0, 0],
        [1, 1],
        [0, 1],
        [1, 2],
        [0, 2]
      ]) {
        const [a, b] = [rowOf(before, width, i), rowOf(before, width, j)]
        const off = product(rowOf(after, width, i), rowOf(after, width, j)) - product(a, b)
        expect(Math.abs(off) / Math.sqrt(product(a, a) * product(b, b)), `dim ${dim}, rows ${i} and ${j}`).toBeLessThan(
          2e-6
        )
      }
    }
  })

  it(`spreads each coordinate over all of the others (seed ${SEED + 2})`, () => {
    const random = randomFrom(SEED + 2)
    for (const width of [16, 48, 112, 128, 784, 1008, 2064]) {
      const flips = drawFlips(width, random)
      for (const i of [0, 1, width / 2, width - 1]) {
        const unit = new Float32Array(width)
        unit[i] = 1
        const largest = rotated('wasm', unit, width, flips).reduce((most, x) => Math.max(most, Math.abs(x)), 0)
        // The largest of `width` normal values of variance 1 / width is about sqrt(2 ln(width) / width).
        expect(largest * Math.sqrt(width), `width ${width}, coordinate ${i}`).toBeLessThan(
          2 * Math.sqrt(2 * Math.log(width))
        )
        const after = rotated('wasm', unit, width, flips).subarray(0, width / 2)
        // Half of the energy in each half, give or take 4 standard deviations.
        expect(
          Math.abs(product(after, after) - 0.5) * Math.sqrt(2 * width),
          `width ${width}, coordinate ${i}`
        ).toBeLessThan(4)
      }
    }
  })
})

describe('encodeBlock', () => {
  function expectSameCodes(problem: CodeProblem, where: string): void {
    const { wasm, scalar } = bothKernels((kind) => encodeZones(memoryOf(kind), problem))
    wasm.forEach((codes, zone) => {
      expect(
        difference(wordsOf(codes.planes), wordsOf(scalar[zone].planes)),
        `${where}, sign planes of zone ${zone}`
      ).toBeUndefined()
      expect(
        difference(codes.refinedCodes ?? [], scalar[zone].refinedCodes ?? []),
        `${where}, refined codes of zone ${zone}`
      ).toBeUndefined()
    })
  }

  it(`gives the same bytes in both kernels (seed ${SEED + 3})`, () => {
    const random = randomFrom(SEED + 3)
    for (const shape of eachShape([1, 33])) {
      for (const value of shape.dim > 1000 ? [anyFloat] : [anyFloat, smallInteger])
        expectSameCodes(makeCodeProblem(shape, random, value), JSON.stringify(shape))
    }
  })

  it(`gives the same bytes in both kernels for values at the ends of float32 (seed ${SEED + 4})`, () => {
    const random = randomFrom(SEED + 4)
    for (const [name, value] of VALUE_KINDS) {
      for (const metric of METRICS) {
        for (const bits of BITS) {
          for (const dim of [1, 17, 100])
            expectSameCodes(
              makeCodeProblem({ metric, bits, dim, rowCounts: [5] }, random, value),
              `${name} values, ${metric}, ${bits} bits, dim ${dim}`
            )
        }
      }
    }
  })

  it.each(KERNEL_KINDS)(
    'writes factors that are numbers, and 0 or infinity for rows too far away, whatever the values (%s, seed ' +
      `${SEED + 11})`,
    (kind) => {
      const random = randomFrom(SEED + 11)
      const sparse: MakeValue = (next) => (next() < 0.5 ? 0 : next() * 1e-40)
      for (const [name, value] of [...VALUE_KINDS, ['sparse denormal', sparse] as const]) {
        for (const metric of METRICS) {
          for (const bits of [4, 8]) {
            const problem = makeCodeProblem({ metric, bits, dim: 17, rowCounts: [40] }, random, value)
            const [{ planes, refinedCodes = new Uint8Array() }] = encodeZones(memoryOf(kind), problem)
            const rows = Array.from({ length: 40 }, (_, row) => [
              decodePlanes(planes, row, 32),
              decodeRefined(refinedCodes, row, { width: 32, bits })
            ]).flat()
            const wrong = rows.filter(
              ({ add, multiply, error }) =>
                !(add > -Infinity) || !(multiply >= 0 && multiply < Infinity) || !(error >= 0 && error < Infinity)
            )
            expect(wrong, `${name} values, ${metric}, ${bits} bits`).toEqual([])
          }
        }
      }
    }
  )

  it(`gives the same bytes in both kernels for rows on the centroid (seed ${SEED + 5})`, () => {
    for (const metric of METRICS) {
      for (const bits of BITS)
        expectSameCodes(duplicates({ metric, bits, dim: 20, rowCounts: [40] }), `${metric}, ${bits} bits`)
    }
  })
})

/** A zone of equal rows: all residuals are zero. */
function duplicates(shape: CodeShape): CodeProblem {
  const problem = makeCodeProblem(shape, randomFrom(SEED + 5), ordinary)
  const { dim } = shape
  return {
    ...problem,
    zones: problem.zones.map(({ rows }) =>
      zoneOfRows(
        rows.map((_, i) => rows[i % dim]),
        dim
      )
    )
  }
}

describe('buildTables', () => {
  it(`gives the same bytes in both kernels (seed ${SEED + 6})`, () => {
    const random = randomFrom(SEED + 6)
    for (const dim of DIMS) {
      for (const [name, value] of [['any', anyFloat] as const, ...VALUE_KINDS]) {
        const problem = makeCodeProblem({ metric: 'l2', bits: 1, dim, rowCounts: [1] }, random, value)
        const { wasm, scalar } = bothKernels((kind) => {
          const memory = memoryOf(kind)
          const { width, tables, integers, scalars } = queryCodesOf(memory, problem, CONFIDENCE)
          return {
            bytes: memory.bytesAt(tables, width * 4).slice(),
            integers: new Int16Array(memory.bytesAt(integers, width * 2).slice().buffer),
            scalars: memory.float32At(scalars, 8).slice()
          }
        })
        expect(difference(wasm.bytes, scalar.bytes), `tables, dim ${dim}, ${name} values`).toBeUndefined()
        expect(difference(wasm.integers, scalar.integers), `integers, dim ${dim}, ${name} values`).toBeUndefined()
        expect(difference(wasm.scalars, scalar.scalars), `scalars, dim ${dim}, ${name} values`).toBeUndefined()
      }
    }
  })
})

describe('estimateBlocks', () => {
  it(`gives the same bits in both kernels, and what a scan without margins estimates (seed ${SEED + 10})`, () => {
    const random = randomFrom(SEED + 10)
    for (const dim of DIMS) {
      for (const metric of ['l2', 'ip'] as const) {
        const problem = makeCodeProblem({ metric, bits: 1, dim, rowCounts: [70] }, random, ordinary)
        const { wasm, scalar } = bothKernels((kind) => {
          const memory = memoryOf(kind)
          const [{ planes }] = encodeZones(memory, problem)
          const { width, tables, scalars } = queryCodesOf(memory, problem, CONFIDENCE)
          const [blocks, out] = [putBytes(memory, planes), memory.allocate(96 * 4)]
          memory.kernel.estimateBlocks(blocks, 70, width, tables, scalars, zoneDistances(problem)[0], out)
          return memory.float32At(out, 96).slice()
        })
        expect(difference(wasm, scalar), `dim ${dim}, ${metric}`).toBeUndefined()
        const { candidates } = scanProblem(memoryOf('wasm'), problem, {
          k: 70,
          candidates: 70,
          confidence: { planes: 0, refined: 0, slack: 0, planesSlack: 0 }
        })
        expect(
          candidates.map(({ estimate }) => estimate),
          `dim ${dim}, ${metric}`
        ).toEqual([...wasm.subarray(0, 70)])
        expect([...wasm.subarray(70)], `dim ${dim}, ${metric}`).toEqual(new Array(26).fill(Infinity))
      }
    }
  })
})

describe('scanCodes', () => {
  const options: CodeScanOptions = { k: 5, candidates: 200, confidence: CONFIDENCE }

  function expectSameScan(problem: CodeProblem, some: CodeScanOptions, where: string): void {
    const { wasm, scalar } = bothKernels((kind) => scanProblem(memoryOf(kind), problem, some))
    expect(scalar, where).toEqual(wasm)
  }

  it(`leaves the same estimates and candidates in both kernels (seed ${SEED + 7})`, () => {
    const random = randomFrom(SEED + 7)
    for (const shape of eachShape([40, 1, 33]))
      expectSameScan(makeCodeProblem(shape, random, ordinary), options, JSON.stringify(shape))
  })

  it(`does so whatever is masked, missing or has no room (seed ${SEED + 8})`, () => {
    const random = randomFrom(SEED + 8)
    const masks = [40, 100, 33].map((count) =>
      Uint32Array.from({ length: Math.ceil(count / 32) }, () => random() * 2 ** 32)
    )
    for (const metric of METRICS) {
      for (const bits of BITS) {
        const problem = makeCodeProblem({ metric, bits, dim: 40, rowCounts: [40, 100, 33] }, random, ordinary)
        for (const missing of [[], [0], [1, 2]]) {
          for (const some of [
            { masks },
            { candidates: 7, k: 6 },
            { candidates: 1, k: 1 },
            { k: 200 },
            { candidates: 60, k: 50, masks }
          ]) {
            expectSameScan(problem, { ...options, missing, ...some }, JSON.stringify({ metric, bits, missing, some }))
          }
        }
      }
    }
  })

  it(`does so for values at the ends of float32 (seed ${SEED + 9})`, () => {
    const random = randomFrom(SEED + 9)
    for (const [name, value] of VALUE_KINDS) {
      for (const metric of METRICS) {
        for (const bits of BITS) {
          for (const dim of [1, 17, 100])
            expectSameScan(
              makeCodeProblem({ metric, bits, dim, rowCounts: [40, 3] }, random, value),
              options,
              `${name} values, ${metric}, ${bits} bits, dim ${dim}`
            )
        }
      }
    }
  })

  it.each(KERNEL_KINDS)('sums 1,024 look-ups of the largest entry without overflow (%s)', (kind) => {
    const dim = 4096
    // Without changes of sign the rotation spreads the first coordinate evenly: all entries of all tables but one bit
    // pattern are the largest.
    const along = (x: number): Float32Array => Float32Array.from({ length: dim }, (_, i) => (i === 0 ? x : 0))
    const quantizer = { dim, metric: 'l2', bits: 1, flips: new Uint8Array((3 * dim) / 8), mean: along(0) } as const
    const problem = { quantizer, query: along(5), zones: [{ centroid: along(1), rows: along(3) }] }
    const { candidates } = scanProblem(memoryOf(kind), problem, options)
    expect(candidates).toHaveLength(1)
    expect(candidates[0].estimate).toBeCloseTo(4, 2)
  })

  it.each(KERNEL_KINDS.flatMap((kind) => [2, 4, 8].map((bits) => [kind, bits] as const)))(
    'sums 65,536 products of the largest code and integer without overflow (%s, %d bits)',
    (kind, bits) => {
      const dim = 65_536
      const along = (x: number): Float32Array => Float32Array.from({ length: dim }, (_, i) => (i === 0 ? x : 0))
      const quantizer = { dim, metric: 'l2', bits, flips: new Uint8Array((3 * dim) / 8), mean: along(0) } as const
      const problem = { quantizer, query: along(5), zones: [{ centroid: along(1), rows: along(3) }] }
      const { candidates } = scanProblem(memoryOf(kind), problem, options)
      expect(candidates).toHaveLength(1)
      expect(candidates[0].estimate).toBeCloseTo(4, 2)
    }
  )

  it('does so for rows on the centroid', () => {
    for (const metric of METRICS) {
      for (const bits of BITS)
        expectSameScan(duplicates({ metric, bits, dim: 20, rowCounts: [40, 33] }), options, `${metric}, ${bits} bits`)
    }
  })
})
