// Opens an index and searches it, in a process that has loaded the engine: how long the first hit takes, then p50 and
// recall, and the memory of the process.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'

import { stepInput, stepResult } from './child.ts'
import { findLiving, type OpenLiving } from './engines/living.ts'
import { folderBytes } from './folder-bytes.ts'
import { livingQueries, livingRows, metricOf } from './living-rows.ts'
import { warmFolder } from './page-cache.ts'
import { ownMemory } from './process-memory.ts'
import { recallOf } from './queries.ts'
import { mean, quantile } from './report.ts'

export interface LivingSearchInput {
  readonly engine: string
  readonly dim: number
  readonly data: string | undefined
  readonly folder: string
  readonly queries: number
  /** File of the exact neighbours: written by the engine that can search exactly, read by the others. */
  readonly truth: string
  /** Rounds end after so long. */
  readonly mostMs: number
}

export interface LivingSearchRow {
  readonly openMs: number
  /** The first search. */
  readonly firstMs: number
  readonly p50Us: number
  readonly p99Us: number
  readonly recall: number
  /** Of the search that is exact, where the engine tells one from the other. */
  readonly exactP50Us: number | undefined
  readonly bytes: number
  readonly rss: number
  /** Rss before opening. */
  readonly rssBefore: number
}

const K = 10
const SETTLE_MS = 200
const TINY_ROWS = 300
const LEAST_QUERIES = 10
const MOST_ROUNDS = 5

const input = stepInput<LivingSearchInput>()
const { dim, data, folder } = input
const engine = findLiving(input.engine)
const of = { folder, dim, metric: metricOf(dim), hasTags: false, autoOptimize: false }
const queries = await livingQueries(dim, input.queries, data)
await loadEngine()
warmFolder(folder)
globalThis.gc?.()
await wait(SETTLE_MS) // memory of buffers that are gone is given back later
globalThis.gc?.()
const rssBefore = ownMemory().rss
const startedAt = performance.now()
const opened = await engine.open(of)
const openMs = performance.now() - startedAt
await opened.search(queries[0], K)
const firstMs = performance.now() - startedAt - openMs
const exact = opened.searchExact === undefined ? undefined : measureExact(opened.searchExact)
const truth: number[][] = JSON.parse(readFileSync(input.truth, 'utf8'))
const found: number[][] = []
for (const query of queries.slice(0, truth.length)) found.push(await opened.search(query, K))
const recall = mean(found.map((ids, query) => recallOf(ids, truth[query], Math.min(K, truth[query].length))))
const micros = await measure(opened)
const row: LivingSearchRow = {
  openMs,
  firstMs,
  p50Us: quantile(micros, 0.5),
  p99Us: quantile(micros, 0.99),
  recall,
  exactP50Us: exact === undefined ? undefined : quantile(exact, 0.5),
  bytes: folderBytes(folder),
  rss: ownMemory().rss,
  rssBefore
}
stepResult(row)
process.exit(0)

/** Searches a small index first: what is loaded on first use is not of this one. */
async function loadEngine(): Promise<void> {
  const tiny = { ...of, folder: `${folder}-tiny` }
  rmSync(tiny.folder, { recursive: true, force: true })
  mkdirSync(tiny.folder, { recursive: true })
  const vectors = await livingRows({ dim, from: 0, count: TINY_ROWS, data })
  await engine.build(tiny, { ids: Array.from({ length: TINY_ROWS }, (_, i) => i), vectors })
  const open = await engine.open(tiny)
  await open.search(queries[0], K)
  await open.close()
  rmSync(tiny.folder, { recursive: true, force: true })
}

/** Searches each query exactly, as many as the time allows, and writes what was found. */
function measureExact(search: NonNullable<OpenLiving['searchExact']>): number[] {
  const times: number[] = []
  const neighbours: number[][] = []
  search(queries[0], K) // reads what is not in memory yet
  const begunAt = performance.now()
  for (const query of queries) {
    if (times.length >= LEAST_QUERIES && performance.now() - begunAt > input.mostMs) break
    const from = performance.now()
    neighbours.push(search(query, K))
    times.push((performance.now() - from) * 1000)
  }
  writeFileSync(input.truth, JSON.stringify(neighbours))
  return times
}

async function measure(open: OpenLiving): Promise<number[]> {
  const times: number[] = []
  const begunAt = performance.now()
  for (let round = 0; round < MOST_ROUNDS; round++)
    for (const query of queries) {
      if (times.length >= LEAST_QUERIES && performance.now() - begunAt > input.mostMs) return times
      const from = performance.now()
      const pending = open.search(query, K)
      if (pending instanceof Promise) await pending
      times.push((performance.now() - from) * 1000)
    }
  return times
}
