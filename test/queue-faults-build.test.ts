// Builds on a queue that cannot end well: what is unreachable, refused, changed, full or wrong. Each rejects with a typed
// error that says what to do, and leaves nothing but what a stopped build needs.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { Queue } from 'bullmq'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'

import { buildIndex } from '../src/build.ts'
import type { BuildStage } from '../src/build/build-options.ts'
import { buildOnQueue, openWorker, type BuildWorker, type QueueBuildOptions, type WorkerOptions } from '../src/queue.ts'
import { anyFloat, randomFrom, randomVectors } from './support/random.ts'
import { startRedis, type RedisServer } from './support/redis-server.ts'
import { runZgq } from './support/run-zgq.ts'
import { startBucket, type Fate, type TestBucket } from './support/s3-proxy.ts'
import { errorFrom, placeIn, rejection } from './support/small-build.ts'
import { useTempFolder } from './support/temp-folder.ts'
import { fbin } from './support/vector-files.ts'

const temp = useTempFolder('queue-faults-build')
const SEED = 7
const DIM = 16
const COUNT = 4000
const ROWS = randomVectors({ count: COUNT, dim: DIM }, randomFrom(SEED), anyFloat)
const DENIED: Fate = { status: 403, code: 'AccessDenied' }
const FULL: Fate = { status: 507, code: 'InsufficientStorage' }
const closing: (() => Promise<unknown>)[] = []
let redis: RedisServer
let bucket: TestBucket

beforeAll(async () => {
  redis = await startRedis()
  bucket = await startBucket(temp.fresh('s3'))
})
afterAll(() => bucket.close())
afterEach(async () => {
  bucket.decide = () => 'pass'
  bucket.isConditional = true
  for (const close of closing.splice(0)) await close()
  const left = await redis.keys()
  await redis.command('flushall')
  expect(left).toEqual([])
})

interface Place {
  readonly store: string
  readonly client?: ReturnType<TestBucket['client']>
}

function folderPlace(): Place {
  const store = temp.fresh('store')
  mkdirSync(store)
  return { store }
}

function bucketPlace(): Place {
  return { store: `s3://${bucket.bucket}/${temp.fresh('p').slice(-6).replace('/', '')}`, client: bucket.client() }
}

/** Names of all objects in the bucket of a place. */
async function objectsOf({ store }: Place): Promise<string[]> {
  const { prefix } = { prefix: store.replace(`s3://${bucket.bucket}/`, '') }
  const { ListObjectsV2Command } = await import('@aws-sdk/client-s3')
  const found = await bucket.client().send(new ListObjectsV2Command({ Bucket: bucket.bucket, Prefix: `${prefix}/` }))
  return (found.Contents ?? []).map(({ Key = '' }) => Key)
}

async function leftIn(place: Place): Promise<string[]> {
  return place.client === undefined ? readdirSync(place.store) : await objectsOf(place)
}

async function startWorker(place: Place, options: Partial<WorkerOptions> = {}): Promise<BuildWorker> {
  const worker = await openWorker({ queue: redis.url, concurrency: 2, ...place, ...options })
  closing.unshift(() => worker.close(true))
  return worker
}

type Options = Partial<QueueBuildOptions> & Place

function build(output: string, options: Options): ReturnType<typeof buildOnQueue> {
  const input = options.input ?? ROWS
  return buildOnQueue({
    input,
    ...(input instanceof Float32Array ? { dim: DIM } : {}),
    zones: 20,
    memoryBytes: 2 ** 26,
    calibrate: false,
    output,
    queue: redis.url,
    ...options
  })
}

/** Rows of which one was changed. */
function withRow(row: number, values: (at: number) => number): Float32Array {
  const rows = ROWS.slice()
  for (let i = 0; i < DIM; i++) rows[row * DIM + i] = values(i)
  return rows
}

function contentOf(index: string): string[] {
  return readdirSync(index)
    .sort()
    .map((name) => `${name} ${readFileSync(join(index, name)).toString('base64')}`)
}

describe('a queue', () => {
  it.each([
    ['where nothing listens', () => 'redis://:hush@127.0.0.1:1/0', 'nothing listens there; check host and port'],
    ['without the password', () => locked.url.replace(/:[^/]*@/, ''), 'Redis asks for a password; give it in the URL'],
    ['with a wrong password', () => locked.url.replace('open', 'hush'), 'Redis refuses the user or the password; check']
  ])(
    '%s',
    async (_, url, advice) => {
      const { folder, output } = placeIn(temp)
      const place = folderPlace()
      const wanted = { code: 'ZGQ_IO', message: expect.stringContaining(advice) }
      for (const attempt of [
        () => build(output, { ...place, queue: url() }),
        () => startWorker(place, { queue: url() })
      ]) {
        const error = await errorFrom(attempt())
        expect(error).toMatchObject(wanted)
        expect(error.message).not.toContain('hush')
      }
      expect([readdirSync(folder), readdirSync(place.store)]).toEqual([[], []])
    },
    30_000
  )

  let locked: RedisServer
  beforeAll(async () => {
    locked = await startRedis({ password: 'open' })
  })

  it('without workers tells so, and ends when it is told to', async () => {
    const { folder, output } = placeIn(temp)
    const place = folderPlace()
    const ending = new AbortController()
    const workers: (number | undefined)[] = []
    const reason = await rejection(
      build(output, {
        ...place,
        signal: ending.signal,
        onQueue: (facts) => {
          workers.push(facts.workers)
          ending.abort(new Error('no worker came'))
        }
      })
    )
    expect(reason).toMatchObject({ message: 'no worker came' })
    expect(workers[0]).toBe(0)
    expect([readdirSync(folder), readdirSync(place.store)]).toEqual([[], []])
  })

  it('with a job of garbage does the others', async () => {
    const { output } = placeIn(temp)
    const place = folderPlace()
    const events: string[] = []
    const queue = new Queue('zgq', { connection: { url: redis.url } })
    await queue.add('rubbish', { build: '../../elsewhere', output: 'sample-1', task: 'rubbish', rows: 1 })
    await queue.add('rubbish', 'rubbish')
    await queue.close()
    await startWorker(place, { onEvent: (event) => void events.push(event.kind) })
    await expect.poll(() => events).toContain('failed')
    expect((await build(output, place)).count).toBe(COUNT)
    expect(readdirSync(place.store)).toEqual([])
    expect(existsSync(join(place.store, '../../elsewhere'))).toBe(false)
    for (const close of closing.splice(0)) await close()
    await redis.command('flushall') // the rubbish is not ours to remove
  })
})

describe('a store', () => {
  it('that is no folder', async () => {
    const { folder, output } = placeIn(temp)
    const none = { store: `${folder}/none` }
    for (const attempt of [() => build(output, none), () => startWorker(none)])
      expect(await errorFrom(attempt())).toMatchObject({
        code: 'ZGQ_NOT_FOUND',
        message: expect.stringContaining('make it, or mount it on this machine')
      })
    expect(readdirSync(folder)).toEqual([])
  })

  it.each<[string, () => Partial<Options>, Fate, string, string]>([
    ['that denies access', bucketPlace, DENIED, 'ZGQ_IO', 'credentials'],
    [
      'in a bucket that is not there',
      () => ({ ...bucketPlace(), store: 's3://no-such-bucket/x' }),
      'pass',
      'ZGQ_NOT_FOUND',
      'bucket'
    ]
  ])('%s', async (_, place, fate, code, advice) => {
    const { folder, output } = placeIn(temp)
    bucket.decide = () => fate
    const given = place() as Place
    for (const attempt of [() => build(output, given), () => startWorker(given)])
      expect(await errorFrom(attempt())).toMatchObject({ code, message: expect.stringContaining(advice) })
    expect(readdirSync(folder)).toEqual([])
  })

  it('that nobody reaches', { timeout: 60_000 }, async () => {
    const { folder, output } = placeIn(temp)
    const gone = await startBucket(temp.fresh('gone'))
    const place = { store: `s3://${gone.bucket}/x`, client: gone.client() }
    await gone.close()
    expect(await errorFrom(build(output, place))).toMatchObject({
      code: 'ZGQ_IO',
      message: expect.stringMatching(/cannot be reached|ECONNREFUSED/)
    })
    expect(readdirSync(folder)).toEqual([])
  })

  it('without put-if-absent is refused before anything is sent', async () => {
    const { folder, output } = placeIn(temp)
    const place = bucketPlace()
    bucket.isConditional = false
    expect(await errorFrom(build(output, place))).toMatchObject({
      code: 'ZGQ_UNSUPPORTED',
      message: expect.stringContaining('If-None-Match')
    })
    expect(bucket.requests.filter(({ method, url }) => method === 'PUT' && url.includes('input-'))).toEqual([])
    expect([readdirSync(folder), await leftIn(place)]).toEqual([[], []])
  })

  it('that is full keeps what is there, and goes on when it has room', { timeout: 60_000 }, async () => {
    const { output } = placeIn(temp)
    const place = bucketPlace()
    bucket.decide = ({ method, url }) => (method === 'PUT' && url.includes('/part-') ? FULL : 'pass')
    const first = await startWorker(place)
    const error = await errorFrom(build(output, place))
    expect(error).toMatchObject({ code: 'ZGQ_IO', message: expect.stringContaining('507') })
    expect(existsSync(output)).toBe(false)
    expect((await leftIn(place)).some((name) => name.includes('/trained-'))).toBe(true)
    bucket.decide = () => 'pass'
    const stages = new Set<BuildStage>()
    await build(output, { ...place, onProgress: ({ stage }) => void stages.add(stage) })
    expect(stages.has('sample')).toBe(false)
    await first.close()
    expect(await leftIn(place)).toEqual([])
  })

  it.each([
    ['is no JSON', '{"stages', 'ZGQ_CORRUPT'],
    ['is of another version', '{"stages":1,"format":1}', 'ZGQ_MISMATCH'],
    ['is of another build', undefined, 'ZGQ_CORRUPT']
  ])('whose recipe %s', async (_, given, code) => {
    const { output } = placeIn(temp)
    const place = folderPlace()
    await stopAt('sample', output, place)
    const [name] = readdirSync(place.store)
    const path = join(place.store, name, 'recipe.json')
    const whole = JSON.parse(readFileSync(path, 'utf8'))
    writeFileSync(path, given ?? JSON.stringify({ ...whole, recipe: { ...whole.recipe, identity: 'f00' } }))
    expect(await errorFrom(build(output, place))).toMatchObject({ code, path: expect.stringContaining(name) })
    await startWorker(place)
    expect((await build(output, place)).count).toBe(COUNT)
  })
})

/** Ends a build by its signal when a stage begins to tell how far it is. */
async function stopAt(stage: BuildStage, output: string, options: Options, keepWork = true): Promise<void> {
  const ending = new AbortController()
  const reason = await rejection(
    build(output, {
      ...options,
      keepWork,
      signal: ending.signal,
      onProgress: (state) => {
        if (state.stage === stage) ending.abort(new Error(`stopped at ${stage}`))
      }
    })
  )
  expect(reason).toMatchObject({ message: `stopped at ${stage}` })
}

describe('an input', () => {
  const bad: [string, Options['input'], Partial<Options>][] = [
    ['with a value that is no number', withRow(1234, (i) => (i === 3 ? NaN : 1)), {}],
    ['with a value that is not finite', withRow(3999, () => Infinity), {}],
    ['with a zero vector', withRow(17, () => 0), { metric: 'cosine' }],
    ['with an id twice', ROWS, { ids: Array.from({ length: COUNT }, (_, i) => (i === 9 ? 8 : i)) }],
    ['with an id twice, as text', ROWS, { ids: Array.from({ length: COUNT }, (_, i) => `id ${i === 9 ? 8 : i}`) }],
    ['with too few ids', ROWS, { ids: [1, 2, 3] }]
  ]

  it.each(bad)('%s is refused as by buildIndex', async (_, input, options) => {
    const { folder, output } = placeIn(temp)
    const local = placeIn(temp)
    const given = { zones: 20, dim: DIM, calibrate: false, ...options }
    const wanted = await errorFrom(buildIndex({ input: input as Float32Array, output: local.output, ...given }))
    for (const place of [folderPlace(), bucketPlace()]) {
      const worker = await startWorker(place)
      const error = await errorFrom(build(output, { ...place, ...(input === undefined ? {} : { input }), ...options }))
      expect(error).toMatchObject({ code: wanted.code, message: wanted.message })
      await worker.close()
      expect([readdirSync(folder), await leftIn(place)]).toEqual([[], []])
    }
  })

  it('in a file of the store that changes in the middle', async () => {
    const { folder, output } = placeIn(temp)
    const place = folderPlace()
    const input = join(place.store, 'rows.fbin')
    writeFileSync(input, fbin(ROWS, DIM))
    await startWorker(place)
    let isChanged = false
    const error = await errorFrom(
      build(output, {
        ...place,
        input,
        onProgress: ({ stage }) => {
          if (stage !== 'train' || isChanged) return
          isChanged = true
          writeFileSync(
            input,
            fbin(
              withRow(2, () => 1),
              DIM
            )
          )
        }
      })
    )
    expect(error).toMatchObject({ code: 'ZGQ_BUILD_INPUT', message: expect.stringContaining('changed') })
    expect([readdirSync(folder), readdirSync(place.store)]).toEqual([[], ['rows.fbin']])
  })

  it('in a file of which no worker saw that it changed', async () => {
    const { folder, output } = placeIn(temp)
    const place = folderPlace()
    const input = join(place.store, 'rows.fbin')
    const rows = Buffer.alloc(2 ** 20, fbin(ROWS, DIM))
    rows.writeUInt32LE((rows.byteLength - 8) / DIM / 4, 0)
    writeFileSync(input, rows)
    await startWorker(place)
    let isChanged = false
    const error = await errorFrom(
      build(output, {
        ...place,
        input,
        onProgress: ({ stage }) => {
          if (stage !== 'train' || isChanged) return
          isChanged = true
          rows.writeFloatLE(0.5, 10_000) // between the bytes that are looked at
          writeFileSync(input, rows)
        }
      })
    )
    expect(error).toMatchObject({ code: 'ZGQ_BUILD_INPUT', message: expect.stringContaining('changed') })
    expect([readdirSync(folder), readdirSync(place.store)]).toEqual([[], ['rows.fbin']])
  })

  it('in an object that is replaced in the middle', async () => {
    const { folder, output } = placeIn(temp)
    const place = bucketPlace()
    const put = async (rows: Float32Array): Promise<void> => {
      const { PutObjectCommand } = await import('@aws-sdk/client-s3')
      const object = { Bucket: bucket.bucket, Key: 'inputs/rows.fbin', Body: fbin(rows, DIM) }
      await bucket.client().send(new PutObjectCommand(object))
    }
    await put(ROWS)
    bucket.decide = async ({ url, method }) => {
      if (method === 'PUT' && url.includes('/trained-')) await put(withRow(2, () => 1))
      return 'pass'
    }
    await startWorker(place)
    const error = await errorFrom(build(output, { ...place, input: `s3://${bucket.bucket}/inputs/rows.fbin` }))
    expect(error).toMatchObject({ code: 'ZGQ_BUILD_INPUT', message: expect.stringContaining('changed') })
    expect([readdirSync(folder), await leftIn(place)]).toEqual([[], []])
  })
})

describe('a build that is stopped', () => {
  const stages: BuildStage[] = ['sample', 'train', 'assign', 'write', 'fetch', 'calibrate', 'publish']

  it.each(stages)('at the stage %s goes on by the same call, to the same bytes', async (stage) => {
    const { folder, output } = placeIn(temp)
    const local = placeIn(temp)
    const options = { calibrate: true, zones: 20, memoryBytes: 2 ** 26 }
    await buildIndex({ input: ROWS, dim: DIM, output: local.output, ...options })
    for (const place of [folderPlace(), bucketPlace()]) {
      const worker = await startWorker(place)
      await stopAt(stage, output, { ...place, ...options })
      expect(existsSync(output)).toBe(false)
      await build(output, { ...place, ...options })
      expect(contentOf(output)).toEqual(contentOf(local.output))
      await worker.close()
      expect([readdirSync(folder), await leftIn(place)]).toEqual([['index'], []])
      const { rmSync } = await import('node:fs')
      rmSync(output, { recursive: true })
    }
  })

  it.each(stages)('at the stage %s for good leaves nothing', async (stage) => {
    const { folder, output } = placeIn(temp)
    for (const place of [folderPlace(), bucketPlace()]) {
      const worker = await startWorker(place)
      await stopAt(stage, output, { ...place, calibrate: true }, false)
      await worker.close()
      expect([readdirSync(folder), await leftIn(place)]).toEqual([[], []])
    }
  })

  it('leaves nothing that a worker stores afterwards', async () => {
    const { output } = placeIn(temp)
    const place = bucketPlace()
    const held = new AbortController()
    bucket.decide = async ({ method, url }) => {
      if (method === 'PUT' && /\/trained-.*files\.json/.test(url))
        await setTimeout(20_000, undefined, { signal: held.signal }).catch(() => undefined)
      return 'pass'
    }
    const worker = await startWorker(place)
    const ending = new AbortController()
    const stopped = rejection(build(output, { ...place, signal: ending.signal }))
    await expect
      .poll(() => bucket.requests.some(({ url }) => /\/trained-.*files\.json/.test(url)), { timeout: 9000 })
      .toBe(true)
    await expect
      .poll(
        () =>
          bucket.requests.filter(({ method, url }) => method === 'PUT' && /\/trained-.*files\.json/.test(url)).length,
        { timeout: 9000 }
      )
      .toBe(1)
    ending.abort(new Error('enough'))
    await stopped
    held.abort()
    await worker.close()
    expect(await leftIn(place)).toEqual([])
  })
})

describe('an output', () => {
  it('that exists is left alone', async () => {
    const { output } = placeIn(temp)
    const place = folderPlace()
    mkdirSync(output)
    expect(await errorFrom(build(output, place))).toMatchObject({
      code: 'ZGQ_EXISTS',
      message: expect.stringContaining('force: true')
    })
    expect([readdirSync(dirname(output)), readdirSync(place.store)]).toEqual([['index'], []])
  })

  it('that another build has taken is left to it', async () => {
    const { output } = placeIn(temp)
    const place = folderPlace()
    const ending = new AbortController()
    const first = rejection(build(output, { ...place, signal: ending.signal }))
    await expect.poll(() => existsSync(`${output}.building`)).toBe(true)
    expect(await errorFrom(build(output, place))).toMatchObject({
      code: 'ZGQ_LOCKED',
      message: expect.stringContaining('wait for it')
    })
    ending.abort()
    await first
  })
})

describe('options', () => {
  it.each<[string, object]>([
    ['queue', { queue: 'http://127.0.0.1' }],
    ['queue', { queue: undefined }],
    ['store', { store: 'ftp://somewhere' }],
    ['store', { store: 7 }],
    ['onQueue', { onQueue: 'log' }],
    ['prefix', { prefix: 7 }],
    ['endpoint', { endpoint: 7 }],
    ['stor', { stor: '/tmp' }],
    ['signal', { signal: 'now' }]
  ])('wrong %s of a build: %j', async (name, wrong) => {
    const { folder, output } = placeIn(temp)
    const reason = await rejection(build(output, { ...bucketPlace(), ...wrong } as unknown as Options))
    expect(reason).toBeInstanceOf(TypeError)
    expect(reason).toMatchObject({ message: expect.stringContaining(name) })
    expect(readdirSync(folder)).toEqual([])
  })

  it.each<[string, object]>([
    ['queue', { queue: 'redis//host' }],
    ['store', { store: '' }],
    ['concurrency', { concurrency: 'all' }],
    ['prefix', { prefix: 7 }],
    ['scratch', { scratch: 7 }],
    ['stalledMs', { stalledMs: '1s' }],
    ['onTask', { onTask: 'log' }],
    ['onEvent', { onEvent: {} }],
    ['endpoint', { endpoint: 7 }],
    ['concurency', { concurency: 2 }]
  ])('wrong %s of a worker: %j', async (name, wrong) => {
    const reason = await rejection(startWorker({ ...bucketPlace(), ...wrong } as unknown as Place))
    expect(reason).toBeInstanceOf(TypeError)
    expect(reason).toMatchObject({ message: expect.stringContaining(name) })
  })

  it('need packages', async () => {
    vi.doMock('bullmq', () => {
      throw new Error("Cannot find package 'bullmq'")
    })
    try {
      const { output } = placeIn(temp)
      for (const attempt of [() => build(output, folderPlace()), () => startWorker(folderPlace())])
        expect(await errorFrom(attempt())).toMatchObject({
          code: 'ZGQ_UNSUPPORTED',
          message: expect.stringContaining('npm install bullmq ioredis')
        })
    } finally {
      vi.doUnmock('bullmq')
    }
  })
})

describe('the command', () => {
  it.each([
    [['build', 'rows.fbin', 'index', '--queue', 'redis://127.0.0.1:1'], '--store'],
    [['build', 'rows.fbin', 'index', '--store', '/tmp'], '--queue'],
    [
      ['build', 'rows.fbin', 'index', '--queue', 'redis://127.0.0.1:1', '--store', '/tmp', '--stage', 'read'],
      '--stage'
    ],
    [['worker', '--queue', 'redis://127.0.0.1:1'], '--store'],
    [['worker', '--store', '/tmp'], '--queue'],
    [['worker', '--queue', 'redis//:hush@127.0.0.1:1', '--store', '/tmp'], 'redis://USER:PASSWORD@HOST'],
    [['worker', '--queue', 'redis://:hush@127.0.0.1:99999', '--store', '/tmp'], 'redis://USER:PASSWORD@HOST'],
    [
      ['build', 'rows.fbin', 'index', '--queue', 'http://:hush@127.0.0.1', '--store', '/tmp'],
      'redis://USER:PASSWORD@HOST'
    ]
  ])('%j', (args, advice) => {
    const { code, stderr } = runZgq(...args)
    expect(code).not.toBe(0)
    expect(stderr).toContain(advice)
    expect(stderr).not.toContain('hush')
    expect(stderr).not.toMatch(/\n +at /)
  })
})
