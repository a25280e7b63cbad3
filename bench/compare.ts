// npm run compare -- A B --data DIR --set NAME,...: two checkouts of this repository on the same data, in turn, each on
// a Node of choice (--node-a, --node-b). Each builds its own index; what is printed is the median of B / A, round by
// round, and beside it that of A measured once more against A, which is noise.

import { join, resolve } from 'node:path'

import { readCount, readOptions } from './arguments.ts'
import { describeCheckout, prepareCheckout } from './checkouts.ts'
import { runStep } from './child.ts'
import { printSet, printSummary, type SetResults, type SideResults } from './compare-report.ts'
import { findDataSet, type DataSet } from './data-sets.ts'
import { findNode, nodeVersion } from './nodes.ts'
import { endReport, startReport } from './report.ts'
import type { CompareBuildInput, CompareBuildResult, CompareSearchInput, CompareSearchResult } from './step-compare.ts'

interface Side extends SideResults {
  readonly checkout: string
  readonly node: string
  readonly folder: string
}

const options = readOptions(['data', 'set', 'rounds', 'builds', 'node-a', 'node-b'], ['no-aa', 'as-built'], 2)
const checkouts = options.positionals.map((path) => resolve(path))
const nodes = ['node-a', 'node-b'].map((name) => findNode(options.text[name]))
const rounds = readCount(options, 'rounds', 9)
const builds = readCount(options, 'builds', rounds)
const data = options.text['data'] === undefined ? undefined : resolve(options.text['data'])
const names = options.text['set'] ?? (data === undefined ? 'sift10k' : 'sift1m-100k')
const sets: DataSet[] = []
for (const name of names.split(',')) sets.push(await findDataSet(name, data, options.work))
for (const checkout of new Set(checkouts)) prepareCheckout(checkout, options.flags.has('as-built'))
const machine = startReport(`Comparison on ${names}`)
const sides = checkouts.map(
  (checkout, i) => `${checkout}: ${describeCheckout(checkout)}, Node ${nodeVersion(nodes[i])}`
)
console.log(`A = ${sides[0]}\nB = ${sides[1]}\n${rounds} rounds, of which ${Math.min(builds, rounds)} build.\n`)
const results: SetResults[] = []
for (const set of sets) {
  const measured = await measureSet(set)
  printSet(measured)
  results.push(measured)
}
printSummary(results)
endReport(machine, { sides, rounds, results }, options.json)

async function measureSet(set: DataSet): Promise<SetResults> {
  const newSide = (name: string, of: 0 | 1): Side => ({
    checkout: checkouts[of],
    node: nodes[of],
    folder: join(options.work, `compare-${set.name}-${name}.zgq`),
    builds: [],
    searches: []
  })
  const [a, b] = [newSide('a', 0), newSide('b', 1)]
  const again = options.flags.has('no-aa') ? undefined : newSide('a-again', 0)
  const turns = again === undefined ? [a, b] : [a, b, again]
  for (let round = 0; round < rounds; round++) {
    // Every second round runs backwards, so that nothing always follows the same neighbour.
    for (const side of round % 2 === 0 ? turns : turns.toReversed()) await measureSide(set, side, round < builds)
  }
  return { set: set.name, a: resultsOf(a), b: resultsOf(b), again: again === undefined ? undefined : resultsOf(again) }
}

async function measureSide(set: DataSet, side: Side, doesBuild: boolean): Promise<void> {
  const { checkout, node, folder } = side
  if (doesBuild) {
    const input: CompareBuildInput = { action: 'build', checkout, base: set.base, metric: set.metric, folder }
    side.builds.push((await runStep<CompareBuildResult>('step-compare.ts', input, { node })).value)
  }
  const { queries, truth, queryLimit } = set
  const input: CompareSearchInput = { action: 'search', checkout, folder, queries, truth, queryLimit }
  side.searches.push((await runStep<CompareSearchResult>('step-compare.ts', input, { node })).value)
}

function resultsOf({ builds, searches }: Side): SideResults {
  return { builds, searches }
}
