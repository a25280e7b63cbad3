// Publishing to a bucket, and reading from it: what is sent, what goes wrong there, and what is said of it.

import { S3Client } from '@aws-sdk/client-s3'
import { inspect } from 'node:util'
import { afterAll, afterEach, describe, expect, it } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { publishPlan } from '../src/pack/publish-plan.ts'
import { folderStore, publishIndex, s3Store, type ObjectStore, type PublishOptions } from '../src/publish.ts'
import { s3Source } from '../src/s3.ts'
import { makeVectors } from './support/datasets.ts'
import { fakePart, fakePlan, readFake } from './support/fake-plan.ts'
import { readPublished } from './support/published.ts'
import { startBucket, type Fate } from './support/s3-proxy.ts'
import { errorFrom } from './support/small-build.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('bucket')
const bucket = await startBucket(temp.fresh('s3'))
const { signal } = new AbortController()
const SLOW_DOWN: Fate = { status: 503, code: 'SlowDown' }
let prefixes = 0

afterAll(() => bucket.close())
afterEach(() => {
  bucket.decide = () => 'pass'
  bucket.isConditional = true
})

const storeAt = (prefix: string): ObjectStore => s3Store({ bucket: bucket.bucket, client: bucket.client(), prefix })
const freshStore = (): ObjectStore => storeAt(`p${++prefixes}`)
const makePart = (): ReturnType<typeof fakePart> => fakePart(temp.path, 3000)

const index = temp.fresh('index')
await buildIndex({
  input: makeVectors('clustered', { count: 200, dim: 8 }, 1),
  dim: 8,
  output: index,
  calibrate: false
})

describe('publishing', () => {
  it('puts an index where a bucket is read, and once only', async () => {
    const to = `s3://${bucket.bucket}/indexes/docs`
    const progress: { stage: string; done: number; total: number }[] = []
    const first = await publishIndex({
      index,
      to,
      client: bucket.client(),
      onProgress: (state) => progress.push(state)
    })
    expect(first).toMatchObject({ manifest: 1, isNew: true, reused: 0 })
    expect(first.uploaded).toBeGreaterThan(2)
    const uploads = progress.filter(({ stage }) => stage === 'upload')
    expect(uploads.map(({ done }) => done)).toEqual([...uploads.map(({ done }) => done)].sort((a, b) => a - b))
    expect(uploads.at(-1)?.done).toBe(uploads.at(-1)?.total)
    const source = s3Source({ bucket: bucket.bucket, client: bucket.client(), prefix: 'indexes/docs/' })
    expect(await readPublished(source)).toEqual({ manifest: 1, digest: first.digest })

    bucket.requests.length = 0
    const again = await publishIndex({ index, to, client: bucket.client() })
    expect(again).toEqual({ ...first, isNew: false, uploaded: 0, reused: first.uploaded, bytes: 0 })
    expect(bucket.requests.filter(({ method }) => method !== 'GET')).toEqual([])
  })

  it('takes a folder as it takes a bucket', async () => {
    const store = folderStore(temp.fresh('folder'))
    const report = await publishIndex({ index, to: store })
    expect(await readPublished(store)).toEqual({ manifest: 1, digest: report.digest })
  })

  it('sends parts that are not there, then the manifest, then the hint', async () => {
    const store = freshStore()
    const [a, b, c] = [makePart(), makePart(), makePart()]
    await publishPlan(fakePlan('old', [a, b]), store, { signal })
    bucket.requests.length = 0
    expect(await publishPlan(fakePlan('new', [b, c]), store, { signal })).toMatchObject({
      manifest: 2,
      uploaded: 1,
      reused: 1,
      bytes: 3000 + fakePlan('new', [b, c]).head.byteLength
    })
    const puts = bucket.requests.filter(({ method }) => method === 'PUT').map(({ url }) => url.split('/').at(-1))
    // The first one finds out whether the store keeps to If-None-Match, and is answered 412.
    expect(puts.map((name) => name?.split('?')[0])).toEqual(['latest', c.name, 'manifest-000002', 'latest'])
    expect(await readFake(store)).toEqual({ number: 2, label: 'new' })
  })

  it('stores a part again whose length is another one', async () => {
    const store = freshStore()
    const part = makePart()
    await store.put(part.name, new Uint8Array(10), signal)
    expect(await publishPlan(fakePlan('new', [part]), store, { signal })).toMatchObject({ uploaded: 1 })
    expect(await readFake(store)).toEqual({ number: 1, label: 'new' })
  })

  it('goes back to an index of before by a new manifest', async () => {
    const store = freshStore()
    for (const label of ['a', 'b', 'a']) await publishPlan(fakePlan(label, []), store, { signal })
    expect(await readFake(store)).toEqual({ number: 3, label: 'a' })
  })

  it('raises a hint that is behind, and survives one that is no number', async () => {
    const store = freshStore()
    await publishPlan(fakePlan('a', []), store, { signal })
    await store.put('latest', new TextEncoder().encode('what?'), signal)
    await publishPlan(fakePlan('b', []), store, { signal })
    await store.put('latest', new TextEncoder().encode('1'), signal)
    await publishPlan(fakePlan('b', []), store, { signal })
    expect(new TextDecoder().decode((await store.getBytes('latest', 0, 10, signal)).bytes)).toBe('2')
  })

  it('gives parts and manifests to caches for good, and the hint never', async () => {
    const store = freshStore()
    await publishPlan(fakePlan('a', [makePart()]), store, { signal })
    const { place = '' } = store
    const cached = async (name: string): Promise<string | null> => {
      const answer = await fetch(`${bucket.endpoint}/${place.slice('s3://'.length)}${name}`)
      return answer.headers.get('cache-control')
    }
    expect(await cached('latest')).toBe('no-cache')
    expect(await cached('manifest-000001')).toContain('immutable')
  })

  it('stops where the signal is aborted, and no manifest is there', async () => {
    const store = freshStore()
    const controller = new AbortController()
    bucket.decide = ({ method, url }) => {
      if (method === 'PUT' && url.includes('vectors-')) controller.abort(new Error('enough'))
      return 'pass'
    }
    const publishing = publishPlan(fakePlan('a', [makePart()]), store, { signal: controller.signal })
    await expect(publishing).rejects.toThrow('enough')
    expect(await store.list('manifest-', signal)).toEqual([])
  })
})

describe('a store that ignores If-None-Match', () => {
  it('is refused before anything is sent', async () => {
    bucket.isConditional = false
    const store = freshStore()
    const error = await errorFrom(publishPlan(fakePlan('a', [makePart()]), store, { signal }))
    expect(error).toMatchObject({ code: 'ZGQ_UNSUPPORTED', path: store.place })
    expect(error.message).toContain('If-None-Match')
    expect(await store.list('', signal)).toEqual(['latest'])
  })

  it('is refused too where generations are', async () => {
    const store = freshStore()
    await publishPlan(fakePlan('a', []), store, { signal })
    bucket.isConditional = false
    await expect(publishPlan(fakePlan('b', []), store, { signal })).rejects.toMatchObject({ code: 'ZGQ_UNSUPPORTED' })
    expect(await readFake(store)).toEqual({ number: 1, label: 'a' })
  })

  it('that says so is refused', async () => {
    bucket.decide = ({ method }) => (method === 'PUT' ? { status: 501, code: 'NotImplemented' } : 'pass')
    const error = await errorFrom(publishPlan(fakePlan('a', []), freshStore(), { signal }))
    expect(error.code).toBe('ZGQ_UNSUPPORTED')
  })

  it('is seen where another publisher stored over the manifest', async () => {
    const store = freshStore()
    const other = new TextEncoder().encode('of somebody else')
    bucket.decide = async ({ method, url }): Promise<Fate> => {
      if (method !== 'GET' || !url.includes('manifest-000001')) return 'pass'
      await store.put('manifest-000001', other, signal)
      bucket.decide = () => 'pass'
      return 'pass'
    }
    const error = await errorFrom(publishPlan(fakePlan('a', []), store, { signal }))
    expect(error.code).toBe('ZGQ_UNSUPPORTED')
    expect(error.message).toContain('manifest-000001')
  })
})

describe('what fails', () => {
  it('in passing is repeated: SlowDown, a lost connection, an answer that breaks off, a conflict', async () => {
    const fates: Fate[] = [SLOW_DOWN, 'lost', 'cut', 'unanswered', { status: 409, code: 'ConditionalRequestConflict' }]
    const store = freshStore()
    await publishPlan(fakePlan('old', []), store, { signal })
    let number = 0
    bucket.decide = () => (number++ % 2 === 0 ? fates[(number >> 1) % fates.length] : 'pass')
    const report = await publishPlan(fakePlan('new', [makePart(), makePart()]), store, { signal })
    bucket.decide = () => 'pass'
    expect(report).toMatchObject({ manifest: 2, isNew: true, uploaded: 2 })
    expect(await readFake(store)).toEqual({ number: 2, label: 'new' })
  })

  it('for ever ends after six attempts', async () => {
    bucket.decide = () => SLOW_DOWN
    bucket.requests.length = 0
    const error = await errorFrom(publishPlan(fakePlan('a', []), freshStore(), { signal }))
    expect(error.code).toBe('ZGQ_IO')
    expect(error.message).toMatch(
      /told so \(SlowDown, HTTP 503\); gave up after 6 attempts \(s3:\/\/test-bucket\/p\d+\/\)/
    )
    expect(bucket.requests).toHaveLength(6)
  }, 20_000)

  it('ends the wait for the next attempt by the signal', async () => {
    const controller = new AbortController()
    bucket.decide = () => {
      setTimeout(() => {
        controller.abort(new Error('enough'))
      }, 1)
      return { status: 503, code: 'SlowDown', headers: { 'retry-after': '20' } }
    }
    await expect(freshStore().list('', controller.signal)).rejects.toThrow('enough')
  })

  it('is ZGQ_NOT_FOUND for a bucket that is not there', async () => {
    const to = 's3://no-such-bucket/docs'
    const error = await errorFrom(publishIndex({ index, to, client: bucket.client() }))
    expect(error).toMatchObject({ code: 'ZGQ_NOT_FOUND', path: 's3://no-such-bucket/docs/' })
    expect(error.message).toContain('no such bucket')
    const source = s3Source({ bucket: 'no-such-bucket', client: bucket.client() })
    await expect(source.getBytes('a', 0, 1, signal)).rejects.toMatchObject({ code: 'ZGQ_NOT_FOUND' })
  })

  it('is ZGQ_IO where access is denied, at once and without credentials in the message', async () => {
    bucket.decide = () => ({ status: 403, code: 'SignatureDoesNotMatch' })
    bucket.requests.length = 0
    const client = new S3Client({
      endpoint: bucket.endpoint,
      region: 'us-east-1',
      forcePathStyle: true,
      credentials: { accessKeyId: 'AKIAPUBLIC', secretAccessKey: 'verysecret', sessionToken: 'tokentoken' }
    })
    const error = await errorFrom(publishIndex({ index, to: `s3://${bucket.bucket}/denied`, client }))
    expect(error.code).toBe('ZGQ_IO')
    expect(error.message).toContain('access denied (SignatureDoesNotMatch, HTTP 403)')
    expect(inspect(error, { depth: 20, showHidden: true })).not.toMatch(
      /AKIAPUBLIC|verysecret|tokentoken|Signature=|told so/
    )
    expect(bucket.requests).toHaveLength(1)
  })

  it('is ZGQ_IO where nobody answers', async () => {
    const store = s3Source({ bucket: 'b', endpoint: 'http://127.0.0.1:1', region: 'us-east-1' })
    const before = { ...process.env }
    Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' })
    try {
      const error = await errorFrom(store.getBytes('a', 0, 1, signal))
      expect(error).toMatchObject({ code: 'ZGQ_IO', facts: { mayPass: true } })
      expect(error.message).toContain('ECONNREFUSED')
    } finally {
      process.env = before
    }
  })
})

describe('a source of a bucket', () => {
  it('asks once, says what may pass, and tells the state of an object', async () => {
    const store = freshStore()
    await store.put('a', new Uint8Array(100), signal)
    const source = s3Source({ bucket: bucket.bucket, client: bucket.client(), prefix: `p${prefixes}` })
    expect(source.place).toBe(store.place)
    const { etag } = await source.getBytes('a', 0, 10, signal)
    expect((await source.getBytes('a', 50, 10, signal)).etag).toBe(etag)
    await store.put('a', new Uint8Array(100).fill(1), signal)
    expect((await source.getBytes('a', 50, 10, signal)).etag).not.toBe(etag)
    bucket.requests.length = 0
    bucket.decide = () => SLOW_DOWN
    await expect(source.getBytes('a', 0, 10, signal)).rejects.toMatchObject({ facts: { mayPass: true, status: 503 } })
    bucket.decide = () => 'cut'
    await expect(source.getBytes('a', 0, 10, signal)).rejects.toMatchObject({ facts: { mayPass: true } })
    expect(bucket.requests).toHaveLength(2)
  })

  it('ends a body that does not come when the signal is aborted', async () => {
    const store = freshStore()
    await store.put('a', new Uint8Array(100), signal)
    const controller = new AbortController()
    bucket.decide = () => {
      setTimeout(() => {
        controller.abort(new Error('enough'))
      }, 20)
      return 'stall'
    }
    await expect(store.getBytes('a', 0, 100, controller.signal)).rejects.toThrow('enough')
  })

  it('refuses a store that does not serve ranges', async () => {
    const send = (): Promise<unknown> => Promise.resolve({ $metadata: { httpStatusCode: 200 }, Body: {} })
    const source = s3Source({ bucket: 'b', client: { send } })
    await expect(source.getBytes('a', 0, 10, signal)).rejects.toMatchObject({ code: 'ZGQ_UNSUPPORTED' })
  })

  it.each([
    ['another range', 'bytes 5-14/100', 10],
    ['more than was asked for', 'bytes 0-10/100', 11],
    ['less than there is', 'bytes 0-4/100', 5],
    ['a body that is longer than its range', 'bytes 0-9/100', 11],
    ['a body that is shorter than its range', 'bytes 0-9/100', 9],
    ['no range that can be read', 'bytes 0-x', 10]
  ])('asks again for %s', async (_, ContentRange, byteLength) => {
    const Body = { transformToWebStream: (): ReadableStream => new Blob([new Uint8Array(byteLength)]).stream() }
    const send = (): Promise<unknown> => Promise.resolve({ $metadata: { httpStatusCode: 206 }, Body, ContentRange })
    const source = s3Source({ bucket: 'b', client: { send } })
    const error = await errorFrom(source.getBytes('a', 0, 10, signal))
    expect(error).toMatchObject({ code: 'ZGQ_IO', facts: { mayPass: true } })
  })
})

describe('wrong options', () => {
  const options = (given: object): PublishOptions => ({ index, to: 's3://b/p', ...given })

  it.each([
    ['an unknown name', { too: 1 }, 'unknown option "too"'],
    ['no index', { index: undefined }, 'index must be a path'],
    ['a place that is none', { to: 'docs' }, 'to must be s3://BUCKET'],
    ['a URL with a query', { to: 's3://b/p?x' }, 'to must be s3://BUCKET'],
    ['no store', { to: { put: () => 1 } }, 'to must be s3://BUCKET'],
    ['a client that is none', { client: {} }, 'client must be an S3Client'],
    [
      'a region for a client',
      { client: { send: (): number => 1 }, region: 'r' },
      "endpoint and region are the client's"
    ],
    ['a client for a store', { to: folderStore('x'), client: { send: (): number => 1 } }, 'client goes with s3://'],
    ['a number for a region', { region: 5 }, 'region must be a string'],
    ['no function', { onProgress: 1 }, 'onProgress must be a function'],
    ['no signal', { signal: 1 }, 'signal must be an AbortSignal']
  ])('are TypeErrors: %s', async (_, given, message) => {
    const error: unknown = await publishIndex(options(given)).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(TypeError)
    expect(String(error)).toContain(message)
  })

  it('of a source and a store are TypeErrors', () => {
    expect(() => s3Source({ bucket: '' })).toThrow(TypeError)
    expect(() => s3Store(Object({ bucket: 'b', key: 'k' }))).toThrow('unknown option "key"')
  })
})
