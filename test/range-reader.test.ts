// Reads of many ranges of a remote file: which requests they become, and what becomes of them when servers fail.

import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'

import { ZgqError } from '../src/errors.ts'
import { ChangedObject, type ByteSource } from '../src/remote/byte-source.ts'
import { httpSource } from '../src/remote/http-source.ts'
import { RangeReader, type RangeReaderOptions, type RemoteFile } from '../src/remote/range-reader.ts'
import type { FileRange } from '../src/storage/reader.ts'
import { answerProperly, startOddServer, type Oddity, type OddServer } from './support/odd-server.ts'
import * as odd from './support/oddities.ts'
import { randomFrom } from './support/random.ts'
import type { LinkOptions } from './support/slow-link.ts'
import { startSlowProxy } from './support/slow-proxy.ts'

const SEED = 1600

const closing: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

const random = randomFrom(SEED)
const CONTENT = Uint8Array.from({ length: 2 ** 20 }, () => Math.floor(random() * 256))

/** Two parts in one object, and a part in one of its own. */
const FILES = new Map<number, RemoteFile>([
  [0, { name: '', start: 4096, byteLength: 500_000 }],
  [1, { name: '', start: 507_904, byteLength: 500_000 }],
  [2, { name: 'other', start: 0, byteLength: 100_000 }]
])

async function start(options: LinkOptions = {}): Promise<OddServer> {
  const server = await startOddServer(options)
  closing.push(async () => {
    await server.close()
  })
  server.put('', CONTENT)
  server.put('other', CONTENT)
  return server
}

/** A reader that repeats without delay worth mentioning, as far as the server leaves it to the reader. */
function readerOf(source: ByteSource | OddServer, options: RangeReaderOptions = {}): RangeReader {
  const reader = new RangeReader('getBytes' in source ? source : httpSource(source.url), {
    timeoutMs: 20_000,
    random: () => 0,
    ...options
  })
  closing.push(() => {
    reader.close()
  })
  reader.setFiles(FILES)
  return reader
}

function bytesOf({ file, offset, byteLength }: FileRange): Uint8Array {
  const { start: begin } = FILES.get(file)!
  return CONTENT.subarray(begin + offset, begin + offset + byteLength)
}

function expectBytes(found: readonly Uint8Array[], ranges: readonly FileRange[]): void {
  expect(found.length).toBe(ranges.length)
  ranges.forEach((range, i) => {
    expect(Buffer.compare(found[i], bytesOf(range))).toBe(0)
  })
}

const range = (offset: number, byteLength: number, file = 0): FileRange => ({ file, offset, byteLength })

async function errorOf(work: Promise<unknown>): Promise<ZgqError> {
  const error: unknown = await work.then(
    () => 'no error',
    (found: unknown) => found
  )
  if (error instanceof ZgqError) return error
  throw new Error(`expected a ZgqError, found ${String(error)}`)
}

describe('the requests of a round', () => {
  it('are one for ranges that are close, and give the bytes in the order asked', async () => {
    const server = await start()
    const reader = readerOf(server)
    const tally = { requests: 0, bytes: 0 }
    const ranges = [range(30_000, 100), range(0, 1000), range(500, 1000), range(400_000, 0), range(300_000, 10)]
    expectBytes(await reader.readAsync(ranges, undefined, tally), ranges)
    expect(server.requests.map(({ headers }) => headers.range)).toEqual(['bytes=4096-34195', 'bytes=304096-304105'])
    expect(tally).toEqual({ requests: 2, bytes: 30_110 })
  })

  it('are none for nothing', async () => {
    const server = await start()
    expect(await readerOf(server).readAsync([range(500_000, 0)], undefined)).toEqual([new Uint8Array(0)])
    expect(server.requests).toEqual([])
  })

  it('reach over parts of one object, but not over objects', async () => {
    const server = await start()
    const ranges = [range(499_000, 1000, 0), range(0, 1000, 1), range(0, 1000, 2)]
    expectBytes(await readerOf(server).readAsync(ranges, undefined), ranges)
    expect(server.requests.map(({ name }) => name)).toEqual(['', 'other'])
  })

  it('are several for a range of many megabytes, a few at a time', async () => {
    const server = await start({ latencyMs: 20 })
    const large = Buffer.alloc(18 * 2 ** 20, CONTENT)
    server.put('', large)
    const reader = readerOf(server, { maxRequests: 2 })
    reader.setFiles(new Map([[0, { name: '', start: 0, byteLength: large.byteLength }]]))
    const [found] = await reader.readAsync([range(5, 17 * 2 ** 20)], undefined)
    expect(Buffer.compare(found, large.subarray(5, 5 + 17 * 2 ** 20))).toBe(0)
    expect(server.requests.length).toBe(5)
    expect(server.mostAtOnce).toBe(2)
    const tally = { requests: 0, bytes: 0 }
    const both = [range(0, 3 * 2 ** 20), range(2 ** 21, 3 * 2 ** 20)]
    const parts = await reader.readAsync(both, undefined, tally)
    parts.forEach((bytes, i) => {
      expect(Buffer.compare(bytes, large.subarray(both[i].offset, both[i].offset + 3 * 2 ** 20))).toBe(0)
    })
    expect(tally).toEqual({ requests: 2, bytes: 5 * 2 ** 20 })
  })

  it('are no more than maxRequests at a time over all calls', async () => {
    const server = await start({ latencyMs: 5 })
    const reader = readerOf(server, { maxRequests: 3 })
    const calls = [0, 1].map((file) => Array.from({ length: 6 }, (_, i) => range(i * 80_000, 100, file)))
    const found = await Promise.all(calls.map(async (ranges) => await reader.readAsync(ranges, undefined)))
    found.forEach((bytes, i) => {
      expectBytes(bytes, calls[i])
    })
    expect([server.requests.length, server.mostAtOnce]).toEqual([12, 3])
  })

  it(`bring the bytes of the file, are never more than its ranges, nor than maxRequests at a time (seed ${SEED})`, async () => {
    const server = await start()
    const place = fc.record({ file: fc.nat(1), gap: fc.nat(60_000), byteLength: fc.nat(9000), overlaps: fc.boolean() })
    await fc.assert(
      fc.asyncProperty(fc.array(place, { maxLength: 25 }), fc.integer({ min: 1, max: 4 }), async (places, most) => {
        let end = 0
        const ranges = places.map(({ file, gap, byteLength, overlaps }) => {
          const offset = Math.min(overlaps ? Math.max(0, end - gap) : end + gap, 500_000 - byteLength)
          end = offset + byteLength
          return { file, offset, byteLength }
        })
        const [before, tally] = [server.requests.length, { requests: 0, bytes: 0 }]
        const watched = watchedSource(httpSource(server.url))
        const reader = readerOf(watched.source, { maxRequests: most })
        expectBytes(await reader.readAsync(ranges, undefined, tally), ranges)
        const sent = server.requests.length - before
        expect(sent).toBe(tally.requests)
        expect(sent).toBeLessThanOrEqual(ranges.filter(({ byteLength }) => byteLength > 0).length)
        expect(watched.mostAtOnce()).toBeLessThanOrEqual(most)
      }),
      { seed: SEED, numRuns: 60 }
    )
  })

  it('join over wider gaps where the way is long, and less where the line is narrow', async () => {
    const gaps = { far: 0, near: 0, narrow: 0 }
    const links = {
      far: { latencyMs: 60, bytesPerSecond: 6_250_000 },
      near: { latencyMs: 0, bytesPerSecond: 2_000_000 },
      narrow: { latencyMs: 60, bytesPerSecond: 400_000 }
    }
    for (const [name, link] of Object.entries(links)) {
      const server = await start(link)
      const reader = readerOf(server, { maxRequests: 1 })
      for (let i = 0; i < 6; i++) await reader.get('', 0, 60_000, undefined)
      const { latencyMs, bytesPerSecond } = reader.measured
      expect(latencyMs).toBeGreaterThanOrEqual(link.latencyMs - 1)
      expect(bytesPerSecond).toBeLessThan(link.bytesPerSecond * 2)
      expect(bytesPerSecond).toBeGreaterThan(link.bytesPerSecond / 3)
      // Ranges further apart each time: how many of them share the first request?
      const ranges = Array.from({ length: 22 }, (_, i) => range((i * i + i) * 1000, 1))
      const tally = { requests: 0, bytes: 0 }
      expectBytes(await reader.readAsync(ranges, undefined, tally), ranges)
      Object.assign(gaps, { [name]: tally.requests })
    }
    expect(gaps.far).toBe(1)
    expect(gaps.near).toBeGreaterThan(10)
    expect(gaps.narrow).toBeGreaterThan(gaps.far)
    expect(gaps.narrow).toBeLessThan(gaps.near)
  })
})

describe('a failure that passes', () => {
  it.each<[string, Oddity, number]>([
    ['a busy server', odd.status(503), 0],
    ['too many requests', odd.status(429, { 'retry-after': '0' }), 0],
    ['a connection that breaks', odd.reset, 0],
    ['a body that breaks off', odd.resetAfter(10), 20],
    ['a short body', odd.shortBody(10), 20]
  ])('is repeated: %s', async (_, oddity, brought) => {
    const server = await start()
    server.next(oddity, oddity)
    const tally = { requests: 0, bytes: 0 }
    const ranges = [range(0, 1000), range(200_000, 1000)]
    expectBytes(await readerOf(server).readAsync(ranges, undefined, tally), ranges)
    expect(tally.requests).toBe(4)
    expect(server.requests.length).toBe(4)
    expect(tally.bytes).toBe(2000 + brought)
  })

  it('is waited for as long as the server asks', async () => {
    const server = await start()
    server.next(odd.status(429, { 'retry-after': '1' }))
    const begin = performance.now()
    await readerOf(server).readAsync([range(0, 10)], undefined)
    expect(performance.now() - begin).toBeGreaterThan(999)
  })

  it('is not waited for past the time of a request', async () => {
    const server = await start()
    server.next(odd.status(429, { 'retry-after': '3600' }))
    const begin = performance.now()
    const error = await errorOf(readerOf(server).readAsync([range(0, 10)], undefined))
    expect(error.code).toBe('ZGQ_IO')
    expect(error.message).toContain('429')
    expect(performance.now() - begin).toBeLessThan(5000)
  })

  it('is an error once it stays, which says how often it was tried', async () => {
    const server = await start()
    server.always(odd.status(500))
    const tally = { requests: 0, bytes: 0 }
    const error = await errorOf(readerOf(server, { retries: 2 }).readAsync([range(7, 10)], undefined, tally))
    expect(error).toMatchObject({ code: 'ZGQ_IO', path: server.url, offset: 4103 })
    expect(error.message).toMatch(/500.*after 3 attempts/)
    expect(tally.requests).toBe(3)
  })

  it('leaves the next call alone: offline, then online', async () => {
    const server = await start()
    const reader = readerOf(server, { retries: 1 })
    await reader.readAsync([range(0, 10)], undefined)
    const port = Number(new URL(server.url).port)
    await server.close()
    expect((await errorOf(reader.readAsync([range(0, 10)], undefined))).code).toBe('ZGQ_IO')
    const again = await startOddServer({ port })
    closing.push(async () => {
      await again.close()
    })
    again.put('', CONTENT, { etag: '"state-1"' })
    expectBytes(await reader.readAsync([range(0, 10)], undefined), [range(0, 10)])
  })

  it('is repeated too where a source knows no codes', async () => {
    let calls = 0
    const source: ByteSource = {
      async getBytes(_, offset, length) {
        if (++calls < 3) throw new Error('the radio was off')
        return await Promise.resolve({ bytes: CONTENT.subarray(offset, offset + length) })
      }
    }
    expectBytes(await readerOf(source).readAsync([range(0, 10)], undefined), [range(0, 10)])
    calls = -10
    const error = await errorOf(readerOf(source).readAsync([range(0, 10)], undefined))
    expect(error.code).toBe('ZGQ_IO')
    expect(error.message).toContain('the radio was off')
  })
})

describe('names of objects', () => {
  it('are listed with the same patience, where the source can', async () => {
    expect(await readerOf(await start()).list('manifest-', undefined)).toBeUndefined()
    let calls = 0
    const source: ByteSource = {
      getBytes: async () => await Promise.reject(new Error('not asked for')),
      async list(prefix, signal) {
        if (++calls === 1) throw new Error('the radio was off')
        if (calls === 2) return await Promise.resolve([`${prefix}1`])
        return await new Promise((_, reject) => {
          signal.addEventListener('abort', reject)
        })
      }
    }
    const reader = readerOf(source, { timeoutMs: 1000 })
    const tally = { requests: 0, bytes: 0 }
    expect(await reader.list('manifest-', undefined, tally)).toEqual(['manifest-1'])
    expect(tally.requests).toBe(2)
    const error = await errorOf(reader.list('manifest-', undefined))
    expect(error.code).toBe('ZGQ_IO')
    expect(error.message).toContain('1000 ms')
  })
})

describe('a failure that stays', () => {
  it.each<[string, Oddity, string]>([
    ['404', odd.status(404), 'ZGQ_NOT_FOUND'],
    ['403', odd.status(403), 'ZGQ_IO'],
    ['416', odd.status(416), 'ZGQ_TRUNCATED'],
    ['no ranges', odd.wholeFile, 'ZGQ_UNSUPPORTED'],
    ['compression', odd.gzipRanges, 'ZGQ_UNSUPPORTED'],
    ['another range', odd.otherRange(1), 'ZGQ_IO']
  ])('is not repeated: %s', async (_, oddity, code) => {
    const server = await start()
    server.next(oddity)
    expect((await errorOf(readerOf(server).readAsync([range(0, 1000)], undefined))).code).toBe(code)
    expect(server.requests.length).toBe(1)
  })

  it('ends the other requests of the call, and none of another call', async () => {
    const server = await start({ latencyMs: 20 })
    const reader = readerOf(server, { maxRequests: 3 })
    const oddities = new Map([
      [4096, odd.status(404)],
      [204_096, odd.silence],
      [404_096, odd.silence]
    ])
    server.always((exchange) => (oddities.get(exchange.range?.first ?? 0) ?? answerProperly)(exchange))
    const begin = performance.now()
    const bad = errorOf(reader.readAsync([range(0, 10), range(200_000, 10), range(400_000, 10)], undefined))
    const good = reader.readAsync([range(100_000, 10, 1)], undefined)
    expect((await bad).code).toBe('ZGQ_NOT_FOUND')
    expectBytes(await good, [range(100_000, 10, 1)])
    await server.idle()
    expect(performance.now() - begin).toBeLessThan(10_000)
  })

  it('is ZGQ_TRUNCATED where the file ends early, at once if the answer says so', async () => {
    const server = await start()
    server.put('', CONTENT.subarray(0, 5000))
    expect((await errorOf(readerOf(server).readAsync([range(0, 1000)], undefined))).code).toBe('ZGQ_TRUNCATED')
    expect(server.requests.length).toBe(1)
    server.always(odd.withHeaders({ 'content-range': undefined }))
    const error = await errorOf(readerOf(server, { retries: 1 }).readAsync([range(0, 1000)], undefined))
    expect(error.code).toBe('ZGQ_TRUNCATED')
    expect(error.message).toContain('ends 96 bytes early')
    expect(server.requests.length).toBe(3)
  })

  it('is ZGQ_TRUNCATED without a request where a part is too short', async () => {
    const server = await start()
    expect((await errorOf(readerOf(server).readAsync([range(499_999, 2)], undefined))).code).toBe('ZGQ_TRUNCATED')
    expect(server.requests).toEqual([])
  })

  it('is ZGQ_IO where a source returns too much, or no bytes', async () => {
    for (const bytes of [new Uint8Array(11), JSON.parse('[1]')]) {
      const source: ByteSource = { getBytes: async () => await Promise.resolve({ bytes }) }
      expect((await errorOf(readerOf(source).readAsync([range(0, 10)], undefined))).code).toBe('ZGQ_IO')
    }
  })
})

describe('the time of a request', () => {
  it.each<[string, Oddity]>([
    ['never answers', odd.silence],
    ['stalls in the middle of a body', odd.stallAfter(10)]
  ])('ends it where a server %s', async (_, oddity) => {
    const server = await start()
    server.next(oddity)
    const reader = readerOf(server, { timeoutMs: 150 })
    const begin = performance.now()
    const error = await errorOf(reader.readAsync([range(0, 1000)], undefined))
    expect(error).toMatchObject({ code: 'ZGQ_IO', path: server.url, offset: 4096 })
    expect(error.message).toContain('150 ms')
    expect(performance.now() - begin).toBeLessThan(5000)
    expectBytes(await reader.readAsync([range(0, 1000)], undefined), [range(0, 1000)])
  })

  it('covers the wait for a turn behind a server that never answers', async () => {
    const server = await start()
    server.always(odd.silence)
    const reader = readerOf(server, { timeoutMs: 200, maxRequests: 1 })
    const begin = performance.now()
    const calls = [0, 1, 2, 3].map(async (i) => await errorOf(reader.readAsync([range(i * 100_000, 10)], undefined)))
    for (const error of await Promise.all(calls)) expect(error.code).toBe('ZGQ_IO')
    expect(performance.now() - begin).toBeLessThan(790)
  })

  it('is not given twice to what waited for its turn', async () => {
    const server = await start()
    server.always(odd.silence)
    const reader = readerOf(server, { timeoutMs: 1000, maxRequests: 1 })
    const first = errorOf(reader.readAsync([range(0, 10)], undefined))
    await new Promise((resolve) => setTimeout(resolve, 500))
    const begin = performance.now()
    expect((await errorOf(reader.readAsync([range(100_000, 10)], undefined))).code).toBe('ZGQ_IO')
    expect(performance.now() - begin).toBeLessThan(1400)
    expect((await first).code).toBe('ZGQ_IO')
  })

  it('is kept by a repetition that goes before what waits', async () => {
    const server = await start({ latencyMs: 50 })
    const reader = readerOf(server, { maxRequests: 1 })
    server.next(odd.status(503))
    const ranges = Array.from({ length: 10 }, (_, i) => range(i * 49_000, 10))
    expectBytes(await reader.readAsync(ranges, undefined), ranges)
    const asked = server.requests.map(({ headers }) => headers.range)
    expect(asked.lastIndexOf(asked[0])).toBeGreaterThan(0)
    expect(asked.lastIndexOf(asked[0])).toBeLessThan(9)
  })

  it('does not run while others are answered before it', async () => {
    const server = await start({ latencyMs: 60 })
    const reader = readerOf(server, { timeoutMs: 400, maxRequests: 1 })
    const ranges = Array.from({ length: 10 }, (_, i) => range(i * 49_000, 10))
    expectBytes(await reader.readAsync(ranges, undefined), ranges)
    expect(server.requests.length).toBe(10)
  })

  it('ends a source that ignores its signal', async () => {
    const source: ByteSource = { getBytes: async () => await new Promise(() => undefined) }
    const reader = readerOf(source, { timeoutMs: 100, maxRequests: 1 })
    for (let i = 0; i < 2; i++) {
      const error = await errorOf(reader.readAsync([range(0, 10)], undefined))
      expect(error.code).toBe('ZGQ_IO')
    }
  })
})

describe('an end', () => {
  it('by the signal rejects with its reason at once, and cancels the requests', async () => {
    const server = await start()
    const ended = new Promise<void>((resolve) => {
      server.always(({ response }) => {
        response.once('close', () => {
          resolve()
        })
      })
    })
    const reader = readerOf(server, { maxRequests: 1 })
    const controller = new AbortController()
    const reason = new Error('enough')
    const calls = [0, 1].map((file) => reader.readAsync([range(0, 10, file)], controller.signal))
    setTimeout(() => {
      controller.abort(reason)
    }, 50)
    for (const call of calls) await expect(call).rejects.toBe(reason)
    await ended
    await expect(reader.readAsync([range(0, 10)], controller.signal)).rejects.toBe(reason)
    expect(server.requests.length).toBe(1)
    server.always(undefined)
    expectBytes(await reader.readAsync([range(0, 10)], undefined), [range(0, 10)])
  })

  it('by the signal comes during the wait before a repetition, too', async () => {
    const server = await start()
    server.next(odd.status(429, { 'retry-after': '10' }))
    const controller = new AbortController()
    const call = readerOf(server).readAsync([range(0, 10)], controller.signal)
    setTimeout(() => {
      controller.abort(new Error('enough'))
    }, 50)
    await expect(call).rejects.toThrow('enough')
  })

  it('by close rejects what waits with ZGQ_CLOSED, and all that comes later', async () => {
    const server = await start()
    server.always(odd.silence)
    const reader = readerOf(server)
    const calls = [reader.readAsync([range(0, 10)], undefined), reader.get('', 0, 10, undefined)]
    reader.close()
    reader.close()
    calls.push(reader.readAsync([range(0, 10)], undefined))
    for (const call of calls) expect((await errorOf(call)).code).toBe('ZGQ_CLOSED')
  })
})

describe('an object that changes', () => {
  it.each<[string, Record<string, string>, Record<string, string>]>([
    ['its ETag', { etag: '"a"' }, { etag: '"b"' }],
    ['its weak ETag', { etag: 'W/"a"' }, { etag: 'W/"b"' }],
    ['its time, without an ETag', { 'last-modified': 'Mon, 1 Jan' }, { 'last-modified': 'Tue, 2 Jan' }]
  ])('shows by %s', async (_, before, after) => {
    const server = await start()
    server.put('', CONTENT, before)
    const reader = readerOf(server)
    await reader.get('', 0, 100, undefined)
    await reader.readAsync([range(0, 10)], undefined)
    server.put('', CONTENT, after)
    const error = await errorOf(reader.readAsync([range(0, 10)], undefined))
    expect(error).toBeInstanceOf(ChangedObject)
    expect(error).toMatchObject({ code: 'ZGQ_MISMATCH', path: server.url })
    await expect(reader.get('', 0, 100, undefined)).rejects.toBeInstanceOf(ChangedObject)
  })

  it('shows by its length, and by an answer that has no bytes for us', async () => {
    const server = await start()
    server.put('', CONTENT, {})
    const reader = readerOf(server)
    await reader.get('', 0, 100, undefined)
    server.put('', CONTENT.subarray(1), {})
    await expect(reader.readAsync([range(0, 10)], undefined)).rejects.toBeInstanceOf(ChangedObject)
    server.put('', CONTENT.subarray(0, 100), {})
    await expect(reader.readAsync([range(0, 10)], undefined)).rejects.toBeInstanceOf(ChangedObject)
    server.put('other', CONTENT, { etag: '"a"' })
    await reader.get('other', 0, 100, undefined)
    server.put('other', CONTENT, { etag: '"b"' })
    server.next(odd.wholeFile)
    await expect(reader.readAsync([range(0, 10, 2)], undefined)).rejects.toBeInstanceOf(ChangedObject)
  })

  it('is not seen where one server makes the tag weak, or leaves it out', async () => {
    const server = await start()
    server.put('', CONTENT, { etag: '"a"', 'last-modified': 'Mon, 1 Jan' })
    const reader = readerOf(server)
    await reader.get('', 0, 100, undefined)
    for (const etag of ['W/"a"', undefined, '"a"']) {
      server.next(odd.withHeaders({ etag }))
      expectBytes(await reader.readAsync([range(0, 10)], undefined), [range(0, 10)])
    }
  })

  it('is another look for a renewed reader, and stays a change for the first', async () => {
    const server = await start({ latencyMs: 20 })
    const reader = readerOf(server, { maxRequests: 2 })
    await reader.get('', 0, 100, undefined)
    server.put('', CONTENT)
    const fresh = reader.renew()
    expect((await fresh.get('', 0, 100, undefined)).bytes.byteLength).toBe(100)
    await expect(reader.readAsync([range(0, 10)], undefined)).rejects.toBeInstanceOf(ChangedObject)
    expect(fresh.measured).toEqual(reader.measured)
    const offsets = [0, 100_000, 200_000, 300_000]
    await Promise.all(
      [fresh, fresh.renew()].flatMap((one) => offsets.map(async (offset) => await one.get('', offset, 10, undefined)))
    )
    expect(server.mostAtOnce).toBe(2)
    reader.close()
    expect((await fresh.get('', 0, 100, undefined)).bytes.byteLength).toBe(100)
    fresh.close()
  })
})

describe('memory', () => {
  it('is no more than what was asked for, though a server sends without end', async () => {
    const server = await start()
    const [sent, before] = [{ bytes: 0 }, process.memoryUsage().arrayBuffers]
    server.always(odd.endless(sent, {}))
    const reader = readerOf(server, { retries: 0 })
    const ranges = Array.from({ length: 4 }, (_, i) => range(i * 120_000, 100_000))
    for (let i = 0; i < 3; i++) expect((await errorOf(reader.readAsync(ranges, undefined))).code).toBe('ZGQ_IO')
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 2 ** 20)
  })
})

describe('a slow proxy', () => {
  it('is as far and as narrow as it says, and counts', async () => {
    const server = await start()
    const proxy = await startSlowProxy({ target: server.url, latencyMs: 100, bytesPerSecond: 1_000_000 })
    closing.push(async () => {
      await proxy.close()
    })
    const reader = readerOf(httpSource(proxy.url))
    const begin = performance.now()
    const ranges = [range(0, 100_000), range(200_000, 100_000)]
    expectBytes(await reader.readAsync(ranges, undefined), ranges)
    expect(performance.now() - begin).toBeGreaterThan(290)
    expect(proxy.tally).toEqual({ requests: 2, bytes: 200_000 })
  })
})

describe('options', () => {
  it.each<[string, RangeReaderOptions]>([
    ['maxRequests', { maxRequests: 0 }],
    ['retries', { retries: -1 }],
    ['timeoutMs', { timeoutMs: 2 ** 31 }]
  ])('%s are checked', (name, options) => {
    expect(() => new RangeReader(httpSource('http://127.0.0.1/'), options)).toThrow(RangeError)
    expect(() => new RangeReader(httpSource('http://127.0.0.1/'), options)).toThrow(name)
  })
})

/** A source that counts how many calls are under way. */
function watchedSource(source: ByteSource): { readonly source: ByteSource; readonly mostAtOnce: () => number } {
  let [now, most] = [0, 0]
  return {
    mostAtOnce: () => most,
    source: {
      async getBytes(name, offset, length, signal) {
        most = Math.max(most, ++now)
        try {
          return await source.getBytes(name, offset, length, signal)
        } finally {
          now--
        }
      }
    }
  }
}
