// Searches of whole indexes on disk: equal to brute force, whatever the options, and strict about them.

import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'

import { buildIndex } from '../src/build.ts'
import type { Segment } from '../src/format/segment-table.ts'
import { createScalarKernel } from '../src/kernels/scalar-kernel.ts'
import { readCatalogue } from '../src/catalogue/reader.ts'
import type { Explain, Hit, Metric } from '../src/types.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { bruteForce, rowOf, squaredDistance } from './support/brute-force.ts'
import { makeIds, makeVectors, shuffled, type DataSetName } from './support/datasets.ts'
import { codeOf } from './support/errors.ts'
import { expectNearest, expectSameHits } from './support/hits.ts'
import { CAN_MAP, MAPPINGS } from './support/mappings.ts'
import { VALUE_KINDS } from './support/one-zone.ts'
import { randomFrom, randomVectors } from './support/random.ts'
import { centroidsOf } from './support/snapshot.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const kernels = vi.hoisted(() => ({ isScalar: false }))
vi.mock(import('../src/kernels/load-kernel.ts'), async (importOriginal) => {
  const original = await importOriginal()
  return { loadKernel: () => (kernels.isScalar ? createScalarKernel() : original.loadKernel()) }
})

const temp = useTempFolder('search', IN_MEMORY)
const METRICS: readonly Metric[] = ['l2', 'cosine', 'ip']
const BITS = [0, 1, 2, 4, 8]

/** Runs `work` on an open index and closes it. */
function withIndex<T>(
  path: string,
  work: (index: ZgqIndex) => T,
  options: Parameters<typeof ZgqIndex.open>[1] = {}
): T {
  const index = ZgqIndex.open(path, options)
  try {
    return work(index)
  } finally {
    index.close()
  }
}

describe('an exact search, and one that reranks every row, equal brute force, ties included', () => {
  const kinds: readonly DataSetName[] = ['uniform', 'clustered', 'small integers', 'few distinct vectors']
  const cases = METRICS.flatMap((metric) =>
    kinds.flatMap((kind) =>
      [1, 2, 3, 7, 16, 33, 128, 4096].map((dim, i) => ({
        metric,
        kind,
        dim,
        seed: 100 + i,
        bits: BITS[i % BITS.length]
      }))
    )
  )

  it.each(cases)(
    '$metric, $kind, $dim dimensions, $bits bits (seed $seed)',
    async ({ metric, kind, dim, seed, bits }) => {
      const count = dim > 1000 ? 60 : 300
      const rows = makeVectors(kind, { count, dim }, seed)
      const ids = makeIds(count, seed)
      const output = temp.fresh('exact')
      await buildIndex({ input: rows, dim, ids, metric, output, zones: 9, bits, seed })
      const queries = makeVectors(kind, { count: 4, dim }, seed + 1)
      withIndex(output, (index) => {
        for (const query of [
          rowOf(queries, dim, 0),
          rowOf(queries, dim, 1),
          rowOf(queries, dim, 2),
          rowOf(rows, dim, 5)
        ]) {
          for (const k of [1, 10, count]) {
            expectNearest(index.search(query, { k, exact: true }), { metric, rows, ids, query }, k)
            expectNearest(index.search(query, { k, nprobe: count, rerank: count }), { metric, rows, ids, query }, k)
          }
        }
      })
    }
  )
})

describe('an exact search of values at the ends of float32, and one that reranks every row, equal brute force', () => {
  const seeds = Array.from({ length: 64 }, (_, i) => 500 + i)

  it.each(seeds)('random case with seed %d', async (seed) => {
    const random = randomFrom(seed)
    const upTo = (most: number): number => 1 + Math.floor(random() * most)
    const [, value] = VALUE_KINDS[seed % VALUE_KINDS.length]
    const [dim, count, zones, metric] = [upTo(random() < 0.2 ? 300 : 20), upTo(400), upTo(20), METRICS[upTo(3) - 1]]
    const vectors = randomVectors({ count, dim }, random, value)
    const numbers = makeIds(count, seed)
    const output = temp.fresh('extreme')
    await buildIndex({ input: vectors, dim, ids: numbers, metric, zones, bits: BITS[seed % BITS.length], output })
    const others = randomVectors({ count: 3, dim }, random, value)
    withIndex(
      output,
      (index) => {
        for (const some of [
          rowOf(vectors, dim, 0),
          rowOf(others, dim, 0),
          rowOf(others, dim, 1),
          rowOf(others, dim, 2)
        ]) {
          const k = upTo(count)
          expectNearest(index.search(some, { k, exact: true }), { metric, rows: vectors, ids: numbers, query: some }, k)
          expectNearest(
            index.search(some, { k, nprobe: count, rerank: count }),
            { metric, rows: vectors, ids: numbers, query: some },
            k
          )
        }
      },
      { cacheBytes: random() < 0.5 ? 0 : 100_000, mapping: random() < 0.5 ? MAPPINGS[0] : 'pread' }
    )
  })
})

const SEED = 7
const DIM = 16
const COUNT = 3000
const ZONES = 64
const rows = makeVectors('clustered', { count: COUNT, dim: DIM }, SEED)
const ids = makeIds(COUNT, SEED)
const queries = Array.from({ length: 12 }, (_, i) => makeVectors('clustered', { count: 1, dim: DIM }, SEED + 1 + i))
const [query] = queries
const fresh = (): Record<Metric, string> => ({
  l2: temp.fresh('l2'),
  cosine: temp.fresh('cosine'),
  ip: temp.fresh('ip')
})
/** With codes. */
const paths = fresh()
/** Without. */
const plain = fresh()
const pathsWith = (bits: number): Record<Metric, string> => (bits === 0 ? plain : paths)

beforeAll(async () => {
  for (const metric of METRICS) {
    for (const bits of [0, 4])
      await buildIndex({ input: rows, dim: DIM, ids, metric, bits, output: pathsWith(bits)[metric], zones: ZONES })
  }
})

describe.each([0, 4])(`a search of 3,000 clustered vectors with codes of %d bits (seed ${SEED})`, (bits) => {
  let index: ZgqIndex
  beforeAll(() => {
    index = ZgqIndex.open(pathsWith(bits).l2)
  })
  afterAll(() => {
    index.close()
  })

  it('with as many probes as zones, and rows reranked as there are, equals an exact one', () => {
    const { zones } = index.info()
    expect(index.search(query, { nprobe: zones, rerank: COUNT })).toEqual(index.search(query, { exact: true }))
  })

  it('with more probes than zones, and more rows reranked than there are, equals an exact one', () => {
    expect(index.search(query, { nprobe: 1_000_000, rerank: 1_000_000 })).toEqual(index.search(query, { exact: true }))
  })

  it('without an option probes the zones that a recall of .95 asks for', () => {
    expect(index.search(query, { explain: true }).explain.zones).toEqual(
      index.search(query, { recall: 0.95, explain: true }).explain.zones
    )
  })

  it('finds ten hits when told nothing', () => {
    expect(index.search(query)).toHaveLength(10)
  })

  it('with k 0 finds nothing and reads nothing', () => {
    const { hits, explain } = index.search(query, { k: 0, explain: true })
    expect({ hits, zones: explain.zones, bytes: explain.bytes }).toEqual({ hits: [], zones: [], bytes: 0 })
  })

  it('with k above the count finds all vectors', () => {
    const hits = index.search(query, { k: COUNT + 1000, exact: true })
    expect(hits.map((hit) => hit.id).sort((a, b) => a - b)).toEqual([...ids].sort((a, b) => a - b))
  })

  it('takes an array of numbers as it takes a Float32Array', () => {
    expect(index.search([...query])).toEqual(index.search(query))
  })

  it('takes a query that is a part of a larger array', () => {
    const larger = new Float32Array(DIM + 3)
    larger.set(query, 3)
    expect(index.search(larger.subarray(3))).toEqual(index.search(query))
  })

  it('leaves the query as it was', () => {
    const copy = query.slice()
    index.search(copy)
    expect(copy).toEqual(query)
  })

  it('takes options that are undefined as not given', () => {
    expect(
      index.search(query, { k: undefined, nprobe: undefined, exact: undefined, recall: undefined, explain: undefined })
    ).toEqual(index.search(query))
  })

  it('finds the same hits with explain', () => {
    expect(index.search(query, { explain: true }).hits).toEqual(index.search(query))
  })

  it('has a recall@10 above .9 when told nothing', () => {
    const shares = queries.map((some) => {
      const nearest = new Set(
        bruteForce({ metric: 'l2', rows, ids, query: some })
          .slice(0, 10)
          .map((hit) => hit.id)
      )
      return index.search(some).filter((hit) => nearest.has(hit.id)).length / 10
    })
    expect(shares.reduce((sum, share) => sum + share, 0) / shares.length).toBeGreaterThan(0.9)
  })
})

describe('hits do not depend on', () => {
  type Searches = Record<string, Hit[]>

  const searchAll = (index: ZgqIndex, order: readonly number[]): Searches =>
    Object.fromEntries(
      order.flatMap((i) => [
        [`${i} nprobe 3`, index.search(queries[i], { nprobe: 3, k: 7 })],
        [`${i} default`, index.search(queries[i], { k: 25 })],
        [`${i} exact`, index.search(queries[i], { exact: true, k: 100 })]
      ])
    )
  const inOrder = queries.map((_, i) => i)
  const references = new Map<string, Searches>()
  beforeAll(() => {
    for (const metric of METRICS)
      for (const bits of [0, 4])
        references.set(
          `${metric} ${bits}`,
          withIndex(pathsWith(bits)[metric], (index) => searchAll(index, inOrder))
        )
  })

  const options = METRICS.flatMap((metric) =>
    [0, 4].flatMap((bits) =>
      MAPPINGS.flatMap((mapping) =>
        (['touch', 'open', 'none'] as const).flatMap((verify) =>
          [0, 100_000, undefined].map((cacheBytes) => ({ metric, bits, mapping, verify, cacheBytes }))
        )
      )
    )
  )

  it.each(options)(
    'how the index is opened: $metric, $bits bits, $mapping, verify $verify, cacheBytes $cacheBytes, searches ' +
      'in another order',
    ({ metric, bits, ...open }) => {
      const seed = options.findIndex((other) => other.metric === metric && other.verify === open.verify)
      const found = withIndex(
        pathsWith(bits)[metric],
        (index) => searchAll(index, shuffled(inOrder, randomFrom(seed))),
        open
      )
      expect(found).toEqual(references.get(`${metric} ${bits}`))
    }
  )

  it.each(METRICS.flatMap((metric) => [0, 4].map((bits) => [metric, bits] as const)))(
    'whether the kernel is WebAssembly or scalar (%s, %d bits)',
    (metric, bits) => {
      kernels.isScalar = true
      try {
        const { kind, found } = withIndex(pathsWith(bits)[metric], (index) => ({
          kind: index.info().kernel,
          found: searchAll(index, inOrder)
        }))
        expect(kind).toBe('scalar')
        expect(found).toEqual(references.get(`${metric} ${bits}`))
      } finally {
        kernels.isScalar = false
      }
    }
  )

  it('another index that is open and searched in between', () => {
    withIndex(paths.ip, (other) => {
      const found = withIndex(paths.l2, (index) => {
        other.search(query)
        const first = index.search(query, { nprobe: 3, k: 7 })
        other.search(query, { exact: true })
        return [first, index.search(query, { nprobe: 3, k: 7 })]
      })
      expect(found).toEqual([references.get('l2 4')?.['0 nprobe 3'], references.get('l2 4')?.['0 nprobe 3']])
    })
  })
})

describe('explain of a scan of rows', () => {
  /** Explains a search in an index just opened, and the same once more. */
  const explainOn = (
    path: string,
    open: Parameters<typeof ZgqIndex.open>[1] = {}
  ): { first: Explain; second: Explain } =>
    withIndex(
      path,
      (index) => {
        const search = (): Explain => index.search(query, { nprobe: 3, explain: true }).explain
        return { first: search(), second: search() }
      },
      open
    )
  const zonesOf = (numbers: readonly number[], metric: Metric = 'l2'): Segment[] => {
    const { segments } = readCatalogue(plain[metric])
    return numbers.map((number) => segments.at(number))
  }
  const centroids = (): Float32Array[] => centroidsOf(readCatalogue(plain.l2))
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)

  it('names as many different zones as were probed', () => {
    expect(new Set(explainOn(plain.l2).first.zones).size).toBe(3)
  })

  it('names the zones nearest first', () => {
    const all = centroids()
    const distances = explainOn(plain.l2).first.zones.map((zone) => squaredDistance(query, all[zone]))
    expect(distances).toEqual([...distances].sort((a, b) => a - b))
  })

  it('names the zones whose centroids are nearest', () => {
    const nearest = centroids()
      .map((centroid, zone) => ({ zone, distance: squaredDistance(query, centroid) }))
      .sort((a, b) => a.distance - b.distance)
    expect(explainOn(plain.l2).first.zones).toEqual(nearest.slice(0, 3).map(({ zone }) => zone))
  })

  it('names the zones that all hits lie in', () => {
    withIndex(plain.l2, (index) => {
      const { hits, explain } = index.search(query, { nprobe: 2, k: COUNT, explain: true })
      expect(hits).toHaveLength(sum(zonesOf(explain.zones).map((zone) => zone.rowCount)))
    })
  })

  it('counts as scanned the rows of the zones', () => {
    const { first } = explainOn(plain.l2)
    expect(first.vectorsScanned).toBe(sum(zonesOf(first.zones).map((zone) => zone.rowCount)))
  })

  it.each(METRICS)('counts the bytes of the segments and columns of the zones (%s)', (metric) => {
    const { first } = explainOn(plain[metric])
    expect(first.bytes).toBe(
      sum(zonesOf(first.zones, metric).map((zone) => zone.rowCount * DIM * 4 + zone.columns.byteLength))
    )
  })

  it('counts the pages of the segments and columns of the zones', () => {
    const { first } = explainOn(plain.l2)
    const pages = zonesOf(first.zones).map(
      (zone) => Math.ceil((zone.rowCount * DIM * 4) / 4096) + Math.ceil(zone.columns.byteLength / 4096)
    )
    expect(first.pages).toBe(sum(pages))
  })

  it.runIf(CAN_MAP)('reports one round of input for a search of zones not seen before', () => {
    const { first } = explainOn(plain.l2, { mapping: 'mmap' })
    expect(first.ioRounds).toBe(1)
    expect(first.bytesRead).toBeGreaterThanOrEqual(first.bytes - first.pages * 4096)
  })

  it('reports a round for each segment that plain reads read', () => {
    expect(explainOn(plain.l2, { mapping: 'pread' }).first.ioRounds).toBe(3)
  })

  it('reports no input for a search that is repeated', () => {
    const { second } = explainOn(plain.l2)
    expect({ bytesRead: second.bytesRead, ioRounds: second.ioRounds, pagesVerified: second.pagesVerified }).toEqual({
      bytesRead: 0,
      ioRounds: 0,
      pagesVerified: 0
    })
  })

  it.runIf(CAN_MAP)('reports input for a search that is repeated without a cache', () => {
    const { second } = explainOn(plain.l2, { cacheBytes: 0, mapping: 'mmap' })
    expect(second.bytesRead).toBeGreaterThan(0)
    expect(second.ioRounds).toBe(1)
  })

  it('counts every page of the segments as verified, once', () => {
    const { first, second } = explainOn(plain.l2, { cacheBytes: 0 })
    const pages = sum(zonesOf(first.zones).map((zone) => Math.ceil((zone.rowCount * DIM * 4) / 4096)))
    expect([first.pagesVerified, second.pagesVerified]).toEqual([pages, 0])
  })

  it.each(['open', 'none'] as const)('counts no page as verified by a search with verify: %s', (verify) => {
    expect(explainOn(plain.l2, { verify }).first.pagesVerified).toBe(0)
  })

  it('counts rows confirmed in double precision: at least the hits, at most all scanned', () => {
    const { first } = explainOn(plain.l2)
    expect(first.rowsConfirmed).toBeGreaterThanOrEqual(10)
    expect(first.rowsConfirmed).toBeLessThanOrEqual(first.vectorsScanned)
  })

  it('counts no reranked rows in an index without codes', () => {
    expect(explainOn(plain.l2).first.rowsReranked).toBe(0)
  })

  it('times every stage with a number that is not negative', () => {
    const { probeMicros, scanMicros, rerankMicros } = explainOn(plain.l2).first
    for (const micros of [probeMicros, scanMicros, rerankMicros]) expect(micros).toBeGreaterThanOrEqual(0)
  })
})

describe('explain of a scan of codes', () => {
  const explainOn = (
    open: Parameters<typeof ZgqIndex.open>[1] = {},
    options: object = {}
  ): { first: Explain; second: Explain; zones: Segment[] } =>
    withIndex(
      paths.l2,
      (index) => {
        // Where rows cost less than codes, codes are scanned only for candidates that were asked for.
        const search = (): Explain => index.search(query, { nprobe: 3, rerank: 1, ...options, explain: true }).explain
        const first = search()
        const { segments } = readCatalogue(paths.l2)
        return { first, second: search(), zones: first.zones.map((zone) => segments.at(zone)) }
      },
      open
    )
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
  const ROW_BYTES = DIM * 4

  it('names the zones that a scan of rows probes, and counts their rows as scanned', () => {
    const { first, zones } = explainOn()
    expect(first.zones).toEqual(
      withIndex(plain.l2, (index) => index.search(query, { nprobe: 3, explain: true }).explain.zones)
    )
    expect(first.vectorsScanned).toBe(sum(zones.map((zone) => zone.rowCount)))
  })

  it('counts the bytes of the codes of the zones and of the rows that were reranked', () => {
    const { first, zones } = explainOn()
    expect(first.bytes).toBe(sum(zones.map((zone) => zone.codes.byteLength)) + first.rowsReranked * ROW_BYTES)
  })

  it('counts as reranked at least the hits, and few of the rows', () => {
    const { first } = explainOn({}, { nprobe: 20 })
    expect(first.rowsReranked).toBeGreaterThanOrEqual(10)
    expect(first.rowsReranked).toBeLessThan(first.vectorsScanned / 4)
  })

  it.each([40, 100])('counts as reranked at least the %d rows that were asked for', (rerank) => {
    expect(explainOn({}, { rerank, nprobe: 20 }).first.rowsReranked).toBeGreaterThanOrEqual(rerank)
  })

  it.runIf(CAN_MAP)('reports two rounds of input for zones not seen before: codes, then rows', () => {
    expect(explainOn({ mapping: 'mmap' }).first.ioRounds).toBe(2)
  })

  it.each(MAPPINGS)('reports no round of input for a search that is repeated, which reads nothing (%s)', (mapping) => {
    const { second } = explainOn({ mapping })
    expect([second.ioRounds, second.pagesVerified, second.bytesRead]).toEqual([0, 0, 0])
  })

  it('counts pages of rows as verified, once', () => {
    const { first, second } = explainOn({ cacheBytes: 0 })
    expect(first.pagesVerified).toBeGreaterThan(0)
    expect(second.pagesVerified).toBe(0)
  })

  it.each(['open', 'none'] as const)('counts no page as verified by a search with verify: %s', (verify) => {
    expect(explainOn({ verify }).first.pagesVerified).toBe(0)
  })
})

describe('a vector is looked up by its id', () => {
  it.each(METRICS)('with get: as it was given (%s)', (metric) => {
    withIndex(paths[metric], (index) => {
      const wrong = ids.filter((id, i) => index.get(id)?.join() !== rowOf(rows, DIM, i).join())
      expect(wrong).toEqual([])
    })
  })

  it('with has: there or not', () => {
    const missing = [1, 2, 2 ** 40].filter((id) => !ids.includes(id))
    expect(withIndex(paths.l2, (index) => [...ids.slice(0, 50), ...missing].map((id) => index.has(id)))).toEqual([
      ...Array(50).fill(true),
      ...missing.map(() => false)
    ])
  })

  it('with get: undefined where there is none', () => {
    expect(withIndex(paths.l2, (index) => index.get(2 ** 50 + 1))).toBeUndefined()
  })

  it('with get: a copy that may be changed', () => {
    withIndex(paths.l2, (index) => {
      index.get(ids[5])?.fill(0)
      expect(index.get(ids[5])).toEqual(rowOf(rows, DIM, 5))
    })
  })

  it.each([
    ['RangeError', -1, RangeError],
    ['RangeError', 1.5, RangeError],
    ['RangeError', 2 ** 53, RangeError],
    ['TypeError', '5', TypeError],
    ['TypeError', undefined, TypeError]
  ])('throws %s for %s', (_, id, type) => {
    withIndex(paths.l2, (index) => {
      expect(() => Reflect.apply(index.get.bind(index), undefined, [id])).toThrow(type)
      expect(() => Reflect.apply(index.has.bind(index), undefined, [id])).toThrow(type)
    })
  })
})

describe('info', () => {
  it('describes the index and how it was opened', () => {
    const info = withIndex(paths.cosine, (index) => index.info(), {
      mapping: 'pread',
      cacheBytes: 1000,
      verify: 'open'
    })
    expect(info).toMatchObject({
      path: paths.cosine,
      formatVersion: 2,
      count: COUNT,
      dim: DIM,
      metric: 'cosine',
      generation: 1,
      bits: 4,
      calibration: { source: 'base' },
      reader: { kind: 'pread' },
      kernel: 'wasm',
      cacheBytes: 1000,
      verify: 'open',
      build: { seed: 1, zones: ZONES }
    })
  })

  it('counts every zone in the histogram once', () => {
    const { zones, zoneRows } = withIndex(paths.l2, (index) => index.info())
    expect(zoneRows.histogram.reduce((sum, bin) => sum + bin.zones, 0)).toBe(zones)
  })
})

describe('an argument that is wrong', () => {
  let index: ZgqIndex
  beforeAll(() => {
    index = ZgqIndex.open(paths.l2)
  })
  afterAll(() => {
    index.close()
  })

  const bad =
    (options: object): (() => unknown) =>
    () =>
      index.search(query, { ...options })

  it.each([
    ['an unknown option', { nprobes: 3 }],
    ['k as text', { k: '5' }],
    ['k null', { k: null }],
    ['nprobe as text', { nprobe: '5' }],
    ['exact as a number', { exact: 1 }],
    ['explain as text', { explain: 'yes' }],
    ['nprobe with exact', { nprobe: 3, exact: true }],
    ['nprobe with recall', { nprobe: 3, recall: 0.9 }],
    ['exact with recall', { exact: true, recall: 0.9 }]
  ])('throws TypeError: %s', (_, options) => {
    expect(bad(options)).toThrow(TypeError)
  })

  it.each([
    ['k -1', { k: -1 }],
    ['k 1.5', { k: 1.5 }],
    ['k NaN', { k: NaN }],
    ['k Infinity', { k: Infinity }],
    ['nprobe 0', { nprobe: 0 }],
    ['nprobe -1', { nprobe: -1 }],
    ['nprobe 2.5', { nprobe: 2.5 }]
  ])('throws RangeError: %s', (_, options) => {
    expect(bad(options)).toThrow(RangeError)
  })

  it.each([0, 1, -0.5, 1.5, NaN])('throws RangeError: a recall of %d', (recall) => {
    expect(bad({ recall })).toThrow(RangeError)
  })

  it.each([
    ['null', null],
    ['text', 'k'],
    ['a number', 5]
  ])('throws TypeError: options that are %s', (_, options) => {
    expect(() => Reflect.apply(index.search.bind(index), undefined, [query, options])).toThrow(TypeError)
  })

  const withValue = (value: number): Float32Array => query.map((other, i) => (i === 3 ? value : other))

  it.each([
    ['too short', query.subarray(1)],
    ['too long', new Float32Array(DIM + 1)],
    ['empty', []]
  ])('throws ZGQ_DIMENSION: a query that is %s', (_, some) => {
    expect(codeOf(() => index.search(some))).toBe('ZGQ_DIMENSION')
  })

  it.each([NaN, Infinity, -Infinity])('throws ZGQ_NON_FINITE: a query with %d', (value) => {
    expect(codeOf(() => index.search(withValue(value)))).toBe('ZGQ_NON_FINITE')
  })

  it('throws ZGQ_NON_FINITE: a number that float32 does not hold', () => {
    expect(codeOf(() => index.search([...query].fill(1e39, 0, 1)))).toBe('ZGQ_NON_FINITE')
  })

  it.each([
    ['undefined', undefined],
    ['null', null],
    ['text', '1,2,3'],
    ['a number', 5],
    ['an Int32Array', new Int32Array(DIM)],
    ['a DataView', new DataView(new ArrayBuffer(DIM * 8))],
    ['an object', { length: DIM }],
    ['an array of text', new Array(DIM).fill('1')],
    ['an array of null', new Array(DIM).fill(null)],
    ['an ArrayBuffer', new ArrayBuffer(DIM * 4)]
  ])('throws TypeError: a query that is %s', (_, some) => {
    expect(() => Reflect.apply(index.search.bind(index), undefined, [some])).toThrow(TypeError)
  })

  it('throws ZGQ_ZERO_VECTOR: a query without direction under cosine', () => {
    expect(withIndex(paths.cosine, (cosine) => codeOf(() => cosine.search(new Float32Array(DIM))))).toBe(
      'ZGQ_ZERO_VECTOR'
    )
  })

  it.each(['l2', 'ip'] as const)('is not a query of zeros under %s', (metric) => {
    const zeros = new Float32Array(DIM)
    expectNearest(
      withIndex(paths[metric], (some) => some.search(zeros, { exact: true })),
      { metric, rows, ids, query: zeros },
      10
    )
  })

  it('leaves the index as good as it was', () => {
    const before = index.search(query)
    for (const some of [query.subarray(1), withValue(NaN)]) codeOf(() => index.search(some))
    expectSameHits(index.search(query), before)
  })
})

describe('open', () => {
  const open = (options: object) => () => {
    ZgqIndex.open(paths.l2, { ...options }).close()
  }

  it.each([
    ['an unknown option', { cacheByte: 5 }],
    ['mapping', { mapping: 'mapped' }],
    ['verify', { verify: true }],
    ['cacheBytes', { cacheBytes: '5' }]
  ])('throws TypeError: %s', (_, options) => {
    expect(open(options)).toThrow(TypeError)
  })

  it.each([-1, 1.5, 2 ** 33, NaN])('throws RangeError: cacheBytes %d', (cacheBytes) => {
    expect(open({ cacheBytes })).toThrow(RangeError)
  })

  it.each([
    ['nothing', undefined],
    ['an empty path', ''],
    ['a number', 5],
    ['null', null]
  ])('throws TypeError: %s as the path', (_, path) => {
    expect(() => Reflect.apply(ZgqIndex.open.bind(ZgqIndex), undefined, [path])).toThrow(TypeError)
  })

  it('takes a path that ends in a slash', () => {
    expect(withIndex(`${paths.l2}/`, (index) => index.search(query))).toHaveLength(10)
  })
})

describe('a closed index', () => {
  const closed = (): ZgqIndex => {
    const index = ZgqIndex.open(paths.l2)
    index.search(query)
    index.close()
    return index
  }

  it('may be closed again', () => {
    expect(() => {
      closed().close()
    }).not.toThrow()
  })

  it('throws ZGQ_CLOSED from search', () => {
    expect(codeOf(() => closed().search(query))).toBe('ZGQ_CLOSED')
  })

  it.each([
    ['info', (index: ZgqIndex) => index.info()],
    ['get', (index: ZgqIndex) => index.get(5)],
    ['has', (index: ZgqIndex) => index.has(5)]
  ])('throws ZGQ_CLOSED from %s', (_, call) => {
    expect(codeOf(() => call(closed()))).toBe('ZGQ_CLOSED')
  })

  it('is what Symbol.dispose leaves', () => {
    const index = ZgqIndex.open(paths.l2)
    index[Symbol.dispose]()
    expect(codeOf(() => index.search(query))).toBe('ZGQ_CLOSED')
  })

  it('leaves another index over the same folder open', () => {
    withIndex(paths.l2, (index) => {
      closed()
      expect(index.search(query)).toHaveLength(10)
    })
  })
})
