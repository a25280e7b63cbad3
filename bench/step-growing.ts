// An empty index grows by writes alone, in one process: rows a second while it grows, and searches between the calls.

import { appendFileSync, rmSync } from 'node:fs'

import { stepInput, stepResult } from './child.ts'
import { churnQueries, churnRows, type ChurnSpec } from './churn-rows.ts'
import { folderBytes } from './folder-bytes.ts'
import { untilIdle } from './idle.ts'
import { metricOf } from './living-rows.ts'
import { loadZgq } from './packages.ts'
import { ownDeviceWrites, ownMemory } from './process-memory.ts'
import { quantile } from './report.ts'

export interface GrowingInput {
  readonly spec: ChurnSpec
  readonly folder: string
  /** Rows a call. */
  readonly batch: number
  /** Rows from one line of the result to the next. */
  readonly every: number
  /** Searches after each call. */
  readonly searches: number
  /** Gets a line of JSON for each line of the result. */
  readonly log: string
}

export interface GrowingRow {
  readonly rows: number
  /** Of the calls since the line before, without the searches. */
  readonly rowsPerSecond: number
  readonly callP50Ms: number
  readonly callP99Ms: number
  readonly callMaxMs: number
  readonly searchP50Us: number
  readonly searchP99Us: number
  readonly searchMaxUs: number
  readonly zones: number
  readonly generation: number
  /** Rows that are not folded. */
  readonly deltaRows: number
  readonly freshRows: number
  readonly rss: number
  readonly folderBytes: number
  /** Since the start. */
  readonly writtenBytes: number
}

export interface GrowingResult {
  readonly lines: readonly GrowingRow[]
  /** All calls. */
  readonly addSeconds: number
  /** Until automatic folds were through, after the last call. */
  readonly idleSeconds: number
  readonly writtenBytes: number
  readonly peakRss: number
}

const K = 10
const QUERIES = 500

const { spec, folder, batch, every, searches, log } = stepInput<GrowingInput>()
const { dim, rows } = spec
rmSync(folder, { recursive: true, force: true })
const { ZgqIndex: Index } = await loadZgq()
const queries = await churnQueries(spec, 0, QUERIES)
const index = await Index.create(folder, { dim, metric: metricOf(dim) })
const lines: GrowingRow[] = []
let asked = 0
let addSeconds = 0
for (let from = 0; from < rows; from += every) {
  const ids = Array.from({ length: Math.min(every, rows - from) }, (_, i) => from + i)
  const vectors = await churnRows(spec, Int32Array.from(ids))
  const [calls, micros]: number[][] = [[], []]
  for (let at = 0; at < ids.length; at += batch) {
    const to = Math.min(at + batch, ids.length)
    const startedAt = performance.now()
    await index.add({ ids: ids.slice(at, to), vectors: vectors.subarray(at * dim, to * dim) })
    calls.push(performance.now() - startedAt)
    for (let i = 0; i < searches; i++) micros.push(searchOnce())
  }
  const line = describe(from + ids.length, calls, micros)
  appendFileSync(log, JSON.stringify(line) + '\n')
  lines.push(line)
}
const idleSeconds = await untilIdle()
index.close()
process.once('beforeExit', () => {
  const { peakRss } = ownMemory()
  const result: GrowingResult = { lines, addSeconds, idleSeconds, writtenBytes: ownDeviceWrites(), peakRss }
  stepResult(result)
})

function searchOnce(): number {
  const query = queries[asked++ % queries.length]
  const startedAt = performance.now()
  index.search(query, { k: K })
  return (performance.now() - startedAt) * 1000
}

function describe(count: number, calls: readonly number[], micros: readonly number[]): GrowingRow {
  const seconds = calls.reduce((sum, ms) => sum + ms, 0) / 1000
  const added = count - (lines.at(-1)?.rows ?? 0)
  addSeconds += seconds
  const { zones, generation, changes } = index.info()
  return {
    rows: count,
    rowsPerSecond: added / seconds,
    callP50Ms: quantile(calls, 0.5),
    callP99Ms: quantile(calls, 0.99),
    callMaxMs: quantile(calls, 1),
    searchP50Us: quantile(micros, 0.5),
    searchP99Us: quantile(micros, 0.99),
    searchMaxUs: quantile(micros, 1),
    zones,
    generation,
    deltaRows: changes.deltaRows,
    freshRows: changes.freshRows,
    rss: ownMemory().rss,
    folderBytes: folderBytes(folder),
    writtenBytes: ownDeviceWrites()
  }
}
