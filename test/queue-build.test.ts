// buildOnQueue with workers in processes of their own makes what buildIndex makes, in every file, from every input and
// with every store.

import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { PutObjectCommand } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { buildInProcess, type BuildCall } from './support/build-process.ts'
import { startCommandWorker, type CommandWorker } from './support/build-workers.ts'
import { makeIds, makeVectors } from './support/datasets.ts'
import { documentsOf, writeJsonl } from './support/document-files.ts'
import { parquetOf } from './support/input-files.ts'
import { buildOther, SMALL_PIECES } from './support/other-zgq.ts'
import { startRedis, type RedisServer } from './support/redis-server.ts'
import { objectsIn, startBucket, type TestBucket } from './support/s3-proxy.ts'
import { fileDigests } from './support/stored-rows.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { fbin, fvecs, npy } from './support/vector-files.ts'

const temp = useTempFolder('queue-build', IN_MEMORY)
const COUNT = 6000
const DIM = 48
const SEED = 1701
const WORKERS = 4

const vectors = makeVectors('clustered', { count: COUNT, dim: DIM }, SEED)
const ids = makeIds(COUNT, SEED)
/** The folder that workers of the folder's tests see. */
const shared = join(temp.path, 'shared')
const elsewhere = join(temp.path, 'elsewhere')
const queries = join(elsewhere, 'queries.fbin')
const BASIC = { zones: 20, bits: 4, memoryBytes: 64 * 2 ** 20 }
let dist = ''
let redis: RedisServer
let bucket: TestBucket

beforeAll(async () => {
  mkdirSync(shared)
  mkdirSync(elsewhere)
  dist = await buildOther(join(temp.path, 'small-pieces'), SMALL_PIECES)
  redis = await startRedis()
  bucket = await startBucket(join(temp.path, 'bucket'))
  writeFileSync(queries, fbin(makeVectors('clustered', { count: 20, dim: DIM }, SEED + 1), DIM))
  const parquetRows = vectors.subarray(0, 3000 * DIM)
  const files = {
    'rows.fbin': fbin(vectors, DIM),
    'rows.fvecs': fvecs(vectors, DIM),
    'rows.npy': npy(vectors, DIM),
    'rows.parquet': parquetOf({ vectors: parquetRows, dim: DIM }),
    'with-ids.parquet': parquetOf({ vectors: parquetRows, dim: DIM, ids: ids.slice(0, 3000) })
  }
  for (const [name, bytes] of Object.entries(files)) {
    for (const folder of [shared, elsewhere]) writeFileSync(join(folder, name), bytes)
    const to = { Bucket: bucket.bucket, Key: `inputs/${name}` }
    await bucket.client().send(new PutObjectCommand({ ...to, Body: bytes }))
  }
  writeFileSync(join(elsewhere, 'ids.txt'), ids.join('\n'))
  writeJsonl(join(elsewhere, 'documents.jsonl'), documentsOf(2500, DIM))
})

afterAll(async () => {
  await bucket.close()
})

interface Case {
  readonly options: Readonly<Record<string, unknown>>
  readonly as?: BuildCall['as']
  /** Shards that it has at least. */
  readonly shards?: number
}

const local = (name: string): string => join(elsewhere, name)

/** Inputs that the coordinator brings along. */
const BROUGHT: Readonly<Record<string, () => Case>> = {
  'a local file, cosine, without codes': () => ({
    options: { input: local('rows.fvecs'), metric: 'cosine', bits: 0, queries }
  }),
  'a local file with a file of ids': () => ({ options: { input: local('rows.fbin'), ids: local('ids.txt'), queries } }),
  'one array': () => ({ as: 'array', options: { input: local('rows.fbin'), queries } }),
  'batches with ids, cosine, one bit': () => ({
    as: 'batches',
    options: { input: local('rows.fbin'), metric: 'cosine', bits: 1, queries }
  }),
  'lines of JSON with string ids, payloads and fields, not calibrated': () => ({
    options: {
      input: local('documents.jsonl'),
      payload: 'all',
      fields: { path: 'string', mtime: 'number', draft: 'boolean', tags: 'string[]' },
      calibrate: false
    },
    shards: 1
  })
}

/** Inputs that stay where they are: in the folder of the store, or in the bucket. */
const IN_PLACE: Readonly<Record<string, { name: string; options: Case['options'] }>> = {
  'an fbin file': { name: 'rows.fbin', options: { queries } },
  'an fvecs file': { name: 'rows.fvecs', options: { queries } },
  'an npy file, cosine': { name: 'rows.npy', options: { queries, metric: 'cosine' } },
  'the vectors of a Parquet file': { name: 'rows.parquet', options: { queries, column: 'embedding' } }
}

/** What buildIndex makes, built once for all who ask. */
const wanted = new Map<string, Promise<Record<string, string>>>()

function wantedOf({ options, as = 'path' }: Case): Promise<Record<string, string>> {
  const key = JSON.stringify([options, as])
  const known = wanted.get(key) ?? buildAlone({ options, as })
  wanted.set(key, known)
  return known
}

async function buildAlone({ options, as = 'path' }: Case): Promise<Record<string, string>> {
  const output = temp.fresh('alone')
  const { outcome } = await buildInProcess({ options: { ...BASIC, ...options, output }, as, dist })
  expect(outcome).toMatchObject({ path: output })
  return fileDigests(output)
}

const PLACES = {
  'a folder': { store: () => shared, input: (name: string) => join(shared, name), endpoint: () => undefined },
  'a bucket': {
    store: () => `s3://${bucket.bucket}/builds`,
    input: (name: string) => `s3://${bucket.bucket}/inputs/${name}`,
    endpoint: () => bucket.endpoint
  }
}

describe.each(Object.entries(PLACES))('a build through %s', (kind, place) => {
  const workers: CommandWorker[] = []
  const isBucket = kind === 'a bucket'

  const startWorkers = async (count: number): Promise<void> => {
    const scratch = temp.fresh('scratch')
    mkdirSync(scratch)
    const endpoint = place.endpoint()
    const shape = { dist, queue: redis.url, store: place.store(), scratch, ...(isBucket ? { endpoint } : {}) }
    const started = Array.from({ length: count }, () => startCommandWorker({ ...shape, log: temp.fresh('log') }))
    workers.push(...(await Promise.all(started)))
  }

  /** Ends the workers; neither they nor the builds leave anything. */
  const endWorkers = async (): Promise<void> => {
    const ends = await Promise.all(workers.splice(0).map((worker) => worker.end()))
    expect(new Set(ends)).toEqual(new Set([130]))
    expect(await redis.keys()).toEqual([])
    const inputs = ['rows.fbin', 'rows.fvecs', 'rows.npy', 'rows.parquet', 'with-ids.parquet']
    if (isBucket) expect(await objectsIn(bucket)).toEqual(inputs.map((name) => `inputs/${name}`))
    else expect(temp.list('shared')).toEqual(inputs)
    for (const name of temp.list().filter((each) => each.endsWith('-scratch'))) expect(temp.list(name)).toEqual([])
  }

  const buildOnQueue = async ({ options, as = 'path' }: Case): Promise<Record<string, string>> => {
    const output = temp.fresh('queued')
    const { outcome } = await buildInProcess({
      options: {
        ...BASIC,
        ...options,
        output,
        queue: redis.url,
        store: place.store(),
        endpoint: place.endpoint()
      },
      as,
      dist
    })
    expect(outcome).toMatchObject({ path: output })
    expect(existsSync(`${output}.building`)).toBe(false)
    return fileDigests(output)
  }

  /** Compares file by file; tells how many shards there are. */
  const expectSame = async (queued: Case, alone: Case = queued): Promise<void> => {
    const [found, expected] = [await buildOnQueue(queued), await wantedOf(alone)]
    expect(found).toEqual(expected)
    expect(Object.keys(found)).toContain('catalogue.sqlite')
    const shards = Object.keys(found).filter((name) => name.startsWith('vectors-')).length
    expect(shards).toBeGreaterThanOrEqual(queued.shards ?? 2)
  }

  describe('with four workers', () => {
    beforeAll(() => startWorkers(WORKERS))
    afterAll(endWorkers)

    it.each(Object.entries(BROUGHT))('makes the same index from %s', async (_, make) => {
      await expectSame(make())
    })

    it.each(Object.entries(IN_PLACE))(
      'makes the same index from %s, read where it is',
      async (_, { name, options }) => {
        const first = bucket.requests.length
        await expectSame(
          { options: { ...options, input: place.input(name) } },
          { options: { ...options, input: local(name) } }
        )
        const stored = bucket.requests.slice(first).filter(({ method }) => method === 'PUT')
        expect(stored.filter(({ url }) => url.includes('/input-'))).toEqual([])
        expect(stored.length > 0).toBe(isBucket)
      }
    )

    it('makes the same index from a Parquet file with ids', async () => {
      const options = { queries, column: 'embedding', idColumn: 'id', payload: ['text'] }
      const name = 'with-ids.parquet'
      await expectSame(
        { options: { ...options, input: place.input(name) } },
        { options: { ...options, input: local(name) } }
      )
    })

    it('has them share the tasks', () => {
      const tasks = workers.map((worker) => worker.tasks())
      for (const each of tasks) expect(each.length).toBeGreaterThan(10)
      expect(new Set(tasks.flat().map(({ kind }) => kind))).toEqual(
        new Set(['check-ids', 'sample', 'begin', 'partial', 'round', 'order', 'assign', 'tally', 'write', 'scan'])
      )
      // A stalled or repeated task would be there twice. Builds differ in their names.
      const done = tasks.flat().map(({ build, output }) => `${build} ${output}`)
      expect(new Set(done).size).toBe(done.length)
    })
  })

  describe('with one worker', () => {
    beforeAll(() => startWorkers(1))
    afterAll(endWorkers)

    it('makes the same index', async () => {
      const options = { queries, metric: 'cosine' }
      await expectSame(
        { options: { ...options, input: place.input('rows.npy') } },
        { options: { ...options, input: local('rows.npy') } }
      )
    })
  })
})
