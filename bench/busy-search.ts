// npm run busy-search -- --data DIR: how long searches take while another process adds 1,000 rows a second and folds
// run there, against the same index still, in turn.

import { rmSync } from 'node:fs'
import { join, resolve } from 'node:path'

import { readCount, readOptions } from './arguments.ts'
import { runStep } from './child.ts'
import type { ChurnSpec } from './churn-rows.ts'
import { buildRound, stepDefaults } from './churn-steps.ts'
import { endReport, pairedRatio, printTable, showMib, showSpread, spread, startReport } from './report.ts'
import type { BusySearchInput, BusySearchResult, BusyTimes } from './step-busy-search.ts'
import type { BusyKind } from './step-busy-writer.ts'

const KINDS: readonly BusyKind[] = ['writing', 'automatic', 'folding']
const NAMES: Readonly<Record<BusyKind, string>> = {
  writing: 'rows come in, nothing folds',
  automatic: 'rows come in, automatic folds',
  folding: 'rows come in, one optimize() after the other'
}

const options = readOptions(['data', 'dim', 'rows', 'rounds', 'seconds', 'batch', 'rate'], ['quick'])
const isQuick = options.flags.has('quick')
const sizes = (options.text['rows'] ?? (isQuick ? '5000' : '100000,1000000')).split(',').map(Number)
const seconds = readCount(options, 'seconds', isQuick ? 1 : 10)
const rounds = readCount(options, 'rounds', isQuick ? 1 : 5)
const batch = readCount(options, 'batch', 100)
const rowsPerSecond = readCount(options, 'rate', 1000)
const machine = startReport(`Searching while ${rowsPerSecond} rows a second come in, ${batch} a call`)
const results: Record<string, BusySearchResult> = {}
for (const rows of sizes) results[rows] = await measure(rows)
endReport(machine, { seconds, rounds, batch, rowsPerSecond, results }, options.json)

async function measure(rows: number): Promise<BusySearchResult> {
  const spec: ChurnSpec = {
    dim: readCount(options, 'dim', 128),
    data: options.text['data'] === undefined ? undefined : resolve(options.text['data']),
    rows,
    part: 0,
    drift: 'none'
  }
  const folder = join(options.work, 'busy-search.zgq')
  await buildRound({ ...stepDefaults(isQuick), spec, work: options.work }, 0, folder)
  const input: BusySearchInput = {
    writer: { spec, folder, from: rows, batch, rowsPerSecond, seconds },
    kinds: KINDS,
    rounds
  }
  const { value } = await runStep<BusySearchResult>('step-busy-search.ts', input)
  rmSync(folder, { recursive: true, force: true })
  print(spec, value)
  return value
}

function print({ rows, dim }: ChurnSpec, { phases, rss }: BusySearchResult): void {
  console.log(
    `## ${rows.toLocaleString('en-US')} x ${dim}, ${rounds} rounds of ${seconds} s each (goal: p99 2 times)\n`
  )
  const of = (kind: BusyTimes['kind'], take: (times: BusyTimes) => number): number[] =>
    phases
      .filter((phase) => phase.kind === kind)
      .toSorted((a, b) => a.round - b.round)
      .map(take)
  const show = (kind: BusyTimes['kind']): string[] => {
    const most = Math.max(...of(kind, ({ maxUs }) => maxUs))
    return [
      ...[({ p50Us }: BusyTimes) => p50Us, ({ p99Us }: BusyTimes) => p99Us].map((take) =>
        spread(of(kind, take)).median.toFixed(0)
      ),
      most.toFixed(0)
    ]
  }
  const ratio = (kind: BusyKind, take: (times: BusyTimes) => number): string =>
    showSpread(pairedRatio(of(kind, take), of('still', take)), 2)
  printTable(
    ['', 'p50 us', 'p99 us', 'max us', 'p50 / still', 'p99 / still', 'rows a second', 'folds, s', 'add ms: p50, p99'],
    [
      ['still', ...show('still'), '', '', '', '', ''],
      ...KINDS.map((kind) => {
        const written = phases.flatMap((phase) => (phase.kind === kind && phase.written ? [phase.written] : []))
        const median = (values: number[], digits: number): string => spread(values).median.toFixed(digits)
        return [
          NAMES[kind],
          ...show(kind),
          ratio(kind, ({ p50Us }) => p50Us),
          ratio(kind, ({ p99Us }) => p99Us),
          median(
            written.map((one) => one.rows / one.seconds),
            0
          ),
          kind === 'folding'
            ? `${median(
                written.map((one) => one.folds),
                0
              )}, ${median(
                written.map((one) => one.foldSeconds),
                1
              )}`
            : '',
          `${median(
            written.map((one) => one.callP50Ms),
            1
          )}, ${median(
            written.map((one) => one.callP99Ms),
            1
          )}`
        ]
      })
    ]
  )
  console.log(`Memory of the process that searches: ${showMib(rss)} MiB.\n`)
}
