// What goes wrong with stores of artifacts: requests that fail, bytes that are damaged, processes that are killed,
// stores that are full, or not what they should be.

import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import type * as FilePromises from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'

import type { ArtifactStore } from '../src/artifacts/artifact-store.ts'
import { openArtifactStore } from '../src/artifacts/open-store.ts'
import { s3Store } from '../src/publish.ts'
import { randomFrom } from './support/random.ts'
import { S3_ENVIRONMENT, startBucket, type Fate, type SeenRequest } from './support/s3-proxy.ts'
import { errorFrom } from './support/small-build.ts'
import { useOpenedStores } from './support/opened-stores.ts'
import { useTempFolder } from './support/temp-folder.ts'

/** A disk that is full, as soon as something is written to a file whose path contains `name`. */
const full = vi.hoisted(() => ({ name: '', code: '' }))
vi.mock('node:fs/promises', async (importOriginal) => {
  const original = await importOriginal<typeof FilePromises>()
  const open = async (...given: Parameters<typeof original.open>): Promise<FilePromises.FileHandle> => {
    const file = await original.open(...given)
    if (full.name === '' || !String(given[0]).includes(full.name) || given[1] === undefined) return file
    const write = (): Promise<never> =>
      Promise.reject(Object.assign(new Error(`${full.code}: write`), { code: full.code }))
    return Object.assign(file, { write })
  }
  return { ...original, open }
})

const temp = useTempFolder('artifact-faults')
const bucket = await startBucket(temp.fresh('s3'))
const scratch = temp.fresh('scratch')
const { signal } = new AbortController()
const SEED = 17
const opened = useOpenedStores(bucket, scratch)
let builds = 0

afterEach(() => {
  full.name = ''
})

const STORE = `s3://${bucket.bucket}/builds`
const freshBuild = (): string => `build-${builds++}`

async function open(build = freshBuild()): Promise<ArtifactStore> {
  const store = await openArtifactStore({ store: STORE, build, client: bucket.client(), scratch })
  opened.push(store)
  return store
}

function make(store: ArtifactStore, name: string, files: Record<string, Uint8Array>): void {
  mkdirSync(join(store.path, name))
  for (const [file, bytes] of Object.entries(files)) writeFileSync(join(store.path, name, file), bytes)
}

const contentOf = (store: ArtifactStore, name: string, file: string): Buffer =>
  readFileSync(join(store.path, name, file))

/** Stores an artifact, and opens the store as another machine that wants to read it. */
async function stored(files: Record<string, Uint8Array>): Promise<{ build: string; reader: ArtifactStore }> {
  const build = freshBuild()
  const writer = await open(build)
  make(writer, 'one', files)
  await writer.write('one', signal)
  return { build, reader: await open(build) }
}

/** The objects of the bucket as somebody else changes them. */
const objects = s3Store({ bucket: bucket.bucket, client: bucket.client() })
const isFor =
  (method: string, end: string) =>
  (seen: SeenRequest): boolean =>
    seen.method === method && new URL(seen.url, bucket.endpoint).pathname.endsWith(end)

describe('requests that fail in passing', () => {
  it('do no harm: one of twenty is answered 5xx, lost, or answered by half', async () => {
    const random = randomFrom(SEED)
    const fates: Fate[] = [
      { status: 503, code: 'SlowDown' },
      { status: 500, code: 'InternalError' },
      'lost',
      'unanswered'
    ]
    let unlucky = 0
    bucket.decide = ({ method }) => {
      if (random() > 0.05) return 'pass'
      unlucky++
      return method === 'GET' && random() < 0.5 ? 'cut' : fates[Math.floor(random() * fates.length)]
    }
    const build = freshBuild()
    const [writer, reader] = [await open(build), await open(build)]
    const files = Object.fromEntries(Array.from({ length: 6 }, (_, i) => [`f${i}`, randomBytes(i * 1000)]))
    const names = Array.from({ length: 8 }, (_, i) => `artifact-${i}`)
    for (const name of names) {
      make(writer, name, files)
      await writer.write(name, signal)
      await reader.read(name, undefined, signal)
      for (const [file, bytes] of Object.entries(files)) expect(contentOf(reader, name, file)).toEqual(bytes)
      const chosen = await writer.publish(`object-${name}`, Uint8Array.of(1), signal)
      expect(chosen).toEqual(Uint8Array.of(1))
      expect(await reader.publish(`object-${name}`, Uint8Array.of(2, 2), signal)).toEqual(chosen)
    }
    expect((await reader.list(signal)).filter((name) => !name.startsWith('object')).sort()).toEqual([...names].sort())
    await reader.clear(signal)
    expect(await writer.list(signal)).toEqual([])
    expect(unlucky).toBeGreaterThan(5)
  }, 60_000)
})

describe('a file of an artifact', () => {
  const BYTES = randomBytes(3000)

  it('that comes damaged once is fetched again', async () => {
    const { build, reader } = await stored({ a: BYTES })
    const object = `builds/${build}/one/a`
    await objects.put(object, randomBytes(3000), signal)
    let asked = 0
    bucket.decide = async (seen): Promise<Fate> => {
      if (isFor('GET', '/one/a')(seen) && asked++ === 1) await objects.put(object, BYTES, signal)
      return 'pass'
    }
    expect(await reader.read('one', undefined, signal)).toBe(6000)
    expect(contentOf(reader, 'one', 'a')).toEqual(BYTES)
    expect(asked).toBe(2)
  })

  it.each([
    ['has other bytes', (bytes: Uint8Array) => bytes.map((byte) => byte ^ 1), 'CRC-32'],
    ['is longer', (bytes: Uint8Array) => Buffer.concat([bytes, bytes]), '6000 bytes came, expected 3000'],
    ['is shorter', (bytes: Uint8Array) => bytes.subarray(0, 50), '50 of 50 bytes came, expected 3000']
  ])('that %s is ZGQ_CORRUPT, and not kept', async (_, change, message) => {
    const { build, reader } = await stored({ a: BYTES })
    await objects.put(`builds/${build}/one/a`, change(BYTES), signal)
    const error = await errorFrom(reader.read('one', undefined, signal))
    expect(error).toMatchObject({ code: 'ZGQ_CORRUPT', path: reader.place })
    expect(error.message).toContain(message)
    expect(readdirSync(reader.path)).toEqual(['one'])
    expect(readdirSync(join(reader.path, 'one'))).toEqual([])
    // What the message asks for.
    await reader.remove('one', signal)
    const writer = await open(build)
    make(writer, 'one', { a: BYTES })
    await writer.write('one', signal)
    await reader.read('one', undefined, signal)
    expect(contentOf(reader, 'one', 'a')).toEqual(BYTES)
  })

  it('that is listed and not there is ZGQ_CORRUPT', async () => {
    const { build, reader } = await stored({ a: BYTES, b: BYTES })
    const other = await openArtifactStore({
      store: `${STORE}/${build}`,
      build: 'one',
      client: bucket.client(),
      scratch
    })
    opened.push(other)
    await other.remove('b', signal)
    expect(await errorFrom(reader.read('one', undefined, signal))).toMatchObject({ code: 'ZGQ_CORRUPT' })
  })

  it.each(['[1]', '{}', 'no', '[{"name":"../a","byteLength":1,"crc32":0}]'])(
    'is not read from the list %s',
    async (text) => {
      const { build, reader } = await stored({ a: BYTES })
      await objects.put(`builds/${build}/one/files.json`, new TextEncoder().encode(text), signal)
      expect(await errorFrom(reader.read('one', undefined, signal))).toMatchObject({ code: 'ZGQ_CORRUPT' })
    }
  )
})

describe('stores that are not what they should be', () => {
  const bytes = new TextEncoder().encode('chosen')

  it('are ZGQ_UNSUPPORTED where they store over what is there', async () => {
    bucket.isConditional = false
    const store = await open()
    const error = await errorFrom(store.publish('chosen', bytes, signal))
    expect(error).toMatchObject({ code: 'ZGQ_UNSUPPORTED', path: store.place })
    expect(error.message).toContain('If-None-Match')
    expect(await store.readObject('chosen', signal)).toEqual(bytes)
    const other = await open()
    bucket.decide = ({ method }) => (method === 'PUT' ? { status: 501, code: 'NotImplemented' } : 'pass')
    expect(await errorFrom(other.publish('chosen', bytes, signal))).toMatchObject({ code: 'ZGQ_UNSUPPORTED' })
  })

  it('are not taken for such where an answer is lost', async () => {
    const store = await open()
    let puts = 0
    bucket.decide = ({ method }) =>
      method === 'PUT' && puts++ % 2 === 0 ? (puts === 1 ? 'unanswered' : 'lost') : 'pass'
    expect(await store.publish('chosen', bytes, signal)).toEqual(bytes)
    expect(puts).toBe(4)
  })

  it.each([
    [507, 'InsufficientStorage'],
    [403, 'QuotaExceeded'],
    [400, 'XMinioAdminBucketQuotaExceeded']
  ])('are ZGQ_IO at once where they are full (%d %s)', async (status, code) => {
    const store = await open()
    make(store, 'one', { a: bytes })
    let puts = 0
    bucket.decide = ({ method }) => (method === 'PUT' && ++puts > 0 ? { status, code } : 'pass')
    const error = await errorFrom(store.write('one', signal))
    expect(error.code).toBe('ZGQ_IO')
    expect(error.message).toContain('the store is full')
    expect(puts).toBe(1)
    expect(await store.has('one', signal)).toBe(false)
  })

  it.each(['ENOSPC', 'EDQUOT'])('are ZGQ_IO where the disk of this machine is full (%s)', async (code) => {
    const { reader } = await stored({ a: bytes })
    Object.assign(full, { name: reader.path, code })
    const error = await errorFrom(reader.read('one', undefined, signal))
    expect(error).toMatchObject({ code: 'ZGQ_IO', cause: { code } })
    expect(error.message).toContain('the disk is full')
    full.name = ''
    expect(await reader.read('one', undefined, signal)).toBe(bytes.byteLength)
    const place = temp.fresh('folder')
    mkdirSync(place)
    const store = await openArtifactStore({ store: place, build: 'build' })
    Object.assign(full, { name: place, code })
    expect(await errorFrom(store.publish('chosen', bytes, signal))).toMatchObject({ code: 'ZGQ_IO', cause: { code } })
    full.name = ''
    expect(await store.list(signal)).toEqual([])
  })

  it('are ZGQ_NOT_FOUND where the bucket or the folder is not there', async () => {
    const place = temp.fresh('nothing')
    const missing = await errorFrom(openArtifactStore({ store: place, build: 'b' }))
    expect(missing).toMatchObject({ code: 'ZGQ_NOT_FOUND', path: place })
    expect(readdirSync(temp.path)).not.toContain(place)
    const error = await errorFrom(
      openArtifactStore({ store: 's3://no-such-bucket/x', build: 'b', client: bucket.client() })
    )
    expect(error.code).toBe('ZGQ_NOT_FOUND')
    expect(error.message).toContain('no such bucket')
    const nowhere = openArtifactStore({ store: STORE, build: 'b', client: bucket.client(), scratch: place })
    expect(await errorFrom(nowhere)).toMatchObject({ code: 'ZGQ_NOT_FOUND', path: place })
  })

  it('are ZGQ_IO where a folder is a file', async () => {
    const place = temp.fresh('file')
    writeFileSync(place, '')
    expect(await errorFrom(openArtifactStore({ store: place, build: 'b' }))).toMatchObject({ code: 'ZGQ_IO' })
  })

  it('are ZGQ_READ_ONLY where a folder cannot be written', async () => {
    const [fresh, known] = [temp.fresh('read-only'), temp.fresh('read-only')]
    for (const place of [fresh, join(known, 'b')]) mkdirSync(place, { recursive: true, mode: 0o555 })
    chmodSync(temp.path, 0o755)
    const isRoot = process.geteuid?.() === 0
    if (isRoot) process.seteuid?.(65_534)
    try {
      for (const store of [fresh, known])
        expect(await errorFrom(openArtifactStore({ store, build: 'b' }))).toMatchObject({ code: 'ZGQ_READ_ONLY' })
    } finally {
      if (isRoot) process.seteuid?.(0)
    }
  })

  it('are ZGQ_IO where access is denied, without secrets', async () => {
    bucket.decide = () => ({ status: 403, code: 'InvalidAccessKeyId' })
    const error = await errorFrom(openArtifactStore({ store: STORE, build: 'b', client: bucket.client() }))
    expect(error.code).toBe('ZGQ_IO')
    expect(error.message).toContain('access denied')
    expect(error.message).not.toContain('S3RVER')
  })

  it('are ZGQ_IO where nobody answers', async () => {
    const before = { ...process.env }
    Object.assign(process.env, S3_ENVIRONMENT)
    try {
      const error = await errorFrom(openArtifactStore({ store: STORE, build: 'b', endpoint: 'http://127.0.0.1:1' }))
      expect(error).toMatchObject({ code: 'ZGQ_IO' })
      expect(error.message).toContain('ECONNREFUSED')
    } finally {
      process.env = before
    }
  }, 20_000)

  it('are TypeErrors where options do not fit together', async () => {
    const opening = openArtifactStore({ store: temp.path, build: 'b', region: 'r' })
    await expect(opening).rejects.toThrow(TypeError)
    await expect(openArtifactStore({ store: 's3://', build: 'b' })).rejects.toThrow(TypeError)
  })
})

describe('closing', () => {
  it('ends what is on its way, and leaves nothing', async () => {
    const { reader } = await stored({ a: randomBytes(3000) })
    bucket.decide = (seen) => {
      if (isFor('GET', '/one/a')(seen)) void reader.close()
      return isFor('GET', '/one/a')(seen) ? 'stall' : 'pass'
    }
    expect(await errorFrom(reader.read('one', undefined, signal))).toMatchObject({ code: 'ZGQ_CLOSED' })
    await reader.close()
    expect(readdirSync(scratch)).not.toContain(reader.path.split('/').at(-2))
  })
})
