// The neighbours that a calibration is held against: those of an exact search but for rounding, for any number of
// queries at once, however the rows are shared.

import { describe, expect, it } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { mergeNeighbours, type Neighbours } from '../src/build/calibration-lists.ts'
import { scanInSteps } from '../src/build/calibration-neighbours.ts'
import {
  chooseRangeBytes,
  cutSegments,
  rowCountsOf,
  rowsOfIndex,
  type SegmentRange
} from '../src/build/calibration-ranges.ts'
import { QUERIES_PER_SCAN, scanTogether } from '../src/build/calibration-scan.ts'
import { rowOf as rowOfOrdinal, slotOf } from '../src/format/ordinals.ts'
import { runStep } from '../src/build/calibration-steps.ts'
import { readCatalogue } from '../src/catalogue/reader.ts'
import { seededRandom } from '../src/quantizer/random.ts'
import { openContext } from '../src/search/open-context.ts'
import { u64At } from '../src/format/u64.ts'
import type { SearchContext } from '../src/search/search-context.ts'
import type { Metric } from '../src/types.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { rowOf } from './support/brute-force.ts'
import { makeVectors } from './support/datasets.ts'
import { useTempFolder } from './support/temp-folder.ts'

const idOf = ({ files, workspace }: SearchContext, ordinal: number): number =>
  u64At(files.readIdWords(workspace.segments.inSlot(slotOf(ordinal))), rowOfOrdinal(ordinal))

const temp = useTempFolder('calibration-scan')
const SEED = 83
const DIM = 19
const K = 151
/** A cache of few parts: every pass has to read them again. */
const OPENED = { mapping: 'pread', cacheBytes: 100_000, verify: 'touch' } as const

describe.each<Metric>(['l2', 'cosine', 'ip'])(`many queries that are scanned together (%s, seed ${SEED})`, (metric) => {
  it('find what exact searches find, in every pass, and of fewer rows all', async () => {
    const path = temp.fresh('index')
    const input = makeVectors('clustered', { count: 2500, dim: DIM }, SEED)
    await buildIndex({ input, dim: DIM, metric, zones: 40, output: path, calibrate: false })
    const vectors = Array.from({ length: 2 * QUERIES_PER_SCAN + 3 }, (_, i) => rowOf(input, DIM, (i * 7) % 2500))
    const { readers, context } = openContext(readCatalogue(path), OPENED)
    const index = ZgqIndex.open(path)
    try {
      const whole = { first: 0, end: context.workspace.segments.count }
      let zones = 0
      const used = new Set<number>()
      const turn = (): Promise<void> => {
        zones++
        return Promise.resolve()
      }
      for (const [first, count, k] of [
        [0, QUERIES_PER_SCAN, K],
        [QUERIES_PER_SCAN, QUERIES_PER_SCAN + 3, K],
        [5, 1, 4000]
      ]) {
        const some = vectors.slice(first, first + count)
        const found = await scanTogether(rowsOfIndex(context, whole), { vectors: some, k }, turn)
        const exact = some.map((query) => index.search(query, { k, exact: true }))
        for (const [i, hits] of exact.entries()) {
          const distances = new Map(hits.map((hit) => [hit.id, hit.distance]))
          const last = hits[hits.length - 1].distance
          expect(found[i].ordinals).toHaveLength(hits.length)
          for (const [at, ordinal] of found[i].ordinals.entries()) {
            // by rounding to float32, others may be at the end
            const distance = distances.get(idOf(context, ordinal)) ?? last
            expect(Math.abs(found[i].distances[at] - distance)).toBeLessThanOrEqual(1e-5 * Math.abs(last) + 1e-12)
          }
        }
        used.add(context.workspace.memory.usedByteLength)
      }
      expect(zones).toBe(3 * index.info().zones)
      expect(used.size, 'each pass gives back what it takes').toBe(1)
    } finally {
      index.close()
      readers.close()
    }
  })
})

const KINDS = {
  /** Of few values: very many rows are as far from a query as others. */
  coarse: (random: number) => Math.floor(random * 3),
  /** Squares of their distances are below what float32 holds exactly. */
  tiny: (random: number) => 1e-22 * random
}

function vectorsOf(kind: keyof typeof KINDS, count: number): Float32Array {
  const random = seededRandom(SEED)
  return Float32Array.from({ length: count * DIM }, (_, i) => KINDS[kind](i % DIM === 0 ? 0.5 : random()))
}

const noTurn = (): Promise<void> => Promise.resolve()

describe.each<Metric>(['l2', 'cosine', 'ip'])(`scans of ranges (%s, seed ${SEED})`, (metric) => {
  it.each(['coarse', 'tiny'] as const)(
    'merge to what one scan finds, bit for bit, in any order: %s rows',
    async (kind) => {
      const path = temp.fresh('index')
      const input = vectorsOf(kind, 1500)
      await buildIndex({ input, dim: DIM, metric, zones: 30, output: path, calibrate: false })
      const { readers, context } = openContext(readCatalogue(path), OPENED)
      try {
        const { segments } = context.workspace
        const vectors = Array.from({ length: 21 }, (_, i) => rowOf(input, DIM, i * 71))
        const scan = (range: SegmentRange, k: number): Promise<Neighbours[]> =>
          scanTogether(rowsOfIndex(context, range), { vectors, k }, noTurn)
        let ties = 0
        for (const k of [1, 40, 2000]) {
          const whole = await scan({ first: 0, end: segments.count }, k)
          const next = await scan({ first: 0, end: segments.count }, k + 1)
          for (const { distances } of next) if (distances[k] === distances[k - 1]) ties++
          for (const rangeRows of [1, 200, 700]) {
            const ranges = cutSegments(rowCountsOf(segments), { dim: DIM, rangeBytes: rangeRows * DIM * 4 })
            expect(ranges.length).toBeGreaterThan(1)
            const found: Neighbours[][] = []
            for (const range of ranges) found.push(await scan(range, k))
            for (const lists of [found, found.toReversed(), [...found.slice(1), found[0]]])
              expect(mergeNeighbours(lists, k)).toEqual(whole)
            expect(
              mergeNeighbours([mergeNeighbours(found.slice(2), k), mergeNeighbours(found.slice(0, 2), k)], k)
            ).toEqual(whole)
          }
        }
        if (kind === 'coarse') expect(ties).toBeGreaterThan(20)
      } finally {
        readers.close()
      }
    }
  )
})

describe('the steps of a scan', () => {
  it('share the rows and the queries, find what one scan finds, and say how far they are', async () => {
    const dim = 8192
    const path = temp.fresh('index')
    const input = makeVectors('clustered', { count: 1300, dim }, SEED)
    await buildIndex({ input, dim, zones: 12, bits: 0, output: path, calibrate: false })
    const snapshot = readCatalogue(path)
    const { readers, context } = openContext(snapshot, OPENED)
    try {
      const vectors = Array.from({ length: QUERIES_PER_SCAN + 1 }, (_, i) => rowOf(input, dim, i * 5))
      const whole: Neighbours[] = []
      for (const some of [vectors.slice(0, 100), vectors.slice(100)]) {
        const range = { first: 0, end: snapshot.segments.count }
        whole.push(...(await scanTogether(rowsOfIndex(context, range), { vectors: some, k: K }, noTurn)))
      }
      const notes: number[] = []
      const sizes: number[] = []
      const scan = scanInSteps({
        run: async (steps, onAnswer) => {
          sizes.push(steps.length)
          for (const [i, step] of steps.entries()) onAnswer(await runStep({ context, snapshot }, step, noTurn), i)
        },
        index: snapshot,
        threads: 8,
        onQueries(done, total) {
          expect(total).toBe(vectors.length)
          notes.push(done)
        }
      })
      expect(await scan(vectors, K)).toEqual(whole)
      // two passes, and the least bytes of a range
      expect(sizes).toEqual([2 * Math.ceil((1300 * dim * 4) / 2 ** 24)])
      expect(notes).toHaveLength(sizes[0] + 1)
      expect(notes).toEqual(notes.toSorted((a, b) => a - b))
      expect([notes[0], notes[notes.length - 1]]).toEqual([0, vectors.length])
    } finally {
      readers.close()
    }
  })

  it.each([
    // threads, passes, bytes of rows, ranges
    { threads: 8, passes: 1, rows: 1e6, ranges: 31 },
    { threads: 8, passes: 4, rows: 1e6, ranges: 8 },
    { threads: 1, passes: 4, rows: 1e6, ranges: 2 },
    { threads: 8, passes: 4, rows: 1e8, ranges: 191 },
    { threads: 64, passes: 4, rows: 1000, ranges: 1 }
  ])('are several a thread, of neither few nor very many bytes: %o', ({ threads, passes, rows, ranges }) => {
    const totals = { rows, mostRows: 0, maxNorm: 0, codesBytes: 0, mostCodesBytes: 0, hasPayloads: false }
    const rangeBytes = chooseRangeBytes({ totals }, { dim: 128, passes, threads })
    expect(Math.ceil((rows * 512) / rangeBytes)).toBe(ranges)
  })
})
