// npm run app -- --data DIR: the same app on each engine (apps/*.mjs): 50,000 texts with ids, two fields and vectors of
// 512 values are loaded; then opened, searched, searched with a filter that passes 3 %, and with one for a single row.

import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

import { readCount, readOptions } from './arguments.ts'
import { runStep } from './child.ts'
import { findDataSet } from './data-sets.ts'
import { folderBytes } from './folder-bytes.ts'
import { findNode, nodeVersion } from './nodes.ts'
import { endReport, printTable, showMib, startReport } from './report.ts'
import type { AppInput, AppResult, AppTimes } from './step-app.ts'

const NAMES = ['zgq', 'lancedb', 'sqlite-vec', 'zvec']
const options = readOptions(['data', 'sets', 'only', 'queries', 'rounds', 'node'])
const data = options.text['data'] === undefined ? undefined : resolve(options.text['data'])
const names = (options.text['only'] ?? NAMES.join(',')).split(',')
const node = findNode(options.text['node'])
const set = await findDataSet(options.text['sets'] ?? (data === undefined ? 'wordnet' : 'use50k'), data, options.work)
const machine = startReport(`An app on ${set.name}`)
console.log(`Node ${nodeVersion(node)}\n`)
const results: Record<string, AppResult & { lines: number; bytes: number; loadPeak: number }> = {}
for (const name of names) results[name] = await measure(name)
const cell = ({ warmUs, firstUs, recall }: AppTimes): string =>
  `${warmUs.toFixed(0)}, ${firstUs.toFixed(0)}, ${recall.toFixed(3)}`
printTable(
  [
    'engine',
    'lines',
    'load + index s',
    'its peak MiB',
    'search us: warm, first, recall',
    'filter 3 %',
    'filter, one row',
    'reopen ms',
    'disk MiB',
    'RSS MiB',
    'of them opening and searching'
  ],
  names.map((name) => {
    const of = results[name]
    return [
      name,
      String(of.lines),
      of.loadSeconds.toFixed(1),
      showMib(of.loadPeak),
      cell(of.search),
      cell(of.bySource),
      cell(of.byLine),
      of.reopenMs.toFixed(1),
      showMib(of.bytes),
      showMib(of.rss),
      showMib(of.rssGrown)
    ]
  })
)
endReport(machine, { node: nodeVersion(node), results }, options.json)

async function measure(name: string): Promise<AppResult & { lines: number; bytes: number; loadPeak: number }> {
  const app = join(import.meta.dirname, 'apps', `${name}.mjs`)
  const parent = join(options.work, 'app', set.name, name)
  rmSync(parent, { recursive: true, force: true })
  mkdirSync(parent, { recursive: true })
  const input: AppInput = {
    app,
    task: 'load',
    folder: join(parent, 'documents'),
    base: set.base,
    texts: join(dirname(set.base), 'base.texts.txt'),
    queries: set.queries,
    queryFrom: set.splitAt ?? 0,
    queryCount: readCount(options, 'queries', 100),
    rounds: readCount(options, 'rounds', 5)
  }
  const { value: loadSeconds, peaks } = await runStep<number>('step-app.ts', input, { node })
  const bytes = folderBytes(parent)
  const { value } = await runStep<Omit<AppResult, 'loadSeconds'>>('step-app.ts', { ...input, task: 'open' }, { node })
  return { ...value, loadSeconds, lines: linesOf(app), bytes, loadPeak: peaks.rss }
}

/** Lines that are neither empty nor comments. */
function linesOf(path: string): number {
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('//')).length
}
