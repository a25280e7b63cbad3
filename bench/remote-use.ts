// What opening and queries take of the network, of any engine: the server counts, the reader's clock tells the time.

import { recallOf } from './queries.ts'

export interface Traffic {
  readonly requests: number
  /** Of the answers' bodies. */
  readonly bytes: number
  /** So many requests in a row began after the one before had ended, whether for what it brought or for their turn. */
  readonly inRow: number
}

export interface Use extends Traffic {
  readonly ms: number
}

export interface RemoteEngine {
  open(): Promise<void>
  /** Resolves to the ids of the nearest, nearest first. */
  search(query: Float32Array, k: number): Promise<readonly number[]>
}

export interface RemoteRun {
  readonly queries: readonly Float32Array[]
  /** By query: ids of the nearest. */
  readonly truth: readonly ArrayLike<number>[]
  /** `SlowServer.control`. */
  readonly control: string
}

export interface RemoteUse {
  /** Opening and the first query right after it, with what opening leaves under way. */
  readonly start: Use
  readonly openMs: number
  /** Those after the first, in order, one after the other. */
  readonly queries: readonly Use[]
  readonly recall: number
}

export const K = 10

/** Opens, and runs each query once. */
export async function measureRemote(engine: RemoteEngine, run: RemoteRun): Promise<RemoteUse> {
  const { control, truth } = run
  const [first, ...others] = run.queries
  let sum = 0
  let openMs = 0
  await takeTraffic(control)
  const start = await use(control, async () => {
    const startMs = performance.now()
    await engine.open()
    openMs = performance.now() - startMs
    sum += recallOf(await engine.search(first, K), truth[0], K)
  })
  const queries: Use[] = []
  for (const [i, query] of others.entries())
    queries.push(
      await use(control, async () => {
        sum += recallOf(await engine.search(query, K), truth[i + 1], K)
      })
    )
  return { start, openMs, queries, recall: sum / run.queries.length }
}

/** What work takes, with all that it leaves under way. */
export async function use(control: string, work: () => Promise<void>): Promise<Use> {
  const startMs = performance.now()
  await work()
  const ms = performance.now() - startMs
  return { ...(await takeTraffic(control)), ms }
}

/** Resolves to the traffic since the last call. */
export async function takeTraffic(control: string): Promise<Traffic> {
  const traffic: Traffic = JSON.parse(await (await fetch(control)).text())
  return traffic
}

/** Counts the longest row of requests, each of which began after the one before had ended. In the order of their begins. */
export function inRowOf(requests: readonly { readonly startMs: number; readonly endMs: number | undefined }[]): number {
  const rows: { readonly endMs: number; readonly place: number }[] = []
  for (const { startMs, endMs = Infinity } of requests) {
    const before = rows.filter((one) => one.endMs <= startMs).map(({ place }) => place)
    rows.push({ endMs, place: 1 + Math.max(0, ...before) })
  }
  return Math.max(0, ...rows.map(({ place }) => place))
}
