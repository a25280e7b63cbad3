// npm run repair-cost -- --data DIR: repairIndex of a million rows, whole and with files missing: time, peak memory and
// bytes written, against a build of the same rows and a check.

import { cpSync, readdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'

import { readCount, readOptions } from './arguments.ts'
import { runStep } from './child.ts'
import type { ChurnSpec } from './churn-rows.ts'
import { buildRound, stepDefaults } from './churn-steps.ts'
import { endReport, printTable, showMib, startReport } from './report.ts'
import type { RepairInput, RepairResult } from './step-repair.ts'

interface RepairCase {
  readonly name: string
  /** Files that are removed before. */
  readonly without: RegExp | undefined
  readonly acceptLoss: boolean
}

const CASES: readonly RepairCase[] = [
  { name: 'nothing', without: undefined, acceptLoss: false },
  { name: 'codes and ids files', without: /^(codes|ids)-/, acceptLoss: false },
  { name: 'the catalogue', without: /^catalogue/, acceptLoss: true }
]

const HEAD = ['', 'round', 's', '/ build', 'peak MiB', 'wrote MiB', 'MiB on disk'] as const
const EMPTY = { s: '', '/ build': '', 'peak MiB': '', 'wrote MiB': '', 'MiB on disk': '' }

const options = readOptions(['data', 'dim', 'rows', 'rounds'], ['quick'])
const isQuick = options.flags.has('quick')
const spec: ChurnSpec = {
  dim: readCount(options, 'dim', 128),
  data: options.text['data'] === undefined ? undefined : resolve(options.text['data']),
  rows: readCount(options, 'rows', isQuick ? 5000 : 1_000_000),
  part: 0,
  drift: 'none'
}
const rounds = readCount(options, 'rounds', isQuick ? 1 : 3)
const [folder, damaged, output] = ['repair.zgq', 'repair-damaged.zgq', 'repair-out.zgq'].map((name) =>
  join(options.work, name)
)
const machine = startReport(`Repair of ${spec.rows.toLocaleString('en-US')} x ${spec.dim}`)
const rows: Record<(typeof HEAD)[number], string>[] = []
const results: object[] = []
for (let round = 1; round <= rounds; round++) {
  const build = await buildRound({ ...stepDefaults(isQuick), spec, work: options.work }, 0, folder)
  const show = (name: string, row: { seconds: number; peakRss: number; writtenBytes: number; bytes: number }): void => {
    results.push({ round, name, ...row })
    rows.push({
      '': name,
      round: String(round),
      s: row.seconds.toFixed(2),
      '/ build': (row.seconds / build.seconds).toFixed(2),
      'peak MiB': showMib(row.peakRss),
      'wrote MiB': showMib(row.writtenBytes),
      'MiB on disk': showMib(row.bytes)
    })
  }
  show('build', build)
  show('check', await repair({ folder, output: undefined, acceptLoss: false }))
  for (const { name, without, acceptLoss } of CASES) {
    rmSync(damaged, { recursive: true, force: true })
    cpSync(folder, damaged, { recursive: true })
    for (const file of readdirSync(damaged)) if (without?.test(file) === true) rmSync(join(damaged, file))
    try {
      show(`repair, missing: ${name}`, await repair({ folder: damaged, output, acceptLoss }))
    } catch (error) {
      console.error(error)
      rows.push({ ...EMPTY, '': `repair, missing: ${name}: FAILED`, round: String(round) })
    }
  }
}
printTable(
  HEAD,
  rows.map((row) => HEAD.map((name) => row[name]))
)
for (const path of [folder, damaged, output]) rmSync(path, { recursive: true, force: true })
endReport(machine, { spec: { ...spec, data: undefined }, results }, options.json)

async function repair(input: RepairInput): Promise<RepairResult> {
  const { value } = await runStep<RepairResult>('step-repair.ts', input)
  if (value.count !== spec.rows) throw new Error(`${value.count} rows came out, expected ${spec.rows}`)
  return value
}
