// npm run churn -- --data DIR: rounds in which a share of the rows is deleted and as many come, each followed by
// optimize() or by what folds by itself: recall, time, disk, memory and bytes written, against a fresh build of the
// same rows.

import { appendFileSync, readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

import { readCount, readOptions } from './arguments.ts'
import { printChurn, type ChurnRun, type FreshRow, type RoundRow } from './churn-report.ts'
import type { ChurnSpec } from './churn-rows.ts'
import { buildRound, findTruth, fold, searchRound, stepDefaults, writeRound, type StepSettings } from './churn-steps.ts'
import { folderBytes } from './folder-bytes.ts'
import { endReport, startReport } from './report.ts'

const DRIFTS = ['none', 'drifting'] as const
const MODES = ['optimize', 'automatic'] as const
const QUICK = { rows: 5000, rounds: 3 }
/** Rounds after which the index is searched; all of them where there are few. */
const SEARCHED = [0, 1, 2, 5, 10, 15, 20]
const FEW_ROUNDS = 5
/** Files that a fold has superseded may go after a minute. */
const GRACE_MS = 65_000

const options = readOptions(['data', 'dim', 'rows', 'drift', 'mode', 'rounds', 'part', 'fresh', 'queries'], ['quick'])
const isQuick = options.flags.has('quick')
const data = options.text['data'] === undefined ? undefined : resolve(options.text['data'])
const rounds = readCount(options, 'rounds', isQuick ? QUICK.rounds : 20)
const defaults = stepDefaults(isQuick)
const queries = readCount(options, 'queries', defaults.queries)
const searched = rounds <= FEW_ROUNDS ? upTo(rounds) : [...new Set([...SEARCHED.filter((n) => n <= rounds), rounds])]
const compared = options.text['fresh']?.split(',').map(Number) ?? [0, Math.round(rounds / 2), rounds]
const log = `${options.json ?? join(options.work, 'churn.json')}l`
rmSync(log, { force: true })
const machine = startReport('Churn')
console.log(`Each round: ${log}\n`)
const runs: ChurnRun[] = []
for (const drift of chosen('drift', DRIFTS)) for (const mode of chosen('mode', MODES)) runs.push(await run(drift, mode))
endReport(machine, { runs }, options.json)

async function run(drift: ChurnSpec['drift'], mode: ChurnRun['mode']): Promise<ChurnRun> {
  const spec: ChurnSpec = {
    dim: readCount(options, 'dim', 128),
    data,
    rows: readCount(options, 'rows', isQuick ? QUICK.rows : 100_000),
    part: Number(options.text['part'] ?? 0.05),
    drift
  }
  const settings: StepSettings = { ...defaults, spec, queries, work: options.work }
  const folder = join(options.work, 'churn.zgq')
  await buildRound(settings, 0, folder)
  const rows: RoundRow[] = []
  const fresh: FreshRow[] = []
  for (let round = 0; round <= rounds; round++) {
    const row = await measureRound(settings, { round, folder, mode })
    note({ drift, mode, ...row })
    rows.push(row)
    if (!compared.includes(round)) continue
    const against = await compare(settings, round, folder)
    note({ drift, mode, ...against })
    fresh.push(against)
  }
  const settledBytes = await settle(folder)
  rmSync(folder, { recursive: true, force: true })
  const done: ChurnRun = { spec: { ...spec, data: undefined }, mode, rounds: rows, fresh, settledBytes }
  printChurn(done)
  return done
}

async function measureRound(
  settings: StepSettings,
  { round, folder, mode }: { readonly round: number; readonly folder: string; readonly mode: ChurnRun['mode'] }
): Promise<RoundRow> {
  const autoOptimize = mode === 'automatic'
  const written = round === 0 ? undefined : await writeRound(settings, round, { folder, autoOptimize })
  const folded = round === 0 || autoOptimize ? undefined : await fold(folder)
  const bytes = folderBytes(folder)
  if (!searched.includes(round) && !compared.includes(round)) return { round, written, folded, bytes }
  const truth = truthOf('churned')
  const { count } = await findTruth(settings, round, { folder, to: truth })
  if (count !== settings.spec.rows) throw new Error(`the index has ${count} rows, expected ${settings.spec.rows}`)
  const [search] = await searchRound(settings, round, { folders: [folder], truth })
  return { round, written, folded, bytes, search }
}

/** A fresh build of the same rows: by itself for its memory, and in turn with the index that was churned. */
async function compare(settings: StepSettings, round: number, churned: string): Promise<FreshRow> {
  const folder = join(settings.work, 'churn-fresh.zgq')
  const build = await buildRound(settings, round, folder)
  await findTruth(settings, round, { folder, to: truthOf('fresh') })
  const truth = truthOf('churned')
  const [alone] = await searchRound(settings, round, { folders: [folder], truth })
  const [inTurn, freshInTurn] = await searchRound(settings, round, { folders: [churned, folder], truth })
  rmSync(folder, { recursive: true, force: true })
  return { round, build, alone, inTurn, freshInTurn, otherTruths: countOtherTruths() }
}

/** Queries whose exact neighbours are not the same in both indexes: none, unless rows were lost. */
function countOtherTruths(): number {
  const [churned, fresh]: number[][][] = ['churned', 'fresh'].map((name) =>
    JSON.parse(readFileSync(truthOf(name), 'utf8'))
  )
  return churned.filter((ids, query) => ids.join() !== fresh[query].join()).length
}

function truthOf(name: string): string {
  return join(options.work, `churn-truth-${name}.json`)
}

/** Bytes of the folder once files that were superseded have been removed. */
async function settle(folder: string): Promise<number> {
  if (!isQuick) await wait(GRACE_MS)
  await fold(folder)
  return folderBytes(folder)
}

function chosen<T extends string>(name: string, all: readonly T[]): T[] {
  const names = options.text[name]?.split(',') ?? all.slice(0, 1)
  return names.map((text) => {
    const found = all.find((known) => known === text)
    if (found === undefined) throw new Error(`--${name} is ${text}, expected some of ${all.join(', ')}`)
    return found
  })
}

function upTo(last: number): number[] {
  return Array.from({ length: last + 1 }, (_, i) => i)
}

function note(row: object): void {
  appendFileSync(log, JSON.stringify(row) + '\n')
  console.error(JSON.stringify(row).slice(0, 200))
}
