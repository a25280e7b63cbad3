// openRemote: the same hits as from disk, to the bit, for every way to search; what it fetches for that; and an index
// that is replaced while it is read.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { crc32 } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { packIndex } from '../src/pack.ts'
import { openRemote, ZgqError, type ByteSource, type RemoteIndex } from '../src/remote.ts'
import type { AsyncSearchOptions, Filter, Id } from '../src/types.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { rowOf } from './support/brute-force.ts'
import { makeVectors } from './support/datasets.ts'
import { alsoUnderNode24 } from './support/node-24.ts'
import { startOddServer, type OddServer } from './support/odd-server.ts'
import { randomFrom } from './support/random.ts'
import { publish } from './support/remote-index.ts'
import { rejection } from './support/small-build.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('remote', IN_MEMORY)
const [COUNT, DIM, QUERIES] = [6000, 64, 12]
const vectors = makeVectors('clustered', { count: COUNT, dim: DIM }, 5)
const queries = makeVectors('clustered', { count: QUERIES, dim: DIM }, 6)
const queryOf = (i: number): Float32Array => rowOf(queries, DIM, i)
/** More zones than are probed by their float centroids alone. */
const ZONES = 400

const packed = new Map<string, string>()
const packedOf = (name: string): string => packed.get(name) ?? ''

const KINDS = {
  l2: { metric: 'l2', bits: 4 },
  cosine: { metric: 'cosine', bits: 2 },
  ip: { metric: 'ip', bits: 4 },
  plain: { metric: 'l2', bits: 0 },
  fewZones: { metric: 'l2', bits: 4, zones: 20 }
} as const
const WAYS: readonly AsyncSearchOptions[] = [
  {},
  { k: 1 },
  { k: 100, recall: 0.99 },
  { nprobe: 1 },
  { nprobe: 40 },
  { nprobe: 10_000 },
  { exact: true },
  { k: 0 },
  { rerank: 50 }
]

let server: OddServer
const paths = new Map<string, string>()
const pathOf = (name: string): string => paths.get(name) ?? ''

beforeAll(async () => {
  server = await startOddServer()
  for (const [name, kind] of Object.entries(KINDS)) {
    const output = temp.fresh(name)
    await buildIndex({ input: vectors, dim: DIM, zones: ZONES, ...kind, output })
    paths.set(name, output)
    packed.set(name, temp.fresh(`${name}.zgqp`))
    await publish(server, output, { name, output: packedOf(name) })
  }
  await makeDocuments()
})
afterAll(async () => {
  await server.close()
})

const COLOURS = ['red', 'green', 'blue']

async function makeDocuments(): Promise<void> {
  const output = temp.fresh('documents')
  const rows = Array.from({ length: 3000 }, (_, i) => ({
    id: `note ${i}`,
    payload: { colour: COLOURS[i % 3], size: i, text: `this is note ${i}`, tags: i % 7 === 0 ? ['seven'] : [] }
  }))
  await buildIndex({
    input: vectors.slice(0, rows.length * DIM),
    dim: DIM,
    ids: rows.map(({ id }) => id),
    payloads: rows.map(({ payload }) => payload),
    fields: { colour: 'string', size: 'number', tags: 'string[]' },
    zones: 60,
    model: 'a model',
    output
  })
  paths.set('documents', output)
  packed.set('documents', temp.fresh('documents.zgqp'))
  await publish(server, output, { name: 'documents', output: packedOf('documents') })
  await publish(server, output, { name: 'folder', output: temp.fresh('folder'), layout: 'folder' })
}

/** Works with an index on disk and the same one from afar. */
async function withBoth<I extends Id = number>(
  name: string,
  work: (remote: RemoteIndex<I>, local: ZgqIndex<I>) => Promise<void>,
  url = server.url + name
): Promise<void> {
  const remote = await openRemote<I>(url)
  const local = ZgqIndex.open<I>(pathOf(name))
  try {
    await work(remote, local)
  } finally {
    remote.close()
    local.close()
  }
}

describe('hits from afar are those from disk', () => {
  it.each(Object.keys(KINDS))('%s', async (name) => {
    await withBoth(name, async (remote, local) => {
      for (const options of WAYS)
        for (let i = 0; i < QUERIES; i++)
          expect(await remote.search(queryOf(i), options), JSON.stringify(options)).toEqual(
            local.search(queryOf(i), options)
          )
    })
  })

  it('of many searches at a time, with a cache that holds next to nothing', async () => {
    const remote = await openRemote(server.url + 'l2', { cacheBytes: 0 })
    const local = ZgqIndex.open(pathOf('l2'))
    const found = await Promise.all(Array.from({ length: QUERIES }, (_, i) => remote.search(queryOf(i))))
    expect(found).toEqual(Array.from({ length: QUERIES }, (_, i) => local.search(queryOf(i))))
    remote.close()
    local.close()
  })

  it('of a stored vector, which is not among them', async () => {
    await withBoth('cosine', async (remote, local) => {
      for (const id of [0, 17, COUNT - 1]) expect(await remote.search({ id })).toEqual(local.search({ id }))
      expect(await rejection(remote.search({ id: COUNT }))).toMatchObject({ code: 'ZGQ_NOT_FOUND' })
    })
  })

  it('in an index that is empty', async () => {
    const path = temp.fresh('empty')
    const empty = await ZgqIndex.create(path, { dim: 3 })
    empty.close()
    const remote = await openRemote(await publish(server, path, { name: 'empty', output: temp.fresh('empty.zgqp') }))
    expect(await remote.search([1, 2, 3])).toEqual([])
    expect([await remote.count(), await remote.has(1), remote.info().zones]).toEqual([0, false, 0])
    remote.close()
  })
})

describe('documents from afar', () => {
  const FILTERS: readonly Filter[] = [
    { colour: 'red' },
    { size: { $gte: 100, $lt: 140 } },
    { tags: 'seven', colour: { $ne: 'blue' } },
    { size: -1 }
  ]

  it.each(['documents', 'folder'])('are those from disk: %s', async (name) => {
    const url = server.url + (name === 'folder' ? 'folder/' : name)
    paths.set('folder', pathOf('documents'))
    await withBoth<string>(
      name,
      async (remote, local) => {
        for (const options of [{ payload: true }, { payload: ['text'], k: 3 }, { maxDistance: 0.5 }] as const)
          for (let i = 0; i < QUERIES; i++)
            expect(await remote.search(queryOf(i), options)).toEqual(local.search(queryOf(i), options))
        for (const filter of FILTERS) {
          expect(await remote.count(filter)).toBe(local.count(filter))
          for (let i = 0; i < 3; i++)
            for (const options of [
              { filter, payload: true },
              { filter, exact: true }
            ])
              expect(await remote.search(queryOf(i), options)).toEqual(local.search(queryOf(i), options))
        }
        for (const id of ['note 0', 'note 2999', 'no note']) {
          expect(await remote.document(id)).toEqual(local.document(id))
          expect(await remote.get(id)).toEqual(local.get(id))
          expect(await remote.has(id)).toBe(local.has(id))
        }
      },
      url
    )
  })

  it('of the wrong kind are refused as they are from disk', async () => {
    await withBoth<string>('documents', async (remote) => {
      expect(await rejection(remote.search(queryOf(0), { filter: { weight: 3 } }))).toMatchObject({
        code: 'ZGQ_FILTER'
      })
      expect(await rejection(remote.search([1, 2, 3]))).toMatchObject({ code: 'ZGQ_DIMENSION' })
      expect(await rejection(remote.search(queryOf(0), { recall: 2 }))).toBeInstanceOf(RangeError)
      expect(await rejection(remote.document(''))).toBeInstanceOf(RangeError)
    })
  })
})

describe('what is fetched', () => {
  it('opening takes two rounds, a warm search nothing', async () => {
    server.requests.length = 0
    const remote = await openRemote(server.url + 'l2')
    const { requests, bytes } = remote.info().opening
    expect(requests).toBeLessThanOrEqual(2)
    expect(bytes).toBeLessThan(200_000)
    const first = await remote.search(queryOf(0), { explain: true })
    expect(first.explain.network.rounds).toBeLessThanOrEqual(3)
    expect(first.explain.network.requests).toBeGreaterThan(0)
    const second = await remote.search(queryOf(0), { explain: true })
    expect(second.explain.network).toEqual({ requests: 0, bytes: 0, rounds: 0 })
    expect(second.hits).toEqual(first.hits)
    remote.close()
  })

  it('of centroids is what searches need, where they are not fetched ahead', async () => {
    const folder = temp.fresh('l2-folder')
    await packIndex({ index: pathOf('l2'), output: folder, layout: 'folder' })
    let refusals = 1
    const remote = await openRemote({
      list: (prefix) => Promise.resolve(readdirSync(folder).filter((name) => name.startsWith(prefix))),
      getBytes: (name, offset, length) => {
        if (name.startsWith('centroids') && refusals-- > 0) throw new ZgqError('ZGQ_IO', 'not now')
        return Promise.resolve({ bytes: readFileSync(join(folder, name)).subarray(offset, offset + length) })
      }
    })
    await setTimeout(20)
    expect(refusals).toBe(0)
    const local = ZgqIndex.open(pathOf('l2'))
    for (let i = 0; i < QUERIES; i++)
      for (const options of [{ nprobe: 2 }, {}, { recall: 0.99 }, { k: 3, nprobe: 60 }])
        expect(await remote.search(queryOf(i), options)).toEqual(local.search(queryOf(i), options))
    expect(refusals).toBeLessThan(0)
    remote.close()
    local.close()
  })

  it('is shared by searches that want the same at the same time', async () => {
    const remote = await openRemote(server.url + 'l2')
    const alone = await remote.search(queryOf(0), { explain: true })
    remote.close()
    server.requests.length = 0
    const again = await openRemote(server.url + 'l2')
    const found = await Promise.all(Array.from({ length: 20 }, () => again.search(queryOf(0))))
    expect(server.requests.length).toBeLessThanOrEqual(alone.explain.network.requests + 3)
    for (const hits of found) expect(hits).toEqual(alone.hits)
    again.close()
  })

  it('ends with the signal, and with the index', async () => {
    const remote = await openRemote(server.url + 'cosine')
    expect(await rejection(remote.search(queryOf(0), { signal: AbortSignal.abort('enough') }))).toBe('enough')
    server.always(() => undefined) // never answers
    const controller = new AbortController()
    const waiting = rejection(remote.search(queryOf(0), { signal: controller.signal }))
    const other = rejection(remote.search(queryOf(1)))
    await setTimeout(20)
    controller.abort('no more')
    expect(await waiting).toBe('no more')
    remote.close()
    expect(await other).toMatchObject({ code: 'ZGQ_CLOSED' })
    expect(await rejection(remote.search(queryOf(0)))).toMatchObject({ code: 'ZGQ_CLOSED' })
    expect(() => remote.info()).toThrow('closed')
    server.always(undefined)
  })
})

describe('an index that is replaced while it is open', () => {
  it('is opened anew, and the search repeated', async () => {
    const url = await publish(server, pathOf('l2'), { name: 'changing', output: temp.fresh('changing.zgqp') })
    const remote = await openRemote(url)
    const before = await remote.search(queryOf(0))
    await publish(server, pathOf('ip'), { name: 'changing', output: temp.fresh('changing.zgqp') })
    const local = ZgqIndex.open(pathOf('ip'))
    expect(await Promise.all([1, 2, 3].map((i) => remote.search(queryOf(i))))).toEqual(
      [1, 2, 3].map((i) => local.search(queryOf(i)))
    )
    expect(await remote.search(queryOf(0))).not.toEqual(before)
    expect(remote.info().metric).toBe('ip')
    expect(await remote.refresh()).toBe(false)
    remote.close()
    local.close()
  })

  it('has a newer manifest, which refresh takes', async () => {
    const output = temp.fresh('growing')
    const url = await publish(server, pathOf('l2'), { name: 'growing', output, layout: 'folder' })
    const remote = await openRemote(url)
    expect([remote.info().manifest, await remote.refresh()]).toEqual([1, false])
    await publish(server, pathOf('ip'), { name: 'growing', output, layout: 'folder' })
    expect(remote.info().manifest).toBe(1)
    expect([await remote.refresh(), remote.info().manifest, remote.info().metric]).toEqual([true, 2, 'ip'])
    // A hint that is behind is no more than that.
    server.put('growing/latest', new TextEncoder().encode('1'))
    const other = await openRemote(url)
    expect(other.info().manifest).toBe(2)
    // Nor is one at a manifest that is gone.
    server.put('growing/latest', new TextEncoder().encode('9'))
    const third = await openRemote(url)
    expect(third.info().manifest).toBe(2)
    for (const index of [remote, other, third]) index.close()
  })
})

describe('openRemote refuses', () => {
  it.each([
    ['another file', 'text', 'ZGQ_NOT_AN_INDEX'],
    ['no file', 'nothing', 'ZGQ_NOT_FOUND'],
    ['a folder without a manifest', 'nothing/', 'ZGQ_NOT_FOUND'],
    ['a manifest by itself', 'folder/manifest-000001', 'ZGQ_UNSUPPORTED'],
    ['half a file', 'half', 'ZGQ_TRUNCATED'],
    ['a newer format', 'newer', 'ZGQ_UNSUPPORTED'],
    ['a head with a flipped bit', 'flipped', 'ZGQ_CORRUPT']
  ])('%s', async (_, name, code) => {
    server.put('text', new TextEncoder().encode('hello, world '.repeat(1000)))
    const file = readFileSync(packedOf('l2'))
    server.put('half', file.subarray(0, file.byteLength / 2))
    const newer = Uint8Array.from(file)
    newer[8] = 3
    new DataView(newer.buffer).setUint32(4092, crc32(newer.subarray(0, 4092)), true)
    server.put('newer', newer)
    const flipped = Uint8Array.from(file)
    flipped[6000] ^= 1
    server.put('flipped', flipped)
    expect(await rejection(openRemote(server.url + name))).toMatchObject({ code })
  })

  it('options that are none, and another model', async () => {
    expect(await rejection(openRemote(server.url, JSON.parse('{"cache": 3}')))).toBeInstanceOf(TypeError)
    expect(await rejection(openRemote(server.url, { cacheBytes: -1 }))).toBeInstanceOf(RangeError)
    expect(await rejection(openRemote('docs.zgqp'))).toBeInstanceOf(TypeError)
    expect(await rejection(openRemote('file:///docs.zgqp'))).toBeInstanceOf(TypeError)
    expect(await rejection(openRemote(JSON.parse('{}')))).toBeInstanceOf(TypeError)
    expect(await rejection(openRemote(server.url + 'documents', { model: 'another' }))).toMatchObject({
      code: 'ZGQ_MISMATCH'
    })
  })
})

describe('damage is an error, never a wrong hit', () => {
  it.each([
    ['l2', 60],
    ['documents', 30]
  ])('in %s', async (name, tries) => {
    const file = readFileSync(packedOf(name))
    const local = ZgqIndex.open<Id>(pathOf(name))
    const expected = local.search(queryOf(0), { payload: true })
    local.close()
    const random = randomFrom(9)
    for (let i = 0; i < tries; i++) {
      const damaged = Uint8Array.from(file)
      const at = Math.floor(random() * file.byteLength)
      damaged[at] ^= 1 << Math.floor(random() * 8)
      const source: ByteSource = {
        getBytes: (_, offset, length) => Promise.resolve({ bytes: damaged.slice(offset, offset + length) })
      }
      const answer = await openRemote<Id>(source).then(
        async (remote) => {
          const hits = await remote.search(queryOf(0), { payload: true }).catch((error: unknown) => error)
          remote.close()
          return hits
        },
        (error: unknown) => error
      )
      if (answer instanceof Error) expect(answer, `bit of byte ${at}`).toBeInstanceOf(ZgqError)
      else expect(answer, `bit of byte ${at}`).toEqual(expected)
    }
  })
})

alsoUnderNode24(['test/remote.test.ts', 'test/range-reader.test.ts', 'test/remote-http.test.ts'], { temp, least: 80 })
