// npm run remote -- --data DIR: searches of packed indexes on a web server that is 0, 20 and 60 ms away over a line of
// 50 Mbit/s: rounds, requests, bytes and time, recall beside, and memory.

import { basename, dirname, resolve } from 'node:path'

import { startStaticServer } from '../tools/static-server.ts'
import { readCount, readOptions } from './arguments.ts'
import { runStep } from './child.ts'
import { findNode, nodeVersion } from './nodes.ts'
import { endReport, mean, MIB, printTable, quantile, startReport } from './report.ts'
import { QUICK_REMOTE_SETS, REMOTE_SETS } from './remote-sets.ts'
import type { Use } from './remote-use.ts'
import { startSlowServer } from './slow-server.ts'
import type { PrepareInput, Prepared } from './step-remote-prepare.ts'
import type { RemoteInput, RemoteRow } from './step-remote.ts'

/** The latency at which all queries are run; at others as many as --fewer says. */
const MAIN_LATENCY = 20
const MEGABITS = 50
/** Goals for a query. */
const MOST_REQUESTS = 40
const MOST_BYTES = MIB

interface Cell extends RemoteRow {
  readonly set: string
  readonly latencyMs: number
  readonly rows: number
  readonly dim: number
  readonly zones: number
  readonly packedBytes: number
  readonly peakRss: number
}

const options = readOptions(
  ['data', 'sets', 'latencies', 'queries', 'fewer', 'recall', 'megabits', 'topics', 'node'],
  ['quick', 'prepare']
)
const isQuick = options.flags.has('quick')
const data = options.text['data'] === undefined ? undefined : resolve(options.text['data'])
const all = isQuick ? QUICK_REMOTE_SETS : REMOTE_SETS
const wanted = options.text['sets']?.split(';') ?? all.map(({ name }) => name)
const latencies = (options.text['latencies'] ?? (isQuick ? '20' : '0,20,60')).split(',').map(Number)
const most = readCount(options, 'queries', isQuick ? 20 : 1000)
const fewer = readCount(options, 'fewer', isQuick ? 20 : 300)
const megabits = readCount(options, 'megabits', MEGABITS)
const topics = readCount(options, 'topics', isQuick ? 2 : 10)
const recall = Number(options.text['recall'] ?? 0.95)
const node = findNode(options.text['node'])
const machine = startReport('From a web server')
console.log(`Searched by Node ${nodeVersion(node)}, recall ${recall}, ${megabits} Mbit/s.\n`)
const cells: Cell[] = []
for (const set of all.filter(({ name }) => wanted.includes(name))) {
  const { value } = await runStep<Prepared>('step-remote-prepare.ts', {
    set,
    data,
    work: options.work
  } satisfies PrepareInput)
  if (options.flags.has('prepare')) continue
  for (const latencyMs of latencies) cells.push(await measure({ set: set.name, latencyMs, prepared: value }))
}
if (cells.length > 0) printCells()
endReport(machine, { node: nodeVersion(node), recall, megabits, cells }, options.json)

async function measure(of: {
  readonly set: string
  readonly latencyMs: number
  readonly prepared: Prepared
}): Promise<Cell> {
  const { set, latencyMs, prepared } = of
  const { files, ...facts } = prepared
  const { packed } = files
  const server = await startStaticServer({ path: dirname(packed), host: '127.0.0.1', port: 0 })
  const slow = await startSlowServer(server.url, { latencyMs, megabits })
  try {
    const { value, peaks } = await runStep<RemoteRow>(
      'step-remote.ts',
      {
        url: slow.url + basename(packed),
        control: slow.control,
        files,
        queries: latencyMs === MAIN_LATENCY ? most : fewer,
        recall,
        payload: REMOTE_SETS.concat(QUICK_REMOTE_SETS).find(({ name }) => name === set)?.texts !== undefined,
        topics: latencyMs === MAIN_LATENCY ? topics : 1
      } satisfies RemoteInput,
      { node }
    )
    return { set, latencyMs, ...facts, ...value, peakRss: peaks.rss }
  } finally {
    await slow.close()
    await server.close()
  }
}

function printCells(): void {
  const nameOf = ({ set, latencyMs }: Cell): string => `${set}, ${latencyMs} ms`
  console.log('Opening, to its first hit, and single queries (rounds / requests / KB / ms):\n')
  printTable(
    ['set, latency', 'MB', 'open', 'open and first query', 'query 2', 'query 10', 'query 100'],
    cells.map((cell) => [
      nameOf(cell),
      (cell.packedBytes / MIB).toFixed(0),
      show({ ...cell.opening, ms: cell.openMs }, cell.opening.inRow),
      show(cell.start, cell.opening.inRow + cell.rounds[0]),
      ...[0, 8, 98].map((i) => show(cell.queries.at(i), cell.rounds[i + 1]))
    ])
  )
  console.log('Queries after the first, each once (means; of time the median and the 99th percentile):\n')
  printTable(
    ['set, latency', 'queries', 'recall@10', 'rounds', 'requests', 'KB', 'ms', '<= 40 requests', '<= 1 MB'],
    cells.map((cell) => [
      nameOf(cell),
      String(cell.queries.length),
      cell.recall.toFixed(3),
      ...sum(cell.queries, cell.rounds.slice(1))
    ])
  )
  console.log('Near copies of a query that was asked before, and memory after all queries (MB):\n')
  printTable(
    ['set, latency', 'copies', 'rounds', 'requests', 'KB', 'ms', 'KB of 9 in 10', 'process', 'of it WebAssembly'],
    cells.map((cell) => [
      nameOf(cell),
      String(cell.near.length),
      ...sum(cell.near, cell.nearRounds).slice(0, 4),
      kb(quantile(bytesOf(cell.near), 0.9)),
      (cell.rss / MIB).toFixed(0),
      (cell.wasm / MIB).toFixed(0)
    ])
  )
}

function sum(uses: readonly Use[], rounds: readonly number[]): string[] {
  const times = uses.map(({ ms }) => ms)
  const share = (isWithin: (one: Use) => boolean): string =>
    `${((100 * uses.filter(isWithin).length) / uses.length).toFixed(1)} %`
  return [
    mean(rounds).toFixed(2),
    mean(uses.map(({ requests }) => requests)).toFixed(1),
    kb(mean(bytesOf(uses))),
    `${quantile(times, 0.5).toFixed(0)}, ${quantile(times, 0.99).toFixed(0)}`,
    share(({ requests }) => requests <= MOST_REQUESTS),
    share(({ bytes }) => bytes <= MOST_BYTES)
  ]
}

function bytesOf(uses: readonly Use[]): number[] {
  return uses.map(({ bytes }) => bytes)
}

function show(one: Use | undefined, rounds: number): string {
  if (one === undefined) return ''
  return `${rounds} / ${one.requests} / ${kb(one.bytes)} / ${one.ms.toFixed(0)}`
}

function kb(bytes: number): string {
  return (bytes / 1024).toFixed(0)
}
