// Waits until a process does nothing by itself any more: automatic folds have no end that a caller could await.

import { setTimeout as wait } from 'node:timers/promises'

const LOOK_MS = 500
/** Share of a core that timers and their like may take. */
const IDLE_SHARE = 0.05

/** Resolves to the seconds until this process, with its threads, took next to no time of a core for `quietMs`. */
export async function untilIdle({ quietMs = 2000, mostMs = 900_000 } = {}): Promise<number> {
  const startedAt = performance.now()
  let quietSince = startedAt
  while (performance.now() - startedAt < mostMs) {
    const used = process.cpuUsage()
    const lookedAt = performance.now()
    await wait(LOOK_MS)
    const { user, system } = process.cpuUsage(used)
    const now = performance.now()
    if ((user + system) / 1000 > IDLE_SHARE * (now - lookedAt)) quietSince = now
    if (now - quietSince >= quietMs) return (quietSince - startedAt) / 1000
  }
  throw new Error(`it was still at work after ${mostMs / 1000} s`)
}
