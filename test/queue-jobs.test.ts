// Jobs on the queue: done by workers, shared by coordinators, failed, given up, and nothing is left of them.

import { Queue } from 'bullmq'
import { setTimeout } from 'node:timers/promises'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'

import { JobQueue, type JobQueueOptions } from '../src/queue/job-queue.ts'
import type { QueueFacts } from '../src/queue/job-run.ts'
import { openJobWorker, type JobWorker, type JobWorkerOptions, type WorkerEvent } from '../src/queue/job-worker.ts'
import { jobsOf, TestStore } from './support/queue-workers.ts'
import { startRedis, type RedisServer } from './support/redis-server.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('queue')
/** Much may go on on this machine. */
const SOON = { timeout: 20_000 }
const opened: { close(): Promise<void> }[] = []
let redis: RedisServer

beforeAll(async () => {
  redis = await startRedis()
})

/** Everything closes, workers last, and then nothing may be left. */
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close()
  expect(await redis.keys()).toEqual([])
})

async function openQueue(options: JobQueueOptions = {}): Promise<JobQueue> {
  const queue = await JobQueue.open(redis.url, { retryMs: 10, lookMs: 200, ...options })
  opened.unshift(queue)
  return queue
}

async function openWorker(store: TestStore, name: string, options: Partial<JobWorkerOptions> = {}): Promise<JobWorker> {
  const worker = await openJobWorker(redis.url, {
    concurrency: 2,
    perform: store.performer(name),
    name,
    stalledMs: 1000,
    ...options
  })
  opened.push(worker)
  return worker
}

const newStore = (): TestStore => new TestStore(temp.fresh('store'))

describe('jobs', () => {
  it('are done once each, by several workers, and leave nothing in Redis', async () => {
    const store = newStore()
    const queue = await openQueue()
    await openWorker(store, 'one')
    await openWorker(store, 'two')
    await queue.join('build-a')
    const done: string[] = []
    const jobs = jobsOf(120, { waitMs: 5 })
    await queue.run(jobs, store.seam(done))
    const outputs = jobs.map(({ output }) => output).sort()
    expect(done.sort()).toEqual(outputs)
    expect(store.outputs()).toEqual(outputs)
    expect(store.taken()).toHaveLength(120)
    expect(new Set(store.taken().map((line) => line.split(' ')[0]))).toEqual(new Set(['one', 'two']))
    expect(await queue.leave('build-a')).toBe(true)
  })

  it('whose outputs are there are not done again', async () => {
    const store = newStore()
    const queue = await openQueue()
    await openWorker(store, 'one')
    await queue.run(jobsOf(10), store.seam())
    const done: string[] = []
    await queue.run(jobsOf(20), store.seam(done))
    expect(done).toHaveLength(20)
    expect(store.taken()).toHaveLength(20)
    await queue.leave('build-a')
  })

  it('are told of once, though the store answers slowly', async () => {
    const store = newStore()
    const queue = await openQueue({ lookMs: 20 })
    await openWorker(store, 'one')
    const done: string[] = []
    const { has } = store.seam()
    await queue.run(jobsOf(20, { waitMs: 20 }), {
      ...store.seam(done),
      has: async (output) => {
        const isThere = await has(output)
        await setTimeout(100)
        return isThere
      }
    })
    expect(new Set(done).size).toBe(20)
    expect(done).toHaveLength(20)
    await queue.leave('build-a')
  })

  it('wait where there are many, at most 2,000 of them in Redis', async () => {
    const store = new Set<string>()
    const queue = await openQueue()
    let most = 0
    const board = new Queue('zgq', { connection: { port: redis.port } })
    await openWorker(newStore(), 'one', {
      concurrency: 50,
      perform: async ({ output }) => {
        if (output.includes('-7')) most = Math.max(most, await board.count())
        store.add(output)
      }
    })
    await queue.run(jobsOf(4500), { has: (output) => Promise.resolve(store.has(output)), done: () => undefined })
    await board.close()
    expect(store.size).toBe(4500)
    expect(most).toBeGreaterThan(500)
    expect(most).toBeLessThanOrEqual(2000)
    await queue.leave('build-a')
  })

  it('tell of their progress, and of the queue', async () => {
    const store = newStore()
    const queue = await openQueue()
    const rows: number[] = []
    const facts: QueueFacts[] = []
    const running = queue.run(jobsOf(3, { waitMs: 1500 }), {
      ...store.seam(),
      progress: (_, count) => rows.push(count),
      waiting: (seen) => facts.push(seen)
    })
    await expect
      .poll(() => facts.at(-1), SOON)
      .toEqual({
        isConnected: true,
        workers: 0,
        active: 0,
        waiting: 3
      })
    await openWorker(store, 'one')
    await running
    expect(rows).toContain(50)
    expect(facts).toContainEqual({ isConnected: true, workers: 1, active: 2, waiting: 1 })
    await queue.leave('build-a')
  })

  it('of two coordinators of one build are shared', async () => {
    const store = newStore()
    const [first, second] = [await openQueue(), await openQueue()]
    await first.join('build-a')
    await second.join('build-a')
    await openWorker(store, 'one', { concurrency: 8 })
    const done: [string[], string[]] = [[], []]
    const jobs = jobsOf(60, { waitMs: 20 })
    await Promise.all([first.run(jobs, store.seam(done[0])), second.run(jobs, store.seam(done[1]))])
    expect(done.map(({ length }) => length)).toEqual([60, 60])
    expect(store.taken()).toHaveLength(60)
    expect(await first.leave('build-a')).toBe(false)
    expect(await second.leave('build-a')).toBe(true)
  })

  it('of other builds are left alone', async () => {
    const store = newStore()
    const queue = await openQueue()
    await queue.join('build-a')
    await queue.join('build-b')
    const ending = new AbortController()
    const lasting = queue.run(jobsOf(5, {}, 'build-b'), store.seam())
    const ended = queue.run(jobsOf(5), store.seam(), ending.signal)
    await setTimeout(200)
    ending.abort(new Error('enough'))
    await expect(ended).rejects.toThrow('enough')
    expect(await queue.leave('build-a')).toBe(true)
    await openWorker(store, 'one')
    await lasting
    expect(store.outputs()).toEqual(jobsOf(5, {}, 'build-b').map(({ output }) => output))
    expect(await queue.leave('build-b')).toBe(true)
  })
})

describe('a job that fails', () => {
  it.each([
    ['ZGQ_NON_FINITE', { code: 'ZGQ_NON_FINITE', message: 'no square-0-build-a (/some/file)' }],
    ['ZGQ_NOT_FOUND', { code: 'ZGQ_NOT_FOUND' }],
    ['TypeError', { name: 'TypeError', message: 'no square-0-build-a' }]
  ] as const)('with %s rejects at once, with an error of the same code', async (code, expected) => {
    const store = newStore()
    const queue = await openQueue()
    await openWorker(store, 'one')
    const [bad, ...good] = jobsOf(5)
    await expect(queue.run([{ ...bad, task: { code } }, ...good], store.seam())).rejects.toMatchObject(expected)
    expect(store.timesTaken(bad.output)).toBe(1)
    await queue.leave('build-a')
  })

  it('tells all coordinators of its build', async () => {
    const store = newStore()
    const [first, second] = [await openQueue(), await openQueue()]
    await openWorker(store, 'one')
    const jobs = jobsOf(3, { code: 'ZGQ_ZERO_VECTOR', waitMs: 100 })
    const runs = [first.run(jobs, store.seam()), second.run(jobs, store.seam())]
    const ends = await Promise.allSettled(runs)
    const rejected = { status: 'rejected', reason: expect.objectContaining({ code: 'ZGQ_ZERO_VECTOR' }) as unknown }
    expect(ends).toEqual([rejected, rejected])
    await first.leave('build-a')
  })

  it('in a way that may pass is done again, five times at most', async () => {
    const store = newStore()
    const queue = await openQueue()
    const events: WorkerEvent[] = []
    await openWorker(store, 'one', { onEvent: (event) => events.push(event) })
    await queue.run(jobsOf(3, { code: 'ZGQ_IO', times: 2 }), store.seam())
    expect(store.taken()).toHaveLength(9)
    expect(events.filter((event) => event.kind === 'failed' && event.isRepeated)).toHaveLength(6)
    const never = jobsOf(1, { code: 'ZGQ_IO' }, 'build-b')
    await expect(queue.run(never, store.seam())).rejects.toMatchObject({ code: 'ZGQ_IO' })
    expect(store.timesTaken(never[0].output)).toBe(5)
    await queue.leave('build-a')
    await queue.leave('build-b')
  })

  it('may be tried again, also by the next coordinator', async () => {
    const store = newStore()
    const first = await openQueue()
    await openWorker(store, 'one')
    const jobs = jobsOf(2, { code: 'ZGQ_NOT_FOUND', times: 1 })
    await expect(first.run(jobs.slice(0, 1), store.seam())).rejects.toMatchObject({ code: 'ZGQ_NOT_FOUND' })
    await expect(first.run(jobs, store.seam())).rejects.toMatchObject({ code: 'ZGQ_NOT_FOUND' })
    await first.close()
    const second = await openQueue()
    await second.run(jobs, store.seam())
    await second.leave('build-a')
  })
})

describe('a worker', () => {
  it('that is unfit ends, and its job costs nothing', async () => {
    const store = newStore()
    const queue = await openQueue()
    const unfit = await openWorker(store, 'old')
    const jobs = jobsOf(4, { unfit: 'old', code: 'ZGQ_IO', times: 4 })
    const running = queue.run(jobs, store.seam())
    expect(await unfit.failed).toMatchObject({ code: 'ZGQ_MISMATCH', message: 'old is of another version' })
    await openWorker(store, 'new')
    await running
    // Four of five attempts fail: one more would be too much.
    expect(store.taken()).toHaveLength(20)
    await queue.leave('build-a')
  })

  it('that closes does the jobs that it has; at once, it gives them back', async () => {
    const store = newStore()
    const queue = await openQueue()
    const jobs = jobsOf(6, { waitMs: 600 })
    const running = queue.run(jobs, store.seam())
    const [patient, hasty] = [await openWorker(store, 'patient'), await openWorker(store, 'hasty')]
    await expect.poll(() => store.taken().length, SOON).toBe(4)
    await Promise.all([patient.close(), hasty.close(true)])
    expect(store.outputs()).toHaveLength(2)
    await openWorker(store, 'last', { concurrency: 4 })
    await running
    expect(store.taken()).toHaveLength(8)
    await queue.leave('build-a')
  })

  it('gives up jobs of a build that was cancelled', async () => {
    const store = newStore()
    const queue = await openQueue()
    await queue.join('build-a')
    const events: WorkerEvent[] = []
    await openWorker(store, 'one', { onEvent: (event) => events.push(event) })
    const ending = new AbortController()
    const running = queue.run(jobsOf(6, { waitMs: 60_000 }), store.seam(), ending.signal)
    await expect.poll(() => store.taken().length, SOON).toBe(2)
    ending.abort()
    await expect(running).rejects.toThrow('aborted')
    expect(await queue.leave('build-a')).toBe(true)
    await expect.poll(() => events.filter(({ kind }) => kind === 'failed').length, SOON).toBe(2)
    expect(store.taken()).toHaveLength(2)
    // It is free for others.
    await queue.run(jobsOf(2, {}, 'build-b'), store.seam())
    await queue.leave('build-b')
  })

  it('goes on with jobs of a build that another coordinator is there for', async () => {
    const store = newStore()
    const [first, second] = [await openQueue(), await openQueue()]
    await first.join('build-a')
    await second.join('build-a')
    await openWorker(store, 'one')
    const ending = new AbortController()
    const jobs = jobsOf(4, { waitMs: 300 })
    const [ended, lasting] = [first.run(jobs, store.seam(), ending.signal), second.run(jobs, store.seam())]
    await expect.poll(() => store.taken().length, SOON).toBe(2)
    ending.abort(new Error('enough'))
    await expect(ended).rejects.toThrow('enough')
    expect(await first.leave('build-a')).toBe(false)
    await lasting
    expect(store.taken()).toHaveLength(4)
    await second.leave('build-a')
  })
})

describe('a board', () => {
  it('sees jobs by kind and state, workers and metrics', async () => {
    const store = newStore()
    const queue = await openQueue()
    const board = new Queue('zgq', { connection: { port: redis.port } })
    opened.push(board)
    await queue.run([{ build: 'build-a', output: 'tally-1', task: {}, rows: 1 }], {
      ...store.seam(),
      has: () => Promise.resolve(true)
    })
    await openWorker(store, 'busy', { name: 'a busy one' })
    const running = queue.run(jobsOf(5, { waitMs: 500 }), store.seam())
    await expect.poll(() => board.getJobCounts('active', 'wait'), SOON).toEqual({ active: 2, wait: 3 })
    const [job] = await board.getActive()
    expect(job).toMatchObject({ name: 'square', data: { build: 'build-a', rows: 100 }, processedBy: 'a-busy-one' })
    expect(await board.getWorkers()).toHaveLength(1)
    await running
    await expect.poll(async () => (await board.getMetrics('completed')).meta.count, SOON).toBe(5)
    await queue.leave('build-a')
  })

  it('sees why a job failed', async () => {
    const store = newStore()
    const queue = await openQueue()
    const board = new Queue('zgq', { connection: { port: redis.port } })
    opened.push(board)
    await openWorker(store, 'one')
    await expect(queue.run(jobsOf(1, { code: 'ZGQ_DIMENSION' }), store.seam())).rejects.toThrow()
    const [failed] = await board.getFailed()
    expect(failed.failedReason).toBe('ZGQ_DIMENSION: no square-0-build-a (/some/file)')
    await queue.leave('build-a')
  })
})

describe('a queue', () => {
  it('may have another prefix, and lie in another database', async () => {
    const store = newStore()
    const url = `${redis.url}/2`
    const queue = await JobQueue.open(url, { prefix: '{mine}' })
    const worker = await openJobWorker(url, { concurrency: 1, perform: store.performer('one'), prefix: '{mine}' })
    opened.push(queue, worker)
    await queue.join('build-a')
    await queue.run(jobsOf(3), store.seam())
    expect((await redis.keys()).every((key) => key.startsWith('{mine}:zgq'))).toBe(true)
    expect(await redis.keys()).toContain('{mine}:zgq-coordinators')
    expect(await queue.leave('build-a')).toBe(true)
  })

  it('keeps what a user set', async () => {
    const store = newStore()
    const queue = await openQueue()
    const board = new Queue('zgq', { connection: { port: redis.port } })
    await board.setGlobalConcurrency(3)
    await openWorker(store, 'one')
    await queue.run(jobsOf(3), store.seam())
    await queue.leave('build-a')
    expect(await board.getGlobalConcurrency()).toBe(3)
    await board.removeGlobalConcurrency()
    await board.close()
  })

  it('that is closed ends what runs on it', async () => {
    const store = newStore()
    const queue = await openQueue()
    const running = queue.run(jobsOf(3), store.seam())
    running.catch(() => undefined)
    await setTimeout(100)
    await queue.leave('build-a')
    await queue.close()
    await expect(running).rejects.toMatchObject({ code: 'ZGQ_CLOSED' })
    await expect(queue.run(jobsOf(1), store.seam())).rejects.toMatchObject({ code: 'ZGQ_CLOSED' })
    await expect(queue.join('build-a')).rejects.toMatchObject({ code: 'ZGQ_CLOSED' })
  })

  it('refuses names that cannot be those of jobs', async () => {
    const queue = await openQueue()
    const job = { build: 'build-a', output: 'a:b', task: {}, rows: 1 }
    await expect(queue.run([job], newStore().seam())).rejects.toBeInstanceOf(RangeError)
    await queue.leave('build-a')
  })
})
