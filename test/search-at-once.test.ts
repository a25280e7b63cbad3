// Searches in one call of the kernel: they find to the bit what the stages find, one after the other, whatever the
// index, the query and the options, and whatever is in memory. `explain` asks for the stages.

import { beforeAll, describe, expect, it, vi } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { ZgqError } from '../src/errors.ts'
import { readCatalogue } from '../src/catalogue/reader.ts'
import { SEARCH_DONE, SEARCH_FAR, SEARCH_PROBE, SEARCH_RERANK, SEARCH_SCAN } from '../src/kernels/layouts.ts'
import { openContext, type CheckedOpenOptions } from '../src/search/open-context.ts'
import { CODED_PROBE_ZONES } from '../src/search/start-context.ts'
import { checkRequest, requestedIndex } from '../src/search/request.ts'
import type { SearchContext } from '../src/search/search-context.ts'
import { search } from '../src/search/search.ts'
import { LEAST_PACKED_DIMS } from '../src/search/strategy.ts'
import type { Hit, Metric, SearchOptions } from '../src/types.ts'
import { rowOf } from './support/brute-force.ts'
import { makeIds, makeVectors, normal, shuffled } from './support/datasets.ts'
import { randomFrom } from './support/random.ts'
import { centroidsOf } from './support/snapshot.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('at-once', IN_MEMORY)
const SEED = 330
const METRICS: readonly Metric[] = ['l2', 'cosine', 'ip']
const BITS = [1, 2, 4, 8]
const OPEN: CheckedOpenOptions = { mapping: 'auto', cacheBytes: 2 ** 26, verify: 'touch' }
const ALL_ZONES = 100_000

const WANTED: readonly SearchOptions[] = [1, 10, 100, 1000].flatMap((k, i) =>
  [{ nprobe: 1 }, { nprobe: 5 }, { nprobe: ALL_ZONES }, { recall: 0.8 }, { recall: 0.95 }, { recall: 0.99 }].map(
    (probe, j) => ({ k, ...probe, rerank: (i + j) % 2 === 0 ? 0 : 50 })
  )
)
const FEW_WANTED: readonly SearchOptions[] = [
  { k: 10, nprobe: 5 },
  { k: 10 },
  { k: 1, recall: 0.8 },
  { k: 30, nprobe: ALL_ZONES, rerank: 50 }
]

interface Shape {
  readonly name: string
  readonly dim: number
  readonly count: number
  readonly zones: number
}

const SHAPES: readonly Shape[] = [
  { name: 'few zones', dim: 24, count: 2000, zones: 12 },
  { name: 'codes of the centroids', dim: 20, count: 2100, zones: CODED_PROBE_ZONES + 44 },
  { name: 'centroids in bytes', dim: LEAST_PACKED_DIMS + 8, count: 1200, zones: 25 },
  { name: 'both', dim: LEAST_PACKED_DIMS, count: 1200, zones: CODED_PROBE_ZONES + 4 }
]

interface Opened {
  readonly context: SearchContext
  /** What calls of the kernel returned, in order. */
  readonly statuses: () => number[]
  find(query: Float32Array, wanted: SearchOptions): Hit[]
  isByRule(wanted: SearchOptions): boolean
  close(): void
}

function open(path: string, options: Partial<CheckedOpenOptions> = {}): Opened {
  const snapshot = readCatalogue(path)
  const { context, readers } = openContext(snapshot, { ...OPEN, ...options })
  const index = requestedIndex(snapshot)
  const calls = vi.spyOn(context.workspace.memory.kernel, 'searchCodes')
  return {
    context,
    statuses: () => calls.mock.results.map(({ value }) => Number(value)),
    find: (query, wanted) => search(context, query, checkRequest(wanted, index)).hits,
    isByRule: (wanted) => 'threshold' in checkRequest(wanted, index).probe,
    close: () => {
      readers.close()
    }
  }
}

/** Describes where two lists of hits differ; an empty list where they are equal to the bit. */
function differing(found: readonly Hit[], expected: readonly Hit[], where: string): string[] {
  if (found.length !== expected.length) return [`${where}: ${found.length} hits, expected ${expected.length}`]
  const at = found.findIndex(({ id, distance }, i) => {
    const other = expected[i]
    return id !== other.id || !Object.is(distance, other.distance)
  })
  return at === -1 ? [] : [`${where}: ${JSON.stringify([at, found[at], expected[at]])}`]
}

/** Queries by name, most of them unlike those of a calibration; none is all zeros. */
function queriesOf(rows: Float32Array, dim: number, centroids: readonly Float32Array[]): [string, Float32Array][] {
  const random = randomFrom(SEED + 1)
  const like = rowOf(rows, dim, 11).map((x, i) => 0.9 * x + 0.1 * rows[13 * dim + i])
  const filled = (value: number): Float32Array => new Float32Array(dim).fill(value)
  return [
    ['like the rows', like],
    ['a row', rowOf(rows, dim, 7)],
    ['a centroid', centroids[centroids.length >> 1].map((x) => (x === 0 ? 1e-3 : x))],
    ['between rows', rowOf(rows, dim, 1).map((x, i) => (x + rows[900 * dim + i]) / 2)],
    ['far away', Float32Array.from({ length: dim }, () => 300 * normal(random))],
    ['farther away', like.map((x) => -1e5 * x)],
    ['of large values', like.map((x) => x * 1e14)],
    ['of huge values', filled(3e38)],
    ['of tiny values', like.map((x) => x * 1e-18)],
    ['of denormal values', filled(1e-42)],
    ['of one denormal value', filled(0).fill(1e-45, 0, 1)],
    ['of equal values', filled(2.5)],
    ['of one value', filled(0).fill(-3, dim - 1)]
  ]
}

async function build(
  shape: Omit<Shape, 'name'>,
  of: { metric: Metric; bits: number; rows: Float32Array }
): Promise<string> {
  const output = temp.fresh('index')
  const { metric, bits, rows } = of
  const { dim, zones, count } = shape
  await buildIndex({ input: rows, dim, ids: makeIds(count, SEED), metric, bits, zones, output })
  return output
}

/** What the stages find for each query and each wish, from an index that was just opened and has room for all. */
function byStages(path: string, queries: readonly [string, Float32Array][], wishes: readonly SearchOptions[]): Hit[][] {
  const opened = open(path)
  try {
    const found = wishes.flatMap((wanted) =>
      queries.map(([, query]) => opened.find(query, { ...wanted, explain: true }))
    )
    expect(opened.statuses()).toEqual([])
    return found
  } finally {
    opened.close()
  }
}

/** Searches twice over, the second time with what the first left in memory; returns the differences. */
function compare(
  opened: Opened,
  of: { queries: readonly [string, Float32Array][]; wishes: readonly SearchOptions[]; expected: readonly Hit[][] }
): string[] {
  const { queries, wishes, expected } = of
  // In no order, so that heaps and room for candidates are smaller and larger than the last time.
  const order = shuffled([...wishes.keys()], randomFrom(SEED + 2))
  return ['cold', 'warm'].flatMap((round) =>
    order.flatMap((wish) =>
      queries.flatMap(([name, query], i) =>
        differing(
          opened.find(query, wishes[wish]),
          expected[wish * queries.length + i],
          `${round}, a query ${name}, ${JSON.stringify(wishes[wish])}`
        )
      )
    )
  )
}

/** Every metric with all bits, each in another shape. */
const CASES = SHAPES.flatMap((shape, i) =>
  METRICS.map((metric, j) => ({ ...shape, metric, bits: BITS[(i + j) % BITS.length] }))
)
const CACHES: readonly Partial<CheckedOpenOptions>[] = [
  { mapping: 'auto', cacheBytes: 0 },
  { mapping: 'pread', cacheBytes: 100_000 },
  { mapping: 'pread' }
]

describe.each(CASES)(`a search in one call ($name, $metric, $bits bits, seed ${SEED})`, (shape) => {
  const { dim, count, zones, metric, bits } = shape
  const rows = makeVectors('clustered', { count, dim }, SEED)
  let path = ''
  let queries: [string, Float32Array][] = []
  beforeAll(async () => {
    path = await build(shape, { metric, bits, rows })
    queries = queriesOf(rows, dim, centroidsOf(readCatalogue(path)))
  })

  it('finds what the stages find, whatever the query and the wish, cold and warm', () => {
    const opened = open(path)
    try {
      expect(FEW_WANTED.filter((wanted) => opened.isByRule(wanted)).length).toBeGreaterThan(0)
      const { centroids, packed } = opened.context.codes ?? {}
      expect(centroids !== undefined).toBe(zones >= CODED_PROBE_ZONES)
      expect(packed !== undefined).toBe(dim >= LEAST_PACKED_DIMS)
      const expected = byStages(path, queries, WANTED)
      expect(compare(opened, { queries, wishes: WANTED, expected })).toEqual([])
      const statuses = opened.statuses()
      const warm = statuses.slice(statuses.length / 2)
      // Ends early only for queries that are unlike, and for those that float32 cannot estimate.
      const others = warm.filter((status) => ![SEARCH_DONE, SEARCH_FAR, SEARCH_PROBE].includes(status))
      expect(others).toEqual([])
      expect(warm).toContain(SEARCH_FAR)
      expect(warm.includes(SEARCH_PROBE)).toBe(metric !== 'cosine')
      expect(warm.filter((status) => status === SEARCH_DONE).length).toBeGreaterThan(warm.length / 3)
      expect(opened.context.states.inUse).toBe(0)
    } finally {
      opened.close()
    }
  })

  it('finds it however much is cached, and however files are read', () => {
    const some = queries.filter((_, i) => i % 3 === 0)
    const expected = byStages(path, some, FEW_WANTED)
    const seen = new Set<number>()
    for (const options of CACHES) {
      const opened = open(path, options)
      try {
        expect(compare(opened, { queries: some, wishes: FEW_WANTED, expected }), JSON.stringify(options)).toEqual([])
        for (const status of opened.statuses()) seen.add(status)
      } finally {
        opened.close()
      }
    }
    expect([SEARCH_DONE, SEARCH_SCAN, SEARCH_RERANK].filter((status) => !seen.has(status))).toEqual([])
  })
})

describe('a search in one call', () => {
  const SMALL = { dim: 17, count: 600, zones: 9 }
  const rows = makeVectors('clustered', SMALL, SEED + 3)
  const paths = new Map<Metric, string>()
  const pathOf = (metric: Metric): string => paths.get(metric) ?? ''
  beforeAll(async () => {
    for (const metric of METRICS) paths.set(metric, await build(SMALL, { metric, bits: 4, rows }))
  })

  it.each(Array.from({ length: 33 }, (_, i) => i + 1))(
    `finds what the stages find in %d dimensions, where values are odd too (seed ${SEED})`,
    async (dim) => {
      const [metric, bits] = [METRICS[dim % METRICS.length], BITS[dim % BITS.length]]
      const shape = { dim, count: 300, zones: 7 }
      const vectors = makeVectors(dim % 5 === 0 ? 'small integers' : 'normal', { ...shape, count: 1000 }, SEED + dim)
      const path = await build(shape, { metric, bits, rows: vectors.subarray(0, 300 * dim) })
      const queries = queriesOf(vectors, dim, centroidsOf(readCatalogue(path)))
      const wishes = [{ nprobe: 1 }, { nprobe: 3, k: 25 }, { nprobe: ALL_ZONES, k: 300, rerank: 40 }]
      const opened = open(path)
      try {
        expect(compare(opened, { queries, wishes, expected: byStages(path, queries, wishes) })).toEqual([])
        expect(opened.statuses()).toContain(SEARCH_DONE)
      } finally {
        opened.close()
      }
    }
  )

  it.each(METRICS)(
    'of a query that cannot be compared throws what the stages throw, and the next is right (%s)',
    (metric) => {
      const opened = open(pathOf(metric))
      const query = rowOf(rows, SMALL.dim, 3)
      const thrown = (bad: Float32Array, wanted: SearchOptions): unknown => {
        try {
          return opened.find(bad, wanted)
        } catch (error) {
          return error instanceof ZgqError ? { code: error.code, message: error.message } : error
        }
      }
      try {
        const expected = opened.find(query, { nprobe: 3, explain: true })
        expect(opened.find(query, { nprobe: 3 })).toEqual(expected)
        for (const [at, value] of [
          [0, NaN],
          [SMALL.dim - 1, Infinity],
          [5, -Infinity]
        ]) {
          const bad = query.slice()
          bad[at] = value
          const [once, stages] = [thrown(bad, { nprobe: 3 }), thrown(bad, { nprobe: 3, explain: true })]
          expect(once).toMatchObject({ code: 'ZGQ_NON_FINITE' })
          expect(once).toEqual(stages)
          expect(opened.find(query, { nprobe: 3 })).toEqual(expected)
        }
        const zero = new Float32Array(SMALL.dim)
        const [once, stages] = [thrown(zero, { nprobe: 3 }), thrown(zero, { nprobe: 3, explain: true })]
        if (metric === 'cosine') expect(once).toMatchObject({ code: 'ZGQ_ZERO_VECTOR' })
        else expect(once).toHaveLength(10)
        expect(once).toEqual(stages)
        expect(opened.find(query, { nprobe: 3 })).toEqual(expected)
        expect(opened.context.states.inUse).toBe(0)
      } finally {
        opened.close()
      }
    }
  )

  it('probes all zones where more are asked for than there are, however many', () => {
    const opened = open(pathOf('l2'))
    try {
      const query = rowOf(rows, SMALL.dim, 3)
      const expected = opened.find(query, { nprobe: ALL_ZONES, k: SMALL.count, explain: true })
      expect(expected).toHaveLength(SMALL.count)
      for (const nprobe of [2 ** 31, 2 ** 32 - 1, 2 ** 32 + 1, 2 ** 32 + 2 ** 31, Number.MAX_SAFE_INTEGER])
        expect(opened.find(query, { nprobe, k: SMALL.count }), `nprobe ${nprobe}`).toEqual(expected)
      expect(opened.find(query, { nprobe: 2 ** 32, k: SMALL.count })).toEqual(expected)
    } finally {
      opened.close()
    }
  })
})
