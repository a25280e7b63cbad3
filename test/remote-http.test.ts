// One range request to a web server: what its answers mean, good and bad.

import { afterEach, describe, expect, it } from 'vitest'

import { RequestFailure, type GotBytes } from '../src/remote/byte-source.ts'
import { httpSource, type HttpSourceOptions } from '../src/remote/http-source.ts'
import { startOddServer, type OddServer, type Oddity } from './support/odd-server.ts'
import * as odd from './support/oddities.ts'

const servers: OddServer[] = []
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()))
})

const CONTENT = Uint8Array.from({ length: 100_000 }, (_, i) => (i * 31 + (i >> 8)) % 251)

async function start(...oddities: readonly Oddity[]): Promise<OddServer> {
  const server = await startOddServer()
  servers.push(server)
  server.put('docs.zgqp', CONTENT)
  server.next(...oddities)
  return server
}

interface Range {
  readonly offset: number
  readonly length: number
}

async function get(
  url: string,
  { offset, length }: Range = { offset: 1000, length: 500 },
  options: HttpSourceOptions = {}
): Promise<GotBytes> {
  return await httpSource(url, options).getBytes('', offset, length, new AbortController().signal)
}

/** The failure of one request that is answered like this. */
async function failureOf(oddity: Oddity, range?: Range): Promise<RequestFailure> {
  const server = await start(oddity)
  return await failure(get(`${server.url}docs.zgqp`, range))
}

async function failure(work: Promise<unknown>): Promise<RequestFailure> {
  const error: unknown = await work.then(
    () => 'no error',
    (found: unknown) => found
  )
  if (error instanceof RequestFailure) return error
  throw new Error(`expected a RequestFailure, found ${String(error)}`)
}

function equalBytes(found: Uint8Array, offset: number, length: number): boolean {
  return Buffer.compare(found, CONTENT.subarray(offset, offset + length)) === 0 && found.byteLength === length
}

describe('an HTTP source', () => {
  it('gets the bytes of a range, the length of the file and its ETag', async () => {
    const server = await start()
    const got = await get(`${server.url}docs.zgqp`)
    expect(equalBytes(got.bytes, 1000, 500)).toBe(true)
    expect(got).toMatchObject({ byteLength: CONTENT.byteLength, etag: '"state-1"' })
    expect(got.latencyMs).toBeGreaterThan(0)
    expect(server.requests.map(({ headers }) => headers.range)).toEqual(['bytes=1000-1499'])
  })

  it('gets less where the file ends before', async () => {
    const server = await start()
    const got = await get(`${server.url}docs.zgqp`, { offset: 99_900, length: 4096 })
    expect(got.bytes.byteLength).toBe(100)
    expect(got.bytes.buffer.byteLength).toBe(100)
    server.next(odd.withHeaders({ 'content-range': undefined, 'content-length': undefined }))
    const unsaid = await get(`${server.url}docs.zgqp`, { offset: 99_900, length: 4096 })
    expect([unsaid.bytes.byteLength, unsaid.bytes.buffer.byteLength]).toEqual([100, 100])
  })

  it('finds other objects beside the file or in the folder, with the query of its URL, and nowhere else', async () => {
    const server = await start()
    server.put('sub/part', CONTENT)
    const signal = new AbortController().signal
    for (const url of ['sub/', 'sub/docs.zgqp']) {
      const source = httpSource(`${server.url}${url}?key=abc`)
      expect((await source.getBytes('part', 0, 10, signal)).bytes.byteLength).toBe(10)
      for (const name of ['../docs.zgqp', '/docs.zgqp', 'http://127.0.0.1:1/x'])
        expect((await failure(source.getBytes(name, 0, 10, signal))).code).toBe('ZGQ_NOT_FOUND')
    }
    expect(server.requests[0].url).toBe('/sub/part?key=abc')
    expect(server.requests.length).toBe(8)
  })

  it('sends the headers it was given by the fetch it was given', async () => {
    const server = await start()
    const inits: RequestInit[] = []
    const own: typeof fetch = async (input, init) => {
      inits.push(init ?? {})
      return await fetch(input, init)
    }
    await get(`${server.url}docs.zgqp`, undefined, { headers: { authorization: 'Bearer abc' }, fetch: own })
    expect(server.requests[0].headers.authorization).toBe('Bearer abc')
    expect(inits.length).toBe(1)
  })

  it('goes past the HTTP cache of a browser', async () => {
    const server = await start()
    const modes: unknown[] = []
    const own: typeof fetch = async (input, init) => {
      modes.push(Reflect.get(init ?? {}, 'cache'))
      return await fetch(input, init)
    }
    await get(`${server.url}docs.zgqp`, undefined, { fetch: own })
    Reflect.set(globalThis, 'document', {})
    try {
      await get(`${server.url}docs.zgqp`, undefined, { fetch: own })
    } finally {
      Reflect.deleteProperty(globalThis, 'document')
    }
    expect(modes).toEqual([undefined, 'no-store'])
  })

  it('names the file without its query in errors, and where in it', async () => {
    const server = await start(odd.status(404))
    const error = await failure(
      get(`${server.url}docs.zgqp?X-Signature=secret#part`, undefined, { headers: { authorization: 'secret' } })
    )
    expect(error.path).toBe(`${server.url}docs.zgqp`)
    expect(error.offset).toBe(1000)
    expect(error.message).not.toContain('secret')
    expect(httpSource(`${server.url}docs.zgqp?X-Signature=secret`).place).toBe(`${server.url}docs.zgqp`)
  })

  it.each([
    ['an URL that is none', () => httpSource('docs.zgqp')],
    ['a file', () => httpSource('file:///docs.zgqp')],
    ['a password in the URL', () => httpSource('https://user:secret@example.org/docs.zgqp')],
    ['a header that is no string', () => httpSource('https://example.org/', { headers: JSON.parse('{"a":1}') })],
    ['a Range header', () => httpSource('https://example.org/', { headers: { Range: 'bytes=0-1' } })],
    ['an unknown option', () => httpSource('https://example.org/', JSON.parse('{"header":{}}'))]
  ])('refuses %s', (_, work) => {
    expect(work).toThrow(TypeError)
    expect(work).not.toThrow(/secret/)
  })
})

describe('a server without ranges', () => {
  it.each([
    ['which says how long the file is', odd.wholeFile, '100000 bytes'],
    ['which does not', odd.wholeFileInChunks, 'more than 500 bytes']
  ])('%s: ZGQ_UNSUPPORTED, and the file is not read', async (_, oddity, found) => {
    const error = await failureOf(oddity)
    expect(error).toMatchObject({ code: 'ZGQ_UNSUPPORTED', facts: { status: 200 } })
    expect(error.facts.mayPass).not.toBe(true)
    expect(error.message).toContain(`bytes 1000-1499 with the whole file (200 OK, ${found})`)
  })

  it('will do where the file is no larger than what was asked for', async () => {
    const server = await start(odd.wholeFile, odd.wholeFileInChunks, odd.gzipWhole)
    for (let i = 0; i < 3; i++) {
      const got = await get(`${server.url}docs.zgqp`, { offset: 0, length: 200_000 })
      expect(equalBytes(got.bytes, 0, 100_000)).toBe(true)
      expect(got.byteLength).toBe(100_000)
    }
    server.next(odd.wholeFile, odd.wholeFile)
    const rest = await get(`${server.url}docs.zgqp`, { offset: 40_000, length: 100_000 })
    expect(equalBytes(rest.bytes, 40_000, 60_000)).toBe(true)
    const past = await failure(get(`${server.url}docs.zgqp`, { offset: 100_000, length: 100_000 }))
    expect(past.code).toBe('ZGQ_TRUNCATED')
  })
})

describe('an answer with the wrong bytes', () => {
  it.each([
    ['an earlier range', odd.otherRange(-10), 'bytes 990-1489/100000'],
    ['a later range', odd.otherRange(10), 'bytes 1010-1509/100000'],
    ['a range that makes no sense', odd.withHeaders({ 'content-range': 'bytes 1000-999/100000' }), '1000-999/'],
    ['a range past the end', odd.withHeaders({ 'content-range': 'bytes 1000-1499/1200' }), '1000-1499/1200'],
    ['no range in the header', odd.withHeaders({ 'content-range': 'nonsense' }), 'nonsense']
  ])('of %s is ZGQ_IO, which names both', async (_, oddity, found) => {
    const error = await failureOf(oddity)
    expect(error.code).toBe('ZGQ_IO')
    expect(error.message).toContain(found)
    expect(error.message).toContain('expected bytes 1000-1499')
    expect(error.facts.mayPass).not.toBe(true)
  })

  it('in several parts is ZGQ_IO', async () => {
    const parts = { 'content-range': undefined, 'content-type': 'multipart/byteranges; boundary=x' }
    expect((await failureOf(odd.withHeaders(parts))).code).toBe('ZGQ_IO')
  })

  it('of a compressed file is ZGQ_UNSUPPORTED and says what to switch off', async () => {
    const error = await failureOf(odd.gzipRanges, { offset: 0, length: 50_000 })
    expect(error.code).toBe('ZGQ_UNSUPPORTED')
    expect(error.message).toMatch(/gzip.*switch compression .* off/)
  })

  it('without end is cut off', async () => {
    for (const changes of [{}, { 'content-range': undefined }]) {
      const sent = { bytes: 0 }
      const server = await start(odd.endless(sent, changes))
      const error = await failure(get(`${server.url}docs.zgqp`))
      expect(error.code).toBe('ZGQ_IO')
      expect(error.message).toContain('more than the 500 bytes')
      await server.idle()
      expect(sent.bytes).toBeLessThan(64 * 2 ** 20)
    }
  })

  it('that is too short may pass', async () => {
    for (const oddity of [odd.shortBody(100), odd.stopAfter(100), odd.resetAfter(100)]) {
      const error = await failureOf(oddity)
      expect(error).toMatchObject({ code: 'ZGQ_IO', facts: { mayPass: true } })
      expect(error.message).toContain('after 100')
    }
  })

  it('for less than the range, though there is more, may pass', async () => {
    const error = await failureOf(({ response }) => {
      response.writeHead(206, { 'content-range': 'bytes 1000-1099/100000' }).end(CONTENT.subarray(1000, 1100))
    })
    expect(error).toMatchObject({ code: 'ZGQ_IO', facts: { mayPass: true } })
  })
})

describe('headers that a page cannot read', () => {
  it('are done without: Content-Range and ETag', async () => {
    const server = await start(odd.withHeaders({ 'content-range': undefined, etag: undefined }))
    const got = await get(`${server.url}docs.zgqp`)
    expect(equalBytes(got.bytes, 1000, 500)).toBe(true)
    expect([got.byteLength, got.etag]).toEqual([undefined, undefined])
  })

  it('leave the time of the file in place of its ETag', async () => {
    const time = 'Wed, 21 Oct 2015 07:28:00 GMT'
    const server = await start(odd.withHeaders({ etag: undefined, 'last-modified': time }))
    expect((await get(`${server.url}docs.zgqp`)).etag).toContain(time)
  })

  it('are named where the server is of another origin', async () => {
    Reflect.set(globalThis, 'location', { href: 'https://example.org/page', origin: 'https://example.org' })
    try {
      const blocked: typeof fetch = async () => await Promise.reject(new TypeError('Failed to fetch'))
      const options = { fetch: blocked, headers: { 'x-key': 'secret' } }
      const error = await failure(get('https://cdn.example.org/docs.zgqp', undefined, options))
      expect(error.code).toBe('ZGQ_IO')
      for (const part of ['Failed to fetch', 'Access-Control-Allow-Origin', 'ETag, Content-Range', 'x-key'])
        expect(error.message).toContain(part)
      expect(error.message).not.toContain('secret')
      const own = await failure(get('/docs.zgqp', undefined, options))
      expect(own.message).not.toContain('CORS')
      expect(own.path).toBe('https://example.org/docs.zgqp')
    } finally {
      Reflect.deleteProperty(globalThis, 'location')
    }
  })
})

describe('a status', () => {
  it.each([
    [404, 'ZGQ_NOT_FOUND', false],
    [410, 'ZGQ_NOT_FOUND', false],
    [401, 'ZGQ_IO', false],
    [403, 'ZGQ_IO', false],
    [400, 'ZGQ_IO', false],
    [204, 'ZGQ_IO', false],
    [304, 'ZGQ_IO', false],
    [408, 'ZGQ_IO', true],
    [429, 'ZGQ_IO', true],
    [500, 'ZGQ_IO', true],
    [503, 'ZGQ_IO', true]
  ])('of %i is %s (may pass: %s)', async (code, expected, mayPass) => {
    const error = await failureOf(odd.status(code))
    expect(error).toMatchObject({ code: expected, facts: { status: code } })
    expect(error.facts.mayPass === true).toBe(mayPass)
    expect(error.message).toContain(String(code))
  })

  it('of 401 and 403 says that reading is not allowed', async () => {
    for (const code of [401, 403]) expect((await failureOf(odd.status(code))).message).toContain('not allowed')
  })

  it('of 416 is ZGQ_TRUNCATED, with the length of the file', async () => {
    const server = await start()
    const error = await failure(get(`${server.url}docs.zgqp`, { offset: 100_000, length: 10 }))
    expect(error).toMatchObject({ code: 'ZGQ_TRUNCATED', facts: { version: { byteLength: 100_000 } } })
  })

  it('comes with the time to wait, in seconds or as a time', async () => {
    const seconds = await failureOf(odd.status(429, { 'retry-after': '7' }))
    expect(seconds.facts.retryAfterMs).toBe(7000)
    const time = new Date(Date.now() + 60_000).toUTCString()
    const { retryAfterMs } = (await failureOf(odd.status(503, { 'retry-after': time }))).facts
    expect(retryAfterMs).toBeGreaterThan(50_000)
    expect(retryAfterMs).toBeLessThanOrEqual(60_000)
    expect((await failureOf(odd.status(503, { 'retry-after': 'soon' }))).facts.retryAfterMs).toBeUndefined()
  })

  it('does not bring what a server says in it to the terminal', async () => {
    const error = await failureOf(({ response }) => {
      response.socket?.end(`HTTP/1.1 500 ${'\u009b31m'.repeat(100)}\r\nconnection: close\r\n\r\n`, 'latin1')
    })
    expect(error.message).not.toMatch(/[\u0080-\u009f]/)
    expect(error.message.length).toBeLessThan(800)
  })
})

describe('redirects', () => {
  it('are followed', async () => {
    const server = await start(odd.redirect('/moved/docs.zgqp'))
    server.put('moved/docs.zgqp', CONTENT)
    const got = await get(`${server.url}docs.zgqp`)
    expect(equalBytes(got.bytes, 1000, 500)).toBe(true)
  })

  it.each([
    ['without end', odd.redirect('/docs.zgqp')],
    ['to another scheme', odd.redirect('ftp://example.org/docs.zgqp')]
  ])('%s are ZGQ_IO and stay', async (_, oddity) => {
    const server = await start()
    server.always(oddity)
    const error = await failure(get(`${server.url}docs.zgqp`))
    expect(error.code).toBe('ZGQ_IO')
    expect(error.path).toBe(`${server.url}docs.zgqp`)
    expect(error.facts.mayPass).not.toBe(true)
  })

  it('to an address without encryption are refused', async () => {
    const server = await start()
    const down: typeof fetch = async (_, init) => await fetch(`${server.url}docs.zgqp`, init)
    const error = await failure(get('https://example.org/docs.zgqp', undefined, { fetch: down }))
    expect(error.code).toBe('ZGQ_IO')
    expect(error.message).toContain('without encryption')
  })
})

describe('no answer', () => {
  it('is ZGQ_IO, which may pass, and says why', async () => {
    const broken = await failureOf(odd.reset)
    expect(broken).toMatchObject({ code: 'ZGQ_IO', facts: { mayPass: true } })
    const server = await start()
    await server.close()
    const gone = await failure(get(`${server.url}docs.zgqp`))
    expect(gone).toMatchObject({ code: 'ZGQ_IO', facts: { mayPass: true } })
    expect(gone.message).toContain('ECONNREFUSED')
  })

  it('is not waited for once the signal is aborted, before the answer or within', async () => {
    for (const oddity of [odd.silence, odd.stallAfter(100)]) {
      const server = await start(oddity)
      const controller = new AbortController()
      const reason = new Error('enough')
      const got = httpSource(`${server.url}docs.zgqp`).getBytes('', 0, 500, controller.signal)
      setTimeout(() => {
        controller.abort(reason)
      }, 50)
      await expect(got).rejects.toBe(reason)
    }
  })
})
