// npm run bench: ZGQ and other engines on the same data, each in fresh processes, one thread, one query at a time, at
// equal recall.

import { resolve } from 'node:path'

import { readOptions } from './arguments.ts'
import { findDataSet, QUICK_SETS, SET_NAMES } from './data-sets.ts'
import { ENGINES, findEngine, ONLY_IF_ASKED, QUICK_ENGINES } from './engines/index.ts'
import { packageVersion } from './packages.ts'
import { printLeads, printSetTable, reasonOf, type Outcome } from './peers-table.ts'
import { endReport, startReport } from './report.ts'
import { ensureBuilt, findFailure, findResult, recordFailure, searchEngine, type RunSettings } from './run-engine.ts'

const OWN = ['zgq', 'zgq-bits0']

const options = readOptions(['data', 'only', 'sets', 'minutes'], ['quick', 'rebuild', 'build-only', 'report'])
const isQuick = options.flags.has('quick')
const data = options.text['data'] === undefined ? undefined : resolve(options.text['data'])
const setNames = options.text['sets']?.split(',') ?? (isQuick || data === undefined ? QUICK_SETS : SET_NAMES)
const engineNames =
  options.text['only']?.split(',') ??
  (isQuick ? QUICK_ENGINES : ENGINES.map(({ name }) => name).filter((name) => !ONLY_IF_ASKED.includes(name)))
const engines = engineNames.map(findEngine)
const sets = await Promise.all(setNames.map((name) => findDataSet(name, data, options.work)))
const settings: RunSettings = {
  work: options.work,
  isQuick,
  isRebuild: options.flags.has('rebuild'),
  timeoutMs: Number(options.text['minutes'] ?? 60) * 60_000
}
const machine = startReport('Engines at equal recall')
const results: Record<string, Record<string, Outcome>> = {}
for (const set of sets) {
  const outcomes: Record<string, Outcome> = {}
  results[set.name] = outcomes
  for (const { name } of engines) {
    const outcome = await run(name, set)
    if (outcome !== undefined) outcomes[name] = outcome
    if (!options.flags.has('report'))
      console.error(
        `${new Date().toISOString()} ${set.name} ${name} ` +
          `${outcome !== undefined && 'notMeasured' in outcome ? `not measured: ${outcome.notMeasured}` : 'done'}`
      )
  }
  if (Object.keys(outcomes).length === 0) continue
  console.log(`## ${set.name} (${set.metric})\n`)
  printSetTable(outcomes)
  printLeads(set.name, outcomes, OWN)
}
console.log(
  'Queries a second between measured settings: log(q/s) linear in recall, over the settings that no other ' +
    'setting beats. `reaches`: the highest recall of any setting.'
)
console.log(
  'cpu/wall: over all settings; 1 is one thread, and well below it something else was running. RSS +: growth ' +
    'from before the engine is loaded until its first setting has been measured.\n'
)
const versions = Object.fromEntries(
  engines.map(({ name, packageName, settings: words }) => [
    name,
    { package: packageName, version: versionOf(packageName), settings: words }
  ])
)
endReport({ ...machine, versions }, results, options.json)

async function run(name: string, set: (typeof sets)[number]): Promise<Outcome | undefined> {
  if (options.flags.has('report'))
    return (
      findResult(name, set, options.work) ?? {
        notMeasured: findFailure(name, set, options.work) ?? 'no result in --work'
      }
    )
  try {
    if (!options.flags.has('build-only')) return await searchEngine(name, set, settings)
    await ensureBuilt(name, set, settings)
    return undefined
  } catch (error) {
    const reason = reasonOf(error)
    recordFailure(name, set, options.work, reason)
    return { notMeasured: reason }
  }
}

function versionOf(packageName: string): string {
  try {
    return packageVersion(packageName)
  } catch {
    return 'not installed'
  }
}
