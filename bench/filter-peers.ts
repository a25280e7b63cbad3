// npm run filter-peers -- --data DIR: filtered searches of ZGQ, LanceDB, zvec and sqlite-vec in one process, in turn,
// at the same recall or better.

import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

import { readCount, readOptions } from './arguments.ts'
import { runStep } from './child.ts'
import { findDataSet, type DataSet } from './data-sets.ts'
import { findFilteredEngine } from './engines/filtered.ts'
import { NINE_SHARES, shareName } from './filter-cases.ts'
import { prepareFilterSet, queryRange, type FilterSet } from './filter-sets.ts'
import { packageVersion } from './packages.ts'
import { endReport, printTable, startReport } from './report.ts'
import { ONE_THREAD } from './run-engine.ts'
import type { PeerRow, PeersInput } from './step-filter-peers.ts'

const OWN = 'zgq'
const RECALL = 0.95
const ALL = 'zgq,lancedb-ivf-flat,lancedb-ivf-rq,lancedb-ivf-hnsw-sq,zvec-hnsw,zvec-ivf,sqlite-vec'
const CASES = [
  'random 100 %',
  ...NINE_SHARES.map((share) => `random ${shareName(share)}`),
  'random 0.01 %',
  'near, one coarse cluster',
  'near, one fine cluster',
  'far, one coarse cluster',
  'far, one fine cluster',
  'coarse cluster and random 10 %',
  'near 10 %',
  'far 10 %'
]

const options = readOptions(['data', 'sets', 'only', 'queries', 'asked', 'rounds'])
const data = options.text['data'] === undefined ? undefined : resolve(options.text['data'])
const rounds = readCount(options, 'rounds', 5)
const engines = (options.text['only'] ?? ALL).split(',')
const machine = startReport('Filters: engines in turn')
const results: Record<string, readonly PeerRow[]> = {}
for (const name of (options.text['sets'] ?? 'sift10k').split(','))
  results[name] = await measureSet(await findDataSet(name, data, options.work))
endReport(machine, { rounds, recall: RECALL, results }, options.json)

async function measureSet(set: DataSet): Promise<readonly PeerRow[]> {
  const range = queryRange(set, readCount(options, 'queries', 200))
  const prepared = await prepareFilterSet(set, range, options.work)
  const built: { name: string; folder: string }[] = []
  for (const name of engines) built.push({ name, folder: await ensureBuilt(name, prepared) })
  const input: PeersInput = {
    engines: built,
    metric: set.metric,
    truth: prepared.truth,
    queryLimit: readCount(options, 'asked', 100),
    cases: CASES,
    recall: RECALL,
    rounds
  }
  const { value } = await runStep<PeerRow[]>('step-filter-peers.ts', input, { env: ONE_THREAD })
  console.log(`## ${set.name}: us of a query (recall@10), ${RECALL} or the nearest below; in brackets / ZGQ\n`)
  printTable(
    ['filter', 'passes', ...engines],
    CASES.map((name) => {
      const rows = value.filter((row) => row.name === name)
      const own = rows.find(({ engine }) => engine === OWN)
      const cells = engines.map((engine) => {
        const row = rows.find((candidate) => candidate.engine === engine)
        if (row === undefined) return 'no answer'
        const ratio = own === undefined || engine === OWN ? '' : ` (${(row.meanUs / own.meanUs).toFixed(1)})`
        return `${row.meanUs.toFixed(0)}${ratio}, ${row.recall.toFixed(3)}`
      })
      return [name, shareName(rows[0]?.passing ?? 0), ...cells]
    })
  )
  return value
}

async function ensureBuilt(name: string, set: FilterSet): Promise<string> {
  const engine = findFilteredEngine(name)
  if (engine.build === undefined) return set.index
  const folder = join(set.folder, `${name}-${packageVersion(engine.packageName)}`)
  if (existsSync(join(folder, 'built.json'))) return folder
  rmSync(folder, { recursive: true, force: true })
  const unfinished = `${folder}.new`
  rmSync(unfinished, { recursive: true, force: true })
  mkdirSync(unfinished, { recursive: true })
  const { base, metric, labels } = set
  const { value } = await runStep<{ seconds: number }>('step-filtered-build.ts', {
    engine: name,
    base,
    metric,
    labels,
    folder: unfinished
  })
  writeFileSync(join(unfinished, 'built.json'), JSON.stringify(value))
  renameSync(unfinished, folder)
  console.log(`${set.name}: ${name} built in ${value.seconds.toFixed(0)} s`)
  return folder
}
