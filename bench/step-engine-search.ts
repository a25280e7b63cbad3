// One engine on one data set in its own process, files in the page cache: recall and latency over the engine's own
// knob. One thread, one query at a time. For each knob one unmeasured round over the queries, then at least three, and
// more of short ones; of each query its fastest counts, because what else runs on the machine only ever adds. So p99 is
// of hard queries, not of interruptions.

import type { OpenEngine, EngineStepInput } from './engines/engine.ts'
import { findEngine } from './engines/index.ts'
import { stepInput, stepResult } from './child.ts'
import { warmFolder } from './page-cache.ts'
import { ownMemory } from './process-memory.ts'
import { readQueries, recallOf, summarize, thinQueries, type Queries, type Summary } from './queries.ts'

const K = 10
/** Measured rounds: as many as fit into MEASURED_MS, within these bounds. */
const ROUNDS = { least: 3, most: 12 }
const MEASURED_MS = 500
/** Slow knobs get fewer queries: as many as fit into a round of this length, but not fewer than MIN_QUERIES. */
const ROUND_MS = 600
const MIN_QUERIES = 100
const TRIAL_QUERIES = 10
/** A sweep ends once recall is this high, or has risen by less than MIN_GAIN for two knobs in turn. */
const ENOUGH_RECALL = 0.9995
const MIN_GAIN = 0.0005
/** ... or once a query takes this long on average. */
const TOO_SLOW_MS = 100

export interface EngineSearchInput extends EngineStepInput {
  /** Every third knob: for --quick. */
  readonly isQuick: boolean
}

export interface EngineRow extends Summary {
  readonly knob: string
  readonly queries: number
  readonly qps: number
  /** Processor time of the process over wall time, over all measured rounds. */
  readonly cpuPerWall: number
}

export interface EngineSearchResult {
  readonly openMs: number
  /** Before the engine is loaded: Node, this benchmark, the queries. */
  readonly before: { readonly rss: number; readonly rssAnon: number; readonly rssFile: number }
  /** After the first knob has been measured. */
  readonly after: { readonly rss: number; readonly rssAnon: number; readonly rssFile: number }
  readonly rows: readonly EngineRow[]
}

const input = stepInput<EngineSearchInput>()
const all = await readQueries(input.queries, input.truth, input.queryLimit)
warmFolder(input.folder)
const { rss, rssAnon, rssFile } = ownMemory()
const openedAt = performance.now()
const engine = await findEngine(input.engine).open({
  folder: input.folder,
  metric: input.metric,
  count: input.count,
  dim: all.vectors[0].length,
  queries: all.vectors,
  k: K,
  isCold: false
})
const openMs = performance.now() - openedAt
const rows: EngineRow[] = []
let after = { rss, rssAnon, rssFile }
const ended = new Set<string>()
const flat = new Map<string, number>()
for (const [number, { label, sweep }] of engine.knobs.entries()) {
  if (ended.has(sweep) || (input.isQuick && number % 3 !== 0)) continue
  await engine.select(number)
  const row = await measure(label, await chooseQueries())
  if (rows.length === 0) after = ownMemory()
  const best = Math.max(0, ...rows.filter(({ knob }) => sweepOfLabel(knob) === sweep).map(({ recall }) => recall))
  flat.set(sweep, row.recall - best < MIN_GAIN ? (flat.get(sweep) ?? 0) + 1 : 0)
  rows.push(row)
  if (row.recall >= ENOUGH_RECALL || flat.get(sweep) === 2 || row.meanUs > TOO_SLOW_MS * 1000) ended.add(sweep)
}
await engine.close()
const result: EngineSearchResult = { openMs, before: { rss, rssAnon, rssFile }, after, rows }
stepResult(result)
process.exit(0) // some engines leave threads that keep the process alive

function sweepOfLabel(label: string): string | undefined {
  return engine.knobs.find((knob) => knob.label === label)?.sweep
}

async function chooseQueries(): Promise<readonly number[]> {
  const startedAt = performance.now()
  for (let query = 0; query < Math.min(TRIAL_QUERIES, all.vectors.length); query++) await runOne(engine, query)
  const fitting = Math.round((ROUND_MS * TRIAL_QUERIES) / (performance.now() - startedAt))
  const indices = all.vectors.map((_, query) => query)
  const thinned: Queries = thinQueries(all, Math.max(MIN_QUERIES, fitting))
  return thinned.vectors.length === all.vectors.length
    ? indices
    : indices.filter((query) => thinned.vectors.includes(all.vectors[query]))
}

async function measure(knob: string, queries: readonly number[]): Promise<EngineRow> {
  const recalls = new Float64Array(queries.length)
  for (const [i, query] of queries.entries()) {
    // the unmeasured round; recall does not change with the round
    await runOne(engine, query)
    recalls[i] = recallOf(engine.found(), all.truth[query], K)
  }
  const micros = new Float64Array(queries.length).fill(Infinity)
  const cpuBefore = process.cpuUsage()
  const startedAt = performance.now()
  for (let round = 0; round < ROUNDS.most; round++) {
    if (round >= ROUNDS.least && performance.now() - startedAt > MEASURED_MS) break
    await timeRound(queries, micros)
  }
  const cpu = process.cpuUsage(cpuBefore)
  const cpuPerWall = (cpu.user + cpu.system) / 1000 / (performance.now() - startedAt)
  const summary = summarize({ recalls, micros })
  return { knob, ...summary, qps: 1e6 / summary.meanUs, queries: queries.length, cpuPerWall }
}

async function timeRound(queries: readonly number[], fastest: Float64Array): Promise<void> {
  for (let i = 0; i < queries.length; i++) {
    const startedAt = performance.now()
    const pending = engine.search(queries[i])
    if (pending !== undefined) await pending // an engine that answers at once is not made to wait
    fastest[i] = Math.min(fastest[i], (performance.now() - startedAt) * 1000)
  }
}

async function runOne(one: OpenEngine, query: number): Promise<void> {
  const pending = one.search(query)
  if (pending !== undefined) await pending
}
