// Engines that write, in one process and in turn: the rows a second of each call alone, paired round by round, and how
// long the event loop was held up meanwhile.

import { appendFileSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises'

import { stepInput, stepResult } from './child.ts'
import { findLiving, type LivingRows, type OpenLiving } from './engines/living.ts'
import { folderBytes } from './folder-bytes.ts'
import { livingRows, metricOf } from './living-rows.ts'
import { ownMemory } from './process-memory.ts'
import { quantile, spread } from './report.ts'
import { AT_ONCE, tagOf, type WriteCell } from './write-cells.ts'

export interface WritesInput {
  readonly engines: readonly string[]
  readonly dim: number
  readonly data: string | undefined
  /** Cells that only add rows, each to an index of its own. */
  readonly adds: readonly WriteCell[]
  /** Cells that change an index of `kept` rows, one after the other. */
  readonly changes: readonly WriteCell[]
  readonly kept: number
  /** Is made and removed. */
  readonly folder: string
  /** A cell takes no new round after so long for each engine. */
  readonly mostMs: number
  /** Gets a line of JSON for each cell. */
  readonly log: string
}

export interface WriteRow extends WriteCell {
  readonly dim: number
  readonly engine: string
  /** Rows a second of each round. */
  readonly rates: readonly number[]
  readonly callP50Ms: number
  readonly callP99Ms: number
  /** Beyond the millisecond of its timer: the median of the rounds' p99, and the largest of all. */
  readonly loopP99Ms: number
  readonly loopMaxMs: number
  /** The same p99 where nothing is done. */
  readonly idleP99Ms: number
  /** On the disk after the cell, and the float32 of its rows. */
  readonly bytes: number
  readonly vectorBytes: number
  readonly rss: number
  readonly error?: string
}

interface Side {
  readonly engine: string
  readonly folder: string
  readonly open: OpenLiving
  readonly rates: number[]
  readonly callMs: number[]
  /** Of each round. */
  readonly loopP99Ms: number[]
  readonly loopMaxMs: number[]
  /** Rows that the engine was given: the next new id. */
  next: number
  /** Next of the rows that were there before, by what is done to them. */
  cursor: number
  error?: string
}

const LOOP_MS = 1
const IDLE_MS = 1000
const POOL_ROWS = 10_000

const input = stepInput<WritesInput>()
const { dim, kept } = input
const metric = metricOf(dim)
let pool = await livingRows({ dim, from: 0, count: POOL_ROWS, data: input.data })
const idleP99Ms = await idleLoop()
const results: WriteRow[] = []
for (const cell of input.adds) {
  if (cell.batch > pool.length / dim) pool = await livingRows({ dim, from: 0, count: cell.batch, data: input.data })
  const sides = await openSides(false)
  report(cell, await measure(cell, sides))
  await closeSides(sides)
}
if (input.changes.length > 0) {
  const sides = await openSides(true)
  for (const side of sides) {
    const step = Math.min(kept, POOL_ROWS)
    for (; side.next < kept; side.next += step) await side.open.add(rowsFrom(side.next, step, true))
  }
  for (const [i, cell] of input.changes.entries())
    report(
      cell,
      await measure(
        cell,
        sides.map((side) => anew(side, i))
      )
    )
  await closeSides(sides)
}
stepResult(results)
process.exit(0) // some engines leave threads that keep the process alive

async function idleLoop(): Promise<number> {
  const loop = monitorEventLoopDelay({ resolution: LOOP_MS })
  loop.enable()
  await wait(IDLE_MS)
  loop.disable()
  return Math.max(0, loop.percentile(99) / 1e6 - LOOP_MS)
}

async function openSides(hasTags: boolean): Promise<Side[]> {
  const sides: Side[] = []
  for (const engine of input.engines) {
    const folder = join(input.folder, engine.replace(' ', '-'))
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    const open = await findLiving(engine).create({ folder, dim, metric, hasTags })
    sides.push({ engine, folder, open, rates: [], callMs: [], loopP99Ms: [], loopMaxMs: [], next: 0, cursor: 0 })
  }
  return sides
}

/** The same index for the next cell; its own counters go on. */
function anew(side: Side, cell: number): Side {
  return Object.assign(side, {
    rates: [],
    callMs: [],
    loopP99Ms: [],
    loopMaxMs: [],
    error: undefined,
    cursor: firstOf(input.changes[cell], cell)
  })
}

/** Rows that are deleted are not touched by other cells: each size of call has a third, each kind of cell a quarter of it. */
function firstOf({ kind, batch }: WriteCell, cell: number): number {
  const third = Math.floor(kept / 3)
  const part = batch === 1 ? 0 : batch === 100 ? 1 : 2
  const quarter = kind === 'delete' ? 2 : kind === 'delete by filter' ? 3 : cell % 2
  const first = part * third + Math.floor((quarter * third) / 4)
  // By a filter rows go by whole tags.
  return kind === 'delete by filter' ? part * third + Math.ceil((first - part * third) / batch) * batch : first
}

async function closeSides(sides: readonly Side[]): Promise<void> {
  for (const { open, folder } of sides) {
    await open.close()
    await turn()
    rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
  }
}

async function measure(cell: WriteCell, sides: readonly Side[]): Promise<readonly Side[]> {
  for (const side of sides) await guarded(side, () => once(side, cell)) // loads what the first call loads
  const endsAt = performance.now() + input.mostMs * sides.length
  for (let round = 0; round < cell.rounds && performance.now() < endsAt; round++)
    for (const side of round % 2 === 0 ? sides : [...sides].reverse())
      await guarded(side, () => measureRound(side, cell))
  return sides
}

async function measureRound(side: Side, cell: WriteCell): Promise<void> {
  let elapsedMs = 0
  const loop = monitorEventLoopDelay({ resolution: LOOP_MS }) // a new one: enabling one again adds the time between
  loop.enable()
  for (let call = 0; call < cell.calls; call++) {
    const ms = await once(side, cell)
    side.callMs.push(ms)
    elapsedMs += ms
    await turn()
  }
  loop.disable()
  side.loopP99Ms.push(Math.max(0, loop.percentile(99) / 1e6 - LOOP_MS))
  side.loopMaxMs.push(Math.max(0, loop.max / 1e6 - LOOP_MS))
  const rows = cell.kind === 'add, 100 at once' ? AT_ONCE : cell.batch
  side.rates.push((rows * cell.calls) / (elapsedMs / 1000))
}

/** Runs one call, or a hundred at once; returns its milliseconds. */
async function once(side: Side, { kind, batch }: WriteCell): Promise<number> {
  const call = prepare(side, kind, batch)
  const startedAt = performance.now()
  const pending = call()
  if (pending !== undefined) await pending
  return performance.now() - startedAt
}

function prepare(side: Side, kind: WriteCell['kind'], batch: number): () => unknown {
  const { open } = side
  switch (kind) {
    case 'add': {
      const rows = newRows(side, batch, false)
      return () => open.add(rows)
    }
    case 'add, 100 at once': {
      const rows = Array.from({ length: AT_ONCE }, () => newRows(side, 1, false))
      return () => Promise.all(rows.map((row) => open.add(row)))
    }
    case 'upsert new': {
      const rows = newRows(side, batch, true)
      return () => can(open.upsert).call(open, rows)
    }
    case 'upsert old': {
      const rows = rowsFrom(oldRows(side, batch), batch, true)
      return () => can(open.upsert).call(open, rows)
    }
    case 'update': {
      const ids = idsFrom(oldRows(side, batch), batch)
      return () => can(open.update).call(open, ids, 4 * kept)
    }
    case 'delete': {
      const ids = idsFrom(oldRows(side, batch), batch)
      return () => can(open.delete).call(open, ids)
    }
    case 'delete by filter': {
      const tag = tagOf(oldRows(side, batch), kept)
      return () => can(open.deleteTag).call(open, tag)
    }
  }
}

function can<T>(method: T | undefined): T {
  if (method === undefined) throw new Error('cannot')
  return method
}

function newRows(side: Side, count: number, hasTags: boolean): LivingRows {
  const from = side.next
  side.next += count
  return rowsFrom(from, count, hasTags)
}

function oldRows(side: Side, count: number): number {
  const from = side.cursor
  side.cursor += count
  return from
}

function idsFrom(from: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => from + i)
}

/** Rows with ids from `from` on; their vectors come round again. */
function rowsFrom(from: number, count: number, hasTags: boolean): LivingRows {
  const ids = idsFrom(from, count)
  const at = (Math.floor(from / count) % Math.floor(pool.length / dim / count)) * count
  const tags = hasTags ? ids.map((id) => (id < kept ? tagOf(id, kept) : 5 * kept)) : undefined
  return { ids, vectors: pool.subarray(at * dim, (at + count) * dim), tags }
}

async function guarded(side: Side, work: () => Promise<unknown>): Promise<void> {
  if (side.error !== undefined) return
  try {
    await work()
  } catch (error) {
    side.error = error instanceof Error ? error.message : String(error)
  }
}

function report(cell: WriteCell, sides: readonly Side[]): void {
  for (const { engine, rates, callMs, loopP99Ms, loopMaxMs, folder, next, error } of sides) {
    const row: WriteRow = {
      ...cell,
      dim,
      engine,
      rates,
      callP50Ms: quantile(callMs, 0.5),
      callP99Ms: quantile(callMs, 0.99),
      loopP99Ms: loopP99Ms.length === 0 ? 0 : spread(loopP99Ms).median,
      loopMaxMs: Math.max(0, ...loopMaxMs),
      idleP99Ms,
      bytes: folderBytes(folder),
      vectorBytes: next * dim * 4,
      rss: ownMemory().rss,
      ...(error === undefined ? {} : { error })
    }
    results.push(row)
    appendFileSync(input.log, JSON.stringify(row) + '\n')
  }
}
