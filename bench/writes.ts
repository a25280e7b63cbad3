// npm run writes -- --data DIR: rows a second by rows a call, against SQLite alone that writes the same bytes with the
// same pragmas, paired, and against other engines in the same run.

import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

import { readOptions } from './arguments.ts'
import { runStep } from './child.ts'
import { findLiving } from './engines/living.ts'
import { medianSyncMs } from './sync-time.ts'
import { endReport, pairedRatio, printTable, showMib, showSpread, spread, startReport } from './report.ts'
import type { WriteRow, WritesInput } from './step-writes.ts'
import { addCells, changeCells, KEPT_ROWS, QUICK_KEPT_ROWS, type WriteCell } from './write-cells.ts'

const PAIR = ['zgq', 'bare SQLite']
const PEERS = ['lancedb', 'sqlite-vec', 'zvec', 'usearch']
/** Rows a call above which an engine takes more than a minute: building a graph, or saving it with each call. */
const MOST_BATCH: Readonly<Record<string, number>> = { usearch: 1000 }
/** usearch has neither payloads nor filters, and saves the whole graph with each call. */
const ADDS_ONLY = ['usearch']

const options = readOptions(['data', 'dims', 'only', 'cells', 'seconds'], ['quick'])
const isQuick = options.flags.has('quick')
const data = options.text['data'] === undefined ? undefined : resolve(options.text['data'])
const dims = (options.text['dims'] ?? (isQuick ? '128' : '128,768,1536')).split(',').map(Number)
const only = options.text['only']?.split(',') ?? [...PAIR, ...PEERS]
const wanted = options.text['cells'] ?? 'adds,changes'
const mostMs = Number(options.text['seconds'] ?? (isQuick ? 2 : 6)) * 1000
const log = `${options.json ?? join(options.work, 'writes.json')}l`
writeFileSync(log, '')
const machine = startReport('Writing: rows a second')
const syncMs = medianSyncMs(options.work)
console.log(`An fsync of a page takes ${syncMs.toFixed(2)} ms (median). Each cell: ${log}\n`)
const results: WriteRow[] = []
const pair = PAIR.filter((name) => only.includes(name))
const peers = PEERS.filter((name) => only.includes(name))
for (const dim of dims) await run(pair, dim)
for (const dim of dims) for (const peer of peers) await run([peer], dim)
console.log('| engine | once a call is done |\n| --- | --- |')
for (const name of only) console.log(`| ${name} | ${findLiving(name).settings} |`)
console.log()
for (const dim of dims) printDim(dim)
endReport(machine, { syncMs, results }, options.json)

async function run(engines: readonly string[], dim: number): Promise<void> {
  if (engines.length === 0) return
  const most = Math.min(...engines.map((name) => MOST_BATCH[name] ?? Infinity))
  const canChange = !engines.some((name) => ADDS_ONLY.includes(name))
  const input: WritesInput = {
    engines,
    dim,
    data,
    adds: wanted.includes('adds') ? addCells(isQuick).filter(({ batch }) => batch <= most) : [],
    changes: wanted.includes('changes') && canChange ? changeCells(isQuick) : [],
    kept: isQuick ? QUICK_KEPT_ROWS : KEPT_ROWS,
    folder: join(options.work, 'writes'),
    mostMs,
    log
  }
  const startedAt = performance.now()
  try {
    const { value } = await runStep<WriteRow[]>('step-writes.ts', input, { timeoutMs: 240_000 })
    results.push(...value)
  } catch (error) {
    console.error(error)
    results.push(...loggedOf(engines, dim))
  }
  const seconds = (performance.now() - startedAt) / 1000
  console.error(`${engines.join(' and ')}, ${dim} dimensions: ${seconds.toFixed(0)} s`)
}

/** The cells that a process was through with before it failed. */
function loggedOf(engines: readonly string[], dim: number): WriteRow[] {
  const lines = readFileSync(log, 'utf8').split('\n').slice(0, -1)
  const rows = lines.map((line): WriteRow => JSON.parse(line))
  return rows.filter((row) => row.dim === dim && engines.includes(row.engine))
}

function printDim(dim: number): void {
  const cells = [...addCells(isQuick), ...changeCells(isQuick)].filter((cell) => rowsOf(cell, dim).length > 0)
  console.log(`## ${dim} dimensions: rows a second\n`)
  printTable(
    ['call', 'rows a call', 'zgq', 'bare SQLite', 'zgq / bare', 'call p50, p99 ms', 'loop p99, max ms', ...peers],
    cells.map((cell) => {
      const rows = rowsOf(cell, dim)
      const [own, bare] = PAIR.map((name) => rows.find(({ engine }) => engine === name))
      const ratio =
        own === undefined || bare === undefined || own.rates.length === 0 || own.rates.length !== bare.rates.length
          ? ''
          : showSpread(pairedRatio(own.rates, bare.rates), 2)
      return [
        cell.kind,
        String(cell.batch),
        rateOf(own),
        rateOf(bare),
        ratio,
        own === undefined ? '' : `${own.callP50Ms.toFixed(1)}, ${own.callP99Ms.toFixed(1)}`,
        own === undefined ? '' : `${own.loopP99Ms.toFixed(1)}, ${own.loopMaxMs.toFixed(1)}`,
        ...peers.map((name) => rateOf(rows.find(({ engine }) => engine === name)))
      ]
    })
  )
  const idle = results.find((row) => row.dim === dim)?.idleP99Ms ?? 0
  console.log(`The loop of a process that does nothing: p99 ${idle.toFixed(1)} ms beyond its millisecond.\n`)
  const adds = results.filter((row) => row.dim === dim && row.kind === 'add' && row.batch >= 1000)
  printTable(
    ['after add', 'rows a call', 'MiB on disk', 'MiB of float32', 'rss MiB of the process'],
    adds.map((row) => [
      row.engine,
      String(row.batch),
      showMib(row.bytes),
      showMib(row.vectorBytes),
      row.engine === 'bare SQLite' ? '(with zgq)' : showMib(row.rss)
    ])
  )
}

function rowsOf({ kind, batch }: WriteCell, dim: number): WriteRow[] {
  return results.filter((row) => row.dim === dim && row.kind === kind && row.batch === batch)
}

function rateOf(row: WriteRow | undefined): string {
  if (row === undefined) return ''
  if (row.rates.length === 0) return row.error === 'cannot' ? 'cannot' : 'failed'
  return spread(row.rates).median.toFixed(0)
}
