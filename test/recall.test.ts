// Searches for a recall: what was asked for is reached, on real and made data, with codes and without.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { buildIndex } from '../src/build.ts'
import type { Explain, Metric, SearchOptions } from '../src/types.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { rowOf } from './support/brute-force.ts'
import { normal, shuffled } from './support/datasets.ts'
import { randomFrom } from './support/random.ts'
import { exactIds, mean, meanRecall, readVectors, recallOf } from './support/recall.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('recall', IN_MEMORY)
const SEED = 71
const TARGETS = [0.8, 0.9, 0.95, 0.99]
const KS = [1, 10, 100]
/** What the sample of queries may lie below the recall of all. */
const TOLERANCE = 0.01
/** Codes are scanned where they are, whatever rows would cost. */
const BY_CODES = { rerank: 1 }

interface DataSet {
  readonly dim: number
  readonly rows: Float32Array
  readonly queries: readonly Float32Array[]
}

/** Takes random rows out of a set, as queries that the rest does not hold. */
function holdOut({ dim, rows }: { dim: number; rows: Float32Array }, queryCount: number): DataSet {
  const order = shuffled(
    Array.from({ length: rows.length / dim }, (_, i) => i),
    randomFrom(SEED)
  )
  const [queries, left] = [order.slice(0, queryCount), order.slice(queryCount)]
  const kept = new Float32Array(left.length * dim)
  for (const [i, row] of left.entries()) kept.set(rowOf(rows, dim, row), i * dim)
  return { dim, rows: kept, queries: queries.map((row) => rowOf(rows, dim, row)) }
}

/** Gaussian clusters whose rows are scaled by 1 to 10: under ip the long ones are near to many queries. */
function clustersOfManyNorms(count: number, dim: number): { dim: number; rows: Float32Array } {
  const random = randomFrom(SEED)
  const centres = Array.from({ length: 40 }, () => Array.from({ length: dim }, () => normal(random) * 0.7))
  const rows = new Float32Array(count * dim)
  for (let row = 0; row < count; row++) {
    const centre = centres[Math.floor(random() * centres.length)]
    const norm = 10 ** random()
    for (let i = 0; i < dim; i++) rows[row * dim + i] = (centre[i] + normal(random)) * norm
  }
  return { dim, rows }
}

const SETS: readonly { name: string; metric: Metric; zones?: number; make: () => DataSet }[] = [
  {
    name: 'sift10k',
    metric: 'l2',
    make: () => {
      const base = readVectors('sift10k.base.u8bin')
      const { dim, rows } = readVectors('sift10k.queries.u8bin')
      return { ...base, queries: Array.from({ length: 250 }, (_, i) => rowOf(rows, dim, i * 4)) }
    }
  },
  { name: 'wordnet', metric: 'cosine', make: () => holdOut(readVectors('wordnet.base.f16bin'), 300) },
  { name: 'clusters of many norms', metric: 'ip', zones: 100, make: () => holdOut(clustersOfManyNorms(6000, 24), 400) }
]

describe.each(SETS)('a search of $name ($metric)', ({ metric, zones, make }) => {
  const { dim, rows, queries } = make()
  let truth: number[][] = []
  beforeAll(async () => {
    const output = temp.fresh('truth')
    await buildIndex({ input: rows, dim, metric, bits: 0, zones: 1, output })
    const index = ZgqIndex.open(output)
    truth = exactIds(index, queries, Math.max(...KS))
    index.close()
  })

  describe.each([0, 1, 4])('with %d bits', (bits) => {
    const output = temp.fresh('index')
    let index: ZgqIndex
    beforeAll(async () => {
      await buildIndex({ input: rows, dim, metric, bits, zones, output })
      index = ZgqIndex.open(output)
    })
    afterAll(() => {
      index.close()
    })

    const explainOf = (query: Float32Array, options: SearchOptions): Explain =>
      index.search(query, { ...BY_CODES, ...options, explain: true }).explain

    it.each(KS.flatMap((k) => TARGETS.map((recall) => ({ k, recall }))))(
      `reaches recall@$k of $recall (seed ${SEED})`,
      ({ k, recall }) => {
        expect(meanRecall(index, queries, truth, { ...BY_CODES, k, recall })).toBeGreaterThanOrEqual(recall - TOLERANCE)
      }
    )

    it('probes more zones the more recall is wanted, and never all for a recall of .9', () => {
      const means = TARGETS.map((recall) => mean(queries.map((query) => explainOf(query, { recall }).zones.length)))
      expect(means).toEqual([...means].sort((a, b) => a - b))
      expect(means[1]).toBeLessThan(index.info().zones / 2)
    })

    it('for a recall scans what the index was built to scan', () => {
      const isReranked = queries.slice(0, 50).map((query) => explainOf(query, { recall: 0.9 }).rowsReranked > 0)
      expect(new Set(isReranked)).toEqual(new Set([bits > 0]))
    })

    it('told nothing probes and finds what it does for a recall of .95', () => {
      for (const query of queries.slice(0, 100)) {
        expect(index.search(query)).toEqual(index.search(query, { recall: 0.95 }))
        expect(explainOf(query, {}).zones).toEqual(explainOf(query, { recall: 0.95 }).zones)
      }
    })

    it('probes fewer zones for queries whose neighbours lie in the nearest zones than for others', () => {
      const needed = queries.map((query, i) => ({
        isEasy: recallOf(index.search(query, { nprobe: 2 }), truth[i], 10) >= 0.9,
        zones: explainOf(query, { recall: 0.9 }).zones.length
      }))
      const [easy, hard] = [true, false].map((isEasy) =>
        needed.filter((query) => query.isEasy === isEasy).map((query) => query.zones)
      )
      expect(Math.min(easy.length, hard.length)).toBeGreaterThan(20)
      expect(mean(easy)).toBeLessThan(mean(hard) * 0.9)
    })
  })
})

describe('one row that lies far off', () => {
  it.each(['l2', 'ip'] as const)('does not spoil the codes of the others (%s, seed 72)', async (metric) => {
    const dim = 64
    const random = randomFrom(72)
    const rows = Float32Array.from({ length: 3000 * dim }, () => normal(random))
    rows.fill(1e8, 1000 * dim, 1001 * dim)
    const path = temp.fresh(`outlier-${metric}`)
    await buildIndex({ input: rows, dim, metric, output: path, zones: 60 }) // trained on all rows
    using index = ZgqIndex.open(path)
    const queries = Array.from({ length: 100 }, () => Float32Array.from({ length: dim }, () => normal(random)))
    // `rerank: 1` scans codes where rows would cost less.
    expect(meanRecall(index, queries, exactIds(index, queries, 10), { k: 10, nprobe: 1e6, rerank: 1 })).toBeGreaterThan(
      0.99
    )
  })
})
