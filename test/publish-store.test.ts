// Places to publish to, which all keep to one contract: a bucket through the S3 client, and a folder.

import { S3Client } from '@aws-sdk/client-s3'
import { randomBytes } from 'node:crypto'
import { readdirSync, writeFileSync } from 'node:fs'
import { afterAll, describe, expect, it } from 'vitest'

import { folderStore } from '../src/pack/folder-store.ts'
import type { ObjectStore } from '../src/pack/object-store.ts'
import { s3Store } from '../src/publish/s3-store.ts'
import { startBucket } from './support/s3-proxy.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('stores')
const bucket = await startBucket(temp.fresh('s3'))
const { signal } = new AbortController()
const BYTES = Uint8Array.from({ length: 1000 }, (_, i) => i % 251)
let prefixes = 0

afterAll(() => bucket.close())

const MAKERS: Record<string, () => ObjectStore> = {
  bucket: () => s3Store({ bucket: bucket.bucket, client: bucket.client(), prefix: `contract/${++prefixes}` }),
  folder: () => folderStore(temp.fresh('folder'))
}

describe.each(Object.keys(MAKERS))('a %s', (kind) => {
  const make = (): ObjectStore => MAKERS[kind]()

  it('gives back what was put, by ranges', async () => {
    const store = make()
    await store.put('a.zgq', BYTES, signal)
    expect(await store.getBytes('a.zgq', 10, 20, signal)).toMatchObject({
      bytes: BYTES.slice(10, 30),
      byteLength: 1000
    })
    expect((await store.getBytes('a.zgq', 0, 5000, signal)).bytes).toEqual(BYTES)
    expect((await store.getBytes('a.zgq', 990, 100, signal)).bytes).toEqual(BYTES.slice(990))
    expect(await store.getBytes('a.zgq', 1000, 10, signal)).toMatchObject({ bytes: new Uint8Array(), byteLength: 1000 })
  })

  it('puts in place of what was there', async () => {
    const store = make()
    await store.put('latest', BYTES, signal)
    await store.put('latest', BYTES.subarray(0, 7), signal)
    expect((await store.getBytes('latest', 0, 100, signal)).bytes).toEqual(BYTES.slice(0, 7))
  })

  it.each([1, 2 ** 20, 2 ** 20 + 1])('puts %i bytes of a file', async (byteLength) => {
    const store = make()
    const bytes = randomBytes(byteLength)
    const path = temp.fresh('file')
    writeFileSync(path, bytes)
    let told = 0
    await store.put('a.zgq', { path, byteLength, onBytes: (count) => (told += count) }, signal)
    expect(bytes.equals((await store.getBytes('a.zgq', 0, byteLength + 1, signal)).bytes)).toBe(true)
    expect(told).toBe(byteLength)
    expect(await store.has('a.zgq', byteLength, signal)).toBe(true)
  })

  it('puts the beginning of a longer file, and refuses a shorter one', async () => {
    const store = make()
    const path = temp.fresh('file')
    writeFileSync(path, BYTES)
    await store.put('a.zgq', { path, byteLength: 100 }, signal)
    expect((await store.getBytes('a.zgq', 0, 1000, signal)).bytes).toEqual(BYTES.slice(0, 100))
    await expect(store.put('b.zgq', { path, byteLength: 1001 }, signal)).rejects.toMatchObject({
      code: 'ZGQ_TRUNCATED'
    })
    expect(await store.list('', signal)).toEqual(['a.zgq'])
  })

  it('puts what is absent once', async () => {
    const store = make()
    const tries = Array.from({ length: 8 }, (_, i) => store.putIfAbsent('m', Uint8Array.of(i), signal))
    const won = await Promise.all(tries)
    expect(won.filter(Boolean)).toHaveLength(1)
    expect((await store.getBytes('m', 0, 10, signal)).bytes).toEqual(Uint8Array.of(won.indexOf(true)))
    expect(await store.putIfAbsent('m', Uint8Array.of(9), signal)).toBe(false)
  })

  it('tells an object of another length from the one that is asked for', async () => {
    const store = make()
    expect(await store.has('a.zgq', 1000, signal)).toBe(false)
    await store.put('a.zgq', BYTES, signal)
    expect(await store.has('a.zgq', 1000, signal)).toBe(true)
    expect(await store.has('a.zgq', 999, signal)).toBe(false)
  })

  it('lists names by prefix', async () => {
    const store = make()
    expect(await store.list('', signal)).toEqual([])
    for (const name of ['manifest-000001', 'manifest-000002', 'latest']) await store.put(name, BYTES, signal)
    expect((await store.list('manifest-', signal)).sort()).toEqual(['manifest-000001', 'manifest-000002'])
  })

  it('says ZGQ_NOT_FOUND of what is not there', async () => {
    await expect(make().getBytes('a.zgq', 0, 1, signal)).rejects.toMatchObject({ code: 'ZGQ_NOT_FOUND' })
  })

  it('stops where the signal is aborted', async () => {
    const store = make()
    await store.put('a.zgq', BYTES, signal)
    const stopped = AbortSignal.abort(new Error('enough'))
    await expect(store.getBytes('a.zgq', 0, 1, stopped)).rejects.toThrow('enough')
    await expect(store.put('b.zgq', BYTES, stopped)).rejects.toThrow('enough')
    await expect(store.putIfAbsent('b.zgq', BYTES, stopped)).rejects.toThrow('enough')
    expect(await store.has('b.zgq', 1000, signal)).toBe(false)
  })
})

it('a bucket takes long files in pieces, some at a time', async () => {
  const store = MAKERS['bucket']()
  const byteLength = 40 * 2 ** 20 + 5
  const bytes = randomBytes(byteLength)
  const path = temp.fresh('long')
  writeFileSync(path, bytes)
  const told: number[] = []
  bucket.requests.length = 0
  await store.put('long.zgq', { path, byteLength, onBytes: (count) => told.push(count) }, signal)
  expect(bucket.requests.map(({ method }) => method).sort()).toEqual(['POST', 'POST', 'PUT', 'PUT', 'PUT'])
  expect(told.sort()).toEqual([16 * 2 ** 20, 16 * 2 ** 20, 8 * 2 ** 20 + 5].sort())
  const got = await store.getBytes('long.zgq', 0, byteLength, signal)
  expect(bytes.equals(got.bytes)).toBe(true)
})

it('a folder has nothing but objects in it, also after a failure', async () => {
  const path = temp.fresh('folder')
  const store = folderStore(path)
  await store.put('a.zgq', BYTES, signal)
  await store.putIfAbsent('a.zgq', BYTES, signal)
  await store.put('b.zgq', { path: temp.fresh('nowhere'), byteLength: 5 }, signal).catch(() => undefined)
  expect(readdirSync(path)).toEqual(['a.zgq'])
  await expect(store.put('../c.zgq', BYTES, signal)).rejects.toMatchObject({ code: 'ZGQ_CORRUPT' })
})

it('the client is an S3Client', () => {
  expect(bucket.client()).toBeInstanceOf(S3Client)
})
