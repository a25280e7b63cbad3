// Searches that wait in vain: a reader that fails, answers short, never answers, is closed, or brings damaged bytes.
// Only the search that it happens to fails, and nothing is left behind.

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { ZgqError } from '../src/errors.ts'
import type { Segment } from '../src/format/segment-table.ts'
import type { SearchResult } from '../src/search/search-context.ts'
import { makeIds, makeVectors } from './support/datasets.ts'
import type { Outcome } from './support/delayed-reader.ts'
import { essence, LaterIndex, type Asked } from './support/later-index.ts'
import { randomFrom } from './support/random.ts'
import { writeSegmentedIndex } from './support/segmented-index.ts'
import { rejection } from './support/small-build.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('later-failures', IN_MEMORY)
const SEED = 950
const SHAPE = { count: 600, dim: 24, zones: 12 }
const { count: COUNT, dim: DIM } = SHAPE
const ASKED: readonly Asked[] = [
  { nprobe: 3, rerank: 10, k: 5 },
  { exact: true, k: 5 },
  { nprobe: 1, k: 20 },
  { nprobe: 2, rerank: 600, k: 3 }
]
const CASES = [
  { metric: 'l2', bits: 4 },
  { metric: 'cosine', bits: 1 },
  { metric: 'ip', bits: 0 }
] as const
const rows = makeVectors('clustered', SHAPE, SEED)
const folders = new Map<(typeof CASES)[number], string>()
const unhandled: unknown[] = []
const noteUnhandled = (reason: unknown): void => void unhandled.push(reason)

beforeAll(() => {
  process.on('unhandledRejection', noteUnhandled)
  for (const of of CASES) {
    const folder = temp.fresh('index')
    const ids = Float64Array.from(makeIds(COUNT, SEED))
    writeSegmentedIndex({ folder, dim: DIM, ...of, vectors: rows, ids, zones: SHAPE.zones, seed: SEED })
    folders.set(of, folder)
  }
})

afterAll(() => {
  process.off('unhandledRejection', noteUnhandled)
  expect(unhandled).toEqual([])
})

function queryAt(at: number): Float32Array {
  return rows.slice(at * DIM, (at + 1) * DIM).map((x) => x * 1.01 + 0.1)
}

/** Waits for a search in any way that it ends. */
async function outcomeOf(result: SearchResult | Promise<SearchResult>): Promise<string> {
  try {
    return essence(await result)
  } catch (error) {
    return error instanceof ZgqError ? error.code : String(error)
  }
}

const CODES: Partial<Record<Outcome, string>> = { fail: 'ZGQ_IO', short: 'ZGQ_TRUNCATED', few: 'ZGQ_TRUNCATED' }

describe.each(CASES)('an index whose reader fails ($metric, $bits bits)', (of) => {
  const open = (seed: number, cacheBytes = 30_000): LaterIndex =>
    new LaterIndex(folders.get(of) ?? '', { seed, cacheBytes })

  function expectAsBefore(index: LaterIndex): void {
    expect(index.context.states.inUse).toBe(0)
    expect(index.reader.waiting).toBe(0)
    using other = open(SEED)
    for (const asked of ASKED)
      expect(essence(index.search(queryAt(3), asked))).toBe(essence(other.search(queryAt(3), asked)))
  }

  it(`fails the searches that it failed, and answers the others (seed ${SEED + 1})`, async () => {
    let reads = 0
    using index = open(SEED + 1)
    using other = open(SEED)
    const wanted: string[] = []
    index.reader.outcome = () => {
      const outcome = (['fail', 'answer', 'short', 'answer', 'few', 'answer'] as const)[reads++ % 6]
      const code = CODES[outcome]
      if (code !== undefined) wanted.push(code)
      return outcome
    }
    const tasks = Array.from({ length: 120 }, (_, i) => ({ query: queryAt(i), asked: ASKED[i % ASKED.length] }))
    const found = await Promise.all(tasks.map(({ query, asked }) => outcomeOf(index.later(query, asked))))
    const failed = found.filter((outcome) => outcome.startsWith('ZGQ_'))
    expect(failed.length).toBeGreaterThan(5)
    expect(failed.length).toBeLessThan(120)
    // Each search fails at its first read that does; several may have waited for the same.
    expect(new Set(failed)).toEqual(new Set(wanted))
    found.forEach((outcome, i) => {
      if (!outcome.startsWith('ZGQ_')) expect(outcome).toBe(essence(other.search(tasks[i].query, tasks[i].asked)))
    })
    expectAsBefore(index)
  })

  it('rejects with the reason of the signal at once, for those who wait by it', async () => {
    using index = open(SEED + 2)
    let reads = 0
    // Every second one waits for ever, in its first round or in its second.
    index.reader.outcome = () => (reads++ % 2 === 0 ? 'never' : 'answer')
    const controllers = Array.from({ length: 30 }, () => new AbortController())
    let ended = 0
    const searches = controllers.map(async ({ signal }, i) => {
      const result = await outcomeOf(index.later(queryAt(i), ASKED[i % ASKED.length], signal))
      ended++
      return result
    })
    for (let turn = 0; turn < 60; turn++) await new Promise(setImmediate)
    const before = ended
    expect(before).toBeGreaterThan(0)
    expect(before).toBeLessThan(30)
    controllers.forEach((controller, i) => {
      controller.abort(`reason ${i}`)
    })
    for (let turn = 0; turn < 20; turn++) await Promise.resolve()
    expect(ended).toBe(30)
    const aborted = (await Promise.all(searches)).filter((result, i) => result === `reason ${i}`)
    expect(aborted).toHaveLength(30 - before)
    expectAsBefore(index)
  })

  it('rejects at once where the signal was aborted before, unless there is nothing to wait for', async () => {
    const signal = AbortSignal.abort('too late')
    for (const asked of ASKED) {
      using index = open(SEED + 3, 2 ** 24)
      expect(await rejection(Promise.resolve(index.later(queryAt(5), asked, signal)))).toBe('too late')
      await index.later(queryAt(5), asked)
      expect(index.later(queryAt(5), asked, signal)).not.toBeInstanceOf(Promise)
      expectAsBefore(index)
    }
  })

  it('rejects all who wait with ZGQ_CLOSED once it is closed, and those who come later', async () => {
    const index = open(SEED + 4)
    index.reader.outcome = () => 'never'
    const searches = Array.from({ length: 20 }, (_, i) => outcomeOf(index.later(queryAt(i), ASKED[i % ASKED.length])))
    index.fetcher.close()
    index.fetcher.close()
    searches.push(outcomeOf(index.later(queryAt(0), ASKED[0])))
    expect(new Set(await Promise.all(searches))).toEqual(new Set(['ZGQ_CLOSED']))
    expectAsBefore(index)
    index.close()
  })

  it(`keeps no memory of 10,000 searches that failed (seed ${SEED + 5})`, async () => {
    const random = randomFrom(SEED + 5)
    using index = open(SEED + 5)
    index.reader.outcome = () => (['answer', 'fail', 'short', 'never'] as const)[Math.floor(random() * 4)]
    let failed = 0
    const batch = async (): Promise<void> => {
      const controller = new AbortController()
      const searches = Array.from({ length: 200 }, async () => {
        const query = queryAt(Math.floor(random() * COUNT))
        // All alike: states that are kept for later are as large as what they were used for.
        const result = await outcomeOf(index.later(query, ASKED[0], controller.signal))
        if (result === 'ended' || result.startsWith('ZGQ_')) failed++
      })
      for (let turn = 0; turn < 40; turn++) await new Promise(setImmediate)
      controller.abort('ended')
      await Promise.all(searches)
    }
    const memoryNow = (): { kernel: number; heap: number } => {
      collectGarbage()
      const { heapUsed, arrayBuffers } = process.memoryUsage()
      return { kernel: index.memory.usedByteLength, heap: heapUsed + arrayBuffers }
    }
    for (let i = 0; i < 5; i++) await batch()
    // The cache of rows is as full as it gets.
    for (let i = 0; i < COUNT; i++) index.search(queryAt(i), ASKED[0])
    const before = memoryNow()
    for (failed = 0; failed < 10_000;) await batch()
    const after = memoryNow()
    expect(after.kernel).toBe(before.kernel)
    expect(after.heap - before.heap).toBeLessThan(2 ** 21)
    expectAsBefore(index)
  })

  // A search of codes reads no columns.
  const kinds = of.bits === 0 ? (['rows', 'columns'] as const) : (['rows', 'codes'] as const)

  it.each(kinds)(
    'says ZGQ_CORRUPT of damaged %s to those who read them, and only as long as they are',
    async (kind) => {
      using index = open(SEED + 6, 2 ** 24)
      using other = open(SEED)
      const asked: Asked = of.bits > 0 ? ASKED[3] : { nprobe: 2, k: 600 }
      const [zone] = other.search(queryAt(9), asked).explain?.zones ?? []
      const segments: Segment[] = []
      index.context.workspace.segments.ofZone(zone, (segment) => void segments.push(segment))
      const { file, offset, byteLength } = segments[0][kind]
      index.reader.damaged = { file, offset: offset + (kind === 'rows' ? byteLength - 1 : 130) }
      const tasks = Array.from({ length: 60 }, (_, i) => queryAt(i))
      const found = await Promise.all(tasks.map((query) => outcomeOf(index.later(query, asked))))
      const expected = tasks.map((query) => {
        const result = other.search(query, asked)
        return result.explain?.zones.includes(zone) === true ? 'ZGQ_CORRUPT' : essence(result)
      })
      expect(new Set(expected).size).toBeGreaterThan(2)
      expect(expected).toContain('ZGQ_CORRUPT')
      expect(found).toEqual(expected)
      index.reader.damaged = undefined
      for (const query of tasks)
        expect(await outcomeOf(index.later(query, asked))).toBe(essence(other.search(query, asked)))
      expectAsBefore(index)
    }
  )
})

function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  if (typeof collect !== 'function') throw new Error('there is no gc')
  collect()
}
