// npm run compare -- A B --data DIR --set NAME: two checkouts of this repository on the same data, in turn, A B A B.
// Each builds its own index; what is printed is the median of B / A, round by round, and its spread.

import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'

import { readOptions } from './arguments.ts'
import { runStep } from './child.ts'
import { findDataSet } from './data-sets.ts'
import { endReport, MIB, pairedRatio, printTable, showSpread, spread, startReport } from './report.ts'
import type { CompareBuildInput, CompareBuildResult, CompareSearchInput, CompareSearchResult } from './step-compare.ts'

const options = readOptions(['data', 'set', 'rounds'], [], 2)
const checkouts = options.positionals.map((path) => resolve(path))
const rounds = Number(options.text['rounds'] ?? 5)
const data = options.text['data'] === undefined ? undefined : resolve(options.text['data'])
const set = await findDataSet(
  options.text['set'] ?? (data === undefined ? 'sift10k' : 'sift1m-100k'),
  data,
  options.work
)
for (const checkout of checkouts) prepare(checkout)
const machine = startReport(`${set.name}: A = ${checkouts[0]}, B = ${checkouts[1]}`)
const builds: CompareBuildResult[][] = [[], []]
const searches: CompareSearchResult[][] = [[], []]
for (let round = 0; round < rounds; round++) {
  for (const [side, checkout] of checkouts.entries()) {
    const folder = join(options.work, `compare-${set.name}-${side}.zgq`)
    const build: CompareBuildInput = { action: 'build', checkout, base: set.base, metric: set.metric, folder }
    if (round < 2) builds[side].push((await runStep<CompareBuildResult>('step-compare.ts', build)).value)
    const search: CompareSearchInput = {
      action: 'search',
      checkout,
      folder,
      queries: set.queries,
      truth: set.truth,
      queryLimit: set.queryLimit
    }
    searches[side].push((await runStep<CompareSearchResult>('step-compare.ts', search)).value)
  }
}
const [a, b] = searches
const labels = Object.keys(a[0].rows).filter((label) => label in b[0].rows)
const p50s = (runs: readonly CompareSearchResult[], label: string): number[] =>
  runs.map(({ rows }) => rows[label].p50Us)
printTable(
  ['setting', 'recall@10 A', 'recall@10 B', 'A p50 us', 'B p50 us', `B / A, median of ${rounds} rounds (spread)`],
  labels.map((label) => [
    label,
    a[0].rows[label].recall.toFixed(4),
    b[0].rows[label].recall.toFixed(4),
    showSpread(spread(p50s(a, label))),
    showSpread(spread(p50s(b, label))),
    showSpread(pairedRatio(p50s(b, label), p50s(a, label)), 2)
  ])
)
const only = (own: CompareSearchResult[], other: CompareSearchResult[]): string[] =>
  Object.keys(own[0].rows).filter((label) => !(label in other[0].rows))
for (const [name, missing] of [
  ['A', only(a, b)],
  ['B', only(b, a)]
] as const)
  if (missing.length > 0) console.log(`Only ${name} has: ${missing.join(', ')}.\n`)
const [buildsA, buildsB] = builds.map((runs) => runs.map(({ seconds }) => seconds))
printTable(
  ['build', 'A', 'B', 'B / A'],
  [
    [
      'seconds',
      showSpread(spread(buildsA), 2),
      showSpread(spread(buildsB), 2),
      showSpread(pairedRatio(buildsB, buildsA), 2)
    ],
    [
      'index MiB',
      ...builds.map(([{ bytes }]) => (bytes / MIB).toFixed(1)),
      (builds[1][0].bytes / builds[0][0].bytes).toFixed(2)
    ]
  ]
)
endReport(machine, { checkouts, set: set.name, builds, searches }, options.json)

/** Builds a checkout's dist; installs its packages first where there are none. */
function prepare(checkout: string): void {
  const run = (...args: string[]): void => {
    execFileSync('npm', args, { cwd: checkout, stdio: ['ignore', 'ignore', 'inherit'] })
  }
  if (!existsSync(join(checkout, 'node_modules'))) run('ci')
  run('run', '--silent', 'build')
}
