// npm run sets: build, open and search on the data sets, every step in a fresh process.

import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'

import { need, readOptions } from './arguments.ts'
import { runStep, type ChildResult } from './child.ts'
import { findDataSet, SET_NAMES, type DataSet } from './data-sets.ts'
import { endReport, printTable, showMib, showSpread, spread, startReport } from './report.ts'
import type { BuildStepInput, BuildStepResult } from './step-build.ts'
import type { OpenStepInput, OpenStepResult } from './step-open.ts'
import type { RecallStepInput, RecallStepResult } from './step-recall.ts'

const OPEN_ROUNDS = 5

interface Opened {
  readonly cold: readonly OpenStepResult[]
  readonly warm: readonly OpenStepResult[]
}

const options = readOptions(['data', 'only', 'steps'])
const data = resolve(need(options, 'data'))
const names = (options.text['only'] ?? SET_NAMES.join(',')).split(',')
// An index that an earlier run left in --work can be measured without building it again: --steps open,recall
const steps = (options.text['steps'] ?? 'build,open,recall').split(',')
const sets = await Promise.all(names.map((name) => findDataSet(name, data, options.work)))
const machine = startReport('Data sets')
const results: Record<string, unknown> = {}
for (const set of sets) results[set.name] = await measureSet(set)
endReport(machine, results, options.json)

async function measureSet(set: DataSet): Promise<object> {
  const folder = join(options.work, `${set.name}.zgq`)
  console.log(`## ${set.name} (${set.metric})\n`)
  const build = steps.includes('build') || !existsSync(folder) ? await measureBuild(set, folder) : undefined
  const open = steps.includes('open') ? await measureOpen(set, folder) : undefined
  const recall = steps.includes('recall') ? await measureRecall(set, folder) : undefined
  return { metric: set.metric, build, open, recall }
}

async function measureBuild(set: DataSet, folder: string): Promise<ChildResult<BuildStepResult>> {
  const input: BuildStepInput = { input: set.base, output: folder, metric: set.metric }
  const built = await runStep<BuildStepResult>('step-build.ts', input)
  const { value, peaks } = built
  printTable(
    [
      'build: vectors',
      'dim',
      'zones',
      'index MiB',
      'wall s',
      'peak RSS MiB',
      'ru_maxrss MiB',
      'peak RssAnon MiB',
      'peak RssFile MiB',
      'RSS before MiB'
    ],
    [
      [
        value.count.toLocaleString('en-US'),
        String(value.dim),
        String(value.zones),
        showMib(value.bytes),
        (value.elapsedMs / 1000).toFixed(2),
        showMib(value.peakRss),
        showMib(value.maxRss),
        showMib(peaks.rssAnon),
        showMib(peaks.rssFile),
        showMib(value.before.rss)
      ]
    ]
  )
  return built
}

async function measureOpen(set: DataSet, folder: string): Promise<Opened> {
  const cold: OpenStepResult[] = []
  const warm: OpenStepResult[] = []
  for (let round = 0; round < OPEN_ROUNDS; round++) {
    const input: OpenStepInput = { folder, queries: set.queries, row: round, isCold: true }
    cold.push((await runStep<OpenStepResult>('step-open.ts', input)).value)
    warm.push((await runStep<OpenStepResult>('step-open.ts', { ...input, isCold: false })).value)
  }
  const of = (runs: readonly OpenStepResult[], take: (run: OpenStepResult) => number, digits = 1): string =>
    showSpread(spread(runs.map(take)), digits)
  const row = (label: string, runs: readonly OpenStepResult[]): string[] => [
    label,
    of(runs, (run) => run.openMs + run.searchMs),
    of(runs, (run) => run.openMs),
    of(runs, (run) => run.searchMs),
    of(runs, (run) => run.deviceBytes / 1024, 0),
    of(runs, (run) => run.rssAnonGrown / 2 ** 20),
    of(runs, (run) => run.rssFileGrown / 2 ** 20)
  ]
  printTable(
    [
      `open to first hit (${cold[0].zonesProbed} zones probed)`,
      'total ms',
      'open ms',
      'first search ms',
      'read from device KiB',
      'RssAnon + MiB',
      'RssFile + MiB'
    ],
    [row('cold', cold), row('warm', warm)]
  )
  return { cold, warm }
}

async function measureRecall(set: DataSet, folder: string): Promise<RecallStepResult> {
  const { queries, truth, queryLimit, splitAt } = set
  const input: RecallStepInput = { folder, queries, truth, queryLimit, splitAt }
  const { value } = await runStep<RecallStepResult>('step-recall.ts', input)
  const split = splitAt === undefined ? [] : [`recall, queries below ${splitAt}`, `from ${splitAt} on`]
  printTable(
    ['nprobe', 'recall@10', ...split, 'p50 us', 'p99 us', 'mean us', 'queries'],
    value.rows.map((row) => [
      row.nprobe === 'exact' ? `${value.zones} (exact)` : String(row.nprobe),
      row.recall.toFixed(4),
      ...(row.recallApart ?? []).map((recall) => recall.toFixed(4)),
      row.p50Us.toFixed(1),
      row.p99Us.toFixed(1),
      row.meanUs.toFixed(1),
      String(row.queries)
    ])
  )
  const { before, after, cacheBytes } = value
  console.log(
    `After it: RssAnon ${showMib(after.rssAnon)} MiB (+${showMib(after.rssAnon - before.rssAnon)}), ` +
      `RssFile ${showMib(after.rssFile)} MiB (+${showMib(after.rssFile - before.rssFile)}); cacheBytes ` +
      `${showMib(cacheBytes)} MiB.\n`
  )
  return value
}
