// Searches in one call of the kernel where zones have any number of segments, in slots that are not the numbers of
// zones: they find to the bit what the stages find, one by one and together, and what brute force finds.

import { mkdirSync } from 'node:fs'
import { describe, expect, it, vi } from 'vitest'

import { readCatalogue } from '../src/catalogue/reader.ts'
import { SEARCH_DONE } from '../src/kernels/layouts.ts'
import { adoptSnapshot } from '../src/search/adopt-snapshot.ts'
import { openContext } from '../src/search/open-context.ts'
import { checkRequest, requestedIndex } from '../src/search/request.ts'
import { search } from '../src/search/search.ts'
import { searchTogether } from '../src/search/search-together.ts'
import type { Hit, Metric, SearchOptions } from '../src/types.ts'
import { bruteForce, rowOf } from './support/brute-force.ts'
import { expectSameHits } from './support/hits.ts'
import { randomFrom, randomVectors } from './support/random.ts'
import { SegmentIndex, type PlannedSegment } from './support/segment-index.ts'
import { tableMasks } from './support/table-masks.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('segments-at-once', IN_MEMORY)
const SEED = 1520
const ROUNDS = 6
const QUERIES = 6

interface Case {
  readonly metric: Metric
  readonly bits: number
  readonly dim: number
  readonly zones: number
}
/** Codes of the centroids, centroids in bytes, both, neither. */
const CASES: readonly Case[] = [
  { metric: 'l2', bits: 4, dim: 24, zones: 15 },
  { metric: 'cosine', bits: 2, dim: 256, zones: 12 },
  { metric: 'ip', bits: 8, dim: 20, zones: 290 },
  { metric: 'l2', bits: 1, dim: 256, zones: 270 }
]

class Growing {
  readonly index: SegmentIndex
  readonly #of: Case
  readonly #random: () => number
  #nextId = 0

  constructor(of: Case, random: () => number) {
    const { dim, zones } = of
    const folder = temp.fresh('index')
    mkdirSync(folder)
    const centroids = randomVectors({ count: zones, dim }, random, () => random() * 2 - 1)
    this.index = new SegmentIndex(folder, { ...of, centroids: centroids.slice(0, zones * dim) }, random)
    this.#of = of
    this.#random = random
  }

  #segment(): PlannedSegment {
    const { dim, zones } = this.#of
    const rowCount = 1 + Math.floor(this.#random() ** 2 * 90)
    const zone = Math.floor(this.#random() * zones)
    const rows = randomVectors({ count: rowCount, dim }, this.#random, () => this.#random() * 2 - 1)
    return { zone, ids: Array.from({ length: rowCount }, () => this.#nextId++), rows: rows.slice(0, rowCount * dim) }
  }

  /** Takes some segments away and adds others, up to three of a zone and more. */
  change(count: number): void {
    this.index.drop(this.index.segments.filter(() => this.#random() < 0.3))
    this.index.add(Array.from({ length: count }, () => this.#segment()))
    this.index.publish()
  }

  queries(count: number): Float32Array[] {
    const { dim } = this.#of
    const values = randomVectors({ count, dim }, this.#random, () => this.#random() * 2 - 1)
    return Array.from({ length: count }, (_, i) => rowOf(values, dim, i))
  }
}

describe.each(CASES)('under $metric, $bits bits, $dim dimensions, $zones zones', (of) => {
  it(`finds in one call what the stages find, whatever segments come and go (seed ${SEED})`, () => {
    const random = randomFrom(SEED)
    const growing = new Growing(of, random)
    growing.change(30)
    const { index } = growing
    let opened = openContext(readCatalogue(index.folder), { mapping: 'pread', cacheBytes: 2 ** 26, verify: 'touch' })
    const calls = vi.spyOn(opened.context.workspace.memory.kernel, 'searchCodes')
    const wishes: SearchOptions[] = [{ nprobe: 1 }, { nprobe: 7, k: 30 }, { nprobe: 1000, rerank: 40 }]
    let done = 0
    for (let round = 0; round < ROUNDS; round++) {
      if (round > 0) {
        growing.change(20)
        opened = adoptSnapshot(opened, readCatalogue(index.folder))
      }
      const { context } = opened
      expect(context.workspace.segments.isOnePerZone).toBe(false)
      const requested = requestedIndex(opened.snapshot)
      const queries = growing.queries(QUERIES)
      for (const masks of [undefined, tableMasks(opened, random)]) {
        const find = (query: Float32Array, options: SearchOptions): Hit[] =>
          search(context, query, { ...checkRequest(options, requested), masks }).hits
        for (const wish of wishes) {
          // By the stages, which read what is lacking.
          const expected = queries.map((query) => find(query, { ...wish, explain: true }))
          calls.mockClear()
          for (const [i, query] of queries.entries())
            for (let again = 0; again < 2; again++) expect(find(query, wish)).toEqual(expected[i])
          expect(calls).toHaveBeenCalledTimes(queries.length * 2)
          done += calls.mock.results.filter(({ value }) => value === SEARCH_DONE).length
        }
      }
      for (const query of queries) {
        const expected = bruteForce({ metric: of.metric, ...index.content, query }).slice(0, 10)
        const request = checkRequest({ nprobe: 1000, rerank: 10_000 }, requested)
        expectSameHits(search(context, query, request).hits, expected)
      }
    }
    expect(done).toBeGreaterThan(ROUNDS * QUERIES * wishes.length * 2)
    opened.readers.close()
  })

  it('finds for many queries together what it finds for each', () => {
    const random = randomFrom(SEED + 1)
    const growing = new Growing(of, random)
    growing.change(40)
    growing.change(20)
    const snapshot = readCatalogue(growing.index.folder)
    const opened = openContext(snapshot, { mapping: 'pread', cacheBytes: 2 ** 26, verify: 'touch' })
    const queries = growing.queries(80)
    const batch = Float32Array.from(queries.flatMap((query) => [...query]))
    for (const masks of [undefined, tableMasks(opened, random)]) {
      for (const options of [
        { nprobe: 9, k: 10 },
        { nprobe: 1000, k: 5 },
        { k: 10, exact: true }
      ]) {
        const request = { ...checkRequest(options, requestedIndex(snapshot)), masks }
        const expected = queries.map((query) => search(opened.context, query, request).hits)
        expect(searchTogether(opened.context, batch, request).map(({ hits }) => hits)).toEqual(expected)
      }
    }
    opened.readers.close()
  })
})
