// A proxy on loopback before any other web server: the same answers, from as far away and over as narrow a line as
// asked for. What goes through it is counted.

import { createServer, request as askServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

import { SlowLink, type LinkOptions } from './slow-link.ts'

const KEEP_ALIVE_MS = 65_000

export interface SlowProxy {
  /** Ends in `/`: stands for the target. */
  readonly url: string
  /** Requests so far, and bytes of the bodies of their answers. */
  readonly tally: { requests: number; bytes: number }
  close(): Promise<void>
}

/** A request that went through; times are those of `performance.now()`. */
export interface PassedRequest {
  readonly startMs: number
  /** Undefined until its answer has gone through. */
  endMs: number | undefined
  /** Of the answer's body, so far. */
  bytes: number
}

export interface SlowProxyOptions extends LinkOptions {
  /** An `http:` URL without a path. */
  readonly target: string
  /** Gets each request as it comes. */
  readonly log?: PassedRequest[]
}

/** Starts a proxy before a server. */
export async function startSlowProxy(options: SlowProxyOptions): Promise<SlowProxy> {
  const link = new SlowLink(options)
  const target = new URL(options.target)
  const tally = { requests: 0, bytes: 0 }

  const pass = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    tally.requests++
    const passed: PassedRequest = { startMs: performance.now(), endMs: undefined, bytes: 0 }
    options.log?.push(passed)
    await link.delay()
    const { method, headers, url: path } = request
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const asking = askServer({ host: target.hostname, port: target.port, method, path, headers }, resolve)
      asking.on('error', reject)
      response.once('close', () => asking.destroy())
      request.pipe(asking)
    })
    response.writeHead(answer.statusCode ?? 502, answer.headers)
    for await (const piece of answer) {
      const bytes: Buffer = piece
      tally.bytes += bytes.byteLength
      passed.bytes += bytes.byteLength
      await link.send(bytes, response)
    }
    response.end()
    passed.endMs = performance.now()
  }

  // As web servers do: a reader without retries fails where an idle connection ends just as it uses it.
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
    response.on('error', () => undefined)
    pass(request, response).catch(() => response.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/`,
    tally,
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
