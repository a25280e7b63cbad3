// Logs of the tasks of a build (`zgq worker --log FILE`, a JSON line for each): what they say of costs, and the same
// tasks as a simulation runs them.

import { isEarlyRound } from '../src/build/sample-blocks.ts'
import { productsPerRow, type BuildShape, type CostRates } from './build-plan.ts'
import type { TaskDone } from '../src/queue.ts'
import type { SimulatedTask, TaskGroup } from './build-simulation.ts'

/** A task as a worker logged it. */
export interface LoggedTask extends Omit<TaskDone, 'build'> {
  readonly host: string
  readonly pid: number
}

const NUMBERS = ['pid', 'startedAt', 'fetchMs', 'runMs', 'storeMs', 'rows'] as const
const BYTES = ['fetchedBytes', 'storedBytes', 'readBytes', 'writtenBytes'] as const

/** Reads the lines of a log; throws with the number of a line that is none. */
export function parseLog(text: string): LoggedTask[] {
  const lines = text.split('\n').map((line, i) => ({ line, number: i + 1 }))
  return lines.filter(({ line }) => line.trim() !== '').map(({ line, number }) => parseLine(line, number))
}

function parseLine(line: string, number: number): LoggedTask {
  const found: Record<string, unknown> = { ...Object(JSON.parse(line)) }
  const text = (name: string): string => {
    const value = found[name]
    if (typeof value !== 'string') throw new Error(`line ${number} has no ${name}`)
    return value
  }
  const count = (name: string, fallback?: number): number => {
    const value = found[name] ?? fallback
    if (typeof value !== 'number' || !(value >= 0)) throw new Error(`line ${number} has no ${name}`)
    return value
  }
  const [pid, startedAt, fetchMs, runMs, storeMs, rows] = NUMBERS.map((name) => count(name))
  const [fetchedBytes, storedBytes, readBytes, writtenBytes] = BYTES.map((name) => count(name, 0))
  const times = { pid, startedAt, fetchMs, runMs, storeMs, rows }
  const bytes = { fetchedBytes, storedBytes, readBytes, writtenBytes }
  return { output: text('output'), kind: text('kind'), host: text('host'), ...times, ...bytes }
}

/** Kinds that are not named below come after all others. */
const ORDER = ['check-ids', 'sample', 'begin', 'partial', 'round', 'order', 'assign', 'tally', 'write', 'scan']

/** Round of a task: the artifact of a round is what the next one begins with. */
function roundOf({ kind, output }: LoggedTask): number {
  const [, number = '0'] = /^(?:partial|round)-(\d+)/.exec(output) ?? []
  return Number(number) - (kind === 'round' ? 1 : 0)
}

/** Tells the group of a task. */
export function groupOf(task: LoggedTask): string {
  if (task.kind === 'partial' || task.kind === 'round') return `${task.kind} ${roundOf(task)}`
  return task.kind === 'check-ids' ? 'sample' : task.kind
}

function rankOf(task: LoggedTask): number {
  if (task.kind === 'partial' || task.kind === 'round')
    return ORDER.indexOf('partial') + (roundOf(task) + (task.kind === 'round' ? 0.5 : 0)) / 1000
  const at = ORDER.indexOf(task.kind === 'check-ids' ? 'sample' : task.kind)
  return at < 0 ? ORDER.length : at
}

const endOf = ({ startedAt, fetchMs, runMs, storeMs }: LoggedTask): number => startedAt + fetchMs + runMs + storeMs

/** Times are rounded: a task may seem to begin so much before the one before it ended. */
const ROUNDED_MS = 2

/** What was running when the log was made. */
export interface LoggedMachines {
  readonly workers: number
  /** Tasks at a time of the worker that had most. */
  readonly threads: number
  /** From the end of a task to the next on the same thread, in the mean. */
  readonly queueMs: number
}

/** Finds workers and threads by which tasks overlap. */
export function machinesOf(log: readonly LoggedTask[]): LoggedMachines {
  const workers = new Map<string, LoggedTask[]>()
  for (const task of log) {
    const name = `${task.host} ${task.pid}`
    workers.set(name, [...(workers.get(name) ?? []), task])
  }
  let most = 1
  const gaps: number[] = []
  for (const tasks of workers.values()) {
    /** When each thread is free, and after which group. */
    const threads: { end: number; group: string }[] = []
    for (const task of [...tasks].sort((a, b) => a.startedAt - b.startedAt)) {
      // of those that are free the one that was busy last
      const free = threads.filter(({ end }) => end <= task.startedAt + ROUNDED_MS).sort((a, b) => b.end - a.end)
      const [thread] = free
      if (thread === undefined) threads.push({ end: endOf(task), group: groupOf(task) })
      else {
        if (thread.group === groupOf(task)) gaps.push(Math.max(0, task.startedAt - thread.end))
        thread.end = endOf(task)
        thread.group = groupOf(task)
      }
    }
    most = Math.max(most, threads.length)
  }
  return {
    workers: workers.size,
    threads: most,
    queueMs: gaps.reduce((sum, gap) => sum + gap, 0) / Math.max(1, gaps.length)
  }
}

/**
 * Makes the tasks of a log again, each with the times it took. What passed between two groups while no task ran was
 * the coordinator's, and stays.
 */
export function replayOf(log: readonly LoggedTask[], queueMs: number): TaskGroup[] {
  const groups = new Map<string, LoggedTask[]>()
  for (const task of [...log].sort((a, b) => rankOf(a) - rankOf(b)))
    groups.set(groupOf(task), [...(groups.get(groupOf(task)) ?? []), task])
  const replayed: TaskGroup[] = []
  let before: { name: string; end: number } | undefined
  for (const [name, tasks] of groups) {
    const start = tasks.reduce((least, { startedAt }) => Math.min(least, startedAt), Infinity)
    replayed.push({
      name,
      after: before === undefined ? [] : [before.name],
      tasks: tasks.map(replayedTask),
      delayMs: before === undefined ? 0 : Math.max(0, start - before.end - queueMs)
    })
    before = { name, end: tasks.reduce((most, task) => Math.max(most, endOf(task)), 0) }
  }
  return replayed
}

/** Files of a folder are read and written in place: they are counted apart from what is fetched and stored. */
function replayedTask(task: LoggedTask): SimulatedTask {
  const { fetchMs, runMs, storeMs, fetchedBytes, storedBytes, readBytes, writtenBytes } = task
  return {
    computeMs: runMs,
    fetchMs,
    storeMs,
    fetchedBytes: Math.max(fetchedBytes, readBytes),
    storedBytes: Math.max(storedBytes, writtenBytes)
  }
}

/** Times the log took from its first task to its last. */
export function elapsedOf(log: readonly LoggedTask[]): number {
  const start = log.reduce((least, { startedAt }) => Math.min(least, startedAt), Infinity)
  return log.reduce((most, task) => Math.max(most, endOf(task)), 0) - start
}

/**
 * Finds the rates of a build of known shape. Those of kinds that the log does not have stay as they are in `fallback`:
 * the coordinator's are not in the logs of workers.
 */
export function ratesOf(log: readonly LoggedTask[], shape: BuildShape, fallback: CostRates): CostRates {
  const { dim, zones, queries, parts, shards, sample } = shape
  /** Rows of tasks that do not say how many they have. */
  const usual: Readonly<Record<string, number>> = {
    sample: sample.blockRows,
    partial: sample.blockRows,
    assign: shape.rowsPerPart,
    write: shape.rows / shards,
    scan: shape.rows / shards,
    join: shape.rows
  }
  // The progress of a scan is not counted in rows.
  const rowsOf = ({ kind, rows }: LoggedTask): number => (rows > 0 && kind !== 'scan' ? rows : (usual[kind] ?? 0))
  /** Early rounds see a part of their rows, which a log may count in full. */
  const isWhole = (task: LoggedTask): boolean =>
    task.kind !== 'partial' || !sample.hasEarly || !isEarlyRound(roundOf(task))
  /** Nanoseconds for a unit: the middle of all tasks, which leaves out the first ones of threads. */
  const rate = (kind: string, units: (task: LoggedTask) => number, otherwise: number): number => {
    const tasks = log.filter((task) => task.kind === kind && isWhole(task) && units(task) > 0)
    return tasks.length === 0 ? otherwise : median(tasks.map((task) => (task.runMs * 1e6) / units(task)))
  }
  const valuesOf = (task: LoggedTask): number => rowsOf(task) * dim
  const products = productsPerRow(shape)
  const product = rate('partial', (task) => rowsOf(task) * products, fallback.product)
  const assigned = rate('assign', valuesOf, fallback.assign + (products / dim) * product)
  return {
    product,
    sample: rate('sample', valuesOf, fallback.sample),
    assign: Math.max(0, assigned - (products / dim) * product),
    write: rate('write', valuesOf, fallback.write),
    scan: rate('scan', (task) => valuesOf(task) * queries, fallback.scan),
    round: rate('round', () => sample.blocks * zones * (dim + 1), fallback.round),
    order: rate('order', () => zones * dim * Math.log2(zones + 1), fallback.order),
    tally: rate('tally', () => parts * zones, fallback.tally),
    join: rate('join', rowsOf, fallback.join),
    calibrate: rate('calibrate', () => queries * dim, fallback.calibrate)
  }
}

function median(values: readonly number[]): number {
  if (values.length === 0) return 0
  return [...values].sort((a, b) => a - b)[values.length >> 1]
}
