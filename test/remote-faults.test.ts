// An index on a server that misbehaves at any one of the requests that opening it and asking it take: right answers or
// typed errors, within the time that a request has, and the next search works.

import { readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { packIndex } from '../src/pack.ts'
import { openRemote, ZgqError, type RemoteIndex } from '../src/remote.ts'
import type { RemoteOptions } from '../src/remote/remote-options.ts'
import type { Id, IdQuery, QueryVector, SearchOptions } from '../src/types.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { rowOf } from './support/brute-force.ts'
import { makeVectors } from './support/datasets.ts'
import { answerProperly, partHeaders, startOddServer, type Oddity, type OddServer } from './support/odd-server.ts'
import * as odd from './support/oddities.ts'
import { randomFrom } from './support/random.ts'
import { rejection } from './support/small-build.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('remote-faults', IN_MEMORY)
const SEED = 1700
const [COUNT, DIM, ZONES] = [900, 64, 12]
const COLOURS = ['red', 'green', 'blue']
const queries = makeVectors('clustered', { count: 20, dim: DIM }, SEED + 1)
const queryOf = (i: number): Float32Array => rowOf(queries, DIM, i)
/** No call takes so long: it hangs. */
const HANG_MS = 20_000
/** Of requests that are never answered. */
const SHORT_MS = 500

/** What is asked of an index, on disk and from afar. */
interface Index {
  search(query: QueryVector | IdQuery<Id>, options?: SearchOptions): unknown
  document(id: Id): unknown
}
type Step = (index: Index) => Promise<unknown>

interface Kind {
  readonly steps: readonly Step[]
  /** What nothing before has brought into memory. */
  readonly last: Step
}

const KINDS: Readonly<Record<'documents' | 'plain', Kind>> = {
  documents: {
    steps: [
      async (index) => await index.search(queryOf(0)),
      async (index) => await index.search(queryOf(1), { filter: { colour: 'red' }, payload: true, recall: 0.99 }),
      async (index) => await index.document('note 17')
    ],
    last: async (index) => await index.search(queryOf(2), { filter: { size: { $lt: 450 } }, payload: ['text'], k: 20 })
  },
  plain: {
    steps: [
      async (index) => await index.search(queryOf(0), { nprobe: 2 }),
      async (index) => await index.search({ id: 17 }, { exact: true, payload: true }),
      async (index) => await index.document(COUNT - 1)
    ],
    last: async (index) => await index.search(queryOf(2), { nprobe: 6, k: 20 })
  }
}
const NAMES = ['documents', 'plain'] as const
type Name = (typeof NAMES)[number]

/** An index: its packed file, and what it answers on disk. */
interface Sample {
  readonly path: string
  readonly file: Buffer
  readonly answers: readonly unknown[]
  readonly last: unknown
}

/** Two of each kind; a file is replaced by the other one. */
const samples = new Map<Name, readonly [Sample, Sample]>()
function samplesOf(name: Name): readonly [Sample, Sample] {
  const found = samples.get(name)
  if (found === undefined) throw new Error(`no samples ${name}`)
  return found
}

const unhandled: unknown[] = []
const noteUnhandled = (reason: unknown): void => void unhandled.push(reason)

beforeAll(async () => {
  process.on('unhandledRejection', noteUnhandled)
  for (const name of NAMES) samples.set(name, [await makeSample(name, 'l2'), await makeSample(name, 'cosine')])
})
afterAll(() => {
  process.off('unhandledRejection', noteUnhandled)
  expect(unhandled).toEqual([])
})

async function makeSample(name: Name, metric: 'l2' | 'cosine'): Promise<Sample> {
  const path = temp.fresh(`${name}-${metric}`)
  const vectors = makeVectors('clustered', { count: COUNT, dim: DIM }, SEED)
  const about = { input: vectors, dim: DIM, zones: ZONES, metric, output: path }
  const rows = Array.from({ length: COUNT }, (_, i) => i)
  if (name === 'plain') await buildIndex({ ...about, bits: 0 })
  else
    await buildIndex({
      ...about,
      ids: rows.map((row) => `note ${row}`),
      payloads: rows.map((row) => ({ colour: COLOURS[row % 3], size: row, text: `this is note ${row}, by ${metric}` })),
      fields: { colour: 'string', size: 'number' }
    })
  const output = `${path}.zgqp`
  await packIndex({ index: path, output })
  using index = ZgqIndex.open<Id>(path)
  const { steps, last } = KINDS[name]
  const answers = []
  for (const step of steps) answers.push(await step(index))
  return { path, file: readFileSync(output), answers, last: await last(index) }
}

/** Rejects where work takes so long that it hangs. */
async function inTime<Result>(work: Promise<Result>): Promise<Result> {
  const ending = new AbortController()
  const hanging = setTimeout(HANG_MS, undefined, { signal: ending.signal }).then(() => {
    throw new Error(`no end after ${HANG_MS} ms`)
  })
  hanging.catch(() => undefined)
  try {
    return await Promise.race([work, hanging])
  } finally {
    ending.abort()
  }
}

/** A server with a file, and how many requests it has had. */
interface Stage {
  readonly server: OddServer
  readonly url: string
  /** Puts another state of the file. */
  replace(file: Uint8Array, headers?: Record<string, string>): void
}

async function withStage<Result>(file: Uint8Array, work: (stage: Stage) => Promise<Result>): Promise<Result> {
  const server = await startOddServer()
  try {
    server.put('docs', file)
    const replace: Stage['replace'] = (...of) => {
      server.put('docs', ...of)
    }
    return await work({ server, url: `${server.url}docs`, replace })
  } finally {
    await server.close()
  }
}

/** Opens an index and asks it, each step after the other; where opening fails, once more. */
async function ask(
  name: Name,
  url: string,
  options: RemoteOptions = {}
): Promise<{ readonly outcomes: unknown[]; readonly index: RemoteIndex<Id> | undefined }> {
  const outcomes: unknown[] = []
  let index: RemoteIndex<Id> | undefined
  try {
    index = await inTime(openRemote<Id>(url, options))
  } catch (error) {
    return { outcomes: [error], index }
  }
  for (const step of KINDS[name].steps) outcomes.push(await inTime(step(index)).catch((error: unknown) => error))
  return { outcomes, index }
}

/** How many requests opening an index and asking it takes. */
async function countRequests(name: Name): Promise<number> {
  return await withStage(samplesOf(name)[0].file, async ({ server, url }) => {
    const { index, outcomes } = await ask(name, url)
    expect(outcomes).toEqual(samplesOf(name)[0].answers)
    index?.close()
    return server.requests.length
  })
}

interface Trouble {
  /** Answers the n-th request; those after it as well where `forever`. */
  readonly oddity: Oddity
  readonly forever?: boolean
  /** What calls may reject with; none: they must not. */
  readonly codes: readonly string[]
  readonly options?: RemoteOptions
}

const random = randomFrom(SEED + 2)
const garbage: Oddity = (exchange) => {
  const { range, response } = exchange
  const { first, end } = range ?? { first: 0, end: 0 }
  const bytes = Uint8Array.from({ length: end - first }, () => Math.floor(random() * 256))
  response.writeHead(206, partHeaders(exchange)).end(bytes)
}

const TROUBLES: Readonly<Record<string, Trouble>> = {
  'all of the file': { oddity: odd.wholeFile, codes: ['ZGQ_UNSUPPORTED'] },
  'all of the file, of no said length': { oddity: odd.wholeFileInChunks, codes: ['ZGQ_UNSUPPORTED'] },
  'a short body': { oddity: odd.shortBody(10), codes: [] },
  'a connection that ends': { oddity: odd.stopAfter(10), codes: [] },
  'a reset connection': { oddity: odd.reset, codes: [] },
  'a connection that is reset within': { oddity: odd.resetAfter(10), codes: [] },
  'another range': { oddity: odd.otherRange(4096), codes: ['ZGQ_IO', 'ZGQ_UNSUPPORTED'] },
  'a compressed range': { oddity: odd.gzipRanges, codes: ['ZGQ_UNSUPPORTED'] },
  'no such file': { oddity: odd.status(404), codes: ['ZGQ_NOT_FOUND'] },
  'no permission': { oddity: odd.status(403), codes: ['ZGQ_IO'] },
  'errors from then on': { oddity: odd.status(500), forever: true, codes: ['ZGQ_IO'], options: { retries: 1 } },
  'a call for patience': { oddity: odd.status(503, { 'retry-after': '0' }), codes: [] },
  'no answer': { oddity: odd.silence, codes: ['ZGQ_IO'], options: { timeoutMs: SHORT_MS } },
  'a body that stalls': { oddity: odd.stallAfter(10), codes: ['ZGQ_IO'], options: { timeoutMs: SHORT_MS } },
  'other bytes of that length': { oddity: garbage, codes: ['ZGQ_CORRUPT', 'ZGQ_NOT_AN_INDEX'] },
  'another ETag, once': { oddity: odd.withHeaders({ etag: '"other"' }), codes: [] }
}

/** The n-th answer is odd, or all from there on. */
function oddAt(n: number, { oddity, forever = false }: Trouble): Oddity {
  let count = 0
  return async (exchange) => {
    const at = count++
    await (at === n || (forever && at > n) ? oddity : answerProperly)(exchange)
  }
}

const AT_ONCE = 4

/** Does work for 0 to before `count`, a few at a time. */
async function forEach(count: number, work: (n: number) => Promise<void>): Promise<void> {
  let next = 0
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (next < count) await work(next++)
    })
  )
}

describe.each(NAMES)('of the requests for %s', (name) => {
  it.each(Object.keys(TROUBLES))('any one is answered by %s', async (what) => {
    const { file, answers, last } = samplesOf(name)[0]
    const trouble = TROUBLES[what]
    const { codes, options = {} } = trouble
    const requests = await countRequests(name)
    expect(requests).toBeGreaterThan(5)
    let failures = 0
    await forEach(requests, async (n) => {
      await withStage(file, async ({ server, url }) => {
        server.always(oddAt(n, trouble))
        const { outcomes, index } = await ask(name, url, { ...options, maxRequests: 2 })
        outcomes.forEach((outcome, i) => {
          if (outcome instanceof Error) {
            failures++
            expect(outcome, `request ${n}, call ${i}: ${outcome.stack}`).toBeInstanceOf(ZgqError)
            expect(codes, `request ${n}, call ${i}: ${outcome.message}`).toContain(Reflect.get(outcome, 'code'))
          } else expect(outcome, `request ${n}, call ${i}`).toEqual(answers[i])
        })
        server.always(undefined)
        // One with a short timeout may still wait for what is not answered.
        const next = index ?? (await inTime(openRemote<Id>(url)))
        expect(await inTime(KINDS[name].last(next)), `after request ${n}`).toEqual(last)
        next.close()
      })
    })
    expect(failures > 0).toBe(codes.length > 0)
  })

  it('any one comes after the file was replaced by another index', async () => {
    const [before, after] = samplesOf(name)
    const requests = await countRequests(name)
    await forEach(requests, async (n) => {
      await withStage(before.file, async ({ server, url, replace }) => {
        let count = 0
        // What is asked for next is of the new file already.
        server.always((exchange) => {
          if (count++ === n) replace(after.file)
          return answerProperly(exchange)
        })
        const { outcomes, index } = await ask(name, url)
        outcomes.forEach((outcome, i) => {
          expect([before.answers[i], after.answers[i]], `request ${n}, call ${i}`).toContainEqual(outcome)
        })
        if (index === undefined) throw new Error(`request ${n}: it was not opened`)
        if (count <= n) replace(after.file)
        await index.refresh()
        expect(index.info().metric, `request ${n}`).toBe('cosine')
        expect(await KINDS[name].last(index), `request ${n}`).toEqual(after.last)
        index.close()
      })
    })
  })

  it('any one comes after the file got another ETag', async () => {
    const { file, answers, last } = samplesOf(name)[0]
    await forEach(await countRequests(name), async (n) => {
      await withStage(file, async ({ server, url, replace }) => {
        let count = 0
        server.always((exchange) => {
          if (count++ === n) replace(file)
          return answerProperly(exchange)
        })
        const { outcomes, index } = await ask(name, url)
        expect(outcomes).toEqual(answers)
        if (index === undefined) throw new Error(`request ${n}: it was not opened`)
        expect(await KINDS[name].last(index)).toEqual(last)
        index.close()
      })
    })
  })
})

describe('an index that was replaced, and whose server falls silent then', () => {
  /** Waits for requests that are not answered. */
  const waitFor = async (server: OddServer, count: number): Promise<void> => {
    while (server.requests.length < count) await setTimeout(5)
  }
  const withSilence = async (
    work: (index: RemoteIndex<Id>, server: OddServer, stop: () => void) => Promise<void>
  ): Promise<void> => {
    const [before, after] = samplesOf('plain')
    await withStage(before.file, async ({ server, url, replace }) => {
      const index = await openRemote<Id>(url)
      await index.search(queryOf(0))
      replace(after.file)
      server.requests.length = 0
      let count = 0
      // The first answer says that it is another file; those to opening it again never come.
      server.always((exchange) => (count++ === 0 ? answerProperly(exchange) : undefined))
      await work(index, server, () => {
        server.always(undefined)
      })
      index.close()
    })
  }

  it('is not waited for longer than the signal allows', async () => {
    await withSilence(async (index, server, stop) => {
      const controller = new AbortController()
      const found = rejection(index.document(17, { signal: controller.signal }))
      await waitFor(server, 2)
      controller.abort('enough')
      expect(await inTime(found)).toBe('enough')
      stop()
    })
  })

  it('is not waited for once the index is closed', async () => {
    await withSilence(async (index, server) => {
      const found = rejection(index.document(17))
      await waitFor(server, 2)
      index.close()
      expect(await inTime(found)).toMatchObject({ code: 'ZGQ_CLOSED' })
    })
  })
})

describe('many calls at a time', () => {
  it(`are right or fail with a code where one answer in five is odd, with next to no cache (seed ${SEED + 3})`, async () => {
    const { file, answers, last } = samplesOf('documents')[0]
    await withStage(file, async ({ server, url }) => {
      const index = await openRemote<Id>(url, { cacheBytes: 0, retries: 1 })
      const draw = randomFrom(SEED + 3)
      const oddities = [odd.reset, odd.status(500), odd.status(404), odd.shortBody(7), garbage, odd.otherRange(64)]
      server.always(async (exchange) => {
        await (draw() < 0.2 ? oddities[Math.floor(draw() * oddities.length)] : answerProperly)(exchange)
      })
      const { steps, last: lastStep } = KINDS.documents
      const all = [...steps, lastStep]
      const expected = [...answers, last]
      const calls = Array.from({ length: 60 }, (_, i) => all[i % all.length](index).catch((error: unknown) => error))
      const found = await inTime(Promise.all(calls))
      found.forEach((outcome, i) => {
        if (outcome instanceof Error) expect(outcome, outcome.stack).toBeInstanceOf(ZgqError)
        else expect(outcome).toEqual(expected[i % all.length])
      })
      expect(found.some((outcome) => outcome instanceof Error)).toBe(true)
      server.always(undefined)
      expect(await Promise.all(all.map((step) => step(index)))).toEqual(expected)
      index.close()
    })
  })

  it('end where two servers of one address disagree about the file', async () => {
    const { file, answers } = samplesOf('plain')[0]
    await withStage(file, async ({ server, url }) => {
      const index = await openRemote<Id>(url)
      let count = 0
      server.always((exchange) => odd.withHeaders({ etag: `"${count++ % 2}"` })(exchange))
      for (const [i, step] of KINDS.plain.steps.entries()) {
        const outcome = await inTime(step(index)).catch((error: unknown) => error)
        if (outcome instanceof Error) expect(outcome).toMatchObject({ code: 'ZGQ_MISMATCH' })
        else expect(outcome).toEqual(answers[i])
      }
      index.close()
    })
  })
})
