// Searches by codes of real vectors on disk: what reranking makes exact, how little of it an ordinary search needs, and
// what must not change a result.

import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { openVectorFile } from '../src/input/vector-file.ts'
import { createScalarKernel } from '../src/kernels/scalar-kernel.ts'
import type { Hit, Metric } from '../src/types.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { rowOf } from './support/brute-force.ts'
import { expectNearest } from './support/hits.ts'
import { VALUE_KINDS } from './support/one-zone.ts'
import { randomFrom, randomVectors } from './support/random.ts'
import { dataFileDigests } from './support/stored-rows.ts'
import { useTempFolder } from './support/temp-folder.ts'

const kernels = vi.hoisted(() => ({ isScalar: false }))
vi.mock(import('../src/kernels/load-kernel.ts'), async (importOriginal) => {
  const original = await importOriginal()
  return { loadKernel: () => (kernels.isScalar ? createScalarKernel() : original.loadKernel()) }
})

const temp = useTempFolder('rerank')
const METRICS: readonly Metric[] = ['l2', 'cosine', 'ip']
const BITS = [1, 2, 4, 8]
const WORDNET = { base: 'test/data/wordnet.base.f16bin', queries: 'test/data/wordnet.queries.f16bin', most: 4 }
const SIFT = { base: 'test/data/sift10k.base.u8bin', queries: 'test/data/sift10k.queries.u8bin', most: 25 }
const CASES = [
  ...METRICS.map((metric) => ({ metric, name: 'wordnet', data: WORDNET })),
  { metric: 'l2', name: 'sift10k', data: SIFT } as const
].flatMap((some) => BITS.map((bits) => ({ ...some, bits })))

/** Reads the first `most` vectors of a file. */
function readVectors(path: string, most = Infinity): { count: number; dim: number; vectors: Float32Array } {
  const rows = openVectorFile(path)
  try {
    const count = Math.min(most, rows.count)
    const vectors = new Float32Array(count * rows.dim)
    rows.readRows(0, vectors)
    return { count, dim: rows.dim, vectors }
  } finally {
    rows.close()
  }
}

/** Runs `work` with the scalar kernel. */
async function withScalarKernel<T>(work: () => T | Promise<T>): Promise<T> {
  kernels.isScalar = true
  try {
    return await work()
  } finally {
    kernels.isScalar = false
  }
}

describe.each(CASES)('a search of $name under $metric by codes of $bits bits', ({ metric, bits, data }) => {
  const path = temp.fresh('index')
  let index: ZgqIndex
  let queries: Float32Array[]
  beforeAll(async () => {
    await buildIndex({ input: data.base, output: path, metric, bits })
    index = ZgqIndex.open(path)
    const { count, dim, vectors } = readVectors(data.queries, data.most)
    queries = Array.from({ length: count }, (_, i) => rowOf(vectors, dim, i))
  })
  afterAll(() => {
    index.close()
  })

  it('is exact where all zones are probed and all rows reranked', () => {
    const { zones, count } = index.info()
    for (const query of queries) {
      for (const k of [1, 10, 100]) {
        const { hits, explain } = index.search(query, { k, nprobe: zones, rerank: count, explain: true })
        expect(hits).toEqual(index.search(query, { k, exact: true }))
        expect(explain.rowsReranked).toBe(count)
      }
    }
  })

  it('finds all vectors in order where k is their count', () => {
    const { zones, count } = index.info()
    expect(index.search(queries[0], { k: count, nprobe: zones, rerank: 1 })).toEqual(
      index.search(queries[0], { k: count, exact: true })
    )
  })

  it('reranks a small part of the rows where not told to rerank, and finds nearly all of the nearest', () => {
    const { zones, count } = index.info()
    const found = queries.map((query) => {
      const { hits, explain } = index.search(query, { nprobe: zones, rerank: 1, explain: true })
      const ids = new Set(index.search(query, { exact: true }).map(({ id }) => id))
      return { reranked: explain.rowsReranked, common: hits.filter(({ id }) => ids.has(id)).length }
    })
    const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
    expect(mean(found.map(({ reranked }) => reranked))).toBeLessThan(count / 20)
    expect(mean(found.map(({ reranked }) => reranked))).toBeGreaterThanOrEqual(10)
    expect(mean(found.map(({ common }) => common))).toBeGreaterThanOrEqual(9.7)
  })

  it('reranks at least as many rows as asked for', () => {
    for (const rerank of [11, 50, 500]) {
      const { explain } = index.search(queries[0], { k: 5, nprobe: index.info().zones, rerank, explain: true })
      expect(explain.rowsReranked).toBeGreaterThanOrEqual(rerank)
    }
  })

  it('gives hits at their exact distances', () => {
    const { dim, vectors } = readVectors(data.base)
    for (const query of queries.slice(0, 2)) {
      const hits = index.search(query, { k: 20, rerank: 1 })
      const rows = Float32Array.from(hits.flatMap(({ id }) => [...rowOf(vectors, dim, id)]))
      expectNearest(hits, { metric, rows, ids: hits.map(({ id }) => id), query }, 20)
    }
  })

  it('gives the same hits with either kernel', async () => {
    const searchAll = (some: ZgqIndex): Hit[][] =>
      queries.slice(0, 5).map((query) => some.search(query, { k: 10, nprobe: 5, rerank: 1 }))
    const expected = searchAll(index)
    await withScalarKernel(() => {
      using scalar = ZgqIndex.open(path)
      expect(scalar.info().kernel).toBe('scalar')
      expect(searchAll(scalar)).toEqual(expected)
    })
  })
})

describe.each(METRICS.flatMap((metric) => BITS.map((bits) => ({ metric, bits }))))(
  'a build under $metric with codes of $bits bits',
  ({ metric, bits }) => {
    it('gives the same data files with either kernel', async () => {
      const { dim, vectors } = readVectors(WORDNET.base, 400)
      const build = async (): Promise<Record<string, string>> => {
        const output = temp.fresh('built')
        await buildIndex({ input: vectors, dim, output, metric, bits, zones: 7 })
        return dataFileDigests(output)
      }
      const expected = await build()
      expect(Object.keys(expected)).toHaveLength(3)
      expect(await withScalarKernel(build)).toEqual(expected)
    })
  }
)

describe('a search by codes of values at the ends of float32', () => {
  const SEED = 98
  it.each(METRICS.flatMap((metric) => BITS.map((bits) => ({ metric, bits }))))(
    `loses no row (seed ${SEED}, $metric, $bits bits)`,
    async ({ metric, bits }) => {
      const random = randomFrom(SEED)
      for (const [name, value] of VALUE_KINDS) {
        const [dim, count] = [17, 100]
        const rows = randomVectors({ count, dim }, random, value)
        const output = temp.fresh('extreme')
        await buildIndex({ input: rows, dim, output, metric, bits, zones: 4 })
        using index = ZgqIndex.open(output)
        const others = VALUE_KINDS.flatMap(([, other]) => [randomVectors({ count: 1, dim }, random, other)])
        for (const query of [rowOf(rows, dim, 0), ...others]) {
          for (const k of [1, 10, count]) {
            expect(index.search(query, { k, nprobe: 100, rerank: count }), `${name} values, k ${k}`).toEqual(
              index.search(query, { k, exact: true })
            )
          }
          expect(index.search(query, { k: 10, nprobe: 100, rerank: 1 }), `${name} values`).toHaveLength(10)
        }
      }
    }
  )
})
