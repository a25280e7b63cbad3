// searchAsync and searchBatch: the hits of search, from whatever thread; the queue, its signals, and what happens when
// things end.

import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'

import { buildIndex } from '../src/build.ts'
import type { AsyncSearchOptions, Metric, OpenOptions } from '../src/types.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { rowOf } from './support/brute-force.ts'
import { makeVectors } from './support/datasets.ts'
import { faults, resetFaults } from './support/failing-fs.ts'
import { dataFileOf, specimenOf, withBytes } from './support/index-damage.ts'
import { randomFrom } from './support/random.ts'
import { errorFrom, rejection } from './support/small-build.ts'
import { ROOT } from './support/sources.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

vi.mock('node:fs', async (importOriginal) =>
  (await import('./support/failing-fs.ts')).failingFs(await importOriginal())
)

/**
 * The clock of the caller's thread: each look at it moves it on. Searches that seem to take long are for worker
 * threads, which have a clock of their own.
 */
const clock = vi.hoisted(() => ({ now: 0, step: 0 }))
vi.mock(import('../src/clock.ts'), async (importOriginal) => ({
  ...(await importOriginal()),
  nowMicros: () => (clock.now += clock.step)
}))
const SLOW = 10_000
const FAST = 1

/** Where threads run another file than the library's. */
const worker = vi.hoisted<{ file: string | undefined }>(() => ({ file: undefined }))
vi.mock(import('../src/threads/worker-file.ts'), async (importOriginal) => {
  const original = await importOriginal()
  return {
    ...original,
    workerFile: (name) => (worker.file === undefined ? original.workerFile(name) : pathToFileURL(worker.file))
  }
})

const temp = useTempFolder('search-async', IN_MEMORY)
const METRICS: readonly Metric[] = ['l2', 'cosine', 'ip']
const BITS = { l2: 2, cosine: 4, ip: 0 } as const
const [COUNT, DIM] = [3000, 16]
const QUERIES = makeVectors('clustered', { count: 1000, dim: DIM }, 71)
const queries = (count: number): Float32Array => QUERIES.subarray(0, count * DIM)
const query = (i: number): Float32Array => rowOf(QUERIES, DIM, i)
const paths = { l2: temp.fresh('l2'), cosine: temp.fresh('cosine'), ip: temp.fresh('ip') }
/** More than the caller's thread reads itself. */
const LARGE = { path: temp.fresh('large'), count: 5000, dim: 1024 }

beforeAll(async () => {
  if (!existsSync(join(ROOT, 'dist/search-worker.js'))) throw new Error('dist/ is missing: run npm run build first')
  for (const metric of METRICS) {
    await buildIndex({
      input: makeVectors('clustered', { count: COUNT, dim: DIM }, 70),
      dim: DIM,
      metric,
      bits: BITS[metric],
      zones: 30,
      output: paths[metric]
    })
  }
  await buildIndex({
    input: makeVectors('clustered', LARGE, 72),
    dim: LARGE.dim,
    zones: 12,
    bits: 2,
    output: LARGE.path
  })
})
beforeEach(() => {
  Object.assign(clock, { now: 0, step: FAST })
  worker.file = undefined
  resetFaults()
})

/** Runs `work` on an open index and closes it. */
async function withIndex<T>(
  path: string,
  work: (index: ZgqIndex) => Promise<T>,
  options: OpenOptions = {}
): Promise<T> {
  const index = ZgqIndex.open(path, { threads: 2, ...options })
  try {
    return await work(index)
  } finally {
    index.close()
  }
}

/** Searches until threads do it: from then on they do nearly all. */
async function moveToThreads(index: ZgqIndex, options: AsyncSearchOptions = {}): Promise<void> {
  clock.step = SLOW
  while (index.info().threads.running === 0) await index.searchBatch(queries(100), options)
}

const KINDS: readonly AsyncSearchOptions[] = [
  {},
  { recall: 0.9, k: 5 },
  { nprobe: 3 },
  { nprobe: 3, rerank: 100, k: 1 },
  { exact: true },
  { exact: true, k: COUNT },
  { k: 0 }
]

describe.each(METRICS)('with metric %s', (metric) => {
  it.each(KINDS.flatMap((options) => [0, 2].map((threads) => ({ options, threads }))))(
    'a batch finds what search finds: $options, $threads threads',
    async ({ options, threads }) => {
      await withIndex(
        paths[metric],
        async (index) => {
          clock.step = SLOW
          if (threads > 0) await moveToThreads(index, options)
          for (const count of [0, 1, 10, options.k === COUNT ? 20 : 1000]) {
            const found = await index.searchBatch(queries(count), options)
            expect(found).toEqual(Array.from({ length: count }, (_, i) => index.search(query(i), options)))
          }
          expect(index.info().threads.running > 0).toBe(threads > 0)
        },
        { threads }
      )
    }
  )

  it.each(KINDS)('single queries, many at once, find what search finds: %o', async (options) => {
    await withIndex(paths[metric], async (index) => {
      await moveToThreads(index)
      const found = await Promise.all(Array.from({ length: 50 }, (_, i) => index.searchAsync(query(i), options)))
      expect(found).toEqual(Array.from({ length: 50 }, (_, i) => index.search(query(i), options)))
    })
  })
})

it('queries unlike the base are counted where threads search them too, each once', async () => {
  await withIndex(paths.l2, async (index) => {
    await moveToThreads(index, { recall: 0.9 })
    const before = index.info().queries
    await index.searchBatch(
      queries(400).map((value) => value * 30),
      { recall: 0.9 }
    )
    expect(index.info().queries).toEqual({ byRecall: before.byRecall + 400, unlike: before.unlike + 400 })
  })
})

it('threads find the same with any reader, verification and cache', async () => {
  for (const options of [
    { mapping: 'pread' },
    { mapping: 'mmap' },
    { cacheBytes: 0 },
    { verify: 'open' },
    { verify: 'none' }
  ] as const) {
    await withIndex(
      paths.cosine,
      async (index) => {
        await moveToThreads(index)
        expect(await index.searchBatch(queries(200), { nprobe: 7 })).toEqual(
          Array.from({ length: 200 }, (_, i) => index.search(query(i), { nprobe: 7 }))
        )
      },
      options
    )
  }
})

it('what is found does not depend on what the same thread searched before', async () => {
  await withIndex(paths.l2, async (index) => {
    await moveToThreads(index)
    await index.searchBatch(queries(20), { exact: true, k: COUNT })
    const after = await index.searchBatch(queries(20), { nprobe: 30, k: 3 })
    expect(after).toEqual(Array.from({ length: 20 }, (_, i) => index.search(query(i), { nprobe: 30, k: 3 })))
  })
})

describe('explain', () => {
  it('comes with each query of a batch, from threads as from here', async () => {
    await withIndex(paths.l2, async (index) => {
      await moveToThreads(index)
      const found = await index.searchBatch(queries(30), { nprobe: 4, explain: true })
      const expected = Array.from({ length: 30 }, (_, i) => index.search(query(i), { nprobe: 4, explain: true }))
      expect(found.map(({ hits, explain }) => [hits, explain.zones, explain.vectorsScanned])).toEqual(
        expected.map(({ hits, explain }) => [hits, explain.zones, explain.vectorsScanned])
      )
      expect((await index.searchAsync(query(0), { nprobe: 4, explain: true })).explain.zones).toEqual(
        expected[0].explain.zones
      )
    })
  })
})

it('a query may be an array of numbers', async () => {
  await withIndex(paths.l2, async (index) => {
    expect(await index.searchAsync(Array.from(query(3)))).toEqual(index.search(query(3)))
  })
})

it('queries may be changed as soon as the call has returned', async () => {
  await withIndex(paths.l2, async (index) => {
    await moveToThreads(index)
    const [mine, one] = [queries(300).slice(), query(1).slice()]
    const later = [index.searchBatch(mine), index.searchAsync(one).then((hits) => [hits])]
    mine.fill(NaN)
    one.fill(NaN)
    expect(await Promise.all(later)).toEqual([
      Array.from({ length: 300 }, (_, i) => index.search(query(i))),
      [index.search(query(1))]
    ])
  })
})

describe('the event loop turns', () => {
  /** Counts turns of the event loop until `work` is done. */
  async function turnsDuring(work: Promise<unknown>): Promise<number> {
    let [turns, isDone] = [0, false]
    const turn = (): void => {
      turns++
      if (!isDone) setImmediate(turn)
    }
    setImmediate(turn)
    await work
    isDone = true
    return turns
  }

  it("while a batch is searched on the caller's thread", async () => {
    await withIndex(
      paths.l2,
      async (index) => {
        clock.step = 500
        expect(await turnsDuring(index.searchBatch(queries(400)))).toBeGreaterThan(50)
      },
      { threads: 0 }
    )
  })

  it("while single queries that nobody waited for are searched on the caller's thread", async () => {
    await withIndex(
      paths.l2,
      async (index) => {
        clock.step = 500
        expect(
          await turnsDuring(Promise.all(Array.from({ length: 400 }, (_, i) => index.searchAsync(query(i)))))
        ).toBeGreaterThan(50)
      },
      { threads: 0 }
    )
  })

  it('while single queries are awaited one by one', async () => {
    await withIndex(
      paths.l2,
      async (index) => {
        clock.step = 500
        const oneByOne = async (): Promise<void> => {
          for (let i = 0; i < 400; i++) await index.searchAsync(query(i))
        }
        expect(await turnsDuring(oneByOne())).toBeGreaterThan(50)
      },
      { threads: 0 }
    )
  })

  it.each([{ exact: true }, { nprobe: 12, rerank: 3000 }])(
    'while one search that takes long is sliced, and it finds what search finds: %o',
    async (options) => {
      await withIndex(
        LARGE.path,
        async (index) => {
          const vector = makeVectors('clustered', { count: 1, dim: LARGE.dim }, 75)
          const hits = index.search(vector, options) // all that it takes is in memory then
          clock.step = SLOW
          let found: unknown
          const searching = index.searchAsync(vector, options).then((later) => (found = later))
          expect(await turnsDuring(searching)).toBeGreaterThan(10)
          expect(found).toEqual(hits)
        },
        { threads: 0 }
      )
    }
  )

  it('while threads search, and while very many hits are made objects of', async () => {
    await withIndex(paths.l2, async (index) => {
      await moveToThreads(index, { exact: true, k: COUNT })
      expect(await turnsDuring(index.searchBatch(queries(20), { exact: true, k: COUNT }))).toBeGreaterThan(5)
    })
  })
})

describe('a large index that nobody has read', () => {
  it('is read asynchronously, and no thread has to be started for that', async () => {
    await withIndex(LARGE.path, async (index) => {
      const vectors = makeVectors('clustered', { count: 5, dim: LARGE.dim }, 73)
      resetFaults()
      const found = [
        await index.searchBatch(vectors, { nprobe: 6 }),
        [await index.searchAsync(rowOf(vectors, LARGE.dim, 0), { exact: true })]
      ]
      expect(faults.calls.filter((name) => name === 'readSync')).toEqual([])
      expect(index.info().threads.running).toBe(0)
      expect(found).toEqual([
        Array.from({ length: 5 }, (_, i) => index.search(rowOf(vectors, LARGE.dim, i), { nprobe: 6 })),
        [index.search(rowOf(vectors, LARGE.dim, 0), { exact: true })]
      ])
    })
  })

  it('is searched where it was read, once search has read what a query needs', async () => {
    await withIndex(LARGE.path, async (index) => {
      const vector = makeVectors('clustered', { count: 1, dim: LARGE.dim }, 74)
      const hits = index.search(vector, { nprobe: 6 })
      expect([await index.searchAsync(vector, { nprobe: 6 }), index.info().threads.running]).toEqual([hits, 0])
    })
  })
})

describe('threads', () => {
  it('are not started for little work', async () => {
    await withIndex(paths.l2, async (index) => {
      await index.searchBatch(queries(100))
      await index.searchAsync(query(0))
      expect(index.info().threads).toEqual({ most: 2, running: 0, cacheBytes: 128 * 2 ** 20, failure: undefined })
    })
  })

  it('are never more than asked for', async () => {
    await withIndex(
      paths.l2,
      async (index) => {
        await moveToThreads(index, { exact: true })
        clock.step = SLOW * 100
        for (let i = 0; i < 20; i++) await index.searchBatch(queries(100), { exact: true })
        expect(index.info().threads.running).toBe(1)
      },
      { threads: 1 }
    )
  })

  it('share the cache', async () => {
    await withIndex(
      paths.l2,
      async (index) => {
        expect([index.info().cacheBytes, index.info().threads.cacheBytes]).toEqual([1000, 250])
        await Promise.resolve()
      },
      { cacheBytes: 1000, threads: 4 }
    )
  })

  it.each([
    [1.5, RangeError],
    [-1, RangeError],
    [1000, RangeError],
    ['2', TypeError]
  ])('of number %s are refused', (threads, type) => {
    expect(() => Reflect.apply(ZgqIndex.open.bind(ZgqIndex), undefined, [paths.l2, { threads }])).toThrow(type)
  })
})

describe('the queue', () => {
  it('lets a single query pass a batch that was there before', async () => {
    await withIndex(paths.l2, async (index) => {
      await moveToThreads(index)
      const order: string[] = []
      const batch = index
        .searchBatch(makeVectors('clustered', { count: 20_000, dim: DIM }, 75))
        .then(() => order.push('batch'))
      const single = index.searchAsync(query(0)).then(() => order.push('single'))
      await Promise.all([batch, single])
      expect(order).toEqual(['single', 'batch'])
    })
  })

  it('keeps batches, singles and searches apart', async () => {
    await withIndex(paths.cosine, async (index) => {
      await moveToThreads(index)
      const batches = [{ nprobe: 2 }, { exact: true }, {}].map((options) => ({
        options,
        found: index.searchBatch(queries(300), options)
      }))
      const single = index.searchAsync(query(5), { k: 3 })
      const between = index.search(query(6), { k: 4 })
      expect(between).toEqual(index.search(query(6), { k: 4 }))
      expect(await single).toEqual(index.search(query(5), { k: 3 }))
      for (const { options, found } of batches)
        expect(await found).toEqual(Array.from({ length: 300 }, (_, i) => index.search(query(i), options)))
    })
  })
})

describe('many calls at once, some of them aborted, on a clock that runs as it likes', () => {
  it.each([1, 2, 3, 4])('all end, with what search finds or with the reason (seed %d)', async (seed) => {
    const random = randomFrom(seed)
    const upTo = (most: number): number => Math.floor(random() * (most + 1))
    const kinds: readonly AsyncSearchOptions[] = [{}, { nprobe: 3 }, { exact: true, k: 200 }]
    const expected = await withIndex(paths.l2, async (index) =>
      Promise.all(kinds.map((options) => Array.from({ length: 300 }, (_, i) => index.search(query(i), options))))
    )
    await withIndex(paths.l2, async (index) => {
      const calls: Promise<void>[] = []
      for (let call = 0; call < 60; call++) {
        clock.step = [0, FAST, 100, 3000, SLOW, 100 * SLOW][upTo(5)]
        const [kind, count, controller, reason] = [
          upTo(2),
          random() < 0.5 ? upTo(5) : upTo(300),
          new AbortController(),
          new Error(`call ${call}`)
        ]
        const found = index.searchBatch(queries(count), { ...kinds[kind], signal: controller.signal })
        const isAborted = random() < 0.2
        if (isAborted)
          setImmediate(() => {
            controller.abort(reason)
          })
        calls.push(
          found.then(
            (hits) => {
              expect(hits).toEqual(expected[kind].slice(0, count))
            },
            (error: unknown) => {
              expect(isAborted && error === reason).toBe(true)
            }
          )
        )
        if (random() < 0.3) await new Promise(setImmediate)
        if (random() < 0.2) await calls[upTo(calls.length - 1)]
      }
      await Promise.all(calls)
    })
  })
})

describe('a signal', () => {
  const reason = new Error('the user went away')
  const abortable = (): { signal: AbortSignal; abort: () => void } => {
    const controller = new AbortController()
    return {
      signal: controller.signal,
      abort: () => {
        controller.abort(reason)
      }
    }
  }

  it('that was aborted before is an end at once', async () => {
    await withIndex(paths.l2, async (index) => {
      expect(await rejection(index.searchBatch(queries(10), { signal: AbortSignal.abort(reason) }))).toBe(reason)
      expect(await rejection(index.searchAsync(query(0), { signal: AbortSignal.abort(reason) }))).toBe(reason)
    })
  })

  it.each([0, 2])('aborts a batch that is being searched by %d threads, and nothing else', async (threads) => {
    await withIndex(
      paths.l2,
      async (index) => {
        clock.step = SLOW
        if (threads > 0) await moveToThreads(index)
        const controller = new AbortController()
        const aborted = index.searchBatch(makeVectors('clustered', { count: 20_000, dim: DIM }, 76), {
          signal: controller.signal
        })
        const other = index.searchBatch(queries(50))
        await new Promise(setImmediate)
        controller.abort(reason)
        expect(await rejection(aborted)).toBe(reason)
        expect(await other).toEqual(Array.from({ length: 50 }, (_, i) => index.search(query(i))))
      },
      { threads }
    )
  })

  it('that is aborted after the end changes nothing, and nothing listens to it any more', async () => {
    await withIndex(paths.l2, async (index) => {
      await moveToThreads(index)
      const controller = new AbortController()
      const [add, remove] = [
        vi.spyOn(controller.signal, 'addEventListener'),
        vi.spyOn(controller.signal, 'removeEventListener')
      ]
      const found = await index.searchBatch(queries(200), { signal: controller.signal })
      controller.abort(reason)
      expect(found).toHaveLength(200)
      expect(add.mock.calls.length).toBe(1)
      expect(remove.mock.calls.map((call) => call[1])).toEqual(add.mock.calls.map((call) => call[1]))
    })
  })

  it('may be given to many searches at once: Node warns of nothing, and its abort ends them all', async () => {
    const warnings: string[] = []
    const note = (warning: Error): void => {
      warnings.push(String(warning))
    }
    process.on('warning', note)
    try {
      await withIndex(
        paths.l2,
        async (index) => {
          clock.step = SLOW
          const { signal, abort } = abortable()
          const searches = Array.from({ length: 25 }, () => rejection(index.searchBatch(queries(100), { signal })))
          await new Promise(setImmediate)
          abort()
          expect(await Promise.all(searches)).toEqual(Array.from({ length: 25 }, () => reason))
          await new Promise(setImmediate)
        },
        { threads: 0 }
      )
    } finally {
      process.off('warning', note)
    }
    expect(warnings).toEqual([])
  })

  it('that is none is refused, and any in search', async () => {
    await withIndex(paths.l2, async (index) => {
      expect(
        await rejection(Reflect.apply(index.searchAsync.bind(index), undefined, [query(0), { signal: {} }]))
      ).toBeInstanceOf(TypeError)
      expect(() =>
        Reflect.apply(index.search.bind(index), undefined, [query(0), { signal: AbortSignal.abort() }])
      ).toThrow(TypeError)
    })
  })
})

describe('wrong arguments reject', () => {
  it.each<readonly [string, object]>([
    ['an unknown option', { nprobes: 3 }],
    ['k below 0', { k: -1 }],
    ['two ways at once', { exact: true, nprobe: 3 }],
    ['a recall of 2', { recall: 2 }]
  ])('as search throws: %s', async (_, options) => {
    await withIndex(paths.l2, async (index) => {
      let thrown: unknown
      try {
        Reflect.apply(index.search.bind(index), undefined, [query(0), options])
      } catch (error) {
        thrown = error
      }
      for (const call of [index.searchAsync.bind(index), index.searchBatch.bind(index)]) {
        const found = await rejection(Reflect.apply(call, undefined, [query(0), options]))
        expect([Object(found).constructor, Object(found).code]).toEqual([
          Object(thrown).constructor,
          Object(thrown).code
        ])
      }
    })
  })

  it('for queries of another kind', async () => {
    await withIndex(paths.l2, async (index) => {
      for (const bad of [undefined, [1, 2], new BigInt64Array(DIM), 'x'])
        expect(await rejection(Reflect.apply(index.searchBatch.bind(index), undefined, [bad]))).toBeInstanceOf(
          TypeError
        )
      expect((await errorFrom(index.searchBatch(new Float32Array(DIM + 1)))).code).toBe('ZGQ_DIMENSION')
      expect((await errorFrom(index.searchAsync(new Float32Array(DIM + 1)))).code).toBe('ZGQ_DIMENSION')
      expect((await errorFrom(index.searchAsync(new Float32Array(DIM).fill(NaN)))).code).toBe('ZGQ_NON_FINITE')
    })
  })

  it.each([FAST, SLOW])('with the number of the query that cannot be searched (clock %d)', async (step) => {
    await withIndex(paths.cosine, async (index) => {
      if (step === SLOW) await moveToThreads(index)
      const [broken, zero] = [queries(40).slice(), queries(40).slice()]
      broken[17 * DIM + 3] = NaN
      zero.fill(0, 23 * DIM, 24 * DIM)
      expect(await errorFrom(index.searchBatch(broken))).toMatchObject({
        code: 'ZGQ_NON_FINITE',
        message: expect.stringContaining('query 17')
      })
      expect(await errorFrom(index.searchBatch(zero))).toMatchObject({
        code: 'ZGQ_ZERO_VECTOR',
        message: expect.stringContaining('query 23')
      })
      expect(await index.searchBatch(queries(3))).toHaveLength(3)
    })
  })
})

describe('damage', () => {
  it.each([FAST, SLOW])('in a page is ZGQ_CORRUPT, from whatever thread (clock %d)', async (step) => {
    const folder = temp.fresh('damaged')
    cpSync(paths.l2, folder, { recursive: true })
    const specimen = specimenOf(folder, [query(0)])
    const change = { name: dataFileOf(specimen, 'vectors'), offset: 5000, bytes: Uint8Array.of(1, 2, 3, 4) }
    await withBytes(specimen, change, () =>
      withIndex(folder, async (index) => {
        if (step === SLOW) await moveToThreads(index, { nprobe: 1, k: 0 })
        const error = await errorFrom(index.searchBatch(queries(100), { exact: true }))
        expect(error).toMatchObject({
          code: 'ZGQ_CORRUPT',
          path: join(folder, change.name),
          offset: expect.any(Number)
        })
      })
    )
  })
})

describe('an index that was replaced on disk', () => {
  it("goes on to answer, on the caller's thread, and info says why", async () => {
    const folder = temp.fresh('replaced')
    cpSync(paths.l2, folder, { recursive: true })
    await withIndex(
      folder,
      async (index) => {
        await buildIndex({
          input: makeVectors('uniform', { count: 90, dim: 2 }, 5),
          dim: 2,
          output: folder,
          force: true
        })
        clock.step = SLOW
        while (index.info().threads.failure === undefined) await index.searchBatch(queries(100), { exact: true })
        for (let i = 0; i < 3; i++)
          expect(await index.searchBatch(queries(100), { exact: true })).toEqual(
            Array.from({ length: 100 }, (_, at) => index.search(query(at), { exact: true }))
          )
        expect(index.info().threads).toMatchObject({ running: 0, failure: expect.stringContaining('cannot be opened') })
      },
      { cacheBytes: 0 }
    )
  })

  it('goes on to answer on threads that were open before', async () => {
    const folder = temp.fresh('replaced-later')
    cpSync(paths.l2, folder, { recursive: true })
    await withIndex(
      folder,
      async (index) => {
        await moveToThreads(index)
        await buildIndex({
          input: makeVectors('uniform', { count: 90, dim: 2 }, 5),
          dim: 2,
          output: folder,
          force: true
        })
        expect(await index.searchBatch(queries(100), { exact: true })).toEqual(
          Array.from({ length: 100 }, (_, at) => index.search(query(at), { exact: true }))
        )
      },
      { threads: 1 }
    )
  })
})

describe('a thread that dies', () => {
  it('is ZGQ_IO for what it was at, and the next call has a new one', async () => {
    await withIndex(
      paths.l2,
      async (index) => {
        worker.file = join(ROOT, 'test/support/dying-worker.mjs')
        clock.step = SLOW
        // The caller's thread may be done before a thread has anything in hand.
        const untilItFails = async (): Promise<void> => {
          for (let i = 0; i < 1000; i++) await index.searchBatch(queries(1000))
        }
        expect(await errorFrom(untilItFails())).toMatchObject({
          code: 'ZGQ_IO',
          message: expect.stringContaining('exit code 7')
        })
        worker.file = undefined
        await moveToThreads(index)
        expect(await index.searchBatch(queries(1000))).toEqual(
          Array.from({ length: 1000 }, (_, i) => index.search(query(i)))
        )
        expect(index.info().threads).toMatchObject({ running: 1, failure: undefined })
      },
      { threads: 1 }
    )
  })

  it("while it starts, or whose file is missing, leaves the work to the caller's thread", async () => {
    await withIndex(paths.l2, async (index) => {
      worker.file = join(temp.path, 'nowhere.mjs')
      clock.step = SLOW
      while (index.info().threads.failure === undefined) await index.searchBatch(queries(100))
      expect(await index.searchBatch(queries(1000))).toEqual(
        Array.from({ length: 1000 }, (_, i) => index.search(query(i)))
      )
      expect(index.info().threads).toMatchObject({ running: 0, failure: expect.stringContaining('nowhere.mjs') })
    })
  })
})

describe('close', () => {
  it.each([0, 2])('rejects what is not done with ZGQ_CLOSED, at once (%d threads)', async (threads) => {
    const index = ZgqIndex.open(paths.l2, { threads })
    clock.step = SLOW
    if (threads > 0) await moveToThreads(index)
    const pending = [
      index.searchBatch(makeVectors('clustered', { count: 20_000, dim: DIM }, 77)),
      index.searchBatch(queries(500), { exact: true, k: 1000 })
    ]
    const codes = Promise.all(pending.map(async (promise) => (await errorFrom(promise)).code))
    index.close()
    index.close()
    expect(await codes).toEqual(['ZGQ_CLOSED', 'ZGQ_CLOSED'])
    expect((await errorFrom(index.searchAsync(query(0)))).code).toBe('ZGQ_CLOSED')
    expect((await errorFrom(index.searchBatch(queries(2)))).code).toBe('ZGQ_CLOSED')
  })
})

describe.each(['mjs', 'cjs'])('a program in a .%s file', (ending) => {
  it('that leaves the index open ends by itself, threads or not', () => {
    const path = join(temp.path, `program.${ending}`)
    const load =
      ending === 'mjs'
        ? `import { ZgqIndex } from ${JSON.stringify(join(ROOT, 'dist/index.js'))}`
        : `const { ZgqIndex } = require(${JSON.stringify(join(ROOT, 'dist/index.cjs'))})`
    writeFileSync(
      path,
      `${load}
      const index = ZgqIndex.open(${JSON.stringify(LARGE.path)}, { threads: 1 })
      const queries = Float32Array.from({ length: ${LARGE.dim} * 400 }, (_, i) => (i * 7919) % 101)
      index.searchBatch(queries, { exact: true }).then((found) => {
        const expected = Array.from({ length: 400 }, (_, i) => index.search(queries.subarray(i * ${LARGE.dim}, (i + 1) * ${LARGE.dim}), { exact: true }))
        console.log(JSON.stringify([index.info().threads.running, JSON.stringify(found) === JSON.stringify(expected)]))
      })`
    )
    expect(JSON.parse(execFileSync(process.execPath, [path], { encoding: 'utf8', timeout: 60_000 }))).toEqual([1, true])
  })
})
