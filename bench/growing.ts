// npm run growing -- --data DIR: an empty index grows to a million rows by writes alone, folds being automatic: rows a
// second over its size, searches meanwhile, and what came of it against a build of the same rows.

import { readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'

import { readCount, readOptions } from './arguments.ts'
import { runStep } from './child.ts'
import type { ChurnSpec } from './churn-rows.ts'
import { buildRound, findTruth, fold, searchRound, stepDefaults, type StepSettings } from './churn-steps.ts'
import { endReport, printTable, showMib, startReport } from './report.ts'
import type { ChurnSearchRow } from './step-churn-search.ts'
import type { GrowingInput, GrowingResult } from './step-growing.ts'

const EVERY = 50_000
const QUICK_EVERY = 1000
/** After each call, so that 1,000 make a line of the table. */
const SEARCHES = 20

const options = readOptions(['data', 'dim', 'rows', 'batch', 'searches'], ['quick'])
const isQuick = options.flags.has('quick')
const spec: ChurnSpec = {
  dim: readCount(options, 'dim', 128),
  data: options.text['data'] === undefined ? undefined : resolve(options.text['data']),
  rows: readCount(options, 'rows', isQuick ? 5000 : 1_000_000),
  part: 0,
  drift: 'none'
}
const settings: StepSettings = { ...stepDefaults(isQuick), spec, work: options.work }
const batch = readCount(options, 'batch', isQuick ? 100 : 1000)
const log = `${options.json ?? join(options.work, 'growing.json')}l`
rmSync(log, { force: true })
const [folder, built] = ['growing.zgq', 'growing-build.zgq'].map((name) => join(options.work, name))
const machine = startReport(`Growing to ${spec.rows.toLocaleString('en-US')} x ${spec.dim} in calls of ${batch}`)
console.log(`Each line: ${log}\n`)
const input: GrowingInput = {
  spec,
  folder,
  batch,
  every: isQuick ? QUICK_EVERY : EVERY,
  searches: readCount(options, 'searches', SEARCHES),
  log
}
const { value: grown, peaks } = await runStep<GrowingResult>('step-growing.ts', input)
printLines()
const build = await buildRound(settings, 0, built)
await findTruth(settings, 0, { folder: built, to: truthOf('built') })
const automatic = await compare()
const folded = await fold(folder)
const optimized = await compare()
printFinal([
  ['automatic folds', automatic],
  ['then optimize()', optimized]
])
console.log(
  `Growing took ${grown.addSeconds.toFixed(1)} s of calls and ${grown.idleSeconds.toFixed(1)} s more until folds ` +
    `were through, the build ${build.seconds.toFixed(1)} s, optimize() ${folded.seconds.toFixed(1)} s. Bytes written ` +
    `/ bytes of the vectors: ${(grown.writtenBytes / (spec.rows * spec.dim * 4)).toFixed(2)}. Peak: ` +
    `${showMib(Math.max(peaks.rss, grown.peakRss))} MiB, of the build ${showMib(build.peakRss)} MiB.\n`
)
for (const path of [folder, built]) rmSync(path, { recursive: true, force: true })
endReport(machine, { spec: { ...spec, data: undefined }, grown, build, automatic, folded, optimized }, options.json)

interface Compared {
  readonly own: ChurnSearchRow
  readonly fresh: ChurnSearchRow
  readonly otherTruths: number
}

async function compare(): Promise<Compared> {
  const { count } = await findTruth(settings, 0, { folder, to: truthOf('grown') })
  if (count !== spec.rows) throw new Error(`the index has ${count} rows, expected ${spec.rows}`)
  const [own, fresh] = await searchRound(settings, 0, { folders: [folder, built], truth: truthOf('built') })
  const [mine, theirs]: number[][][] = ['grown', 'built'].map((name) => JSON.parse(readFileSync(truthOf(name), 'utf8')))
  return { own, fresh, otherTruths: mine.filter((ids, query) => ids.join() !== theirs[query].join()).length }
}

function truthOf(name: string): string {
  return join(options.work, `growing-truth-${name}.json`)
}

function printLines(): void {
  printTable(
    [
      'rows',
      'rows a second',
      'call ms: p50, p99, max',
      'search us: p50, p99, max',
      'zones',
      'not folded',
      'generation',
      'rss MiB',
      'MiB of the folder',
      'written MiB'
    ],
    grown.lines.map((line) => [
      line.rows.toLocaleString('en-US'),
      line.rowsPerSecond.toFixed(0),
      [line.callP50Ms, line.callP99Ms, line.callMaxMs].map((ms) => ms.toFixed(1)).join(', '),
      [line.searchP50Us, line.searchP99Us, line.searchMaxUs].map((us) => us.toFixed(0)).join(', '),
      String(line.zones),
      String(line.deltaRows + line.freshRows),
      String(line.generation),
      showMib(line.rss),
      showMib(line.folderBytes),
      showMib(line.writtenBytes)
    ])
  )
}

function printFinal(all: readonly (readonly [string, Compared])[]): void {
  console.log('Against a build of the same rows, searched in turn\n')
  printTable(
    [
      'after',
      'recall@10 asked',
      'grown',
      'built',
      'us: grown, built',
      'time / built',
      'zones',
      'disk / built',
      'differ'
    ],
    all.flatMap(([name, { own, fresh, otherTruths }]) =>
      own.asked.map((row, i) => [
        name,
        row.asked.toFixed(2),
        row.recall.toFixed(4),
        fresh.asked[i].recall.toFixed(4),
        [row, fresh.asked[i]].map(({ meanUs }) => meanUs.toFixed(0)).join(', '),
        (row.meanUs / fresh.asked[i].meanUs).toFixed(2),
        `${own.zones}, ${fresh.zones}`,
        (own.bytes / fresh.bytes).toFixed(2),
        String(otherTruths)
      ])
    )
  )
}
