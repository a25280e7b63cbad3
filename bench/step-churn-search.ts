// Searches one index, or several in turn, at each recall asked for: recall, time a query, memory of the process.

import { readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'

import { stepInput, stepResult } from './child.ts'
import { churnQueries, type ChurnSpec } from './churn-rows.ts'
import { folderBytes } from './folder-bytes.ts'
import { loadZgq, type ZgqIndex } from './packages.ts'
import { warmFolder } from './page-cache.ts'
import { ownMemory } from './process-memory.ts'
import { measureSearch, recallOf, type Queries } from './queries.ts'
import { mean, quantile, spread } from './report.ts'

export interface ChurnSearchInput {
  readonly spec: ChurnSpec
  readonly round: number
  /** More than one: they take turns, pass by pass. */
  readonly folders: readonly string[]
  readonly queries: number
  /** Written by step-churn-truth.ts. */
  readonly truth: string
  readonly recalls: readonly number[]
  readonly passes: number
}

export interface AskedRow {
  readonly asked: number
  readonly recall: number
  /** Of each query the median of its passes; of these the mean, and the 99th percentile. */
  readonly meanUs: number
  readonly p99Us: number
  /** Of each pass the mean over the queries: what noise did. */
  readonly passesUs: readonly number[]
}

export interface ChurnSearchRow {
  /** Without the recalls that one of the indexes cannot promise. */
  readonly asked: readonly AskedRow[]
  readonly openMs: number
  readonly firstMs: number
  readonly zones: number
  readonly deltaRows: number
  readonly freshRows: number
  readonly deletedRows: number
  /** Of the folder, and of the files that the index is made of. */
  readonly folderBytes: number
  readonly bytes: number
  /** After all searches, with all indexes; before the first was opened. */
  readonly rss: number
  readonly rssBefore: number
}

/** As it is measured: micros of each query, pass by pass. */
interface Timed {
  readonly asked: number
  readonly recall: number
  readonly passes: Float64Array[]
}

const K = 10
const SETTLE_MS = 200

const { spec, round, folders, queries: count, truth, recalls, passes } = stepInput<ChurnSearchInput>()
const { ZgqIndex: Index } = await loadZgq()
const vectors = await churnQueries(spec, round, count)
const queries: Queries = { vectors, truth: JSON.parse(readFileSync(truth, 'utf8')) }
for (const folder of folders) warmFolder(folder)
globalThis.gc?.()
await wait(SETTLE_MS) // memory of buffers that are gone is given back later
globalThis.gc?.()
const rssBefore = ownMemory().rss
const opened = folders.map((folder) => {
  const startedAt = performance.now()
  const index: ZgqIndex = Index.open(folder)
  const openMs = performance.now() - startedAt
  index.search(vectors[0], { k: K })
  return { folder, index, openMs, firstMs: performance.now() - startedAt - openMs }
})
// An index refuses a recall that its calibration does not reach.
const promised = recalls.filter((recall) => opened.every(({ index }) => canPromise(index, recall)))
// Before anything is timed: all that was just loaded is slow at first.
const timed = opened.map(({ index }) =>
  promised.map((recall): Timed => ({ asked: recall, recall: recallAt(index, recall), passes: [] }))
)
for (const [i, recall] of promised.entries())
  for (let pass = 0; pass < passes; pass++) {
    const turns = opened.map((_, turn) => turn)
    // Every second pass runs backwards, so that nothing always follows the same neighbour.
    for (const turn of pass % 2 === 0 ? turns : turns.reverse())
      timed[turn][i].passes.push(measureSearch(opened[turn].index, queries, { k: K, recall }).micros)
  }
const { rss } = ownMemory()
stepResult(
  opened.map(({ folder, index, openMs, firstMs }, i): ChurnSearchRow => {
    const { zones, bytes, changes } = index.info()
    const { deltaRows, freshRows, deletedRows } = changes
    const found = { zones, deltaRows, freshRows, deletedRows, folderBytes: folderBytes(folder), bytes }
    return { asked: timed[i].map(summarize), openMs, firstMs, ...found, rss, rssBefore }
  })
)
for (const { index } of opened) index.close()

function canPromise(index: ZgqIndex, recall: number): boolean {
  try {
    index.search(vectors[0], { k: K, recall })
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ZGQ_RECALL' || error.code === 'ZGQ_UNSUPPORTED'))
      return false
    throw error
  }
}

function recallAt(index: ZgqIndex, recall: number): number {
  const found = vectors.map((query) => index.search(query, { k: K, recall }).map(({ id }) => id))
  return mean(found.map((ids, i) => recallOf(ids, queries.truth[i], Math.min(K, queries.truth[i].length))))
}

function summarize({ asked, recall, passes: all }: Timed): AskedRow {
  const micros = vectors.map((_, query) => spread(all.map((pass) => pass[query])).median)
  return { asked, recall, meanUs: mean(micros), p99Us: quantile(micros, 0.99), passesUs: all.map(mean) }
}
