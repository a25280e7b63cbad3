// Stores of artifacts: one contract for a folder and a bucket, and what goes wrong with each.

import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

import type { ArtifactStore } from '../src/artifacts/artifact-store.ts'
import { openArtifactStore } from '../src/artifacts/open-store.ts'
import { s3Store } from '../src/publish.ts'
import { startBucket, type Fate, type SeenRequest } from './support/s3-proxy.ts'
import { errorFrom } from './support/small-build.ts'
import { useOpenedStores } from './support/opened-stores.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('artifacts')
const bucket = await startBucket(temp.fresh('s3'))
const folder = temp.fresh('folder')
mkdirSync(folder)
/** What is in the bucket, whatever stores make of it. */
const objects = s3Store({ bucket: bucket.bucket, client: bucket.client() })
const scratch = temp.fresh('scratch')
const { signal } = new AbortController()
const MEGABYTE = 2 ** 20
const opened = useOpenedStores(bucket, scratch)
let builds = 0

type Kind = 'folder' | 'bucket'
const KINDS = ['folder', 'bucket'] as const
const freshBuild = (): string => `build-${builds++}`

/** Opens the store of a build as one machine of several does. */
async function open(kind: Kind, build = freshBuild()): Promise<ArtifactStore> {
  const store = await openArtifactStore(
    kind === 'folder'
      ? { store: folder, build }
      : { store: `s3://${bucket.bucket}/builds`, build, client: bucket.client(), scratch }
  )
  opened.push(store)
  return store
}

/** Makes an artifact in place, as a task does. */
function make(store: ArtifactStore, name: string, files: Record<string, Uint8Array>): void {
  mkdirSync(join(store.path, name))
  for (const [file, bytes] of Object.entries(files)) writeFileSync(join(store.path, name, file), bytes)
}

const contentOf = (store: ArtifactStore, name: string, file: string): Buffer =>
  readFileSync(join(store.path, name, file))
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
const FILES = { a: bytesOf('first'), 'b.bin': randomBytes(3000), empty: new Uint8Array() }

describe.each(KINDS)('artifacts in a %s', (kind) => {
  it('are there once they are written, and then on other machines', async () => {
    const build = freshBuild()
    const [writer, reader] = [await open(kind, build), await open(kind, build)]
    expect(await writer.has('one', signal)).toBe(false)
    make(writer, 'one', FILES)
    const moved = await writer.write('one', signal)
    expect(await reader.has('one', signal)).toBe(true)
    expect(await reader.read('one', undefined, signal)).toBe(moved)
    for (const [name, bytes] of Object.entries(FILES))
      expect(contentOf(reader, 'one', name)).toEqual(Buffer.from(bytes))
    expect(readdirSync(join(reader.path, 'one')).sort()).toEqual(Object.keys(FILES))
    expect(moved).toBe(kind === 'folder' ? 0 : 3005)
  })

  it('are moved once, however often they are written and read', async () => {
    const build = freshBuild()
    const [writer, reader] = [await open(kind, build), await open(kind, build)]
    make(writer, 'one', FILES)
    const written = await Promise.all([writer.write('one', signal), writer.write('one', signal)])
    expect(await writer.write('one', signal)).toBe(0)
    const read = await Promise.all([1, 2, 3].map(() => reader.read('one', undefined, signal)))
    expect(await reader.read('one', undefined, signal)).toBe(0)
    const total = kind === 'folder' ? 0 : 3005
    expect([written, read].map((moved) => moved.reduce((sum, each) => sum + each))).toEqual([total, total])
    expect(await writer.read('one', ['a'], signal)).toBe(0)
  })

  it('come file by file, where that is asked for', async () => {
    const build = freshBuild()
    const [writer, reader] = [await open(kind, build), await open(kind, build)]
    make(writer, 'one', FILES)
    await writer.write('one', signal)
    expect(await reader.read('one', ['a', 'empty'], signal)).toBe(kind === 'folder' ? 0 : 5)
    expect(contentOf(reader, 'one', 'a')).toEqual(Buffer.from('first'))
    expect(contentOf(reader, 'one', 'empty')).toHaveLength(0)
    expect(existsSync(join(reader.path, 'one', 'b.bin'))).toBe(kind === 'folder')
  })

  it('of many megabytes are the same on the other side', async () => {
    const build = freshBuild()
    const [writer, reader] = [await open(kind, build), await open(kind, build)]
    const long = { long: randomBytes(17 * MEGABYTE), exact: randomBytes(8 * MEGABYTE) }
    make(writer, 'long', long)
    await writer.write('long', signal)
    await reader.read('long', undefined, signal)
    for (const [name, bytes] of Object.entries(long)) expect(contentOf(reader, 'long', name).equals(bytes)).toBe(true)
  })

  it('are ZGQ_NOT_FOUND where they are not', async () => {
    const store = await open(kind)
    expect(await errorFrom(store.read('none', undefined, signal))).toMatchObject({ code: 'ZGQ_NOT_FOUND' })
    expect(await errorFrom(store.write('none', signal))).toMatchObject({ code: 'ZGQ_NOT_FOUND' })
    make(store, 'one', FILES)
    await store.write('one', signal)
    expect(await errorFrom(store.read('one', ['c'], signal))).toMatchObject({ code: 'ZGQ_NOT_FOUND' })
  })

  it('are listed and removed, whole or not', async () => {
    const build = freshBuild()
    const [store, other] = [await open(kind, build), await open(kind, build)]
    make(store, 'one', FILES)
    make(store, 'two', FILES)
    await store.write('one', signal)
    await store.write('two', signal)
    await store.publish('begun', bytesOf('x'), signal)
    expect((await other.list(signal)).sort()).toEqual(['begun', 'one', 'two'])
    await store.remove('one', signal)
    await store.remove('begun', signal)
    await store.remove('none', signal)
    expect(await other.has('one', signal)).toBe(false)
    expect(await other.readObject('begun', signal)).toBeUndefined()
    expect(await other.list(signal)).toEqual(['two'])
    await other.clear(signal)
    expect(await store.list(signal)).toEqual([])
    expect(
      await errorFrom(store.read('two', undefined, signal)).then(
        ({ code }) => code,
        () => 'read'
      )
    ).toBe(
      kind === 'folder' ? 'ZGQ_NOT_FOUND' : 'read' // what was made here is still here
    )
  })

  it('are not there by half, and the half ones are listed and removed', async () => {
    const build = freshBuild()
    const store = await open(kind, build)
    // As a task in a folder, or an upload to a bucket, that was stopped.
    const half = kind === 'folder' ? `one.new-${hostname()}-1-0` : 'one'
    if (kind === 'folder') make(store, half, FILES)
    else await objects.put(`builds/${build}/one/a`, bytesOf('half'), signal)
    expect(await store.has('one', signal)).toBe(false)
    expect(await errorFrom(store.read('one', undefined, signal))).toMatchObject({ code: 'ZGQ_NOT_FOUND' })
    expect(await store.list(signal)).toEqual([half])
    await store.remove(half, signal)
    expect(await store.list(signal)).toEqual([])
  })

  it('are written anew after they were removed', async () => {
    const build = freshBuild()
    const [store, other] = [await open(kind, build), await open(kind, build)]
    for (let round = 0; round < 2; round++) {
      make(store, 'one', FILES)
      await store.write('one', signal)
      await other.read('one', undefined, signal)
      await store.remove('one', signal)
      other.release('one')
      expect(await other.has('one', signal)).toBe(false)
    }
  })

  it('keep builds apart', async () => {
    const [one, other] = [await open(kind, 'build-1-a'), await open(kind, 'build-1-')]
    make(one, 'one', FILES)
    await one.write('one', signal)
    expect(await other.list(signal)).toEqual([])
    await other.clear(signal)
    expect(await one.has('one', signal)).toBe(true)
  })

  it('take no names that lead elsewhere', async () => {
    const store = await open(kind)
    for (const name of ['', '.', '..', 'a/b', '../a', 'a\\b'])
      await expect(store.remove(name, signal)).rejects.toThrow(RangeError)
  })

  it('end by their signal, and after close', async () => {
    const store = await open(kind)
    const reason = new Error('enough')
    for (const work of [
      store.has('a', AbortSignal.abort(reason)),
      store.read('a', undefined, AbortSignal.abort(reason)),
      store.list(AbortSignal.abort(reason))
    ])
      await expect(work).rejects.toBe(reason)
    await store.close()
    await store.close()
    expect(await errorFrom(store.has('a', signal))).toMatchObject({ code: 'ZGQ_CLOSED' })
  })
})

describe.each(KINDS)('objects in a %s', (kind) => {
  it('are what the first publisher stored', async () => {
    const build = freshBuild()
    const stores = await Promise.all([1, 2, 3, 4].map(() => open(kind, build)))
    const found = await Promise.all(stores.map((store, i) => store.publish('chosen', bytesOf(`by ${i}`), signal)))
    const texts = found.map((bytes) => new TextDecoder().decode(bytes))
    expect(new Set(texts).size).toBe(1)
    expect(texts[0]).toMatch(/^by \d$/)
    expect(await stores[0].readObject('chosen', signal)).toEqual(found[0])
  })

  it('are undefined where they are not, and may be long', async () => {
    const store = await open(kind)
    expect(await store.readObject('none', signal)).toBeUndefined()
    const bytes = new Uint8Array(randomBytes(3 * MEGABYTE))
    await store.publish('long', bytes, signal)
    expect(Buffer.from((await store.readObject('long', signal)) ?? []).equals(bytes)).toBe(true)
  })

  it('are no artifacts', async () => {
    const store = await open(kind)
    await store.publish('object', bytesOf('x'), signal)
    expect(await store.has('object', signal)).toBe(false)
  })
})

describe('a bucket that is cleared', () => {
  it('has no pieces of uploads that were stopped, either', async () => {
    const real = bucket.client()
    const dropped: unknown[] = []
    // s3rver does not list uploads.
    const send = async (command: object): Promise<unknown> => {
      const { input } = command as { input: { Prefix?: string; Key?: string } }
      const uploads = ['one/a', 'two/b'].map((name) => ({ Key: `${String(input.Prefix)}${name}`, UploadId: name }))
      if (command.constructor.name === 'ListMultipartUploadsCommand')
        return { Uploads: [...uploads, { Key: 'builds/other/a', UploadId: 'other' }] }
      if (command.constructor.name !== 'AbortMultipartUploadCommand') return await real.send(command as never)
      dropped.push(input)
      return {}
    }
    const build = freshBuild()
    const store = await openArtifactStore({ store: `s3://${bucket.bucket}/builds`, build, client: { send }, scratch })
    await store.clear(signal)
    await store.close()
    expect(dropped).toEqual(
      ['one/a', 'two/b'].map((name) => ({ Bucket: bucket.bucket, Key: `builds/${build}/${name}`, UploadId: name }))
    )
  })
})

describe('an artifact in a bucket', () => {
  const count = (wanted: (seen: SeenRequest) => boolean): number => bucket.requests.filter(wanted).length

  it('that is small takes few requests', async () => {
    const build = freshBuild()
    const [writer, reader] = [await open('bucket', build), await open('bucket', build)]
    make(writer, 'one', { a: bytesOf('a') })
    bucket.requests.length = 0
    await writer.write('one', signal)
    expect(bucket.requests.map(({ method }) => method)).toEqual(['HEAD', 'PUT', 'PUT'])
    bucket.requests.length = 0
    await reader.read('one', ['a'], signal)
    await reader.read('one', undefined, signal)
    expect(count(() => true)).toBe(2)
  })

  it('that many want at a time comes once, and for those who stay', async () => {
    const build = freshBuild()
    const [writer, reader] = [await open('bucket', build), await open('bucket', build)]
    make(writer, 'one', { a: bytesOf('a') })
    await writer.write('one', signal)
    const controller = new AbortController()
    const reason = new Error('enough')
    bucket.requests.length = 0
    bucket.decide = ({ url }) => {
      if (url.includes('/one/a')) controller.abort(reason)
      return 'pass'
    }
    const impatient = reader.read('one', undefined, controller.signal)
    const patient = reader.read('one', undefined, signal)
    await expect(impatient).rejects.toBe(reason)
    await patient
    expect(contentOf(reader, 'one', 'a')).toEqual(Buffer.from('a'))
    expect(count(({ url }) => url.includes('/one/a'))).toBe(1)
  })

  it('and forty others come a few requests at a time', async () => {
    const build = freshBuild()
    const [writer, reader] = [await open('bucket', build), await open('bucket', build)]
    const names = Array.from({ length: 40 }, (_, i) => `a-${i}`)
    for (const name of names) make(writer, name, { a: bytesOf(name) })
    await Promise.all(names.map((name) => writer.write(name, signal)))
    let [now, most] = [0, 0]
    bucket.decide = async (): Promise<Fate> => {
      most = Math.max(most, ++now)
      await new Promise(setImmediate)
      now--
      return 'pass'
    }
    await Promise.all(names.map((name) => reader.read(name, undefined, signal)))
    expect(names.map((name) => contentOf(reader, name, 'a').toString())).toEqual(names)
    expect(most).toBeLessThanOrEqual(16)
  })

  it('of which a copy was given up comes again', async () => {
    const build = freshBuild()
    const [writer, reader] = [await open('bucket', build), await open('bucket', build)]
    make(writer, 'one', FILES)
    await writer.write('one', signal)
    await reader.read('one', undefined, signal)
    reader.release('one')
    expect(existsSync(join(reader.path, 'one'))).toBe(false)
    expect(await reader.read('one', undefined, signal)).toBe(3005)
    writer.release('one')
    expect(await writer.read('one', ['a'], signal)).toBe(5)
  })
})
