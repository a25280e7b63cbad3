// Searches with masks: exactly the rows that a mask leaves are found, whatever the kernel, the dimension and how rows
// lie in frames, beside other searches with other masks or none.

import { setImmediate } from 'node:timers/promises'
import { beforeAll, describe, expect, it, vi } from 'vitest'

import { buildIndex } from '../src/build.ts'
import type { Segment } from '../src/format/segment-table.ts'
import { createScalarKernel } from '../src/kernels/scalar-kernel.ts'
import { RowMasks } from '../src/search/row-masks.ts'
import type { Hit, Metric } from '../src/types.ts'
import { bruteForce, rowOf } from './support/brute-force.ts'
import { makeIds, makeVectors } from './support/datasets.ts'
import { expectSameHits } from './support/hits.ts'
import { KERNEL_KINDS } from './support/kernels.ts'
import { essence, LaterIndex, type Asked } from './support/later-index.ts'
import { randomFrom } from './support/random.ts'
import { writeSegmentedIndex } from './support/segmented-index.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const kernels = vi.hoisted(() => ({ isScalar: false }))
vi.mock(import('../src/kernels/load-kernel.ts'), async (importOriginal) => {
  const original = await importOriginal()
  return { loadKernel: () => (kernels.isScalar ? createScalarKernel() : original.loadKernel()) }
})

const temp = useTempFolder('row-masks', IN_MEMORY)
const SEED = 980
const METRICS: readonly Metric[] = ['l2', 'cosine', 'ip']
/** Frames hold 31, 20 and 10 rows of the three largest, so that masks of parts start within words. */
const DIMS = [1, 7, 16, 100, 513, 784, 1536]
const DENSITIES = [0, 0.001, 0.01, 0.1, 0.5, 0.9, 1]

interface Specimen {
  readonly folder: string
  readonly metric: Metric
  readonly dim: number
  readonly ids: readonly number[]
  readonly rows: Float32Array
  readonly queries: readonly Float32Array[]
}

/** Zones have several segments each, or where it was built one. */
async function makeSpecimen(of: { metric: Metric; bits: number; dim: number; isBuilt: boolean }): Promise<Specimen> {
  const { metric, bits, dim, isBuilt } = of
  const count = dim > 500 ? 130 : 250
  const rows = makeVectors('normal', { count, dim }, SEED)
  const ids = makeIds(count, SEED)
  const folder = temp.fresh('index')
  const shape = { dim, metric, bits, zones: 5, seed: SEED }
  if (isBuilt) await buildIndex({ input: rows, ids, output: folder, calibrate: false, ...shape })
  else writeSegmentedIndex({ folder, vectors: rows, ids: Float64Array.from(ids), ...shape })
  const others = makeVectors('normal', { count: 2, dim }, SEED + 1)
  return {
    folder,
    metric,
    dim,
    ids,
    rows,
    queries: [rowOf(others, dim, 0), rowOf(others, dim, 1), rowOf(rows, dim, 5)]
  }
}

/** A mask for some or all segments, and the ids of the rows that it leaves. */
interface Masked {
  readonly masks: RowMasks
  readonly live: ReadonlySet<number>
}

type IsLive = (segment: Segment, row: number) => boolean

/** Rows are drawn one by one, in runs, or segment by segment. */
const DRAWS: Record<string, (density: number, random: () => number) => IsLive> = {
  'row by row': (density, random) => () => random() < density,
  'in runs': (density, random) => {
    let left = 0
    let isLive = false
    return () => {
      if (left-- <= 0) [left, isLive] = [Math.floor(random() * 60), random() < density]
      return isLive
    }
  },
  'segment by segment': (density, random) => {
    const known = new Map<Segment, boolean>()
    return (segment) => {
      const isLive = known.get(segment) ?? random() < density
      known.set(segment, isLive)
      return isLive
    }
  }
}

function idsOf(index: LaterIndex, segment: Segment): number[] {
  const words = index.reading(() => index.context.files.readIdWords(segment))
  return Array.from({ length: segment.rowCount }, (_, row) => words[row * 2] + words[row * 2 + 1] * 2 ** 32)
}

/** Sets masks; what lies behind the last row of a segment is set too, and must not matter. */
function maskOf(index: LaterIndex, isLive: IsLive, hasMask: (segment: Segment) => boolean = () => true): Masked {
  const masks = new RowMasks(index.memory)
  const live = new Set<number>()
  for (const segment of index.context.workspace.segments) {
    const ids = idsOf(index, segment)
    if (!hasMask(segment)) {
      for (const id of ids) live.add(id)
      continue
    }
    const words = new Uint32Array(Math.ceil(ids.length / 32) + 1).fill(0xffff_ffff)
    ids.forEach((id, row) => {
      if (isLive(segment, row)) live.add(id)
      else words[row >>> 5] &= ~(1 << (row & 31))
    })
    masks.set(segment, words)
  }
  return { masks, live }
}

/** All rows, nearest first. */
function orderOf({ metric, ids, rows }: Specimen, query: Float32Array): Hit[] {
  return bruteForce({ metric, ids, rows, query })
}

function withKernel<Result>(kind: (typeof KERNEL_KINDS)[number], work: () => Result): Result {
  kernels.isScalar = kind === 'scalar'
  try {
    return work()
  } finally {
    kernels.isScalar = false
  }
}

const CASES = METRICS.flatMap((metric) =>
  [0, 4].flatMap((bits) =>
    DIMS.map((dim, i) => ({ metric, bits, dim, isBuilt: (i + bits) % 7 === 1, seed: SEED + dim }))
  )
)

describe.each(CASES)(
  'a mask on an index under $metric with $bits bits and $dim dimensions (seed $seed, built: $isBuilt)',
  (of) => {
    let specimen: Specimen

    beforeAll(async () => {
      specimen = await makeSpecimen(of)
    })

    it.each(KERNEL_KINDS)('leaves what brute force finds among its rows, at any density (%s)', (kind) => {
      const random = randomFrom(of.seed)
      const { ids, folder, queries } = specimen
      using index = withKernel(kind, () => new LaterIndex(folder, { seed: SEED, cacheBytes: 100_000 }))
      expect(index.memory.kernel.kind).toBe(kind)
      const orders = queries.map((query) => orderOf(specimen, query))
      const all = { nprobe: 1000, rerank: ids.length }
      for (const [draw, draws] of Object.entries(DRAWS)) {
        for (const [i, density] of DENSITIES.entries()) {
          const hasMask = (segment: Segment): boolean => draw !== 'in runs' || segment.segment % 4 !== 0
          const { masks, live } = maskOf(index, draws(density, random), hasMask)
          const [query, order] = [queries[i % queries.length], orders[i % queries.length]]
          const expected = order.filter(({ id }) => live.has(id))
          for (const asked of [
            { exact: true, k: 10 },
            { exact: true, k: ids.length },
            { ...all, k: 10 },
            { ...all, k: ids.length }
          ]) {
            const { hits } = index.search(query, { ...asked, masks })
            expectSameHits(hits, expected.slice(0, asked.k))
          }
          masks.clear()
        }
      }
      expectSameHits(index.search(queries[0], { exact: true, k: 20 }).hits, orders[0].slice(0, 20))
    })
  }
)

describe('masks', () => {
  const OF = { metric: 'cosine', bits: 4, dim: 100, isBuilt: false } as const
  let specimen: Specimen

  beforeAll(async () => {
    specimen = await makeSpecimen(OF)
  })

  const open = (): LaterIndex => new LaterIndex(specimen.folder, { seed: SEED, cacheBytes: 2 ** 24 })
  const KINDS: readonly Asked[] = [
    { exact: true, k: 5 },
    { nprobe: 1000, rerank: 30, k: 5 },
    { nprobe: 3, rerank: 400, k: 400 },
    { nprobe: 1000, k: 5 }
  ]

  it.each(KINDS)('spare the read of segments without a row that may be found (%j)', async (asked) => {
    using index = open()
    const [query] = specimen.queries
    const wanted = [...index.context.workspace.segments].filter((_, i) => i % 2 === 0)
    const { masks, live } = maskOf(index, (segment) => wanted.includes(segment))
    using cold = open()
    const own = maskOf(cold, (segment) => wanted.some(({ slot }) => slot === segment.slot)).masks
    cold.opened.context.files.counters = { bytesRead: 0, pagesVerified: 0 }
    const strangers = [...cold.context.workspace.segments].filter(({ slot }) => own.isEmpty(slot))
    expect(strangers.length).toBeGreaterThan(3)
    cold.reader.onRead = ({ file, offset, byteLength }) => {
      for (const { rows, columns, codes } of strangers) {
        for (const extent of [rows, columns, codes]) {
          const isApart = extent.file !== file || extent.offset >= offset + byteLength
          expect(isApart || extent.offset + extent.byteLength <= offset).toBe(true)
        }
      }
    }
    const result = await cold.later(query, { ...asked, masks: own })
    expect(cold.reader.calls).toBeGreaterThan(0)
    expect(essence(result)).toBe(essence(index.search(query, { ...asked, masks })))
    expect(result.hits.every(({ id }) => live.has(id))).toBe(true)
    const zones = new Set(wanted.map(({ zone }) => zone))
    expect(result.explain?.zones.every((zone) => zones.has(zone))).toBe(true)
    expect(result.explain?.vectorsScanned).toBeLessThanOrEqual(wanted.reduce((sum, { rowCount }) => sum + rowCount, 0))
  })

  it('that leave nothing read nothing and find nothing', () => {
    using index = open()
    const { masks } = maskOf(index, () => false)
    for (const asked of KINDS) {
      const result = index.later(specimen.queries[0], { ...asked, masks })
      if (result instanceof Promise) throw new Error('it waits')
      expect(result).toMatchObject({ hits: [], explain: { zones: [], vectorsScanned: 0, bytesRead: 0, ioRounds: 0 } })
    }
    expect(index.reader.calls).toBe(0)
  })

  it('that leave fewer rows than are wanted give those, wherever they are', () => {
    using index = open()
    const segments = [...index.context.workspace.segments]
    for (let count = 1; count < 5; count++) {
      const rows = segments.filter((_, i) => i % 2 === 0).slice(0, count)
      const { masks, live } = maskOf(index, (segment, row) => rows.includes(segment) && row === segment.rowCount - 1)
      expect(live.size).toBe(count)
      for (const asked of KINDS.filter(({ nprobe }) => nprobe !== 3)) {
        const hits = orderOf(specimen, specimen.queries[1]).filter(({ id }) => live.has(id))
        expectSameHits(index.search(specimen.queries[1], { ...asked, k: 100, masks }).hits, hits)
      }
      masks.clear()
    }
  })

  it(`do not disturb each other, nor searches without one, that wait at a time (seed ${SEED + 2})`, async () => {
    const random = randomFrom(SEED + 2)
    using index = new LaterIndex(specimen.folder, { seed: SEED + 2, cacheBytes: 40_000 })
    const draws = Object.values(DRAWS)
    const masked = Array.from({ length: 24 }, (_, i) =>
      i % 4 === 0 ? undefined : maskOf(index, draws[i % 3](DENSITIES[i % 7], random))
    )
    const tasks = Array.from({ length: 96 }, (_, i) => ({
      query: specimen.queries[i % specimen.queries.length],
      asked: { ...(i % 2 === 0 ? { exact: true } : { nprobe: 1000, rerank: specimen.ids.length }), k: 12 },
      mask: masked[i % masked.length]
    }))
    const orders = new Map(specimen.queries.map((query) => [query, orderOf(specimen, query)]))
    const expectRight = (hits: readonly Hit[], { query, mask }: (typeof tasks)[number]): void => {
      const order = orders.get(query) ?? []
      expectSameHits(hits, order.filter(({ id }) => mask?.live.has(id) !== false).slice(0, 12))
    }
    const searches = tasks.map(async (task) => {
      expectRight((await index.later(task.query, { ...task.asked, masks: task.mask?.masks })).hits, task)
    })
    expect(index.context.states.inUse).toBeGreaterThan(50)
    for (const task of tasks.slice(0, 12)) {
      await setImmediate()
      expectRight(index.search(task.query, { ...task.asked, masks: task.mask?.masks }).hits, task)
    }
    await Promise.all(searches)
  })

  it('give their kernel memory back, all of it by clear and each when it is set anew', () => {
    using index = open()
    index.search(specimen.queries[0], { exact: true })
    const before = index.memory.usedByteLength
    const { masks } = maskOf(index, (_, row) => row % 2 === 0)
    const set = index.memory.usedByteLength
    expect(set).toBeGreaterThan(before)
    const [segment] = index.context.workspace.segments
    const words = new Uint32Array(Math.ceil(segment.rowCount / 32)).fill(0xffff_ffff)
    for (let i = 0; i < 100; i++) masks.set(segment, words)
    expect(index.memory.usedByteLength).toBe(set)
    expect(masks.addressOf(segment.slot)).toBeGreaterThan(0)
    masks.set(segment, new Uint32Array(words.length))
    expect([masks.addressOf(segment.slot), masks.isEmpty(segment.slot)]).toEqual([0, true])
    masks.clear()
    expect(index.memory.usedByteLength).toBe(before)
    expect([masks.addressOf(segment.slot), masks.isEmpty(segment.slot)]).toEqual([0, false])
    masks.clear()
    expect(index.memory.usedByteLength).toBe(before)
  })
})
