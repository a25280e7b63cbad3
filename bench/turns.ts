// npm run turns: engines on the same set in one process, in turn, at the recall asked for. Where a machine is noisy or
// goes between two speeds, this compares engines more fairly than `npm run bench`, which runs one after the other.

import { resolve } from 'node:path'

import { readCount, readOptions } from './arguments.ts'
import { runStep } from './child.ts'
import { findDataSet, QUICK_SETS, type DataSet } from './data-sets.ts'
import { findNode, nodeVersion } from './nodes.ts'
import { limitsOf, qpsAt } from './peers-table.ts'
import { endReport, printTable, startReport } from './report.ts'
import { ensureBuilt, indexFolder, ONE_THREAD } from './run-engine.ts'
import type { TurnsInput, TurnsResult, TurnsRow } from './step-turns.ts'

const OWN = 'zgq'

const options = readOptions(['data', 'sets', 'only', 'recall', 'rounds', 'node'])
const data = options.text['data'] === undefined ? undefined : resolve(options.text['data'])
const names = options.text['sets']?.split(',') ?? QUICK_SETS
const engines = (options.text['only'] ?? `${OWN},usearch-bf16,hnswlib-native`).split(',')
const recalls = (options.text['recall'] ?? '0.95,0.99').split(',').map(Number)
const rounds = readCount(options, 'rounds', 12)
const node = findNode(options.text['node'])
const machine = startReport('Engines in turn')
console.log(`Searches on Node ${nodeVersion(node)}; of each query its fastest of ${rounds} rounds, then the mean.\n`)
const results: Record<string, TurnsResult> = {}
for (const name of names) results[name] = await measureSet(await findDataSet(name, data, options.work))
endReport(machine, { node: nodeVersion(node), rounds, results }, options.json)

async function measureSet(set: DataSet): Promise<TurnsResult> {
  const settings = { work: options.work, isRebuild: false, isQuick: false, timeoutMs: 3_600_000 }
  let count = 0
  for (const engine of engines) ({ count } = await ensureBuilt(engine, set, settings))
  const input: TurnsInput = {
    engines: engines.map((name) => ({ name, folder: indexFolder(name, set, options.work) })),
    metric: set.metric,
    count,
    queries: set.queries,
    truth: set.truth,
    queryLimit: set.queryLimit,
    recalls,
    rounds
  }
  const { value } = await runStep<TurnsResult>('step-turns.ts', input, { node, env: ONE_THREAD })
  console.log(`## ${set.name} (${set.metric})\n`)
  const { floor, goal } = limitsOf(set.name)
  printTable(
    ['recall@10', 'engine', 'settings: recall, us', 'us at that recall', 'ZGQ / it', 'floor', 'goal'],
    value.recalls.flatMap(({ recall, rows }) => {
      const own = microsAt(rows, OWN, recall)
      return engines.map((engine) => {
        const micros = microsAt(rows, engine, recall)
        return [
          recall.toFixed(2),
          engine,
          describe(rows, engine),
          micros?.toFixed(1) ?? 'not reached',
          micros === undefined || own === undefined || engine === OWN ? '' : (micros / own).toFixed(2),
          ...(engine === OWN ? ['', ''] : [floor.toFixed(1), goal.toFixed(1)])
        ]
      })
    })
  )
  return value
}

function microsAt(rows: readonly TurnsRow[], engine: string, recall: number): number | undefined {
  const points = rows.filter((row) => row.engine === engine).map((row) => ({ ...row, qps: 1e6 / row.meanUs }))
  const qps = qpsAt(points, recall)
  return qps === undefined ? undefined : 1e6 / qps
}

function describe(rows: readonly TurnsRow[], engine: string): string {
  return rows
    .filter((row) => row.engine === engine)
    .map(({ knob, recall, meanUs }) => `${knob}: ${recall.toFixed(4)}, ${meanUs.toFixed(1)}`)
    .join('; ')
}
