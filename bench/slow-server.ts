// A folder on a web server that is far away, for another process to read, and what it read. The control answers at once
// and is not counted.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'

import { startSlowProxy, type PassedRequest } from '../test/support/slow-proxy.ts'
import { inRowOf, type Traffic } from './remote-use.ts'

export interface Distance {
  readonly latencyMs: number
  /** Default: not limited. */
  readonly megabits?: number | undefined
}

export interface SlowServer {
  /** Ends in `/`. */
  readonly url: string
  /** Tells the traffic since it was asked before, once nothing is under way. */
  readonly control: string
  close(): Promise<void>
}

/** How long nothing has to be under way. */
const QUIET_MS = 15

/** Puts a distance between a server and its readers. */
export async function startSlowServer(target: string, { latencyMs, megabits }: Distance): Promise<SlowServer> {
  const log: PassedRequest[] = []
  const takeLater = async (): Promise<Traffic> => {
    while (log.some(({ endMs }) => endMs === undefined || performance.now() - endMs < QUIET_MS)) await wait(5)
    return trafficOf(log.splice(0))
  }
  const bytesPerSecond = megabits === undefined ? undefined : (megabits * 1e6) / 8
  const proxy = await startSlowProxy({
    target,
    latencyMs,
    ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
    log
  })
  const control = createServer((_, response) => {
    void takeLater().then((traffic) => response.end(JSON.stringify(traffic)))
  })
  await new Promise<void>((resolve) => control.listen(0, '127.0.0.1', resolve))
  return {
    url: proxy.url,
    control: `http://127.0.0.1:${(control.address() as AddressInfo).port}/`,
    async close() {
      await proxy.close()
      control.closeAllConnections()
      control.close()
    }
  }
}

function trafficOf(log: readonly PassedRequest[]): Traffic {
  return { requests: log.length, bytes: log.reduce((sum, { bytes }) => sum + bytes, 0), inRow: inRowOf(log) }
}
