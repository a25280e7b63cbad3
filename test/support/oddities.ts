// Ways to misbehave, for an odd server.

import { gzipSync } from 'node:zlib'

import { partHeaders, partOf, type OddExchange, type Oddity } from './odd-server.ts'

/** Answers with a status and nothing of use. */
export function status(code: number, headers: Record<string, string> = {}): Oddity {
  return ({ response }) => {
    response.writeHead(code, headers).end('no')
  }
}

/** No ranges: the whole file, whatever was asked for. */
export const wholeFile: Oddity = async ({ response, content, headers, link }) => {
  response.writeHead(200, { ...headers, 'content-length': String(content.byteLength) })
  await link.send(content, response)
  response.end()
}

/** The same without its length, as proxies do that do not know it. */
export const wholeFileInChunks: Oddity = async ({ response, content, headers, link }) => {
  response.writeHead(200, headers)
  await link.send(content, response)
  response.end()
}

/** Headers that are other ones; undefined takes one away. */
type Changes = Readonly<Record<string, string | undefined>>

function changed(headers: Record<string, string>, changes: Changes): Record<string, string> {
  const kept: Record<string, string> = {}
  for (const [name, value] of Object.entries({ ...headers, ...changes })) if (value !== undefined) kept[name] = value
  return kept
}

/** 206 and bytes without end. `sent` counts what went out. */
export function endless(sent: { bytes: number }, changes: Changes): Oddity {
  return async (exchange) => {
    const { response } = exchange
    response.writeHead(206, changed(partHeaders(exchange), { 'content-length': undefined, ...changes }))
    const piece = Buffer.alloc(64 * 1024)
    while (!response.destroyed) {
      sent.bytes += piece.byteLength
      await exchange.link.send(piece, response)
      await new Promise(setImmediate)
    }
  }
}

/** The connection breaks after so many bytes of the body. */
export function resetAfter(byteLength: number): Oddity {
  return async (exchange) => {
    startPart(exchange, byteLength)
    await new Promise((resolve) => setTimeout(resolve, 20))
    exchange.response.socket?.resetAndDestroy()
  }
}

/** The connection breaks before an answer. */
export const reset: Oddity = ({ response }) => {
  response.socket?.resetAndDestroy()
}

/** Nothing comes, ever. */
export const silence: Oddity = () => undefined

/** Nothing comes any more after so many bytes of the body. */
export function stallAfter(byteLength: number): Oddity {
  return (exchange) => {
    startPart(exchange, byteLength)
  }
}

/** The connection ends after so many bytes of the body. */
export function stopAfter(byteLength: number): Oddity {
  return (exchange) => {
    startPart(exchange, byteLength)
    exchange.response.socket?.end()
  }
}

/** Ends properly, but with fewer bytes than Content-Range says. */
export function shortBody(byteLength: number): Oddity {
  return (exchange) => {
    const { 'content-length': _, ...headers } = partHeaders(exchange)
    exchange.response.writeHead(206, headers).end(partOf(exchange).subarray(0, byteLength))
  }
}

/** Another range than the one that was asked for. */
export function otherRange(shift: number): Oddity {
  return (exchange) => {
    const { first, end } = exchange.range ?? { first: 0, end: 0 }
    const moved = { ...exchange, range: { first: first + shift, end: end + shift } }
    exchange.response.writeHead(206, partHeaders(moved)).end(partOf(moved))
  }
}

/** A proper answer with other headers. */
export function withHeaders(changes: Changes): Oddity {
  return (exchange) => {
    exchange.response.writeHead(206, changed(partHeaders(exchange), changes)).end(partOf(exchange))
  }
}

/** Ranges of the compressed file. */
export const gzipRanges: Oddity = (exchange) => {
  const content = gzipSync(exchange.content)
  const { first } = exchange.range ?? { first: 0 }
  const packed = { ...exchange, content, range: { first, end: content.byteLength } }
  exchange.response.writeHead(206, { ...partHeaders(packed), 'content-encoding': 'gzip' }).end(partOf(packed))
}

/** All of the file, compressed on its way. */
export const gzipWhole: Oddity = ({ response, content, headers }) => {
  const packed = gzipSync(content)
  response.writeHead(200, { ...headers, 'content-encoding': 'gzip', 'content-length': String(packed.byteLength) })
  response.end(packed)
}

export function redirect(location: string): Oddity {
  return status(302, { location })
}

function startPart(exchange: OddExchange, byteLength: number): void {
  exchange.response.writeHead(206, partHeaders(exchange))
  exchange.response.write(partOf(exchange).subarray(0, byteLength))
}
