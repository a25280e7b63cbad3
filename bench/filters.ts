// npm run filters -- --data DIR: searches with filters that pass 100 % to .01 % of the rows, at random, near the query
// and far from it: is the recall kept, and what does it cost against the search without a filter?

import { resolve } from 'node:path'

import { readCount, readOptions } from './arguments.ts'
import { runStep } from './child.ts'
import { findDataSet, type DataSet } from './data-sets.ts'
import { CASES } from './filter-cases.ts'
import { printFilterRows } from './filters-table.ts'
import { prepareFilterSet, queryRange } from './filter-sets.ts'
import { findNode, nodeVersion } from './nodes.ts'
import { endReport, startReport } from './report.ts'
import { ONE_THREAD } from './run-engine.ts'
import type { FilterRow, FiltersInput } from './step-filters.ts'

const RECALLS = [0.9, 0.95, 0.99]
/** For 1 and 100 hits. */
const FEWER_CASES = ['random 100 %', 'random 10 %', 'random 1 %', 'near 1 %', 'near 0.1 %', 'far 10 %', 'far 1 %']

const options = readOptions(['data', 'sets', 'queries', 'rounds', 'node'])
const data = options.text['data'] === undefined ? undefined : resolve(options.text['data'])
const rounds = readCount(options, 'rounds', 5)
const node = findNode(options.text['node'])
const machine = startReport('Filters')
console.log(`Searches on Node ${nodeVersion(node)}; of each query its fastest of ${rounds} rounds, then the mean.\n`)
const results: Record<string, readonly FilterRow[]> = {}
for (const name of (options.text['sets'] ?? 'sift10k').split(','))
  results[name] = await measureSet(await findDataSet(name, data, options.work))
endReport(machine, { node: nodeVersion(node), rounds, results }, options.json)

async function measureSet(set: DataSet): Promise<readonly FilterRow[]> {
  const range = queryRange(set, readCount(options, 'queries', 200))
  const { index, truth } = await prepareFilterSet(set, range, options.work)
  const all = CASES.map(({ name }) => name)
  const input: FiltersInput = {
    index,
    truth,
    rounds,
    cells: [
      ...RECALLS.map((recall) => ({ k: 10, recall, cases: all })),
      ...[1, 100].map((k) => ({ k, recall: 0.95, cases: FEWER_CASES }))
    ]
  }
  const { value } = await runStep<FilterRow[]>('step-filters.ts', input, { node, env: ONE_THREAD })
  console.log(`## ${set.name}, ${range.count} queries\n`)
  printFilterRows(value)
  return value
}
