// Searches in one call of the kernel beside deltas and with masks by slot: the hits of the stages, to the bit.

import { describe, expect, it, vi } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { readCatalogue } from '../src/catalogue/reader.ts'
import { SEARCH_DONE } from '../src/kernels/layouts.ts'
import { openContext, type OpenedContext } from '../src/search/open-context.ts'
import { checkRequest, requestedIndex } from '../src/search/request.ts'
import type { Masks } from '../src/search/row-masks.ts'
import { search } from '../src/search/search.ts'
import { searchTogether } from '../src/search/search-together.ts'
import type { Hit, Metric, SearchOptions } from '../src/types.ts'
import { rowOf } from './support/brute-force.ts'
import { makeVectors } from './support/datasets.ts'
import { createEmpty } from './support/empty-index.ts'
import { addDelta, rowsOf } from './support/delta-index.ts'
import { randomFrom } from './support/random.ts'
import { tableMasks } from './support/table-masks.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('delta-at-once', IN_MEMORY)
const SEED = 2400
const BUILT = 1500
const PARTS = [700, 40, 513]
const COUNT = BUILT + PARTS.reduce((sum, count) => sum + count, 0)
const QUERIES = 8

interface Case {
  readonly metric: Metric
  readonly bits: number
  readonly dim: number
  readonly zones: number
}

const CASES: readonly Case[] = [
  { metric: 'l2', bits: 4, dim: 24, zones: 20 },
  { metric: 'cosine', bits: 4, dim: 256, zones: 20 },
  { metric: 'ip', bits: 2, dim: 264, zones: 280 },
  { metric: 'l2', bits: 1, dim: 20, zones: 300 },
  { metric: 'ip', bits: 4, dim: 24, zones: 0 },
  { metric: 'cosine', bits: 4, dim: 24, zones: 0 }
]

async function open(of: Case): Promise<{ opened: OpenedContext; queries: Float32Array[] }> {
  const { dim, zones, metric, bits } = of
  const rows = makeVectors('clustered', { count: COUNT + QUERIES, dim }, SEED)
  const folder = temp.fresh('index')
  if (zones === 0) createEmpty(folder, { dim, metric, bits })
  else await buildIndex({ input: rows.slice(0, BUILT * dim), dim, metric, bits, zones, output: folder })
  let first = BUILT
  for (const count of PARTS) {
    const ids = Array.from({ length: count }, (_, i) => first + i)
    addDelta(folder, rowsOf({ ids, vectors: rows.slice(first * dim, (first + count) * dim) }))
    first += count
  }
  const opened = openContext(readCatalogue(folder), { mapping: 'pread', cacheBytes: 2 ** 26, verify: 'touch' })
  return { opened, queries: Array.from({ length: QUERIES }, (_, i) => rowOf(rows, dim, COUNT + i)) }
}

describe.each(CASES)('beside deltas under $metric, $bits bits, $dim dimensions, $zones zones', (of) => {
  it('finds in one call what the stages find, with masks and without', async () => {
    const { opened, queries } = await open(of)
    const { context, readers, snapshot } = opened
    const index = requestedIndex(snapshot)
    const calls = vi.spyOn(context.workspace.memory.kernel, 'searchCodes')
    const find = (query: Float32Array, options: SearchOptions, masks: Masks | undefined): Hit[] =>
      search(context, query, { ...checkRequest(options, index), masks }).hits
    const wishes = [{ nprobe: 1 }, { nprobe: 7, k: 30 }, { nprobe: 1000, rerank: 40 }]
    let done = 0
    for (const masks of [undefined, tableMasks(opened, randomFrom(SEED))]) {
      for (const wish of wishes) {
        // By the stages, which read what is lacking.
        const expected = queries.map((query) => find(query, { ...wish, explain: true }, masks))
        calls.mockClear()
        for (const [i, query] of queries.entries()) {
          expect(find(query, wish, masks)).toEqual(expected[i])
          expect(find(query, wish, masks)).toEqual(expected[i])
        }
        expect(calls).toHaveBeenCalledTimes(queries.length * 2)
        done += calls.mock.results.filter(({ value }) => value === SEARCH_DONE).length
      }
    }
    expect(done).toBeGreaterThan(queries.length * wishes.length * 2)
    readers.close()
  })

  it('finds for many queries together what it finds for each', async () => {
    const { opened, queries } = await open(of)
    const { context, readers, snapshot } = opened
    const index = requestedIndex(snapshot)
    const many = Array.from({ length: 80 }, (_, i) =>
      queries[i % QUERIES].map((value, at) => value * (1 + 0.1 * Math.sin(i + at)))
    )
    const batch = Float32Array.from(many.flatMap((query) => [...query]))
    for (const masks of [undefined, tableMasks(opened, randomFrom(SEED))]) {
      for (const options of [
        { nprobe: 9, k: 10 },
        { nprobe: 1000, k: 5 },
        { k: 10, exact: true }
      ]) {
        const request = { ...checkRequest(options, index), masks }
        const expected = many.map((query) => search(context, query, request).hits)
        expect(searchTogether(context, batch, request).map(({ hits }) => hits)).toEqual(expected)
      }
    }
    readers.close()
  })
})
