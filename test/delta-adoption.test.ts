// An open index that takes in deltas while searches are under way: these look at none of them, later ones at all.

import { afterEach, describe, expect, it } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { readCatalogue } from '../src/catalogue/reader.ts'
import { packSnapshot, unpackSnapshot } from '../src/pool/sent-snapshot.ts'
import { CONFIDENCE } from '../src/search/confidence.ts'
import { requestWith } from '../src/search/document-search.ts'
import { adoptSnapshot, takeChanges } from '../src/search/adopt-snapshot.ts'
import { openContext, type OpenedContext } from '../src/search/open-context.ts'
import type { SearchRequest } from '../src/search/request.ts'
import { finishSearch, resume, search } from '../src/search/search.ts'
import { bruteForce, rowOf } from './support/brute-force.ts'
import { makeVectors } from './support/datasets.ts'
import { addDelta, rowsOf } from './support/delta-index.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('delta-adoption', IN_MEMORY)
const SEED = 2200
/** Centroids of so many dimensions are packed. */
const DIM = 256
const BUILT = 600
const ADDED = 700
const COUNT = BUILT + 3 * ADDED
const QUERIES = 6
const ALL = makeVectors('clustered', { count: COUNT + QUERIES, dim: DIM }, SEED)
const QUERY = Array.from({ length: QUERIES }, (_, i) => rowOf(ALL, DIM, COUNT + i))

const payloadOf = (row: number): object => ({ group: row % 3 })

const opened: OpenedContext[] = []
afterEach(() => {
  for (const { readers } of opened.splice(0)) readers.close()
})

interface Case {
  readonly bits: number
  readonly hasPayloads: boolean
}

async function openBuilt({ bits, hasPayloads }: Case): Promise<{ folder: string; context: OpenedContext }> {
  const folder = temp.fresh('index')
  await buildIndex({
    input: ALL.slice(0, BUILT * DIM),
    dim: DIM,
    bits,
    zones: 12,
    output: folder,
    calibrate: false,
    ...(hasPayloads && { fields: { group: 'number' }, payloads: Array.from({ length: BUILT }, (_, i) => payloadOf(i)) })
  })
  const context = openContext(readCatalogue(folder), { mapping: 'pread', cacheBytes: 2 ** 24, verify: 'touch' })
  opened.push(context)
  return { folder, context }
}

/** Adds the next rows as a delta. */
function grow(folder: string, hasPayloads: boolean): void {
  const first = readCatalogue(folder).meta.count
  const ids = Array.from({ length: ADDED }, (_, i) => first + i)
  const vectors = ALL.slice(first * DIM, (first + ADDED) * DIM)
  addDelta(folder, rowsOf({ ids, vectors, ...(hasPayloads && { payloads: ids.map(payloadOf) }) }))
}

function requestFor(of: { k?: number; isExact?: boolean; nprobe?: number }): SearchRequest {
  const { k = 10, isExact = false, nprobe = 1000 } = of
  return { k, isExact, probe: { nprobe }, explain: false, rerank: isExact ? 0 : COUNT, confidence: CONFIDENCE }
}

/** Rows of the nearest of the first `count`; heaps hold ordinals or ids: compared by distance. */
function distances(query: Float32Array, count: number, isLive: (row: number) => boolean = () => true): number[] {
  const ids = Array.from({ length: count }, (_, row) => row)
  return bruteForce({ metric: 'l2', rows: ALL.subarray(0, count * DIM), ids, query }, undefined, isLive)
    .slice(0, 10)
    .map(({ distance }) => distance)
}

function expectFound(found: readonly { distance: number }[], expected: readonly number[]): void {
  expect(found.map(({ distance }) => Math.fround(distance))).toEqual(expected.map(Math.fround))
}

const CASES = [0, 1, 4].flatMap((bits) => [false, true].map((hasPayloads) => ({ bits, hasPayloads })))

describe.each(CASES)('with $bits bits, payloads: $hasPayloads', (of) => {
  it.each([false, true])(
    'a search that began before sees none of the deltas, one that begins later all (exact: %s)',
    async (isExact) => {
      const { folder, context: before } = await openBuilt(of)
      let context = before
      for (let round = 0, count = BUILT; round < 3; round++) {
        grow(folder, of.hasPayloads)
        const request = requestFor({ isExact })
        const states = context.context.states
        const waiting = QUERY.map((query, i) => {
          const state = states.take()
          state.start(query, request)
          // Some have not probed yet, some have scanned a part.
          state.deadline = 0
          if (i % 2 === 1) resume(context.context, state)
          return state
        })
        context = adoptSnapshot(context, readCatalogue(folder))
        expect(context.context.states).toBe(states)
        for (const [i, state] of waiting.entries()) {
          state.deadline = Infinity
          expectFound(finishSearch(context.context, state).hits, distances(QUERY[i], count))
          states.giveBack(state)
        }
        count += ADDED
        for (const query of QUERY) expectFound(search(context.context, query, request).hits, distances(query, count))
        expectFound(
          search(context.context, ALL.slice((count - 1) * DIM, count * DIM), requestFor({ nprobe: 1 })).hits.slice(
            0,
            1
          ),
          [0]
        )
      }
    }
  )
})

describe.each([0, 4])('a filter with %d bits', (bits) => {
  it('is evaluated on for segments that come, and stays as it was for searches under way', async () => {
    const { folder, context: before } = await openBuilt({ bits, hasPayloads: true })
    let context = before
    const isLive = (row: number): boolean => row % 3 === 1
    const { filters } = before.context.documents
    const filter = filters.compile({ group: 1 })
    for (let round = 0, count = BUILT; round < 3; round++) {
      const masks = filters.take(filter)
      expect(masks.matchCount).toBe(Math.floor((count + 1) / 3))
      grow(folder, true)
      const snapshot = readCatalogue(folder)
      context = adoptSnapshot(context, snapshot)
      takeChanges(context.context, snapshot.changes)
      expect(context.context.documents.filters).toBe(filters)
      const wants = { filter, maxDistance: Infinity, payload: false } as const
      for (const isExact of [true, false]) {
        const request = requestWith(
          context.context,
          { request: requestFor({ isExact }), wants, leftOut: undefined },
          { masks, k: 10 }
        )
        // A search that begins now goes by the rows of now, whatever masks it was given.
        for (const query of QUERY)
          expectFound(search(context.context, query, request).hits, distances(query, count + ADDED, isLive))
      }
      filters.giveBack(masks)
      count += ADDED
      const all = filters.take(filter)
      expect(all).not.toBe(masks)
      for (const query of QUERY) {
        const request = requestWith(
          context.context,
          { request: requestFor({ isExact: true }), wants, leftOut: undefined },
          { masks: all, k: 10 }
        )
        expectFound(search(context.context, query, request).hits, distances(query, count, isLive))
      }
      filters.giveBack(all)
    }
  })
})

it('packed centroids and what is kept of segments stay', async () => {
  const { folder, context } = await openBuilt({ bits: 4, hasPayloads: false })
  search(context.context, QUERY[0], requestFor({ nprobe: 12 }))
  const packed = context.context.codes?.packed
  expect(packed).toBeDefined()
  grow(folder, false)
  const adopted = adoptSnapshot(context, readCatalogue(folder))
  expect(adopted.context.codes?.packed).toBe(packed)
  expect(adopted.context.workspace.segments.isOnePerZone).toBe(true)
  // Codes of deltas are read, at the first search.
  const [first, second] = [...adopted.context.workspace.segments].slice(-2)
  adopted.context.files.counters = { bytesRead: 0, pagesVerified: 0 }
  search(adopted.context, QUERY[0], { ...requestFor({ nprobe: 12 }), rerank: 0 })
  const ofDeltas = first.codes.byteLength + second.codes.byteLength
  expect(adopted.context.files.counters.bytesRead).toBeGreaterThanOrEqual(ofDeltas)
})

it('the first payloads of an index may come with a delta: heaps hold ids all the same', async () => {
  const { folder, context } = await openBuilt({ bits: 4, hasPayloads: false })
  const first = readCatalogue(folder).meta.count
  const ids = Array.from({ length: 10 }, (_, i) => first + i)
  addDelta(
    folder,
    rowsOf({ ids, vectors: ALL.slice(first * DIM, (first + 10) * DIM), payloads: ids.map(() => ({ a: 1 })) })
  )
  const adopted = adoptSnapshot(context, readCatalogue(folder))
  expectFound(search(adopted.context, QUERY[0], requestFor({})).hits, distances(QUERY[0], first + 10))
})

it('a snapshot has its deltas in another thread, too', async () => {
  const { folder } = await openBuilt({ bits: 4, hasPayloads: false })
  grow(folder, false)
  const snapshot = readCatalogue(folder)
  const sent = unpackSnapshot(structuredClone(packSnapshot(snapshot)))
  const context = openContext(sent, { mapping: 'pread', cacheBytes: 2 ** 24, verify: 'touch' })
  opened.push(context)
  for (const query of QUERY)
    expectFound(search(context.context, query, requestFor({})).hits, distances(query, BUILT + ADDED))
})
