// What may happen to a queue: workers that are killed, a Redis that restarts, forgets, is away, full or closed to us.

import { build } from 'esbuild'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'

import type { ZgqError } from '../src/errors.ts'
import { JobQueue, type JobQueueOptions } from '../src/queue/job-queue.ts'
import type { QueueFacts } from '../src/queue/job-run.ts'
import { openJobWorker, type JobWorker, type WorkerEvent } from '../src/queue/job-worker.ts'
import { startRedis, type RedisServer } from './support/redis-server.ts'
import { jobsOf, startWorker, TestStore, type WorkerProcess } from './support/queue-workers.ts'
import { ROOT } from './support/sources.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('queue-faults')
/** Without packages. */
const bare = useTempFolder('queue-bare')
/** Much may go on on this machine. */
const SOON = { timeout: 20_000 }
const closing: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

const newStore = (): TestStore => new TestStore(temp.fresh('store'))

async function openQueue(url: string, options: JobQueueOptions = {}): Promise<JobQueue> {
  const queue = await JobQueue.open(url, { retryMs: 10, lookMs: 200, ...options })
  closing.unshift(() => queue.close())
  return queue
}

async function newProcess(redis: RedisServer, store: TestStore, name: string): Promise<WorkerProcess> {
  const worker = await startWorker(temp, { url: redis.url, store, name })
  closing.push(() => worker.kill())
  return worker
}

async function openWorker(redis: RedisServer, store: TestStore, onEvent?: (event: WorkerEvent) => void) {
  const worker: JobWorker = await openJobWorker(redis.url, {
    concurrency: 2,
    perform: store.performer('one'),
    stalledMs: 1000,
    ...(onEvent === undefined ? {} : { onEvent })
  })
  closing.push(() => worker.close(true))
  return worker
}

async function openError(url: string, options: JobQueueOptions = {}): Promise<ZgqError> {
  const outcome: unknown = await JobQueue.open(url, options).catch((error: unknown) => error)
  if (outcome instanceof JobQueue) await outcome.close()
  return outcome as ZgqError
}

describe('workers', () => {
  it('may be killed, and others do their jobs', async () => {
    const redis = await startRedis()
    const store = newStore()
    const queue = await openQueue(redis.url)
    await queue.join('build-a')
    const done: string[] = []
    const running = queue.run(jobsOf(30, { waitMs: 300 }), store.seam(done))
    await expect.poll(() => redis.command('llen', 'bull:zgq:wait'), SOON).toBe(30)
    // As if each had been left behind by 45 workers before.
    const script = "for i = 0, 29 do redis.call('hset', 'bull:zgq:square-' .. i .. '-build-a', 'stc', 45) end"
    await redis.command('eval', script, '0')
    for (let i = 0; i < 2; i++) {
      const worker = await newProcess(redis, store, `killed-${i}`)
      await expect.poll(() => store.taken(), SOON).toContainEqual(expect.stringContaining(`killed-${i}`))
      await worker.kill()
    }
    const last = await openWorker(redis, store)
    await running
    expect(done).toHaveLength(30)
    expect(store.outputs()).toHaveLength(30)
    expect(store.taken().length).toBeGreaterThanOrEqual(32)
    expect(await queue.leave('build-a')).toBe(true)
    await last.close()
    expect(await redis.keys()).toEqual([])
  })

  it('may stop for longer than others wait, and come back', async () => {
    const redis = await startRedis()
    const store = newStore()
    const queue = await openQueue(redis.url)
    await queue.join('build-a')
    const running = queue.run(jobsOf(8, { waitMs: 300 }), store.seam())
    const stopped = await newProcess(redis, store, 'stopped')
    await expect.poll(() => store.taken().length, SOON).toBeGreaterThan(1)
    stopped.child.kill('SIGSTOP')
    const other = await openWorker(redis, store)
    await running
    stopped.child.kill('SIGCONT')
    // It reports jobs that are gone, and takes new ones.
    await other.close()
    await queue.run(jobsOf(3, {}, 'build-b'), store.seam())
    expect(store.outputs()).toHaveLength(11)
    expect(await queue.leave('build-a')).toBe(true)
    expect(await queue.leave('build-b')).toBe(true)
    expect(await stopped.end()).toBe(0)
    expect(await redis.keys()).toEqual([])
  })
})

describe('a Redis that restarts', () => {
  it('with its append-only file goes on where it was', async () => {
    const redis = await startRedis({ appendOnly: true })
    const store = newStore()
    const queue = await openQueue(redis.url)
    await queue.join('build-a')
    const facts: QueueFacts[] = []
    const running = queue.run(jobsOf(60, { waitMs: 100 }), { ...store.seam(), waiting: (seen) => facts.push(seen) })
    const events: WorkerEvent[] = []
    await openWorker(redis, store, (event) => events.push(event))
    await openWorker(redis, store)
    await expect.poll(() => store.taken().length, SOON).toBeGreaterThan(6)
    await redis.kill()
    await expect.poll(() => facts.at(-1)?.isConnected, SOON).toBe(false)
    await redis.start()
    await expect.poll(() => facts.at(-1)?.isConnected, SOON).toBe(true)
    await redis.restart()
    await running
    expect(store.outputs()).toHaveLength(60)
    expect(facts).toContainEqual({ isConnected: false, workers: undefined, active: 0, waiting: 0 })
    expect(events.map(({ kind }) => kind)).toContain('disconnected')
    expect(await queue.leave('build-a')).toBe(true)
    for (const close of closing.splice(0)) await close()
    expect(await redis.keys()).toEqual([])
  })

  it('without one has forgotten the jobs, and gets them again', async () => {
    const redis = await startRedis()
    const store = newStore()
    const queue = await openQueue(redis.url)
    await queue.join('build-a')
    const running = queue.run(jobsOf(40, { waitMs: 100 }), store.seam())
    const apart = await newProcess(redis, store, 'apart')
    await expect.poll(() => store.taken().length, SOON).toBeGreaterThan(6)
    await redis.restart()
    await expect.poll(() => redis.keys(), SOON).toContain('bull:zgq-coordinators')
    await running
    expect(store.outputs()).toHaveLength(40)
    expect(await queue.leave('build-a')).toBe(true)
    expect(await apart.end()).toBe(0)
    expect(await redis.keys()).toEqual([])
  })

  it('with another password ends workers and runs', async () => {
    const redis = await startRedis()
    const store = newStore()
    const queue = await openQueue(redis.url)
    const worker = await openWorker(redis, store)
    const running = queue.run(jobsOf(4, { waitMs: 500 }), store.seam())
    const expected = { code: 'ZGQ_IO', message: expect.stringContaining('asks for a password') as string }
    const ended = expect(running).rejects.toMatchObject(expected)
    await expect.poll(() => store.taken().length, SOON).toBe(2)
    await redis.kill()
    await redis.start({ password: 'new' })
    await ended
    expect(await worker.failed).toMatchObject(expected)
    expect(store.outputs()).toHaveLength(2)
  })

  it('while a build is left lets it be', async () => {
    const redis = await startRedis()
    const queue = await openQueue(redis.url)
    await queue.join('build-a')
    await redis.kill()
    expect(await queue.leave('build-a')).toBe(false)
    await redis.start()
  })

  it('while a worker closes does not keep it', async () => {
    const redis = await startRedis()
    const store = newStore()
    const queue = await openQueue(redis.url)
    const running = queue.run(jobsOf(2, { waitMs: 500 }), store.seam())
    const worker = await openWorker(redis, store)
    await expect.poll(() => store.taken().length, SOON).toBe(2)
    await redis.kill()
    await worker.close()
    // The jobs were done, and so the run ends, too.
    await redis.start()
    await running
    await queue.leave('build-a')
  })
})

describe('jobs', () => {
  it('that Redis throws away are added again', async () => {
    const redis = await startRedis()
    const store = newStore()
    const queue = await openQueue(redis.url)
    const running = queue.run(jobsOf(4), store.seam())
    await expect.poll(async () => (await redis.keys()).length, SOON).toBeGreaterThan(4)
    // Of one all is lost, of the other what it was to do.
    await redis.command('del', 'bull:zgq:square-0-build-a', 'bull:zgq:square-1-build-a')
    await redis.command('lrem', 'bull:zgq:wait', '0', 'square-0-build-a')
    await openWorker(redis, store)
    await running
    expect(store.outputs()).toHaveLength(4)
    await queue.leave('build-a')
  })

  it('that end every worker fail in the end', async () => {
    const redis = await startRedis()
    const store = newStore()
    const queue = await openQueue(redis.url)
    const jobs = jobsOf(1, { isDeadly: true })
    const running = queue.run(jobs, store.seam())
    const failed = expect(running).rejects.toMatchObject({
      code: 'ZGQ_IO',
      message: expect.stringContaining('every worker that took square-0-build-a ended without a word') as string
    })
    const deadly = await newProcess(redis, store, 'deadly')
    await once(deadly.child, 'exit')
    expect(store.taken()).toHaveLength(1)
    // As if 49 more had ended so.
    await redis.command('hset', 'bull:zgq:square-0-build-a', 'stc', '50')
    await openWorker(redis, store)
    await failed
    expect(store.taken()).toHaveLength(1)
    await queue.leave('build-a')
  })

  it('that workers leave in another store end the run', async () => {
    const redis = await startRedis()
    const [store, other] = [newStore(), newStore()]
    const queue = await openQueue(redis.url, { vainMs: 1000 })
    await openWorker(redis, other)
    await expect(queue.run(jobsOf(2), store.seam())).rejects.toMatchObject({ code: 'ZGQ_MISMATCH' })
    await queue.leave('build-a')
  })

  it('of a coordinator that was killed are left to the next', async () => {
    const redis = await startRedis()
    const store = newStore()
    const killed = await JobQueue.open(redis.url)
    await killed.join('build-a')
    const running = killed.run(jobsOf(3), store.seam())
    running.catch(() => undefined)
    await expect.poll(() => redis.command('llen', 'bull:zgq:wait'), SOON).toBe(3)
    await killed.close()
    const next = await openQueue(redis.url)
    await next.join('build-a')
    await openWorker(redis, store)
    await next.run(jobsOf(3), store.seam())
    expect(store.taken()).toHaveLength(3)
    // The other one counts for a minute, as far as anybody can tell.
    expect(await next.leave('build-a')).toBe(false)
    const [, expires] = (await redis.command('zrange', 'bull:zgq-coordinators', '0', '-1', 'withscores')) as string[]
    expect(Number(expires) - Date.now()).toBeLessThanOrEqual(60_000)
  })

  it('for which Redis has no memory end the run', async () => {
    const redis = await startRedis({ settings: ['--maxmemory', '2mb'] })
    const store = newStore()
    const queue = await openQueue(redis.url)
    await expect(queue.run(jobsOf(2000), store.seam())).rejects.toMatchObject({
      code: 'ZGQ_IO',
      message: expect.stringContaining('Redis has no memory left') as string
    })
    await queue.leave('build-a')
  })
})

describe('a queue that cannot be opened', () => {
  it('because nothing listens there says so in time', async () => {
    const redis = await startRedis()
    await redis.kill()
    const before = Date.now()
    const error = await openError(redis.url, { connectMs: 700 })
    expect(error).toMatchObject({ code: 'ZGQ_IO', message: expect.stringContaining('nothing listens there') as string })
    expect(Date.now() - before).toBeLessThan(3000)
  })

  it('because nothing answers says so in time', async () => {
    const silent = await listen()
    const error = await openError(`redis://127.0.0.1:${portOf(silent)}`, { connectMs: 500 })
    expect(error).toMatchObject({ code: 'ZGQ_IO' })
    expect(error.message).toContain('no answer within 500 ms')
  })

  it('waits for a Redis that starts, unless it is told not to', async () => {
    const redis = await startRedis()
    await redis.kill()
    const ending = new AbortController()
    const aborted = openError(redis.url, { signal: ending.signal })
    const opening = openQueue(redis.url)
    await setTimeout(300)
    ending.abort(new Error('enough'))
    expect(await aborted).toMatchObject({ message: 'enough' })
    await redis.start()
    await (await opening).leave('build-a')
  })

  it.each([
    ['redis://:wr0ng%40pass@', 'refuses the user or the password'],
    ['redis://someone:wr0ng%40pass@', 'refuses the user or the password'],
    ['redis://', 'asks for a password'],
    ['redis://:s3cr3t%2Fpass@', 'no database of that number']
  ])('by %s does not show the password', async (begin, reason) => {
    const redis = await startRedis({ password: 's3cr3t/pass' })
    const error = await openError(`${begin}127.0.0.1:${redis.port}/7`)
    expect(error).toMatchObject({ code: 'ZGQ_IO', path: `redis://127.0.0.1:${redis.port}/7` })
    expect(error.message).toContain(reason)
    expect(allTextOf(error)).not.toMatch(/wr0ng|s3cr3t/)
    const worker = openJobWorker(`${begin}127.0.0.1:${redis.port}/7`, { concurrency: 1, perform: fail })
    await expect(worker).rejects.toMatchObject({ code: 'ZGQ_IO' })
  })

  it('since Redis takes no more connections says so', async () => {
    const redis = await startRedis({ settings: ['--maxclients', '1'] })
    const expected = { code: 'ZGQ_IO', message: expect.stringContaining('maxclients') as string }
    expect(await openError(redis.url, { connectMs: 500 })).toMatchObject(expected)
    const worker = openJobWorker(redis.url, { concurrency: 1, perform: fail, connectMs: 500 })
    await expect(worker).rejects.toMatchObject(expected)
  })

  it('since its packages are not installed says how to install them', async () => {
    const outfile = bare.fresh('alone.mjs')
    await build({
      stdin: {
        resolveDir: join(ROOT, 'src/queue'),
        contents: `
          import { JobQueue } from './job-queue.ts'
          await JobQueue.open('redis://127.0.0.1').catch(({ code, message }) => { console.log(code, message) })`
      },
      bundle: true,
      platform: 'node',
      format: 'esm',
      packages: 'external',
      outfile
    })
    const { stdout } = spawnSync(process.execPath, [outfile], { encoding: 'utf8' })
    expect(stdout).toMatch(/^ZGQ_UNSUPPORTED .*npm install bullmq ioredis/)
  })

  it('with its password does open', async () => {
    const redis = await startRedis({ password: 's3cr3t/pass' })
    const queue = await openQueue(redis.url)
    expect(queue.place).toBe(`redis://127.0.0.1:${redis.port}/0`)
    expect(await queue.leave('build-a')).toBe(true)
    expect(await redis.keys()).toEqual([])
  })

  it('by TLS where there is none says so', async () => {
    const redis = await startRedis()
    const error = await openError(redis.url.replace('redis:', 'rediss:'), { connectMs: 500 })
    expect(error).toMatchObject({ code: 'ZGQ_IO' })
    expect(error.message).toContain('redis:// one without')
  })

  it.each([
    ['http://host', 'must be redis://'],
    ['redis://', 'must be redis://'],
    ['redis://:se/cr#et@host', '***@host'],
    ['redis://host/name', 'number of a database'],
    ['redis://host?tls=1', 'unknown parameter "tls"'],
    ['redis://host?family=5', 'family must be 4 or 6'],
    ['redis://:secr%et@host', 'written as %25']
  ])('since %s is no URL of one throws a TypeError', async (url, words) => {
    const error = await openError(url)
    expect(error).toBeInstanceOf(TypeError)
    expect(error.message).toContain(words)
    expect(error.message).not.toMatch(/secr|se\/cr/)
  })
})

const fail = (): Promise<void> => Promise.reject(new Error('no job is here'))

async function listen(): Promise<Server> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closing.push(() => {
    server.close()
    return Promise.resolve()
  })
  return server
}

function portOf(server: Server): number {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** All that a log may show of an error. */
function allTextOf(error: Error): string {
  const { cause } = error
  return `${error.stack ?? ''} ${JSON.stringify(error)} ${JSON.stringify(cause)} ${String(cause)}`
}
