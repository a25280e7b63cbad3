// A proxy on the way to a web server: answers begin later by a latency, and may lack what a page needs.

import { once } from 'node:events'
import { Agent, createServer, request, type IncomingMessage, type ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { setTimeout as wait } from 'node:timers/promises'

export interface ProxyOptions {
  readonly latencyMs?: number
  /** What is taken away: the headers by which other origins may read, or ranges of the index. */
  readonly without?: 'CORS' | 'ranges'
  /** Where the page is to look for its index. */
  readonly indexUrl?: string
}

export interface Proxy {
  /** `http://127.0.0.1:port/` */
  readonly url: string
  close(): void
}

export async function startProxy(upstream: string, options: ProxyOptions): Promise<Proxy> {
  const agent = new Agent({ keepAlive: true })
  const server = createServer((asked, response) => {
    forward({ asked, response, upstream, agent }, options).catch(() => response.destroy())
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a server without a port')
  return {
    url: `http://127.0.0.1:${address.port}/`,
    close: () => {
      server.close()
      server.closeAllConnections()
      agent.destroy()
    }
  }
}

interface Forwarded {
  readonly asked: IncomingMessage
  readonly response: ServerResponse
  readonly upstream: string
  readonly agent: Agent
}

async function forward({ asked, response, upstream, agent }: Forwarded, options: ProxyOptions): Promise<void> {
  const { latencyMs = 0, without, indexUrl } = options
  const { url = '/', method, headers } = asked
  const isIndex = url.endsWith('.zgqp')
  if (without === 'ranges' && isIndex) delete headers.range
  const onward = request(new URL(url, upstream), { method, headers, agent }).end()
  const [[answer]] = await Promise.all([once(onward, 'response'), wait(latencyMs)])
  const message: IncomingMessage = answer
  const isTaken = (name: string): boolean =>
    without === 'CORS'
      ? name.startsWith('access-control-')
      : without === 'ranges' && isIndex && name === 'accept-ranges'
  const answered = Object.fromEntries(Object.entries(message.headers).filter(([name]) => !isTaken(name)))
  if (indexUrl !== undefined && url.split('?')[0] === '/') {
    const page = (await buffer(message)).toString().replace('data-index="wordnet.zgqp"', `data-index="${indexUrl}"`)
    const { 'content-length': _, ...others } = answered
    response.writeHead(message.statusCode ?? 502, others).end(page)
    return
  }
  response.writeHead(message.statusCode ?? 502, answered)
  await pipeline(message, response)
}
