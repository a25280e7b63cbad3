// Rows or codes: which of them a search scans, and that it finds the same.

import { describe, expect, it } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { areRowsCheaper, mayScanRows } from '../src/search/strategy.ts'
import type { Explain, Metric, SearchOptions } from '../src/types.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { rowOf } from './support/brute-force.ts'
import { makeVectors } from './support/datasets.ts'
import { expectSameHits } from './support/hits.ts'
import { zoneOf } from './support/snapshot.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('strategy')

/** As many zones as there are numbers of rows. */
const zonesOf = (...rowCounts: readonly number[]): ReturnType<typeof zoneOf>[] =>
  rowCounts.map((rowCount, zone) => zoneOf({ zone, rowCount, centroid: new Float32Array(1) }))

describe('rows may be scanned', () => {
  const counts = Array.from({ length: 40 }, (_, i) => Math.round(1.6 ** i))
  const answers = counts.map((count) => mayScanRows({ count, dim: 64 }))

  it('in small indexes and not in large ones, with one border between them', () => {
    expect([answers[0], answers.at(-1)]).toEqual([true, false])
    expect(answers.slice(answers.indexOf(false))).not.toContain(true)
  })

  it('up to 16 MiB of them', () => {
    expect(mayScanRows({ count: 65_536, dim: 64 })).toBe(true)
    expect(mayScanRows({ count: 65_537, dim: 64 })).toBe(false)
  })
})

describe('rows cost less than codes', () => {
  const counts = Array.from({ length: 60 }, (_, i) => Math.round(1.25 ** i))

  it.each([2, 16, 128, 768, 4096].flatMap((dim) => [1, 10, 100].map((k) => ({ dim, k }))))(
    'where they are few: one border, never back again ($dim dimensions, k $k)',
    ({ dim, k }) => {
      const answers = counts.map((count) => areRowsCheaper(zonesOf(count), dim, k))
      expect([answers[0], answers.at(-1)]).toEqual([true, false])
      expect(answers.slice(answers.indexOf(false))).not.toContain(true)
    }
  )

  it('no less where more hits are wanted', () => {
    for (const count of counts) {
      const answers = [1, 10, 100, 1000].map((k) => areRowsCheaper(zonesOf(count), 128, k))
      expect(answers.includes(true) ? answers.slice(answers.indexOf(true)) : []).not.toContain(false)
    }
  })

  it('by their number in all zones together', () => {
    for (const count of counts)
      expect(areRowsCheaper(zonesOf(count, count * 2, count), 128, 10)).toBe(
        areRowsCheaper(zonesOf(count * 4), 128, 10)
      )
  })
})

const SEED = 95
const COUNT = 1500
const DIM = 40

describe.each(['l2', 'cosine', 'ip'] as const)(`a small index (%s, seed ${SEED})`, (metric: Metric) => {
  const rows = makeVectors('clustered', { count: COUNT, dim: DIM }, SEED)
  const queries = Array.from({ length: 25 }, (_, i) =>
    rowOf(makeVectors('clustered', { count: 25, dim: DIM }, SEED), DIM, i)
  )

  it.each([1, 2, 4, 8])(
    'finds by its rows what it finds by its codes of %d bits with all candidates reranked',
    async (bits) => {
      const output = temp.fresh('small')
      await buildIndex({ input: rows, dim: DIM, metric, bits, zones: 40, output })
      const index = ZgqIndex.open(output)
      try {
        const explainOf = (query: Float32Array, options: SearchOptions): Explain =>
          index.search(query, { ...options, explain: true }).explain
        for (const query of queries) {
          for (const options of [{ nprobe: 2 }, { nprobe: 3, k: 25 }, { recall: 0.8 }, { recall: 0.8, k: 1 }]) {
            const byRows = index.search(query, options)
            const byCodes = index.search(query, { ...options, rerank: COUNT })
            expectSameHits(byCodes, byRows)
          }
          expect(explainOf(query, { nprobe: 2 }).rowsReranked).toBe(0)
          expect(explainOf(query, { nprobe: 2, rerank: COUNT }).rowsReranked).toBe(
            explainOf(query, { nprobe: 2 }).vectorsScanned
          )
        }
      } finally {
        index.close()
      }
    }
  )

  it('scans rows whatever the cache, so that hits do not depend on it', async () => {
    const output = temp.fresh('tight')
    await buildIndex({ input: rows, dim: DIM, metric, zones: 40, output })
    const index = ZgqIndex.open(output, { cacheBytes: 0 })
    try {
      for (const query of queries)
        expect(index.search(query, { nprobe: 2, explain: true }).explain.rowsReranked).toBe(0)
    } finally {
      index.close()
    }
  })
})
