// The arithmetic of the simulation of builds on many machines (bench/simulate-build.ts): what it says of cases that can
// be worked out by hand, of a log, and of a plan.

import { describe, expect, it } from 'vitest'

import { elapsedOf, groupOf, machinesOf, parseLog, ratesOf, replayOf, type LoggedTask } from '../bench/build-log.ts'
import { planBuild, productsPerRow, shapeOf, type CostRates } from '../bench/build-plan.ts'
import { simulateBuild, type Machines, type SimulatedTask, type TaskGroup } from '../bench/build-simulation.ts'

/** Machines on which nothing but the threads is short. */
const FREE: Machines = {
  workers: 1,
  threads: 1,
  linkRate: 1e12,
  storeRate: 1e15,
  requestRate: 1e9,
  storeRequestRate: 1e12,
  queueMs: 0
}
const task = (of: Partial<SimulatedTask>): SimulatedTask => ({
  computeMs: 0,
  fetchedBytes: 0,
  storedBytes: 0,
  ...of
})
const group = (name: string, tasks: readonly SimulatedTask[], after: readonly string[] = []): TaskGroup => ({
  name,
  after,
  tasks
})
const copies = (count: number, of: Partial<SimulatedTask>): SimulatedTask[] =>
  Array.from({ length: count }, () => task(of))
const totalMs = (groups: readonly TaskGroup[], machines: Partial<Machines> = {}): number =>
  simulateBuild(groups, { ...FREE, ...machines }).totalMs

describe('Simulated machines', () => {
  it.each([
    [1, 1],
    [4, 1],
    [4, 8],
    [64, 1]
  ])('share tasks that need nothing of each other: %i workers of %i threads', (workers, threads) => {
    const tasks = copies(1024, { computeMs: 10 })
    expect(totalMs([group('a', tasks)], { workers, threads })).toBeCloseTo(10_240 / (workers * threads), 3)
  })

  it('cannot be faster than the longest task, and give long ones no more than one thread', () => {
    const tasks = [...copies(7, { computeMs: 10 }), task({ computeMs: 500 })]
    expect(totalMs([group('a', tasks)], { workers: 8, threads: 4 })).toBeCloseTo(500, 6)
  })

  it('wait for the groups before, and for nothing else', () => {
    const groups = [
      group('a', copies(2, { computeMs: 30 })),
      group('b', copies(2, { computeMs: 5 }), ['a']),
      group('c', copies(1, { computeMs: 100 })),
      group('d', copies(1, { computeMs: 1 }), ['b', 'c'])
    ]
    const run = simulateBuild(groups, { ...FREE, workers: 3 })
    const at = Object.fromEntries(run.groups.map(({ name, startMs, endMs }) => [name, [startMs, endMs]]))
    expect(at).toEqual({ a: [0, 30], b: [30, 35], c: [0, 100], d: [100, 101] })
    expect(run.totalMs).toBeCloseTo(101, 6)
  })

  it('share the link of a machine, and the store', () => {
    const tasks = copies(8, { fetchedBytes: 1000 })
    const linkRate = 10
    expect(totalMs([group('a', tasks)], { threads: 8, linkRate })).toBeCloseTo(800, 6)
    expect(totalMs([group('a', tasks)], { threads: 1, linkRate })).toBeCloseTo(800, 6)
    expect(totalMs([group('a', tasks)], { workers: 8, linkRate })).toBeCloseTo(100, 6)
    expect(totalMs([group('a', tasks)], { workers: 8, linkRate, storeRate: 20 })).toBeCloseTo(400, 6)
    const { used } = simulateBuild([group('a', tasks)], { ...FREE, workers: 8, linkRate, storeRate: 20 }).groups[0]
    expect(used.store).toBeCloseTo(1, 6)
    expect(used.links).toBeCloseTo(0.25, 6)
  })

  it('leave to slow links what they can use of the store, and the rest to others', () => {
    // three tasks of one worker have a third of its link each; that of the other gets what the store has left
    const tasks = [task({ fetchedBytes: 100 }), ...copies(3, { fetchedBytes: 100 })]
    const run = simulateBuild([group('a', tasks)], { ...FREE, workers: 2, threads: 3, linkRate: 6, storeRate: 8 })
    expect(run.totalMs).toBeCloseTo(50, 6) // two tasks each, by turns: 4 bytes a millisecond for every worker
  })

  it('send and receive at the same time, and compute while others fetch', () => {
    const tasks = [task({ fetchedBytes: 1000 }), task({ storedBytes: 1000 }), task({ computeMs: 100 })]
    expect(totalMs([group('a', tasks)], { threads: 3, linkRate: 10 })).toBeCloseTo(100, 6)
  })

  it('compute while other tasks of the same thread fetch, where a worker has more tasks than threads', () => {
    const tasks = copies(40, { fetchedBytes: 100, computeMs: 10 })
    expect(totalMs([group('a', tasks)], { linkRate: 10 })).toBeCloseTo(800, 6)
    const overlapping = totalMs([group('a', tasks)], { linkRate: 10, jobs: 4 })
    expect(overlapping).toBeGreaterThanOrEqual(400)
    expect(overlapping).toBeLessThan(500)
  })

  it('wait for requests, of a machine and of the store', () => {
    const tasks = copies(4, { fetchRequests: 100, storeRequests: 100 })
    expect(totalMs([group('a', tasks)], { workers: 4, requestRate: 2 })).toBeCloseTo(100, 6)
    expect(totalMs([group('a', tasks)], { workers: 4, requestRate: 2, storeRequestRate: 4 })).toBeCloseTo(200, 6)
  })

  it('wait for the queue before each task', () => {
    expect(totalMs([group('a', copies(10, { computeMs: 5 }))], { queueMs: 2 })).toBeCloseTo(70, 6)
  })

  it('do what is done once for a key once: bytes by worker, work by thread', () => {
    const setup = { key: 'k', fetchedBytes: 100, computeMs: 7 }
    const run = simulateBuild([group('a', copies(40, { computeMs: 1, setup }))], { ...FREE, workers: 2, threads: 4 })
    expect(run.groups[0]).toMatchObject({ fetchedBytes: 200, computeMs: 40 + 8 * 7 })
  })

  it('leave tasks of the coordinator to it', () => {
    const tasks = copies(4, { computeMs: 10, isAtCoordinator: true })
    const run = simulateBuild([group('a', tasks)], { ...FREE, workers: 16 })
    expect(run.totalMs).toBeCloseTo(40, 6)
    expect(run.groups[0].used.coordinator).toBeCloseTo(1, 6)
  })

  it('refuse groups that wait for each other, or for one that is not there', () => {
    const [a, b] = [group('a', copies(1, {}), ['b']), group('b', copies(1, {}), ['a'])]
    expect(() => totalMs([a, b])).toThrow(/a is never begun/)
    expect(() => totalMs([a])).toThrow(/a waits for b/)
  })
})

/** A log as workers would write it: tasks of two rounds and of two parts, each thread busy without a pause. */
function logOf(threads: number, pauseMs: number): LoggedTask[] {
  const kinds: [kind: string, output: (number: number) => string, count: number, runMs: number][] = [
    ['sample', (i) => `sample-0000${i}-ab`, 4, 300],
    ['begin', () => 'round-00000-ab', 1, 50],
    ['partial', (i) => `partial-0-0000${i}-ab`, 4, 700],
    ['round', () => 'round-00001-ab', 1, 90],
    ['partial', (i) => `partial-1-0000${i}-ab`, 4, 650],
    ['round', () => 'round-00002-ab', 1, 80],
    ['order', () => 'trained-ab', 1, 200],
    ['assign', (i) => `part-0000${i}-ab`, 8, 1100],
    ['write', (i) => `shard-0000${i}-ab`, 8, 900]
  ]
  const log: LoggedTask[] = []
  let start = 1_700_000_000_000
  for (const [kind, output, count, runMs] of kinds) {
    const free = new Array<number>(threads).fill(start)
    for (let i = 0; i < count; i++) {
      const thread = i % threads
      const [fetchMs, storeMs] = [20, 10]
      const bytes = { fetchedBytes: 1000, storedBytes: 500, readBytes: 0, writtenBytes: 0 }
      const times = { startedAt: free[thread], fetchMs, runMs, storeMs }
      log.push({ output: output(i), kind, host: 'a', pid: 1, rows: 100, ...times, ...bytes })
      free[thread] += fetchMs + runMs + storeMs + pauseMs
    }
    start = Math.max(...free)
  }
  return log
}

const linesOf = (log: readonly LoggedTask[]): string => log.map((one) => `${JSON.stringify(one)}\n`).join('')

describe('The log of a build', () => {
  it('is read line by line', () => {
    const log = logOf(1, 3)
    expect(parseLog(`${linesOf(log)}\n`)).toEqual(log)
    expect(() => parseLog(`${linesOf(log.slice(0, 1))}{"output":"x","kind":"assign"}\n`)).toThrow(/line 2 has no/)
    expect(() => parseLog('no log')).toThrow(SyntaxError)
  })

  it('tells rounds by the names of what tasks leave', () => {
    expect([...new Set(logOf(1, 0).map(groupOf))]).toEqual([
      'sample',
      'begin',
      'partial 0',
      'round 0',
      'partial 1',
      'round 1',
      'order',
      'assign',
      'write'
    ])
  })

  it.each([
    [1, 0],
    [1, 40],
    [2, 15]
  ])('runs again in the time it took: %i threads, %i ms between tasks', (threads, pauseMs) => {
    const log = logOf(threads, pauseMs)
    const found = machinesOf(log)
    expect(found).toEqual({ workers: 1, threads, queueMs: pauseMs })
    // lines of several workers may stand in any order
    const groups = replayOf([...log].reverse(), found.queueMs)
    const again = totalMs(groups, { threads, queueMs: found.queueMs })
    expect(Math.abs(again / elapsedOf(log) - 1)).toBeLessThan(0.02)
  })

  it('takes times that are rounded for those of one thread', () => {
    const log = logOf(1, 0).map((one) => ({ ...one, runMs: one.runMs + 0.7 }))
    expect(machinesOf(log)).toEqual({ workers: 1, threads: 1, queueMs: 0 })
  })

  it('keeps what the coordinator did between groups of tasks, however many workers there are', () => {
    const log = logOf(1, 0).map((one) => (one.kind === 'write' ? { ...one, startedAt: one.startedAt + 5000 } : one))
    const groups = replayOf(log, 0)
    expect(Math.abs(totalMs(groups) / elapsedOf(log) - 1)).toBeLessThan(0.02)
    expect(totalMs(groups, { workers: 1000 })).toBeGreaterThan(5000)
  })

  it('runs in less time on more workers, down to its chain of single tasks', () => {
    const groups = replayOf(logOf(1, 0), 0)
    const chain = 330 + 80 + 730 + 120 + 680 + 110 + 230 + 1130 + 930
    expect(totalMs(groups, { workers: 4 })).toBeCloseTo(chain + 1130 + 930, 6)
    expect(totalMs(groups, { workers: 100 })).toBeCloseTo(chain, 6)
  })
})

const RATES: CostRates = {
  product: 0.1,
  sample: 3,
  assign: 8,
  write: 30,
  scan: 0.2,
  round: 1,
  order: 40,
  tally: 20,
  join: 500,
  calibrate: 1e5
}

describe('The plan of a build', () => {
  it('cuts it as a build does', () => {
    expect(shapeOf({ rows: 1e9, dim: 128, memoryBytes: 2 ** 33 })).toMatchObject({
      zones: 126_491,
      shards: 561,
      queries: 400
    })
    expect(shapeOf({ rows: 1e6, dim: 128, memoryBytes: 2 ** 30 })).toMatchObject({ zones: 4000, queries: 1000 })
  })

  it('has rows meet groups of centroids where there are many', () => {
    expect(productsPerRow({ dim: 10, zones: 1000 })).toBe(10_000)
    expect(productsPerRow({ dim: 10, zones: 10_000 })).toBeCloseTo(10 * (150 + (16 * 10_000) / 150), 9)
  })

  it('takes the time of a thread that its rates say, and a part of it on many', () => {
    const size = { rows: 4e6, dim: 64, memoryBytes: 2 ** 31 }
    const groups = planBuild(size, RATES, 'folder')
    const one = simulateBuild(groups, FREE)
    const assign = one.groups.find(({ name }) => name === 'assign')
    const shape = shapeOf(size)
    const perRow = productsPerRow(shape) * RATES.product + size.dim * RATES.assign
    expect((assign?.computeMs ?? 0) / ((size.rows * perRow) / 1e6)).toBeCloseTo(1, 1) // centroids are grouped once
    expect(assign?.fetchedBytes).toBe(size.rows * size.dim * 4)
    const many = simulateBuild(groups, { ...FREE, workers: 4, threads: 4 })
    expect(many.totalMs).toBeGreaterThan(one.totalMs / 16)
    expect(many.totalMs).toBeLessThan(one.totalMs / 5)
  })

  it('fetches the rows of all parts once, and the index where the coordinator joins a bucket', () => {
    const size = { rows: 2e6, dim: 64, memoryBytes: 2 ** 31 }
    const bytesOf = (kind: 'folder' | 'bucket', name: string): { fetched: number; requests: number } => {
      const run = simulateBuild(planBuild(size, RATES, kind), FREE).groups.find((one) => one.name === name)
      return { fetched: run?.fetchedBytes ?? 0, requests: run?.requests ?? 0 }
    }
    const { parts, shards, zones } = shapeOf(size)
    expect(bytesOf('bucket', 'write').fetched / (2e6 * (64 * 4 + 8))).toBeCloseTo(1, 1)
    expect(bytesOf('bucket', 'write').requests).toBeGreaterThanOrEqual(parts * shards)
    expect(bytesOf('folder', 'write').requests).toBe(parts * shards)
    expect(bytesOf('bucket', 'sample').fetched).toBeCloseTo(2e6 * 64 * 4, 0)
    expect(bytesOf('folder', 'sample').fetched).toBe(zones * 64 * 64 * 4)
    expect(bytesOf('bucket', 'join').fetched).toBeGreaterThan(2e6 * 64 * 4)
    expect(zones).toBeGreaterThan(shards)
  })

  it('finds the rates that made a log', () => {
    const shape = shapeOf({ rows: 4e6, dim: 64, memoryBytes: 2 ** 31 })
    const { dim, zones, parts, shards, sample, queries } = shape
    const products = productsPerRow(shape)
    const line = (kind: string, output: string, of: { rows: number; ns: number }): LoggedTask => {
      const bytes = { fetchedBytes: 0, storedBytes: 0, readBytes: 0, writtenBytes: 0 }
      const times = { startedAt: 0, fetchMs: 0, runMs: of.ns / 1e6, storeMs: 0 }
      return { kind, output, host: 'a', pid: 1, rows: of.rows, ...times, ...bytes }
    }
    const log = [
      line('sample', 'sample-00000-a', { rows: 1000, ns: 1000 * dim * RATES.sample }),
      line('partial', 'partial-0-00000-a', { rows: 1000, ns: 1 }), // early: not what it says
      line('partial', 'partial-7-00000-a', { rows: 1000, ns: 1000 * products * RATES.product }),
      line('round', 'round-00008-a', { rows: 0, ns: sample.blocks * zones * (dim + 1) * RATES.round }),
      line('order', 'trained-a', { rows: 0, ns: zones * dim * Math.log2(zones + 1) * RATES.order }),
      line('assign', 'part-00000-a', { rows: 1000, ns: 1000 * (products * RATES.product + dim * RATES.assign) }),
      line('tally', 'assigned-a', { rows: 0, ns: parts * zones * RATES.tally }),
      line('write', 'shard-00000-a', { rows: 0, ns: (4e6 / shards) * dim * RATES.write }),
      line('scan', 'scan-00000-a', { rows: 3, ns: (4e6 / shards) * dim * queries * RATES.scan }) // steps, not rows
    ]
    const fallback = { ...RATES, product: 9, sample: 9, assign: 9, write: 9, scan: 9, round: 9, order: 9, tally: 9 }
    const found = ratesOf(log, shape, fallback)
    for (const [name, rate] of Object.entries(RATES)) expect(Reflect.get(found, name), name).toBeCloseTo(rate, 6)
  })
})
