// npm run cold: one query at a time with the index's files out of memory, for every engine that can answer from its
// files. Each engine runs at the setting that was fastest in memory among those that reach the recall asked for
// (--recall, default .95).

import { resolve } from 'node:path'

import { readOptions } from './arguments.ts'
import { runStep } from './child.ts'
import { findDataSet, type DataSet } from './data-sets.ts'
import { ENGINES, findEngine, ONLY_IF_ASKED } from './engines/index.ts'
import { reasonOf } from './peers-table.ts'
import { endReport, mean, printTable, quantile, startReport } from './report.ts'
import { findResult, indexFolder, ONE_THREAD, searchEngine, type RunSettings } from './run-engine.ts'
import type { EngineColdInput, EngineColdResult } from './step-engine-cold.ts'
import type { EngineRow, EngineSearchResult } from './step-engine-search.ts'

interface ColdOutcome extends EngineColdResult {
  /** The same setting in memory. */
  readonly warm: EngineRow
}

const options = readOptions(['data', 'only', 'sets', 'recall', 'queries', 'minutes'])
const data = options.text['data'] === undefined ? undefined : resolve(options.text['data'])
const target = Number(options.text['recall'] ?? 0.95)
const coldQueries = Number(options.text['queries'] ?? 50)
const setNames = (options.text['sets'] ?? (data === undefined ? 'sift10k' : 'sift1m-100k')).split(',')
const names =
  options.text['only']?.split(',') ?? ENGINES.map(({ name }) => name).filter((name) => !ONLY_IF_ASKED.includes(name))
const settings: RunSettings = {
  work: options.work,
  isRebuild: false,
  isQuick: false,
  timeoutMs: Number(options.text['minutes'] ?? 60) * 60_000
}
const machine = startReport(`Cold queries at recall@10 of at least ${target}`)
const results: Record<string, Record<string, ColdOutcome | { notMeasured: string }>> = {}
for (const name of setNames) {
  const set = await findDataSet(name, data, options.work)
  const outcomes: Record<string, ColdOutcome | { notMeasured: string }> = {}
  results[set.name] = outcomes
  for (const engine of names) {
    try {
      outcomes[engine] = await measure(engine, set)
    } catch (error) {
      outcomes[engine] = { notMeasured: reasonOf(error) }
    }
  }
  console.log(`## ${set.name} (${set.metric})\n`)
  print(outcomes)
}
console.log(
  'Opening is not part of the query; it is timed apart, with the files out of memory as well. Read: what the ' +
    'device delivered to this process during'
)
console.log(
  'the query. Resident: pages that could not be dropped because opening had mapped and touched them. I/O ' +
    'rounds: as far as an engine tells.\n'
)
endReport(machine, results, options.json)

async function measure(engine: string, set: DataSet): Promise<ColdOutcome> {
  const { cold } = findEngine(engine)
  if (cold !== true) throw new Error(cold)
  // The results in memory are those of an earlier `npm run bench`, where there was one.
  const { build, search } = findResult(engine, set, options.work) ?? (await searchEngine(engine, set, settings))
  const warm = chooseRow(search)
  const input: EngineColdInput = {
    engine,
    folder: indexFolder(engine, set, options.work),
    metric: set.metric,
    count: build.count,
    queries: set.queries,
    truth: set.truth,
    queryLimit: set.queryLimit,
    coldQueries,
    knob: warm.knob
  }
  const { value } = await runStep<EngineColdResult>('step-engine-cold.ts', input, {
    env: ONE_THREAD,
    timeoutMs: settings.timeoutMs
  })
  return { warm, ...value }
}

/** The fastest setting that reaches the recall, else the one of highest recall. */
function chooseRow({ rows }: EngineSearchResult): EngineRow {
  const good = rows.filter(({ recall }) => recall >= target)
  return good.length > 0
    ? good.reduce((a, b) => (b.qps > a.qps ? b : a))
    : rows.reduce((a, b) => (b.recall > a.recall ? b : a))
}

function print(outcomes: Readonly<Record<string, ColdOutcome | { notMeasured: string }>>): void {
  const head = [
    'engine',
    'setting',
    'recall@10',
    'cold p50 ms',
    'cold p90 ms',
    'in memory p50 ms',
    'read KiB, median',
    'I/O rounds',
    'open ms',
    'resident KiB'
  ]
  printTable(
    head,
    Object.entries(outcomes).map(([engine, outcome]) => {
      if ('notMeasured' in outcome)
        return [engine, `not measured: ${outcome.notMeasured}`, ...head.slice(2).map(() => '')]
      const { warm, recalls, searchMs, openMs, deviceBytes, residentPages, ioRounds } = outcome
      return [
        engine,
        warm.knob,
        mean(recalls).toFixed(3),
        quantile(searchMs, 0.5).toFixed(2),
        quantile(searchMs, 0.9).toFixed(2),
        (warm.p50Us / 1000).toFixed(3),
        (quantile(deviceBytes, 0.5) / 1024).toFixed(0),
        ioRounds.length === 0 ? '' : String(Math.max(...ioRounds)),
        quantile(openMs, 0.5).toFixed(1),
        (quantile(residentPages, 0.5) * 4).toFixed(0)
      ]
    })
  )
}
