// A small web server for one file, or for the files of a folder: ranges, ETags and CORS, no compression. Which bytes
// answer a request, and that nothing outside of a folder does (links, FIFOs, names with a dot), is srvx's to say.

import { statSync } from 'node:fs'
import { realpath } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { basename, dirname, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'

import { staticMiddleware } from 'srvx/static'

import { ZgqError } from '../src/index.ts'

export interface ServedPlace {
  /** The file or folder; nothing outside of it is sent. */
  readonly path: string
  readonly host: string
  /** 0 for any that is free. */
  readonly port: number
}

export interface RunningServer {
  /** `http://host:port/`, with the file's name where one file is served. */
  readonly url: string
  readonly port: number
  close(): Promise<void>
}

/** Pages of other origins may read, and see the headers that a reader of ranges goes by. Caches ask each time. */
const HEADERS = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Expose-Headers': 'ETag, Content-Range, Content-Length, Accept-Ranges',
  'Cache-Control': 'no-cache'
}
const PREFLIGHT_HEADERS = {
  'Access-Control-Allow-Methods': 'GET, HEAD',
  'Access-Control-Allow-Headers': '*',
  'Access-Control-Max-Age': '86400'
}
/** Headers of a request that its answer depends on. */
const CONDITIONS: readonly string[] = ['range', 'if-range', 'if-none-match', 'if-modified-since']
/** Longer than a reader pauses between two searches: it need not connect again. */
const KEEP_ALIVE_MS = 65_000

type Answer = (request: Request) => Response | Promise<Response>

/** Starts a server; rejects with ZGQ_IO where the port is taken or not allowed. */
export async function startStaticServer(place: ServedPlace): Promise<RunningServer> {
  const path = resolve(place.path)
  const isFolder = statSync(path).isDirectory()
  const answer = isFolder ? answerFromFolder(path) : answerWithFile(path)
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
    // A failure comes in the middle of an answer: all that can be done is to end the connection.
    respond(request, response, answer).catch(() => response.destroy())
  })
  await listen(server, place)
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a server without a port')
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address
  const name = isFolder ? '' : encodeURI(basename(path))
  return {
    url: `http://${host}:${address.port}/${name}`,
    port: address.port,
    close: () =>
      new Promise((done) => {
        server.close(() => {
          done()
        })
        server.closeAllConnections()
      })
  }
}

function listen(server: Server, { host, port }: ServedPlace): Promise<void> {
  return new Promise((done, fail) => {
    // Stays: a connection that fails later, for want of descriptors, must not end the others.
    server.on('error', (error: NodeJS.ErrnoException) => {
      fail(new ZgqError('ZGQ_IO', whyNotListening(error, { host, port }), { cause: error }))
    })
    server.listen(port, host, done)
  })
}

function whyNotListening(error: NodeJS.ErrnoException, { host, port }: Omit<ServedPlace, 'path'>): string {
  const what = `cannot listen on port ${port} of ${host}`
  switch (error.code) {
    case 'EADDRINUSE':
      return `${what}: it is taken; choose another with --port, or any that is free with --port 0`
    case 'EACCES':
      return `${what}: this user may not; choose one above 1023 with --port`
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `${what}: this machine has no such address; give one with --host, such as 127.0.0.1 or 0.0.0.0`
    default:
      return `${what}: ${error.message}`
  }
}

const notFound = (): Response => new Response('not found\n', { status: 404 })

function answerFromFolder(folder: string): Answer {
  const answer = staticMiddleware({ dir: folder, compress: false, dotfiles: false })
  return (request) => answer(request, notFound)
}

/** A link is followed at each request: it may lead to the next version by then. */
function answerWithFile(file: string): Answer {
  const path = `/${encodeURI(basename(file))}`
  return async (request) => {
    if (new URL(request.url).pathname !== path) return notFound()
    const target = await realpath(file)
    const { method, headers } = request
    const inside = new Request(new URL(encodeURI(basename(target)), request.url), { method, headers })
    return staticMiddleware({ dir: dirname(target), compress: false, dotfiles: true })(inside, notFound)
  }
}

async function respond(request: IncomingMessage, response: ServerResponse, answer: Answer): Promise<void> {
  const { status, headers, body } = await answerTo(request, answer)
  response.writeHead(status, { ...HEADERS, ...Object.fromEntries(headers) })
  if (body === null) {
    response.end()
    return
  }
  const announced = headers.get('content-length')
  let sent = 0
  await pipeline(
    body,
    async function* (chunks: AsyncIterable<Uint8Array>) {
      for await (const chunk of chunks) {
        sent += chunk.byteLength
        yield chunk
      }
      // The file became shorter meanwhile: a failure ends the connection, else the reader waits for the rest.
      if (announced !== null && sent < Number(announced)) throw new Error('short file')
    },
    response
  )
}

async function answerTo({ method, url, headers }: IncomingMessage, answer: Answer): Promise<Response> {
  if (method === 'OPTIONS') return new Response(null, { status: 204, headers: PREFLIGHT_HEADERS })
  if (method !== 'GET' && method !== 'HEAD')
    return new Response(null, { status: 405, headers: { Allow: 'GET, HEAD, OPTIONS' } })
  if (url === undefined || !url.startsWith('/')) return new Response('bad request\n', { status: 400 })
  const asked = CONDITIONS.flatMap((name): [string, string][] => {
    const value = headers[name]
    return typeof value === 'string' ? [[name, value]] : []
  })
  return await answer(new Request(`http://localhost${url}`, { method, headers: asked }))
}
