// What searching from afar costs: requests of a static file alone, as many as an index says, and memory within bounds.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { openRemote } from '../src/remote.ts'
import { Fetcher } from '../src/search/fetcher.ts'
import { RangeReader } from '../src/remote/range-reader.ts'
import { RemoteSession } from '../src/remote/remote-session.ts'
import { searchSession } from '../src/remote/remote-search.ts'
import { httpSource } from '../src/remote/http-source.ts'
import { SeenQueries } from '../src/search/seen-queries.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { rowOf } from './support/brute-force.ts'
import { makeVectors } from './support/datasets.ts'
import { answerProperly, startOddServer, type OddServer } from './support/odd-server.ts'
import { publish } from './support/remote-index.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('remote-load', IN_MEMORY)
const SEED = 1750
const [DIM, QUERIES] = [32, 300]
const MIB = 2 ** 20
const queries = makeVectors('clustered', { count: QUERIES, dim: DIM }, SEED + 1)
const queryOf = (i: number): Float32Array => rowOf(queries, DIM, i)

let server: OddServer
const paths = new Map<string, string>()
const SIZES = { small: { count: 2000, zones: 24 }, large: { count: 40_000, zones: 128 } } as const

beforeAll(async () => {
  server = await startOddServer()
  for (const [name, { count, zones }] of Object.entries(SIZES)) {
    const output = temp.fresh(name)
    await buildIndex({ input: makeVectors('clustered', { count, dim: DIM }, SEED), dim: DIM, zones, output })
    await publish(server, output, { name, output: `${output}.zgqp` })
    paths.set(name, output)
  }
})
afterAll(async () => {
  await server.close()
})

describe('a thousand readers of one index', () => {
  const READERS = 1000
  const AT_ONCE = 50
  /** Opening takes one or two, a first search with its centroids three rounds. */
  const MOST_REQUESTS = 8

  it('cost its server range requests of a static file only, a few for each', async () => {
    using local = ZgqIndex.open(paths.get('small') ?? '')
    const expected = Array.from({ length: 20 }, (_, i) => JSON.stringify(local.search(queryOf(i))))
    server.requests.length = 0
    let bytes = 0
    server.always((exchange) => {
      bytes += (exchange.range?.end ?? Infinity) - (exchange.range?.first ?? 0)
      return answerProperly(exchange)
    })
    for (let first = 0; first < READERS; first += AT_ONCE)
      await Promise.all(
        Array.from({ length: AT_ONCE }, async (_, i) => {
          const index = await openRemote(`${server.url}small`, { cacheBytes: MIB })
          const query = (first + i) % expected.length
          expect(JSON.stringify(await index.search(queryOf(query)))).toBe(expected[query])
          index.close()
        })
      )
    server.always(undefined)
    for (const { name, headers } of server.requests) {
      expect(name).toBe('small')
      expect(headers.range).toMatch(/^bytes=\d+-\d+$/)
    }
    expect(server.requests.length).toBeLessThanOrEqual(READERS * MOST_REQUESTS)
    expect(bytes / READERS).toBeLessThan(512 * 1024)
  })
})

describe('what an index says of its requests', () => {
  it('adds up to what its server counts, one call at a time', async () => {
    server.requests.length = 0
    let bytes = 0
    server.always((exchange) => {
      bytes += (exchange.range?.end ?? 0) - (exchange.range?.first ?? 0)
      return answerProperly(exchange)
    })
    const index = await openRemote(`${server.url}large`)
    const { opening, network } = index.info()
    const total = { ...opening }
    expect(total).toEqual({ requests: server.requests.length, bytes })
    expect(network.latencyMs).toBeGreaterThan(0)
    // The centroids come by themselves, behind the opening: whoever counts waits for them.
    await server.idle()
    let [requestsBefore, bytesBefore] = [server.requests.length, bytes]
    for (let i = 0; i < 20; i++) {
      const { explain } = await index.search(queryOf(i), { explain: true })
      const { requests, bytes: fetched, rounds } = explain.network
      expect([requests, fetched]).toEqual([server.requests.length - requestsBefore, bytes - bytesBefore])
      expect(rounds > 0).toBe(requests > 0)
      ;[requestsBefore, bytesBefore] = [server.requests.length, bytes]
    }
    server.always(undefined)
    index.close()
  })
})

describe('memory', () => {
  async function openSession(cacheBytes: number): Promise<RemoteSession> {
    const source = httpSource(`${server.url}large`)
    const options = { source, isFolder: false, cacheBytes }
    return await RemoteSession.open(new RangeReader(source), options, undefined)
  }

  it.each([
    ['nothing', 0],
    ['1 MB', MIB],
    ['64 MB', 64 * MIB]
  ])('of the kernel stays within what is cached and what a search needs, with a cache of %s', async (_, cacheBytes) => {
    const session = await openSession(cacheBytes)
    const { memory } = session.context.workspace
    const seen = new SeenQueries()
    const search = async (i: number): Promise<unknown> =>
      await searchSession(session, { query: queryOf(i), options: i % 50 === 0 ? { exact: true } : {}, seen })
    for (let i = 0; i < 20; i++) await search(i)
    const early = memory.usedByteLength
    for (let i = 20; i < QUERIES; i++) await search(i)
    const late = memory.usedByteLength
    expect(late).toBeLessThan(cacheBytes + 4 * MIB)
    expect(late - early).toBeLessThan(cacheBytes + MIB)
    session.close()
  })

  it('of 200 searches at a time over a slow line is what the fetcher allows', async () => {
    const file = 40 * 128 * 1024
    let [held, most] = [0, 0]
    const fetcher = new Fetcher({
      readAsync: async (ranges) => {
        held += ranges.reduce((sum, { byteLength }) => sum + byteLength, 0)
        most = Math.max(most, held)
        await new Promise((resolve) => setTimeout(resolve, 5))
        return ranges.map(({ byteLength }) => new Uint8Array(byteLength))
      },
      close: () => undefined
    })
    await Promise.all(
      Array.from({ length: 200 }, async (_, i) => {
        const { release } = await fetcher.fetch(
          { ranges: [{ file: 1, offset: i * file, byteLength: file }], held: [] },
          undefined
        )
        held -= file
        release()
      })
    )
    expect(most).toBeLessThanOrEqual(128 * MIB)
    expect(most).toBeGreaterThan(100 * MIB)
    expect(held).toBe(0)
  })
})
