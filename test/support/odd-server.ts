// A web server on loopback that answers range requests as it should, over a line as slow as asked for, until it is told
// to misbehave. It counts what it is asked.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

import { SlowLink, type LinkOptions } from './slow-link.ts'

/** What an answer is made of. */
export interface OddExchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly content: Buffer
  /** Of the object, for the answer. */
  readonly headers: Record<string, string>
  /** The range that was asked for, clipped to the object; undefined: none was. */
  readonly range: { readonly first: number; readonly end: number } | undefined
  readonly link: SlowLink
}

/** One way to answer; undefined: not this time, answer properly. */
export type Oddity = (exchange: OddExchange) => Promise<void> | void

export interface OddRequest {
  readonly name: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
}

export interface OddServer {
  /** Ends in `/`; an object is at its name. */
  readonly url: string
  /** All requests so far. */
  readonly requests: OddRequest[]
  /** The most requests that were being answered at a time. */
  readonly mostAtOnce: number
  /** Puts an object, or another state of it; `headers` replace those that it would have (an ETag of its content). */
  put(name: string, content: Uint8Array, headers?: Record<string, string>): void
  remove(name: string): void
  /** The next answers are odd, in this order. */
  next(...oddities: readonly Oddity[]): void
  /** All answers are odd that are not by `next`; undefined: none is. */
  always(oddity: Oddity | undefined): void
  /** Waits until no request is being answered: each was answered, or its other side went away. */
  idle(): Promise<void>
  close(): Promise<void>
}

/** Starts a server; `port`: where another one was before. */
export async function startOddServer(options: LinkOptions & { readonly port?: number } = {}): Promise<OddServer> {
  const link = new SlowLink(options)
  const objects = new Map<string, { readonly content: Buffer; readonly headers: Record<string, string> }>()
  const requests: OddRequest[] = []
  const script: Oddity[] = []
  const waiting: (() => void)[] = []
  let constant: Oddity | undefined
  let [atOnce, mostAtOnce, states] = [0, 0, 0]

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const name = decodeURIComponent((request.url ?? '').replace(/\?.*$/, '').slice(1))
    requests.push({ name, url: request.url ?? '', headers: request.headers })
    mostAtOnce = Math.max(mostAtOnce, ++atOnce)
    response.once('close', () => {
      if (--atOnce > 0) return
      for (const wake of waiting.splice(0)) wake()
    })
    // Taken when it arrives: the order of answers is that of requests.
    const oddity = script.shift() ?? constant
    await link.delay()
    const object = objects.get(name)
    const { content, headers } = object ?? { content: Buffer.alloc(0), headers: {} }
    const exchange = { request, response, content, headers, range: rangeOf(request, content), link }
    if (oddity !== undefined) await oddity(exchange)
    else if (object === undefined) response.writeHead(404).end('nothing here')
    else await answerProperly(exchange)
  }

  const server = createServer((request, response) => {
    response.on('error', () => undefined)
    answer(request, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined))
  })
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo

  return {
    url: `http://127.0.0.1:${port}/`,
    requests,
    get mostAtOnce() {
      return mostAtOnce
    },
    put(name, content, headers = { etag: `"state-${++states}"` }) {
      objects.set(name, { content: Buffer.from(content), headers })
    },
    remove(name) {
      objects.delete(name)
    },
    next(...oddities) {
      script.push(...oddities)
    },
    always(oddity) {
      constant = oddity
    },
    async idle() {
      if (atOnce === 0) return
      await new Promise<void>((resolve) => waiting.push(resolve))
    },
    async close() {
      await new Promise<void>((resolve) => {
        server.close(() => {
          resolve()
        })
        server.closeAllConnections()
      })
    }
  }
}

function rangeOf(request: IncomingMessage, content: Buffer): OddExchange['range'] {
  const found = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')
  if (found === null) return undefined
  return { first: Number(found[1]), end: Math.min(Number(found[2]) + 1, content.byteLength) }
}

/** Headers of a proper answer to a range request. */
export function partHeaders({ content, headers, range }: OddExchange): Record<string, string> {
  const { first, end } = range ?? { first: 0, end: content.byteLength }
  return {
    ...headers,
    'content-range': `bytes ${first}-${end - 1}/${content.byteLength}`,
    'content-length': String(end - first)
  }
}

/** The bytes that a proper answer has. */
export function partOf({ content, range }: OddExchange): Buffer {
  return range === undefined ? content : content.subarray(range.first, range.end)
}

export async function answerProperly(exchange: OddExchange): Promise<void> {
  const { response, content, range, headers, link } = exchange
  if (range === undefined) {
    response.writeHead(200, { ...headers, 'content-length': String(content.byteLength) })
    await link.send(content, response)
  } else if (range.first >= content.byteLength)
    response.writeHead(416, { ...headers, 'content-range': `bytes */${content.byteLength}` })
  else {
    response.writeHead(206, partHeaders(exchange))
    await link.send(partOf(exchange), response)
  }
  response.end()
}
