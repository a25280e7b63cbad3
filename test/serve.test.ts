// zgq serve, in processes of its own: what it sends, what it does not, and how it ends.

import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, renameSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { get, type IncomingMessage } from 'node:http'
import { createServer } from 'node:net'
import { basename, join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { runZgq } from './support/run-zgq.ts'
import { ROOT } from './support/sources.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('serve')
const COMMAND = join(ROOT, 'dist', 'zgq.js')
const onPosix = process.platform === 'win32' ? it.skip : it
const BYTES = Uint8Array.from({ length: 100_000 }, (_, i) => (i * 31) % 251)
const started: ChildProcess[] = []

interface Serving {
  readonly child: ChildProcess
  /** The first line that it printed. */
  readonly line: string
}

/** Starts the command; resolves once it has printed a line, which it does when it listens. */
async function serve(...args: readonly string[]): Promise<Serving> {
  const child = spawn(process.execPath, [COMMAND, 'serve', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  started.push(child)
  let [stdout, stderr] = ['', '']
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  for await (const text of child.stdout.setEncoding('utf8')) {
    stdout += String(text)
    if (stdout.includes('\n')) return { child, line: stdout.trimEnd() }
  }
  throw new Error(`zgq serve ended: ${stderr}`)
}

interface Started {
  readonly path: string
  readonly url: string
  readonly host: string
  readonly port: number
}

async function serveJson(path: string): Promise<Started> {
  const { line } = await serve(path, '--port', '0', '--json')
  const found: Started = JSON.parse(line)
  return found
}

interface Answered {
  readonly status: number | undefined
  readonly body: string
  readonly etag: string | undefined
}

/** Asks for a path as it is written, with these headers alone: fetch would tidy one and add to the others. */
async function ask(port: number, path: string, headers: Record<string, string> = {}): Promise<Answered> {
  const [response] = await once(get({ port, host: '127.0.0.1', path, headers }), 'response')
  const message: IncomingMessage = response
  return { status: message.statusCode, body: (await buffer(message)).toString(), etag: message.headers.etag }
}

const site = join(temp.path, 'site')
const secret = join(temp.path, 'secret.txt')
const file = join(temp.path, 'Die W\u00f6rter.zgqp')
let folderAt: Started
let fileAt: Started

beforeAll(async () => {
  mkdirSync(join(site, 'sub'), { recursive: true })
  writeFileSync(join(site, 'index.html'), '<p>home')
  writeFileSync(join(site, 'docs.zgqp'), BYTES)
  writeFileSync(join(site, 'sub', 'manifest-000001'), 'head')
  writeFileSync(join(site, '.env'), 'hidden')
  writeFileSync(secret, 'secret')
  writeFileSync(file, BYTES)
  folderAt = await serveJson(site)
  fileAt = await serveJson(file)
})
afterAll(() => {
  for (const child of started) child.kill()
})

describe('zgq serve FOLDER', () => {
  it('prints with --json where it listens: on this machine alone', () => {
    const { port } = folderAt
    expect(folderAt).toEqual({ path: site, url: `http://127.0.0.1:${port}/`, host: '127.0.0.1', port })
  })

  it('prints for people what to open', async () => {
    const { line } = await serve(site, '--port', '0')
    expect(line.replace(/:\d+/g, ':N')).toBe(
      `serving ${site}; Ctrl-C ends it\n  http://127.0.0.1:N/\n  openRemote('http://127.0.0.1:N/docs.zgqp')`
    )
  })

  it('prints for a folder of parts what to open', async () => {
    const { line } = await serve(join(site, 'sub'), '--port', '0')
    expect(line.replace(/:\d+/g, ':N')).toBe(
      `serving ${join(site, 'sub')}; Ctrl-C ends it\n  openRemote('http://127.0.0.1:N/')`
    )
  })

  it('sends files as they are, and index.html for a folder', async () => {
    const response = await fetch(`${folderAt.url}docs.zgqp`, { headers: { 'Accept-Encoding': 'gzip, br' } })
    expect([response.status, response.headers.get('content-encoding')]).toEqual([200, null])
    expect(response.headers.get('content-type')).toBe('application/octet-stream')
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(BYTES)
    const home = await fetch(folderAt.url)
    expect([await home.text(), home.headers.get('content-type')]).toEqual(['<p>home', 'text/html; charset=utf-8'])
  })

  it.each([
    ['bytes=0-0', 0, 1],
    ['bytes=10-19', 10, 20],
    ['bytes=99990-200000', 99_990, 100_000],
    ['bytes=-5', 99_995, 100_000],
    ['bytes=99999-', 99_999, 100_000]
  ])('answers a range: %s', async (range, start, end) => {
    const response = await fetch(`${folderAt.url}docs.zgqp`, { headers: { Range: range } })
    expect([response.status, response.headers.get('content-range')]).toEqual([206, `bytes ${start}-${end - 1}/100000`])
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(BYTES.slice(start, end))
  })

  it('refuses a range behind the end with 416 and the length', async () => {
    const response = await fetch(`${folderAt.url}docs.zgqp`, { headers: { Range: 'bytes=100000-100001' } })
    expect([response.status, response.headers.get('content-range')]).toEqual([416, 'bytes */100000'])
  })

  it('lets pages of other origins read, and see the headers that tell one file from another', async () => {
    const origin = { Origin: 'https://example.org' }
    for (const path of ['docs.zgqp', 'none']) {
      const { headers } = await fetch(folderAt.url + path, { headers: { ...origin, Range: 'bytes=0-3' } })
      expect(headers.get('access-control-allow-origin')).toBe('*')
      expect(headers.get('access-control-expose-headers')).toBe('ETag, Content-Range, Content-Length, Accept-Ranges')
    }
    const asked = { 'Access-Control-Request-Method': 'GET', 'Access-Control-Request-Headers': 'range' }
    const preflight = await fetch(`${folderAt.url}docs.zgqp`, { method: 'OPTIONS', headers: { ...origin, ...asked } })
    expect([preflight.status, preflight.headers.get('access-control-allow-headers')]).toEqual([204, '*'])
    expect(preflight.headers.get('access-control-allow-origin')).toBe('*')
  })

  it('has an ETag that changes with the file, and answers conditions on it', async () => {
    const path = join(site, 'changing.zgqp')
    const read = (headers: Record<string, string>): Promise<Answered> => ask(folderAt.port, '/changing.zgqp', headers)
    writeFileSync(path, 'first')
    const { etag = '' } = await read({})
    expect(etag).toMatch(/"/)
    const ifChanged = { 'If-None-Match': etag }
    expect(await read(ifChanged)).toEqual({ status: 304, body: '', etag })
    writeFileSync(`${path}.new`, 'second')
    renameSync(`${path}.new`, path)
    const after = await read({ ...ifChanged, Range: 'bytes=1-2' })
    expect(after).toMatchObject({ status: 206, body: 'ec' })
    expect(after.etag).not.toBe(etag)
  })

  it('ends the connection where a file became shorter while it was sent', async () => {
    const path = join(site, 'shrinking.bin')
    const byteLength = 2 ** 26
    writeFileSync(path, '')
    truncateSync(path, byteLength)
    const response = await fetch(`${folderAt.url}shrinking.bin`)
    const startedAt = performance.now()
    truncateSync(path, 0)
    await expect(response.arrayBuffer()).rejects.toThrow('terminated')
    expect(performance.now() - startedAt).toBeLessThan(20_000)
  })

  it('refuses to write', async () => {
    const response = await fetch(`${folderAt.url}docs.zgqp`, { method: 'PUT', body: 'x' })
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD, OPTIONS'])
  })

  it.each([
    '/../secret.txt',
    '/%2e%2e/secret.txt',
    '/sub/..%2f../secret.txt',
    '/..\\secret.txt',
    '/%00',
    '/%',
    '//etc/passwd',
    '/.env',
    '/none',
    '/sub'
  ])('sends nothing for %s', async (path) => {
    const { status, body } = await ask(folderAt.port, path)
    expect(status).toBeGreaterThan(300)
    expect(body).not.toContain('secret')
    expect(body).not.toContain('hidden')
  })

  onPosix('follows no link out of the folder, and opens no FIFO', async () => {
    symlinkSync(secret, join(site, 'link.txt'))
    symlinkSync(temp.path, join(site, 'up'))
    symlinkSync('docs.zgqp', join(site, 'inside.zgqp'))
    spawnSync('mkfifo', [join(site, 'fifo')])
    for (const path of ['/link.txt', '/up/secret.txt', '/up', '/up/', '/fifo'])
      expect([path, (await ask(folderAt.port, path)).status]).toEqual([path, 404])
    expect((await ask(folderAt.port, '/inside.zgqp')).status).toBe(200)
  })
})

describe('zgq serve FILE', () => {
  it('serves that file under its name', async () => {
    expect(fileAt.url).toBe(`http://127.0.0.1:${fileAt.port}/${encodeURI(basename(file))}`)
    const response = await fetch(fileAt.url, { headers: { Range: 'bytes=5-9' } })
    expect([response.status, new Uint8Array(await response.arrayBuffer())]).toEqual([206, BYTES.slice(5, 10)])
  })

  it.each(['/', '/secret.txt', '/site/', '/site', '/site/docs.zgqp', '/%', '/../'])(
    'and nothing beside it: %s',
    async (path) => {
      expect(await ask(fileAt.port, path)).toEqual({ status: 404, body: 'not found\n', etag: undefined })
    }
  )

  it('prints for people what to open', async () => {
    const { line } = await serve(file, '--port', '0')
    expect(line.replace(/:\d+/g, ':N')).toBe(
      `serving ${basename(file)}, 97.7 KB; Ctrl-C ends it\n` +
        `  openRemote('http://127.0.0.1:N/${encodeURI(basename(file))}')`
    )
  })
})

describe('zgq serve', () => {
  onPosix.each([
    ['SIGINT', 130],
    ['SIGTERM', 143]
  ] as const)('ends at once on %s, also while somebody reads', async (signal, expected) => {
    const path = temp.fresh('large.bin')
    writeFileSync(path, '')
    truncateSync(path, 2 ** 30)
    const { child, line } = await serve(path, '--port', '0', '--json')
    const { url }: Started = JSON.parse(line)
    const response = await fetch(url)
    const startedAt = performance.now()
    child.kill(signal)
    const [code]: unknown[] = await once(child, 'close')
    expect(code).toBe(expected)
    expect(performance.now() - startedAt).toBeLessThan(2500)
    await expect(response.arrayBuffer()).rejects.toThrow()
  })

  it('says that a port is taken, and what to do', async () => {
    const taken = createServer()
    await once(taken.listen(0, '127.0.0.1'), 'listening')
    const address = taken.address()
    const port = typeof address === 'object' ? String(address?.port) : ''
    expect(runZgq('serve', site, '--port', port)).toEqual({
      code: 1,
      stdout: '',
      stderr:
        `zgq: ZGQ_IO: cannot listen on port ${port} of 127.0.0.1: it is taken; choose another with --port, or any ` +
        'that is free with --port 0\n'
    })
    taken.close()
  })

  it.each([
    [['none.zgqp'], 1, 'ZGQ_NOT_FOUND: nothing exists at this path (none.zgqp)'],
    [['.', '--port', '65536'], 2, '--port must be at most 65535, found 65536'],
    [['.', '--port', 'http'], 2, '--port must be a whole number, found http'],
    [
      ['.', '--host', '192.0.2.1', '--port', '0'],
      1,
      /^ZGQ_IO: .* this machine has no such address; give one with --host/
    ]
  ])('refuses %j', (args, code, message) => {
    const ended = runZgq('serve', ...args)
    expect(ended.code).toBe(code)
    const [first] = ended.stderr.split('\n')
    if (typeof message === 'string') expect(first).toBe(`zgq: ${message}`)
    else expect(first.replace('zgq: ', '')).toMatch(message)
  })

  it('sends nobody to a folder that is an index, but not packed', () => {
    const folder = temp.fresh('docs.zgq')
    mkdirSync(folder)
    writeFileSync(join(folder, 'catalogue.sqlite'), '')
    expect(runZgq('serve', folder).stderr).toBe(
      `zgq: ZGQ_UNSUPPORTED: an index must be packed before it is served: zgq pack ${folder} OUT.zgqp, then ` +
        `zgq serve OUT.zgqp (${folder})\n`
    )
  })
})
