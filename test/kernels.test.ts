// The kernels: WebAssembly against the scalar twin and both against plain formulas, then what a scan promises.

import { describe, expect, it } from 'vitest'

import { heapByteLength } from '../src/kernels/addresses.ts'
import * as layouts from '../src/kernels/layouts.ts'
import type { Metric } from '../src/types.ts'
import { bruteForce, product, type Problem } from './support/brute-force.ts'
import { makeInput, OPERATIONS, problemOf } from './support/kernel-operations.ts'
import { difference, heapEntries, KERNEL_KINDS, memoryOf, put } from './support/kernels.ts'
import { anyFloat, randomFrom, randomVectors, smallInteger, type MakeValue } from './support/random.ts'
import { filesBelow, readSource } from './support/sources.ts'
import { scanAll } from './support/scan-all.ts'
import { searchOneZone, VALUE_KINDS } from './support/one-zone.ts'

const DIMS = [1, 2, 3, 7, 8, 15, 16, 17, 100, 384, 768, 1536, 4096]
const COUNTS = [0, 1, 3, 4, 5, 33]
const SHAPES = DIMS.flatMap((dim) => COUNTS.map((count) => ({ dim, count })))
const METRICS: readonly Metric[] = ['l2', 'cosine', 'ip']
const SEED = 20

describe('layouts of the kernels', () => {
  it.each([
    ['HEAP', layouts.HEAP_HEADER_BYTES],
    ['CANDIDATES', layouts.CANDIDATES_HEADER_BYTES],
    ['CANDIDATE', layouts.CANDIDATE_BYTES],
    ['SEGMENT', layouts.SEGMENT_ENTRY_BYTES],
    ['FACTOR', layouts.REFINED_FACTOR_BYTES],
    ['SCALAR', layouts.SCRATCH_SUMS_AT],
    ['SCRATCH', layouts.SCALARS_BYTES],
    ['LEFT', layouts.LEFT_BYTES]
  ])('give each part of %s four bytes of its own within the structure', (name, byteLength) => {
    const parts = Object.entries(layouts).flatMap(([key, at]) => (new RegExp(`^${name}_.*_AT$`).test(key) ? at : []))
    expect(parts.length).toBeGreaterThan(1)
    expect(new Set(parts).size).toBe(parts.length)
    expect(parts.filter((at) => at % 4 !== 0 || at + 4 > byteLength)).toEqual([])
  })

  it('are named in AssemblyScript, not spelled there', () => {
    const files = filesBelow('src/kernels/assembly', ['.ts'])
    const spelled = files.flatMap((file) =>
      readSource(file).match(/(load|store)<[^>]+>\((scalars|heap|list|candidates|entry|factors|code)(, [^)]*)?, \d+\)/g)
    )
    expect(spelled.filter((found) => found !== null)).toEqual([])
  })

  it('leave the constants of the module before the first region', () => {
    const memory = memoryOf('wasm')
    const data = memory.bytes.slice()
    expect(data.subarray(memory.allocate(1)).every((byte) => byte === 0)).toBe(true)
    expect(data.some((byte) => byte !== 0)).toBe(true)
  })
})

describe.each(OPERATIONS)('$name', ({ run, formula }) => {
  it.each(KERNEL_KINDS)(`gives what the formula gives, exactly, on integers (%s, seed ${SEED})`, (kind) => {
    const random = randomFrom(SEED)
    for (const shape of SHAPES) {
      const input = makeInput(shape, random, smallInteger)
      expect(difference(run(memoryOf(kind), input), formula(input)), JSON.stringify(shape)).toBeUndefined()
    }
  })

  it(`gives the same bits in both kernels on random floats (seed ${SEED + 1})`, () => {
    const random = randomFrom(SEED + 1)
    for (const shape of SHAPES) {
      const input = makeInput(shape, random, anyFloat)
      expect(
        difference(run(memoryOf('wasm'), input), run(memoryOf('scalar'), input)),
        JSON.stringify(shape)
      ).toBeUndefined()
    }
  })
})

describe('selectSmallest', () => {
  const special = [0, -0, 1e-45, 3e38, -3e38, Infinity, -Infinity, NaN]
  const kinds: readonly (readonly [string, MakeValue])[] = [
    ...VALUE_KINDS,
    ['few different', smallInteger],
    ['one', () => 7],
    ['special', (random) => special[Math.floor(random() * special.length)]]
  ]

  it(
    'finds the wanted smallest and few more, in order of positions, and the same in both kernels (seed ' +
      `${SEED + 6})`,
    () => {
      const random = randomFrom(SEED + 6)
      for (const [name, value] of kinds) {
        for (const count of [1, 2, 33, 3000]) {
          for (const wanted of [1, 2, 30, count].filter((some) => some <= count)) {
            const values = Float32Array.from({ length: count }, () => value(random))
            const [wasm, scalar] = KERNEL_KINDS.map((kind) => {
              const memory = memoryOf(kind)
              const [at, out, scratch] = [
                put(memory, values),
                memory.allocate(count * 4),
                memory.allocate(layouts.SELECT_SCRATCH_BYTES)
              ]
              return [...memory.uint32At(out, memory.kernel.selectSmallest(at, count, wanted, out, scratch))]
            })
            const where = `${name} values, ${wanted} of ${count}`
            expect(scalar, where).toEqual(wasm)
            expect(wasm, where).toEqual([...wasm].sort((a, b) => a - b))
            const smallest = [...values]
              .filter((x) => !Number.isNaN(x))
              .sort((a, b) => a - b)
              .slice(0, wanted)
            const found = wasm
              .map((position) => values[position])
              .filter((x) => !Number.isNaN(x))
              .sort((a, b) => a - b)
              .slice(0, wanted)
            expect(
              found.map((x) => x + 0),
              where
            ).toEqual(smallest.map((x) => x + 0))
            if (name === 'ordinary' && count === 3000 && wanted < count)
              expect(wasm.length, where).toBeLessThan(wanted + 60)
          }
        }
      }
    }
  )
})

describe('selectNearest', () => {
  it.each(KERNEL_KINDS)('puts what is not a number last, whatever its sign (%s)', (kind) => {
    const memory = memoryOf(kind)
    const at = put(memory, Uint32Array.of(0xffc0_0000, 0x3f80_0000, 0x7fc0_0000, 0xff80_0000, 0x7f80_0000))
    const list = memory.allocate(heapByteLength(5))
    memory.kernel.selectNearest(at, 5, 5, 0, list, memory.allocate(layouts.SELECT_SCRATCH_BYTES))
    expect(heapEntries(memory, { pointer: list, capacity: 5, size: 5 }).map(({ id }) => id)).toEqual([3, 1, 4, 0, 2])
  })
})

describe.each(METRICS)('both kernels under %s', (metric) => {
  it(`confirm equally many rows in double precision (seed ${SEED + 2})`, () => {
    const random = randomFrom(SEED + 2)
    for (const dim of DIMS) {
      const problem = problemOf(metric, makeInput({ count: 65, dim }, random, anyFloat))
      const options = { k: 3, relative: metric === 'l2' ? 1e-4 : 0, absolute: 1e-4 }
      expect(scanAll(memoryOf('wasm'), problem, options).confirmed, `dim ${dim}`).toBe(
        scanAll(memoryOf('scalar'), problem, options).confirmed
      )
    }
  })
})

describe.each(KERNEL_KINDS)('a scan by the %s kernel', (kind) => {
  const COUNT = 100
  /** Ids in no order, from 2^32 to the largest that there is. */
  const ids = Array.from({ length: COUNT }, (_, row) =>
    row % 2 === 0 ? 2 ** 32 + ((row * 37) % 101) : Number.MAX_SAFE_INTEGER - row
  )

  function expectBest(problem: Problem, ks = [1, 2, 10, COUNT - 1, COUNT, COUNT + 5]): void {
    for (const k of ks)
      expect(scanAll(memoryOf(kind), problem, { k }).found, `k ${k}`).toEqual(bruteForce(problem).slice(0, k))
  }

  it.each(METRICS)('keeps the lowest ids where all rows are identical (%s)', (metric) => {
    expectBest({ metric, ids, rows: new Float32Array(COUNT * 5).fill(3), query: Float32Array.of(1, 2, 3, 4, 5) })
  })

  it.each(METRICS)(`orders duplicates of a few rows by id (%s, seed ${SEED + 3})`, (metric) => {
    const random = randomFrom(SEED + 3)
    expectBest({
      metric,
      ids,
      rows: randomVectors({ count: COUNT, dim: 2 }, random, () => 1 + Math.floor(random() * 3)),
      query: Float32Array.of(2, 1)
    })
  })

  it('keeps the nearest rows where each row is nearer than the one before', () => {
    expectBest({ metric: 'l2', ids, rows: Float32Array.from(ids, (_, row) => COUNT - row), query: Float32Array.of(0) })
  })

  it('gives ids up to 2^53 - 1 back unchanged', () => {
    const largest = [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER - 1, 2 ** 52, 2 ** 32, 2 ** 32 - 1, 0]
    const problem: Problem = { metric: 'l2', ids: largest, rows: new Float32Array(6), query: Float32Array.of(1) }
    expect(scanAll(memoryOf(kind), problem, { k: 6 }).found.map(({ id }) => id)).toEqual([...largest].reverse())
  })

  it('finds nothing where the mask rules every row out', () => {
    const problem: Problem = { metric: 'l2', ids, rows: new Float32Array(COUNT), query: Float32Array.of(1) }
    expect(scanAll(memoryOf(kind), problem, { k: 5, mask: new Uint32Array(4) })).toEqual({ found: [], confirmed: 0 })
  })

  it('finds exactly the rows whose bit is set in the mask', () => {
    const problem: Problem = { metric: 'l2', ids, rows: new Float32Array(COUNT), query: Float32Array.of(1) }
    for (let row = 0; row < COUNT; row++) {
      const mask = new Uint32Array(4)
      mask[row >>> 5] = 2 ** (row % 32)
      expect(scanAll(memoryOf(kind), problem, { k: 5, mask }).found.map(({ id }) => id)).toEqual([ids[row]])
    }
  })

  it.each(METRICS)(
    `finds under %s the rows of a part that the mask of its segment leaves (seed ${SEED + 7})`,
    (metric) => {
      const random = randomFrom(SEED + 7)
      for (const firstRow of [0, 1, 10, 31, 32, 33, 95, 1000]) {
        for (const density of [0, 0.02, 0.5, 0.98, 1]) {
          const mask = new Uint32Array(Math.ceil((firstRow + COUNT) / 32))
          const isLive = Array.from({ length: firstRow + COUNT }, () => random() < density)
          isLive.forEach((live, row) => {
            if (live) mask[row >>> 5] |= 1 << (row & 31)
          })
          const problem = {
            metric,
            ids,
            rows: randomVectors({ count: COUNT, dim: 3 }, random, anyFloat),
            query: randomVectors({ count: 1, dim: 3 }, random, anyFloat)
          }
          const expected = bruteForce(problem, product(problem.query, problem.query), (row) => isLive[firstRow + row])
          const { found } = scanAll(memoryOf(kind), problem, { k: COUNT, mask, firstRow })
          expect(found, `first row ${firstRow}, density ${density}`).toEqual(expected)
        }
      }
    }
  )

  it.each(METRICS)(`finds under %s what double precision finds, whatever the values (seed ${SEED + 4})`, (metric) => {
    const random = randomFrom(SEED + 4)
    for (const [rowKind, rowValue] of VALUE_KINDS) {
      for (const [queryKind, queryValue] of VALUE_KINDS) {
        for (const dim of [1, 3, 17, 100]) {
          const rows = randomVectors({ count: COUNT, dim }, random, rowValue)
          const query = randomVectors({ count: 1, dim }, random, queryValue)
          const problem = { metric, rows, query, ids }
          for (const k of [1, 10, COUNT]) {
            const where = `${rowKind} rows, ${queryKind} query, dim ${dim}, k ${k}`
            expect(searchOneZone(kind, problem, k).hits, where).toEqual(bruteForce(problem).slice(0, k))
          }
        }
      }
    }
  })

  it.each(METRICS)(
    `rules most rows out without double precision where values are ordinary (%s, seed ${SEED + 5})`,
    (metric) => {
      const random = randomFrom(SEED + 5)
      const count = 2000
      const rows = randomVectors({ count, dim: 32 }, random, () => random() * 2 - 1)
      const query = randomVectors({ count: 1, dim: 32 }, random, () => random() * 2 - 1)
      const { confirmed } = searchOneZone(
        kind,
        { metric, rows, query, ids: Array.from(rows.subarray(0, count).keys()) },
        10
      )
      expect(confirmed).toBeLessThan(count / 10)
    }
  )
})
