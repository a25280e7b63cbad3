// A chunk of queries as a search thread answers it: one by one, or together where that is sooner.

import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { readCatalogue } from '../src/catalogue/reader.ts'
import { searchChunk, unflatten } from '../src/pool/search-chunk.ts'
import { openContext, type OpenedContext } from '../src/search/open-context.ts'
import { checkRequest, requestedIndex } from '../src/search/request.ts'
import { search } from '../src/search/search.ts'
import { makeVectors } from './support/datasets.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

/** Calls that searched together. */
const together = vi.hoisted(() => ({ isSooner: false, calls: 0 }))
vi.mock(import('../src/search/search-together.ts'), async (importOriginal) => {
  const original = await importOriginal()
  return {
    ...original,
    isSoonerTogether: () => together.isSooner,
    searchTogether: (...args) => {
      together.calls++
      return original.searchTogether(...args)
    }
  }
})

const temp = useTempFolder('search-chunk', IN_MEMORY)
const [COUNT, DIM] = [3000, 32]
let opened: OpenedContext
beforeAll(async () => {
  const output = temp.fresh('index')
  await buildIndex({ input: makeVectors('clustered', { count: COUNT, dim: DIM }, 1), dim: DIM, zones: 60, output })
  opened = openContext(readCatalogue(output), { mapping: 'pread', cacheBytes: 2 ** 24, verify: 'touch' })
})
afterAll(() => {
  opened.readers.close()
})

describe('a chunk of queries', () => {
  const queries = makeVectors('clustered', { count: 200, dim: DIM }, 2)

  it.each([
    [false, 0, {}],
    [true, 1, {}],
    [true, 0, { explain: true }]
  ])(
    'finds what searches find, together or not (sooner together: %s, calls: %s, %j)',
    async (isSooner, calls, asked) => {
      Object.assign(together, { isSooner, calls: 0 })
      const request = checkRequest({ nprobe: 20, rerank: 1, ...asked }, requestedIndex(opened.snapshot))
      const flat = searchChunk(opened.context, { request, queries })
      expect(together.calls).toBe(calls)
      const done = flat.counts.length
      expect(done).toBeGreaterThan(0)
      if (isSooner && calls > 0) expect(done).toBe(200)
      const expected = Array.from({ length: done }, (_, i) => {
        const { hits, isUnlike } = search(opened.context, queries.subarray(i * DIM, (i + 1) * DIM), request)
        return { hits, isUnlike }
      })
      const found = await unflatten(flat)
      expect(found.map((each) => ('hits' in each ? each.hits : each))).toEqual(expected.map(({ hits }) => hits))
      expect([...flat.unlike].map((each) => each === 1)).toEqual(expected.map(({ isUnlike }) => isUnlike))
    }
  )
})
