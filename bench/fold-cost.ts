// npm run fold-cost -- --data DIR: folds of 1 % of the rows (as many added and deleted): time, peak memory and bytes
// written, against a build of all.

import { rmSync } from 'node:fs'
import { join, resolve } from 'node:path'

import { readCount, readOptions } from './arguments.ts'
import type { ChurnSpec } from './churn-rows.ts'
import { buildRound, fold, stepDefaults, writeRound, type StepSettings } from './churn-steps.ts'
import { folderBytes } from './folder-bytes.ts'
import { endReport, printTable, showMib, startReport } from './report.ts'
import type { ChurnBuildResult } from './step-churn-build.ts'
import type { ChurnWriteResult } from './step-churn-write.ts'
import type { FoldResult } from './step-fold.ts'

interface FoldRow {
  readonly written: ChurnWriteResult
  readonly folded: FoldResult
  /** A build of the same rows, right after it. */
  readonly build: ChurnBuildResult
  readonly bytes: number
}

const options = readOptions(['data', 'dim', 'rows', 'part', 'rounds'], ['quick'])
const isQuick = options.flags.has('quick')
const spec: ChurnSpec = {
  dim: readCount(options, 'dim', 128),
  data: options.text['data'] === undefined ? undefined : resolve(options.text['data']),
  rows: readCount(options, 'rows', isQuick ? 5000 : 1_000_000),
  part: Number(options.text['part'] ?? 0.01),
  drift: 'none'
}
const rounds = readCount(options, 'rounds', 3)
const settings: StepSettings = { ...stepDefaults(isQuick), spec, work: options.work }
const [folder, other] = ['fold-cost.zgq', 'fold-cost-build.zgq'].map((name) => join(options.work, name))
const machine = startReport(`Folds of ${spec.part * 100} % of ${spec.rows.toLocaleString('en-US')} x ${spec.dim}`)
const base = await buildRound(settings, 0, folder)
const rows: FoldRow[] = []
for (let round = 1; round <= rounds; round++) {
  const written = await writeRound(settings, round, { folder, autoOptimize: false })
  const folded = await fold(folder)
  const bytes = folderBytes(folder)
  const row = { written, folded, build: await buildRound(settings, round, other), bytes }
  console.error(JSON.stringify(row).slice(0, 300))
  rows.push(row)
}
const newBytes = Math.round(spec.rows * spec.part) * spec.dim * 4
printTable(
  [
    'fold',
    's',
    'build s',
    'fold / build',
    'peak MiB: fold, build',
    'before it',
    'wrote MiB: says, system',
    'build wrote MiB',
    'written / new vectors',
    'steps, rows',
    'loop ms: p99, max',
    'delete, add s',
    'MiB of the folder'
  ],
  rows.map(({ written, folded, build, bytes }, i) => [
    String(i + 1),
    folded.seconds.toFixed(2),
    build.seconds.toFixed(2),
    (folded.seconds / build.seconds).toFixed(3),
    `${showMib(folded.peakRss)}, ${showMib(build.peakRss)}`,
    showMib(folded.rssBefore),
    `${showMib(folded.bytesWritten)}, ${showMib(folded.writtenBytes)}`,
    showMib(build.writtenBytes),
    (folded.writtenBytes / newBytes).toFixed(1),
    `${folded.steps}, ${folded.rows}`,
    `${folded.loopP99Ms.toFixed(1)}, ${folded.loopMaxMs.toFixed(1)}`,
    `${written.deleteSeconds.toFixed(2)}, ${written.addSeconds.toFixed(2)}`,
    showMib(bytes)
  ])
)
for (const path of [folder, other]) rmSync(path, { recursive: true, force: true })
endReport(machine, { spec: { ...spec, data: undefined }, base, rows }, options.json)
