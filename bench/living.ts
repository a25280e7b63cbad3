// npm run living -- --data DIR: searching and opening an index with rows that are not folded into zones yet, searching
// while rows come in, and how soon another process finds a row. Nothing folds here but in part `seen`. Part `peers`
// needs the exact neighbours that part `unfolded` left in --work.

import { appendFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'

import { readCount, readOptions } from './arguments.ts'
import { runStep } from './child.ts'
import { findLiving } from './engines/living.ts'
import { endReport, printTable, quantile, showMib, startReport } from './report.ts'
import type { GrowInput } from './step-living-grow.ts'
import type { LivingSearchInput, LivingSearchRow } from './step-living-search.ts'
import type { SeenInput, SeenResult } from './step-seen.ts'
import type { Looking } from './step-seen-reader.ts'
import type { StreamInput, StreamResult, StreamTimes } from './step-stream.ts'

interface UnfoldedRow extends LivingSearchRow {
  readonly engine: string
  readonly dim: number
  readonly base: number
  readonly unfolded: number
  readonly grownSeconds: number
}

const PEERS = ['lancedb', 'sqlite-vec', 'zvec', 'usearch']
const COUNTS = [0, 100, 1000, 10_000, 100_000]
const QUICK_COUNTS = [0, 100, 1000, 2000]
/** Rows that are built first, by dimensions. */
const BASES: readonly (readonly [number, number])[] = [
  [128, 100_000],
  [768, 20_000],
  [1536, 10_000]
]
const LOOKINGS: readonly Looking[] = ['has, every turn', 'has, every ms', 'search, every turn']
const STREAMS = [
  { batch: 10, isOwn: false },
  { batch: 100, isOwn: false },
  { batch: 10, isOwn: true }
]
const QUICK_SHARE = 50

const options = readOptions(['data', 'parts', 'dims', 'only', 'queries', 'seconds', 'most'], ['quick'])
const isQuick = options.flags.has('quick')
const data = options.text['data'] === undefined ? undefined : resolve(options.text['data'])
const parts = (options.text['parts'] ?? 'seen,stream,unfolded,peers').split(',')
const dims = (options.text['dims'] ?? '128,768,1536').split(',').map(Number)
const peers = options.text['only']?.split(',') ?? PEERS
const seconds = readCount(options, 'seconds', isQuick ? 1 : 15)
const mostUnfolded = readCount(options, 'most', 100_000)
const log = `${options.json ?? join(options.work, 'living.json')}l`
rmSync(log, { force: true })
const machine = startReport('Searching an index that changes')
console.log(`Each cell: ${log}\n`)
const results = {
  seen: parts.includes('seen') ? await measureSeen() : {},
  stream: parts.includes('stream') ? await measureStreams() : {},
  unfolded: await measureUnfolded()
}
endReport(machine, results, options.json)

async function measureSeen(): Promise<Record<string, SeenResult>> {
  const found: Record<string, SeenResult> = {}
  for (const looking of LOOKINGS) {
    const input: SeenInput = { folder: join(options.work, 'seen'), data, looking, count: isQuick ? 20 : 400 }
    const { value } = await runStep<SeenResult>('step-seen.ts', input, { timeoutMs: 90_000 })
    found[looking] = value
    note({ looking, ...value })
  }
  console.log('## Until another process finds a row, ms\n')
  const show = (times: readonly number[]): string[] => [0.5, 0.99].map((share) => quantile(times, share).toFixed(2))
  printTable(
    ['it looks by', 'from the call: p50', 'p99', 'from its promise: p50', 'p99'],
    Object.entries(found).map(([name, { fromCallMs, fromDoneMs }]) => [name, ...show(fromCallMs), ...show(fromDoneMs)])
  )
  return found
}

async function measureStreams(): Promise<Record<string, StreamResult>> {
  const found: Record<string, StreamResult> = {}
  const base = baseOf(128)
  const folder = join(options.work, 'stream')
  for (const { batch, isOwn } of STREAMS) {
    await grow({ engine: 'zgq', dim: 128, data, folder, base, from: 0, to: 0, batch })
    const writer = { dim: 128, data, folder, from: base, batch, rowsPerSecond: 1000, seconds }
    const input: StreamInput = { writer, stillSeconds: Math.ceil(seconds / 2), isOwn }
    const { value } = await runStep<StreamResult>('step-stream.ts', input, { timeoutMs: 180_000 })
    found[`${isOwn ? 'this process' : 'another process'}, calls of ${batch}`] = value
    note({ batch, isOwn, ...value })
  }
  console.log(`## Searching ${base} x 128 while 1,000 rows a second come in, us\n`)
  const show = ({ p50Us, p99Us, maxUs }: StreamTimes): string =>
    `${p50Us.toFixed(0)}, ${p99Us.toFixed(0)}, ${maxUs.toFixed(0)}`
  printTable(
    [
      '',
      'still: p50, p99, max',
      'meanwhile',
      '1st half',
      '2nd half',
      'afterwards',
      'p50, p99 / still',
      'rows, s',
      'add ms'
    ],
    Object.entries(found).map(([name, { still, meanwhile, halves, after, written }]) => [
      name,
      show(still),
      show(meanwhile),
      ...halves.map(show),
      show(after),
      `${(meanwhile.p50Us / still.p50Us).toFixed(2)}, ${(meanwhile.p99Us / still.p99Us).toFixed(2)}`,
      `${written.rows}, ${written.seconds.toFixed(1)}`,
      `${written.callP50Ms.toFixed(1)}, ${written.callP99Ms.toFixed(1)}`
    ])
  )
  return found
}

async function measureUnfolded(): Promise<UnfoldedRow[]> {
  const rows: UnfoldedRow[] = []
  const counts = (isQuick ? QUICK_COUNTS : COUNTS).filter((count) => count <= mostUnfolded)
  if (parts.includes('unfolded')) {
    for (const dim of dims) rows.push(...(await unfoldedOf('zgq', dim, { base: baseOf(dim), counts })))
    for (const dim of dims) rows.push(...(await unfoldedOf('zgq', dim, { base: 0, counts: counts.slice(1) })))
  }
  if (parts.includes('peers'))
    for (const dim of dims)
      for (const peer of peers) {
        // A graph of so many rows takes more than a minute, and so does saving it in each call.
        const most = peer === 'usearch' ? 1000 : Infinity
        const fewer = counts.filter((count) => count !== 100 && count <= most)
        rows.push(...(await unfoldedOf(peer, dim, { base: baseOf(dim), counts: fewer })))
      }
  for (const dim of dims) printUnfolded(rows.filter((row) => row.dim === dim))
  return rows
}

async function unfoldedOf(
  engine: string,
  dim: number,
  { base, counts }: { readonly base: number; readonly counts: readonly number[] }
): Promise<UnfoldedRow[]> {
  const rows: UnfoldedRow[] = []
  const folder = join(options.work, `living-${engine}`)
  let before: number | undefined
  try {
    for (const unfolded of counts) {
      const grown = await grow({
        engine,
        dim,
        data,
        folder,
        base: before === undefined ? base : undefined,
        from: base + (before ?? 0),
        to: base + unfolded,
        batch: unfolded <= 1000 ? 100 : 1000
      })
      const input: LivingSearchInput = {
        engine,
        dim,
        data,
        folder,
        queries: readCount(options, 'queries', isQuick ? 20 : 200),
        truth: join(options.work, `living-${dim}-${base}-${unfolded}.json`),
        mostMs: isQuick ? 500 : 2500
      }
      const { value } = await runStep<LivingSearchRow>('step-living-search.ts', input, { timeoutMs: 90_000 })
      const row = { engine, dim, base, unfolded, grownSeconds: grown, ...value }
      note(row)
      rows.push(row)
      before = unfolded
    }
  } catch (error) {
    console.error(error)
  }
  rmSync(folder, { recursive: true, force: true })
  return rows
}

async function grow(input: GrowInput): Promise<number> {
  const { value } = await runStep<{ seconds: number }>('step-living-grow.ts', input, { timeoutMs: 90_000 })
  return value.seconds
}

function printUnfolded(rows: readonly UnfoldedRow[]): void {
  if (rows.length === 0) return
  console.log(`## Rows that are not folded, ${rows[0].dim} dimensions\n`)
  printTable(
    ['engine', 'built', 'not folded', 'p50, p99 us', 'recall@10', 'exact p50 us', 'open, first ms', 'MiB', 'rss MiB'],
    rows.map((row) => [
      row.engine,
      String(row.base),
      String(row.unfolded),
      `${row.p50Us.toFixed(0)}, ${row.p99Us.toFixed(0)}`,
      row.recall.toFixed(3),
      row.exactP50Us?.toFixed(0) ?? '',
      `${row.openMs.toFixed(1)}, ${row.firstMs.toFixed(1)}`,
      showMib(row.bytes),
      `${showMib(row.rss)} (+${showMib(row.rss - row.rssBefore)})`
    ])
  )
  const named = [...new Set(rows.map(({ engine }) => engine))].map((name) => `${name}: ${findLiving(name).settings}`)
  console.log(`${named.join('; ')}.\n`)
}

function baseOf(dim: number): number {
  const rows = BASES.find(([known]) => known === dim)?.[1]
  if (rows === undefined) throw new Error(`no number of built rows is known for ${dim} dimensions`)
  return isQuick ? rows / QUICK_SHARE : rows
}

function note(row: object): void {
  appendFileSync(log, JSON.stringify(row) + '\n')
  console.error(JSON.stringify(row).slice(0, 300))
}
