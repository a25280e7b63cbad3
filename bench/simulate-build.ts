// npm run simulate-build -- --log FILE --log-rows 10000000 --log-dim 128 --rows 1e9 --dim 128 --workers 1,4,16,64: how
// long a build takes on machines that are not here. Without --rows the tasks of the log are run again as they were.

import { readFileSync } from 'node:fs'

import { chooseThreads } from '../src/build/resources.ts'
import { readOptions, type BenchOptions } from './arguments.ts'
import { elapsedOf, machinesOf, parseLog, ratesOf, replayOf, type LoggedTask } from './build-log.ts'
import { planBuild, shapeOf, type BuildShape, type CostRates, type StoreKind } from './build-plan.ts'
import { simulateBuild, type BuildRun, type GroupRun, type Machines } from './build-simulation.ts'
import { endReport, printTable, startReport } from './report.ts'

/**
 * Rates of work that a log may not have. From the tasks of one build of 1,000,000 x 128 (sift1m), one after the other
 * in one process of Node 20 on a machine with a load of ten: processor time, since the clock said three times as much.
 * `scan` and `calibrate` are from builds before there were tasks for them (bench/README.md, "Beyond memory", "Builds").
 */
const ROUGH: CostRates = {
  product: 0.135,
  sample: 38,
  assign: 20,
  write: 55,
  scan: 0.1,
  round: 19,
  order: 53,
  tally: 100,
  join: 780,
  calibrate: 1e5
}
const MIB = 2 ** 20
const GB = 1e9
const HOUR_MS = 3_600_000
/** Bytes a millisecond of a gigabit a second. */
const GBIT = 125_000
/** Requests on their way at a time of one worker, to a bucket (src/artifacts/bucket-artifacts.ts). */
const REQUESTS_AT_A_TIME = 16
/** Milliseconds until a bucket answers, and a file server; requests a second that each answers at most. */
const LATENCY_MS = { bucket: 40, folder: 0.5 }
const STORE_REQUESTS = { bucket: 5500, folder: 50_000 }
/** A resource that is used more than this holds the others up. */
const SATURATED = 0.6

const options = readOptions([
  ...['log', 'log-rows', 'log-dim', 'log-zones', 'log-memory', 'rows', 'dim', 'zones', 'memory', 'part-mb'],
  ...['workers', 'threads', 'jobs', 'worker-gbit', 'store-gbit', 'store-requests', 'latency', 'queue', 'store']
])
const log = options.text['log'] === undefined ? [] : parseLog(readFileSync(options.text['log'], 'utf8'))
const workers = (options.text['workers'] ?? '1,2,4,16,64').split(',').map(Number)
const machine = startReport('Builds on many machines, simulated')
const rows = options.text['rows'] === undefined ? undefined : number(options, 'rows', 0)
const runs = rows === undefined ? replay(log) : scale(log, rows)
endReport(machine, { runs }, options.json)

/** Reads an option that is a number above 0, such as 1e9. */
function number({ text }: BenchOptions, name: string, fallback: number): number {
  const value = Number(text[name] ?? fallback)
  if (!(value > 0 && Number.isFinite(value))) throw new Error(`--${name} is ${text[name]}, expected a number above 0`)
  return value
}

function machinesWith(count: number, known: { threads: number; queueMs: number }): Machines {
  const kind = storeKind()
  const latency = number(options, 'latency', LATENCY_MS[kind])
  const threads = number(options, 'threads', known.threads)
  return {
    workers: count,
    threads,
    jobs: number(options, 'jobs', threads),
    linkRate: number(options, 'worker-gbit', 10) * GBIT,
    storeRate: number(options, 'store-gbit', 400) * GBIT,
    requestRate: (kind === 'bucket' ? REQUESTS_AT_A_TIME : threads) / latency,
    storeRequestRate: number(options, 'store-requests', STORE_REQUESTS[kind]) / 1000,
    queueMs: number(options, 'queue', Math.max(known.queueMs, 0.001))
  }
}

/** Runs the tasks of a log again, on as many workers as asked for. */
function replay(tasks: readonly LoggedTask[]): { workers: number; run: BuildRun }[] {
  if (tasks.length === 0) throw new Error('--log FILE or --rows N must be given')
  const found = machinesOf(tasks)
  const before = elapsedOf(tasks)
  console.log(
    `${tasks.length} tasks of ${found.workers} workers with ${found.threads} threads took ` +
      `${(before / 1000).toFixed(1)} s; ${found.queueMs.toFixed(1)} ms between two tasks of a thread.\n`
  )
  const groups = replayOf(tasks, found.queueMs)
  const done = workers.map((count) => ({ workers: count, run: simulateBuild(groups, machinesWith(count, found)) }))
  const [first] = done
  printTable(
    ['workers', 's', 'against the log', `against ${first.workers}`],
    done.map(({ workers: count, run }) => [
      String(count),
      (run.totalMs / 1000).toFixed(1),
      (run.totalMs / before).toFixed(3),
      (run.totalMs / first.run.totalMs).toFixed(3)
    ])
  )
  for (const one of done) printStages(one.workers, one.run)
  return done
}

/** Plans a build of another size with the rates of a log. */
function scale(tasks: readonly LoggedTask[], count: number): { workers: number; run: BuildRun }[] {
  const dim = number(options, 'dim', 128)
  const memoryBytes = number(options, 'memory', 8 * 2 ** 30)
  const kind = storeKind()
  const zones = options.text['zones'] === undefined ? undefined : number(options, 'zones', 0)
  const partBytes = options.text['part-mb'] === undefined ? undefined : number(options, 'part-mb', 0) * MIB
  const size = { rows: count, dim, memoryBytes, zones, partBytes }
  const shape = shapeOf(size)
  const rates = tasks.length === 0 ? ROUGH : ratesOf(tasks, shapeOfLog(tasks), ROUGH)
  const threads = number(options, 'threads', 8)
  printShape(shape, threads)
  printRates(rates)
  const groups = planBuild(size, rates, kind)
  return workers.map((some) => {
    const run = simulateBuild(groups, machinesWith(some, { threads, queueMs: 20 }))
    printStages(some, run)
    return { workers: some, run }
  })
}

function storeKind(): StoreKind {
  const kind = options.text['store'] ?? 'bucket'
  if (kind === 'bucket' || kind === 'folder') return kind
  throw new Error(`--store is ${kind}, expected bucket or folder`)
}

function shapeOfLog(tasks: readonly LoggedTask[]): BuildShape {
  const assigned = tasks.filter(({ kind }) => kind === 'assign').reduce((sum, task) => sum + task.rows, 0)
  return shapeOf({
    rows: number(options, 'log-rows', assigned),
    dim: number(options, 'log-dim', number(options, 'dim', 128)),
    memoryBytes: number(options, 'log-memory', 2 ** 31),
    zones: options.text['log-zones'] === undefined ? undefined : number(options, 'log-zones', 0)
  })
}

function printShape(shape: BuildShape, threads: number): void {
  const { rows: count, dim, zones, parts, rowsPerPart, shards, sample, queries } = shape
  console.log(
    `${count.toLocaleString('en')} x ${dim}: ${zones.toLocaleString('en')} zones, ${parts} parts of ` +
      `${rowsPerPart.toLocaleString('en')} rows, ${shards} shards, a sample of ${sample.count.toLocaleString('en')} ` +
      `rows in ${sample.blocks} blocks, ${queries} queries; ${threads} threads need memoryBytes of ` +
      `${Math.ceil(memoryFor(shape, threads) / MIB)} MB (--memory ${Math.round(shape.memoryBytes / MIB)} MB).\n`
  )
}

/** Finds how much memory lets a worker have so many threads: chooseThreads says what fits. */
function memoryFor({ rows: count, dim, zones }: BuildShape, threads: number): number {
  const fits = (memoryBytes: number): boolean => chooseThreads(threads, { count, dim, zones, memoryBytes }) >= threads
  let high = 2 ** 26
  while (!fits(high)) high *= 2
  let low = high / 2
  while (high - low > MIB) {
    const middle = (low + high) / 2
    if (fits(middle)) high = middle
    else low = middle
  }
  return high
}

function printRates(rates: CostRates): void {
  printTable(
    ['ns of a thread', 'used', 'rough'],
    Object.keys(rates).map((name) => [name, show(rates, name), show(ROUGH, name)])
  )
}

function show(rates: CostRates, name: string): string {
  return Number(Reflect.get(rates, name)).toPrecision(3)
}

/** Groups of one stage, in the words of a build. */
function stageOf({ name }: GroupRun): string {
  return /^(begin|partial|round|order)/.test(name) ? 'train' : name
}

function printStages(count: number, run: BuildRun): void {
  const stages = new Map<string, GroupRun[]>()
  for (const group of run.groups) stages.set(stageOf(group), [...(stages.get(stageOf(group)) ?? []), group])
  const hours = run.totalMs / HOUR_MS
  const requests = run.groups.reduce((sum, group) => sum + group.requests, 0)
  console.log(
    `${count} workers: ${hours.toFixed(2)} hours, ${(hours * count).toFixed(1)} of machines; ` +
      `${Math.round(requests).toLocaleString('en')} requests.\n`
  )
  printTable(
    ['stage', 'tasks', 'hours', 'cores busy', 'links', 'store', 'requests', 'GB fetched', 'GB stored', 'held up by'],
    [...stages].map(([name, groups]) => describeStage(name, groups))
  )
}

function describeStage(name: string, groups: readonly GroupRun[]): string[] {
  const elapsedOfGroup = ({ startMs, endMs }: GroupRun): number => endMs - startMs
  const sum = (of: (group: GroupRun) => number): number => groups.reduce((total, group) => total + of(group), 0)
  const elapsed = sum(elapsedOfGroup)
  const share = (of: (group: GroupRun) => number): number =>
    elapsed === 0 ? 0 : sum((group) => of(group) * elapsedOfGroup(group)) / elapsed
  const used: [string, number][] = [
    ['cores', share((group) => group.used.cores)],
    ['links', share((group) => group.used.links)],
    ['store', share((group) => group.used.store)],
    ['requests', share((group) => group.used.requests)]
  ]
  const [most, mostUsed] = [...used].sort(([, a], [, b]) => b - a)[0]
  const isAlone = share((group) => group.used.coordinator) > SATURATED
  const heldUp = mostUsed >= SATURATED ? most : 'single tasks'
  return [
    name,
    String(sum((group) => group.tasks)),
    (elapsed / HOUR_MS).toFixed(3),
    ...used.map(([, value]) => `${Math.round(value * 100)} %`),
    (sum((group) => group.fetchedBytes) / GB).toFixed(1),
    (sum((group) => group.storedBytes) / GB).toFixed(1),
    isAlone ? `the coordinator${mostUsed >= SATURATED ? `: ${most}` : ''}` : heldUp
  ]
}
