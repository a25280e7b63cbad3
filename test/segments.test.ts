// Segments of an index: any number in a zone, in any order, of several generations; and an open index that goes on with
// another snapshot, of which it has some segments already.

import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'

import { readCatalogue } from '../src/catalogue/reader.ts'
import { checkIndex } from '../src/check.ts'
import { CONFIDENCE } from '../src/search/confidence.ts'
import { adoptSnapshot } from '../src/search/adopt-snapshot.ts'
import { openContext, type OpenedContext } from '../src/search/open-context.ts'
import { finishSearch, search } from '../src/search/search.ts'
import type { Hit, Metric } from '../src/types.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { bruteForce, rowOf } from './support/brute-force.ts'
import { codeOf } from './support/errors.ts'
import { expectSameHits } from './support/hits.ts'
import { MAPPINGS } from './support/mappings.ts'
import { anyFloat, randomFrom, randomVectors } from './support/random.ts'
import { openDescriptors } from './support/reader-contract.ts'
import { SegmentIndex, type PlannedSegment } from './support/segment-index.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('segments', IN_MEMORY)
const SEED = 110
const DIM = 20
const METRICS = ['l2', 'cosine', 'ip'] as const
const CASES = METRICS.flatMap((metric) => [0, 1, 4].map((bits) => ({ metric, bits })))

interface Case {
  readonly metric: Metric
  readonly bits: number
}

function makeIndex(of: Case, zones: number, random: () => number): SegmentIndex {
  const folder = temp.fresh(`${of.metric}-${of.bits}`)
  mkdirSync(folder)
  const centroids = randomVectors({ count: zones, dim: DIM }, random, () => random() * 2 - 1).slice(0, zones * DIM)
  return new SegmentIndex(folder, { dim: DIM, ...of, centroids }, random)
}

/** Rows with ids that are in no order and that no other segment has. */
function segmentOf(zone: number, rowCount: number, random: () => number): PlannedSegment {
  const ids = new Set<number>()
  while (ids.size < rowCount) ids.add(Math.floor(random() * 2 ** 50))
  return { zone, ids: [...ids], rows: randomVectors({ count: rowCount, dim: DIM }, random, anyFloat) }
}

/** Segments of these zones, of random sizes. */
function segmentsOf(zones: readonly number[], random: () => number): PlannedSegment[] {
  return zones.map((zone) => segmentOf(zone, 1 + Math.floor(random() ** 2 * 120), random))
}

function queriesFrom(random: () => number, count = 4): Float32Array[] {
  const queries = randomVectors({ count, dim: DIM }, random, anyFloat)
  return Array.from({ length: count }, (_, i) => rowOf(queries, DIM, i))
}

function expectedHits(index: SegmentIndex, query: Float32Array, k: number): Hit[] {
  return bruteForce({ metric: index.shape.metric, ...index.content, query }).slice(0, k)
}

/** All zones, exactly, then by codes with every row for a candidate. */
function expectBruteForce(index: SegmentIndex, queries: readonly Float32Array[]): void {
  using opened = ZgqIndex.open(index.folder)
  for (const query of queries) {
    const expected = expectedHits(index, query, 12)
    for (const options of [{ exact: true }, { nprobe: 1000 }, { nprobe: 1000, rerank: 5000 }])
      expectSameHits(opened.search(query, { k: 12, ...options }), expected)
    expectSameHits(opened.search(query, { k: 5000, exact: true }), expectedHits(index, query, 5000))
  }
}

describe.each(CASES)(`an index under $metric with $bits bits (seed ${SEED})`, (of) => {
  it('finds what brute force finds with several segments in a zone, zones in any order and zones without any', async () => {
    const random = randomFrom(SEED)
    const index = makeIndex(of, 9, random)
    index.add(segmentsOf([7, 2, 2, 0, 7, 5, 2], random))
    index.publish()
    expectBruteForce(index, queriesFrom(random))
    expect(await checkIndex(index.folder)).toMatchObject({ ok: true, zones: 9 })
  })

  it('finds what brute force finds with files of several generations, some of whose segments went', async () => {
    const random = randomFrom(SEED + 1)
    const index = makeIndex(of, 5, random)
    index.add(segmentsOf([0, 1, 2, 3, 4], random))
    index.add(segmentsOf([3, 1, 1], random), 10)
    index.add(segmentsOf([4, 4, 0, 2], random))
    index.drop([0, 3, 16])
    index.publish()
    expect(index.segments).toEqual(
      [1, 2, 4, 15, 17, 18, 19, 20, 21].filter((segment) => index.segments.includes(segment))
    )
    expectBruteForce(index, queriesFrom(random))
    expect(await checkIndex(index.folder)).toMatchObject({ ok: true })
  })

  it('finds what brute force finds with more zones than are probed without their codes, most of them empty', () => {
    const random = randomFrom(SEED + 2)
    const index = makeIndex(of, 700, random)
    index.add(segmentsOf([690, 3, 3, 511, 42], random))
    index.publish()
    expectBruteForce(index, queriesFrom(random, 2))
  })

  it('names each zone once in explain, though it has several segments, and counts their rows', () => {
    const random = randomFrom(SEED + 3)
    const index = makeIndex(of, 3, random)
    index.add([segmentOf(1, 40, random), segmentOf(0, 33, random), segmentOf(1, 7, random)])
    index.publish()
    using opened = ZgqIndex.open(index.folder)
    const { explain } = opened.search(queriesFrom(random)[0], { nprobe: 3, explain: true })
    expect([...explain.zones].sort()).toEqual([0, 1])
    expect(explain.vectorsScanned).toBe(80)
  })

  it('has every row under its id, in whatever order the ids come', () => {
    const random = randomFrom(SEED + 4)
    const index = makeIndex(of, 4, random)
    index.add(segmentsOf([3, 0, 3, 1], random))
    index.publish()
    using opened = ZgqIndex.open(index.folder)
    const { ids, rows } = index.content
    ids.forEach((id, row) => {
      expect(opened.has(id)).toBe(true)
      expect(opened.get(id)).toEqual(rowOf(rows, DIM, row))
    })
    expect(opened.has(2 ** 51)).toBe(false)
    expect(opened.get(2 ** 51)).toBeUndefined()
    expect(opened.info().count).toBe(ids.length)
    expect(opened.zones().map(({ zone, rows: zoneRows }) => [zone, zoneRows > 0])).toEqual([
      [0, true],
      [1, true],
      [2, false],
      [3, true]
    ])
  })

  it.each([0, 3])('finds nothing where there is no segment (%d zones)', async (zones) => {
    const random = randomFrom(SEED + 5)
    const index = makeIndex(of, zones, random)
    index.publish()
    using opened = ZgqIndex.open(index.folder)
    const [query] = queriesFrom(random)
    for (const options of [{}, { exact: true }, { nprobe: 5 }, { nprobe: 5, rerank: 100 }, { recall: 0.9 }])
      expect(opened.search(query, { k: 10, ...options })).toEqual([])
    expect(opened.search(query, { nprobe: 5, explain: true }).explain).toMatchObject({ zones: [], vectorsScanned: 0 })
    expect(await opened.searchBatch(Float32Array.from([...query, ...query]), { k: 3 })).toEqual([[], []])
    expect(await opened.searchAsync(query, { k: 3 })).toEqual([])
    expect(opened.info()).toMatchObject({ count: 0, zones, bits: of.bits, files: [] })
    expect(opened.zones().map(({ zone, rows }) => [zone, rows])).toEqual(
      Array.from({ length: zones }, (_, zone) => [zone, 0])
    )
    expect([opened.has(1), opened.get(1)]).toEqual([false, undefined])
    expect(await checkIndex(index.folder)).toMatchObject({ ok: true, count: 0 })
  })
})

describe('an open index that goes on with another snapshot', () => {
  const opened: OpenedContext[] = []
  afterEach(() => {
    for (const { readers } of opened.splice(0)) readers.close()
  })

  function open(index: SegmentIndex, options: { mapping?: 'mmap' | 'pread'; cacheBytes?: number } = {}): OpenedContext {
    index.publish()
    const { mapping = 'pread', cacheBytes = 2 ** 26 } = options
    const context = openContext(readCatalogue(index.folder), { mapping, cacheBytes, verify: 'touch' })
    opened.push(context)
    return context
  }

  function adopt(context: OpenedContext, index: SegmentIndex): void {
    index.publish()
    adoptSnapshot(context, readCatalogue(index.folder))
  }

  function searchIn({ context }: OpenedContext, query: Float32Array, of: { k: number; isExact: boolean }): Hit[] {
    return search(context, query, {
      k: of.k,
      probe: { nprobe: context.workspace.zoneCount },
      explain: false,
      isExact: of.isExact,
      rerank: of.isExact ? 0 : 5000,
      confidence: CONFIDENCE
    }).hits
  }

  /** Exactly, and by codes. */
  function expectFound(context: OpenedContext, index: SegmentIndex, queries: readonly Float32Array[]): void {
    for (const query of queries) {
      const expected = expectedHits(index, query, 10)
      for (const isExact of [true, false]) expectSameHits(searchIn(context, query, { k: 10, isExact }), expected)
    }
  }

  describe.each(MAPPINGS.flatMap((mapping) => [0, 4].map((bits) => ({ mapping, bits }))))(
    `replaces all segments a hundred times ($mapping, $bits bits, seed ${SEED})`,
    ({ mapping, bits }) => {
      it('without growth, and finds right after each what brute force finds', { timeout: 120_000 }, () => {
        const random = randomFrom(SEED + 6)
        const index = makeIndex({ metric: 'l2', bits }, 6, random)
        const counts = [60, 33, 1, 90, 7, 64, 31]
        const replaceAll = (): void => {
          index.drop(index.segments)
          const shuffled = counts.map((count) => ({ count, at: random() })).sort((a, b) => a.at - b.at)
          index.add(shuffled.map(({ count }) => segmentOf(Math.floor(random() * 6), count, random)))
        }
        replaceAll()
        const context = open(index, { mapping })
        const { memory } = context.context.workspace
        const taken: number[][] = []
        for (let round = 0; round < 100; round++) {
          replaceAll()
          adopt(context, index)
          index.removeFiles(readdirSync(index.folder))
          expectFound(context, index, queriesFrom(random, 1))
          taken.push([
            memory.usedByteLength,
            memory.kernel.buffer.byteLength,
            context.context.workspace.segments.slotCount
          ])
          if (process.platform === 'linux') expect(openDescriptors(temp).length).toBeLessThanOrEqual(2)
        }
        expect(new Set(taken.slice(3).map(String)).size).toBe(1)
        if (process.platform === 'linux')
          expect(
            readFileSync('/proc/self/maps', 'utf8')
              .split('\n')
              .filter((line) => line.includes(index.folder)).length
          ).toBeLessThanOrEqual(2)
      })
    }
  )

  it.each(CASES)(
    `finds what brute force finds after any succession of changes (seed ${SEED}, $metric, $bits bits)`,
    (of) => {
      const random = randomFrom(SEED + 7)
      const index = makeIndex(of, 8, random)
      const context = open(index, { cacheBytes: 60_000 }) // of an empty index, with less room than all needs
      for (let round = 0; round < 15; round++) {
        index.drop(index.segments.filter(() => random() < 0.4))
        const added = Array.from({ length: Math.floor(random() * 6) }, () => Math.floor(random() * 8))
        index.add(segmentsOf(added, random), Math.floor(random() * 3))
        adopt(context, index)
        expectFound(context, index, queriesFrom(random, 2))
      }
    }
  )

  it.each(CASES)('reads and verifies nothing again of segments that stay ($metric, $bits bits)', (of) => {
    const random = randomFrom(SEED + 8)
    const index = makeIndex(of, 4, random)
    index.add([segmentOf(0, 50, random), segmentOf(1, 60, random), segmentOf(1, 64, random)])
    const context = open(index)
    const { files, codes } = context.context
    const [query] = queriesFrom(random)
    const workOf = (isExact: boolean): { bytesRead: number; pagesVerified: number } => {
      searchIn(context, query, { k: 10, isExact })
      return { ...files.counters }
    }
    const first = [workOf(true), workOf(false)]
    expect(first[0].bytesRead).toBeGreaterThan(0)
    adopt(context, index)
    // Rows, and codes, are in the cache; what codes leave is read again from rows that were verified.
    expect([workOf(true), workOf(false).pagesVerified]).toEqual([{ bytesRead: 0, pagesVerified: 0 }, 0])
    const stayed = [...context.context.workspace.segments]
    index.drop([1])
    index.add([segmentOf(3, 5, random)])
    adopt(context, index)
    if (codes !== undefined)
      expect([...context.context.workspace.segments].map((segment) => codes.cache.holds(segment))).toEqual([
        true,
        true,
        false
      ])
    const after = workOf(true)
    // 5 rows with their ids and norms, the columns extent, and a page for each: nothing of the other segments.
    expect(after.pagesVerified).toBe(1)
    expect(after.bytesRead).toBeLessThan(5 * DIM * 4 + 2 * 4096)
    expect(stayed.filter((segment) => [...context.context.workspace.segments].includes(segment))).toHaveLength(2)
    expectFound(context, index, [query])
  })

  it('caches rows in parts as large as an index just opened does, though it began with an empty one', () => {
    const random = randomFrom(SEED + 10)
    const index = makeIndex({ metric: 'l2', bits: 0 }, 2, random)
    const context = open(index)
    const { cache, workspace } = context.context
    for (const rowCount of [3, 70, 2000]) {
      index.add([segmentOf(0, rowCount, random)])
      adopt(context, index)
      expectFound(context, index, queriesFrom(random, 1))
      expect(cache.rowsPerPart).toBe(open(index).context.cache.rowsPerPart)
    }
    const used = workspace.memory.usedByteLength - cache.byteLength
    expect(cache.byteLength).toBeGreaterThan(2000 * DIM * 4)
    expect(used).toBeLessThan(100_000) // nothing of the smaller frames is left
  })

  it.each(METRICS)('finds by codes of another quantizer what an index just opened finds (%s)', (metric) => {
    const random = randomFrom(SEED + 11)
    const folder = temp.fresh(`quantizer-${metric}`)
    mkdirSync(folder)
    const centroids = randomVectors({ count: 3, dim: DIM }, random, () => random() * 2 - 1).slice(0, 3 * DIM)
    const shape = { dim: DIM, metric, bits: 4, centroids }
    const context = open(new SegmentIndex(folder, shape, random)) // of an empty index, with a quantizer of its own
    const index = new SegmentIndex(folder, shape, random)
    index.add(segmentsOf([0, 1, 2, 2], random))
    index.publish()
    const adopted = adoptSnapshot(context, readCatalogue(folder))
    const fresh = open(index)
    for (const query of queriesFrom(random)) {
      const request = { k: 10, probe: { nprobe: 3 }, explain: false, isExact: false, rerank: 1, confidence: CONFIDENCE }
      expect(search(adopted.context, query, request).hits).toEqual(search(fresh.context, query, request).hits)
    }
  })

  it('keeps codes in kernel memory where more of them need more room', () => {
    const random = randomFrom(SEED + 12)
    const index = makeIndex({ metric: 'l2', bits: 4 }, 3, random)
    index.add([segmentOf(0, 90, random), segmentOf(1, 64, random)])
    const context = open(index)
    const [query] = queriesFrom(random)
    searchIn(context, query, { k: 10, isExact: false })
    index.add([segmentOf(2, 300, random)])
    adopt(context, index)
    const { codes, workspace } = context.context
    expect([...workspace.segments].map((segment) => codes?.cache.holds(segment))).toEqual([true, true, false])
    expectFound(context, index, [query])
  })

  it('is ZGQ_MISMATCH where that is of another index, and goes on with its own', () => {
    const random = randomFrom(SEED + 13)
    const index = makeIndex({ metric: 'l2', bits: 4 }, 3, random)
    index.add(segmentsOf([0, 1, 2], random))
    const context = open(index)
    const snapshot = readCatalogue(index.folder)
    const other = { ...snapshot, meta: { ...snapshot.meta, indexId: new Uint8Array(16).fill(7) } }
    expect(codeOf(() => adoptSnapshot(context, other))).toBe('ZGQ_MISMATCH')
    expectFound(context, index, queriesFrom(random))
  })

  it('is another context while a search is under way, which ends on what it began with', () => {
    const random = randomFrom(SEED + 14)
    const index = makeIndex({ metric: 'l2', bits: 4 }, 3, random)
    index.add(segmentsOf([0, 1, 2], random))
    const context = open(index)
    const { states } = context.context
    const [query] = queriesFrom(random)
    const before = expectedHits(index, query, 10)
    const request = { k: 10, probe: { nprobe: 3 }, explain: false, isExact: true, rerank: 0, confidence: CONFIDENCE }
    const state = states.take()
    state.start(query, request)
    index.add(segmentsOf([1, 0], random))
    index.drop([0, 2])
    index.publish()
    const adopted = adoptSnapshot(context, readCatalogue(index.folder))
    opened.push(adopted)
    index.removeFiles(readdirSync(index.folder))
    let hasEnded = false
    states.whenUnused(() => {
      hasEnded = true
    })
    expectFound(adopted, index, queriesFrom(random))
    expectSameHits(finishSearch(context.context, state).hits, before)
    expect(hasEnded).toBe(false)
    states.giveBack(state)
    expect(hasEnded).toBe(true)
  })

  it('keeps what it had where the other snapshot names a file that is not there', () => {
    const random = randomFrom(SEED + 9)
    const index = makeIndex({ metric: 'l2', bits: 4 }, 3, random)
    index.add(segmentsOf([0, 1, 2], random))
    const context = open(index)
    const before = index.content
    const [query] = queriesFrom(random)
    const expected = bruteForce({ metric: 'l2', ...before, query }).slice(0, 10)
    const old = new Set(readdirSync(index.folder))
    index.add(segmentsOf([1], random))
    index.publish()
    const snapshot = readCatalogue(index.folder)
    index.drop([3])
    index.removeFiles(readdirSync(index.folder).filter((name) => !old.has(name)))
    expect(codeOf(() => adoptSnapshot(context, snapshot))).toBe('ZGQ_CORRUPT')
    for (const isExact of [true, false]) expectSameHits(searchIn(context, query, { k: 10, isExact }), expected)
  })
})
