// A proxy on loopback before any other web server: the same answers, from as far away and over as narrow a line as asked
// for. What goes through it is counted.

import { createServer, request as askServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

import { SlowLink, type LinkOptions } from './slow-link.ts'

export interface SlowProxy {
  /** Ends in `/`: stands for the target. */
  readonly url: string
  /** Requests so far, and bytes of the bodies of their answers. */
  readonly tally: { requests: number; bytes: number }
  close(): Promise<void>
}

/** Starts a proxy before the server at `target`, an `http:` URL without a path. */
export async function startSlowProxy(options: LinkOptions & { readonly target: string }): Promise<SlowProxy> {
  const link = new SlowLink(options)
  const target = new URL(options.target)
  const tally = { requests: 0, bytes: 0 }

  const pass = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    tally.requests++
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
      await link.send(bytes, response)
    }
    response.end()
  }

  const server = createServer((request, response) => {
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
