// Changing an index through its public face: what bad input gets, in which order calls are done, and what searches find
// at places where other indexes do not look: between a commit and the next, where rows are gone, with the first
// payload.

import { mkdirSync, renameSync } from 'node:fs'
import { beforeEach, describe, expect, it } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { checkIndex } from '../src/check.ts'
import type { Filter } from '../src/types.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { randomFrom } from './support/random.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('changing', IN_MEMORY)
const DIM = 8
let path = ''
let random = randomFrom(1)

beforeEach(() => {
  path = temp.fresh('index')
  random = randomFrom(1)
})

const vector = (): Float32Array => Float32Array.from({ length: DIM }, () => random() * 2 - 1)
const rows = (count: number, first = 0): { id: number; vector: Float32Array }[] =>
  Array.from({ length: count }, (_, i) => ({ id: first + i, vector: vector() }))
const codeOf = (error: unknown): unknown =>
  typeof error === 'object' && error !== null && 'code' in error
    ? error.code
    : error instanceof Error
      ? error.name
      : error
const rejection = (promise: Promise<unknown>): Promise<unknown> => promise.then(() => 'resolved', codeOf)

describe('a call with bad input', () => {
  it.each<[string, (index: ZgqIndex) => Promise<unknown>, string]>([
    ['an id that exists', (index) => index.add([...rows(1, 50), ...rows(1)]), 'ZGQ_ID_EXISTS'],
    ['an id twice', (index) => index.upsert([...rows(1, 50), ...rows(1, 50)]), 'ZGQ_ID_EXISTS'],
    ['another dimension', (index) => index.add([...rows(1, 50), { id: 51, vector: [1, 2] }]), 'ZGQ_DIMENSION'],
    ['NaN', (index) => index.add([...rows(1, 50), { id: 51, vector: vector().fill(NaN) }]), 'ZGQ_NON_FINITE'],
    ['length zero', (index) => index.add([...rows(1, 50), { id: 51, vector: vector().fill(0) }]), 'ZGQ_ZERO_VECTOR'],
    ['a field of another type', (index) => index.add([{ id: 51, vector: vector(), payload: { n: 'x' } }]), 'TypeError'],
    ['an unknown field', (index) => index.delete({ filter: { nope: 1 } }), 'ZGQ_FILTER'],
    ['an empty filter', (index) => index.delete({ filter: {} }), 'TypeError'],
    ['a filter that is empty inside', (index) => index.delete({ filter: { $and: [{}] } }), 'TypeError'],
    ['a filter that refuses nothing', (index) => index.update({ $nor: [{ $not: {} }] }, { n: 1 }), 'TypeError'],
    ['an empty filter to replace', (index) => index.upsert(rows(1, 50), { replace: {} }), 'TypeError'],
    ['a value of another type', (index) => index.update([0], { n: 'x' }), 'TypeError'],
    ['a text for an id', (index) => index.delete(['0'] as never), 'TypeError'],
    ['a misspelled option', (index) => index.add(rows(1, 50), { onprogress: () => undefined } as never), 'TypeError']
  ])('of %s fails whole, and changes nothing', async (_, call, code) => {
    const index = await ZgqIndex.create(path, { dim: DIM, metric: 'cosine', fields: { n: 'number' } })
    await index.add(rows(3))
    const before = [...index.documents()]
    expect(await rejection(call(index))).toBe(code)
    expect([...index.documents()]).toEqual(before)
    expect(index.info().changes.commit).toBe(1)
    index.close()
  })

  it('that deletes what is not there counts it, and commits nothing', async () => {
    const index = await ZgqIndex.create(path, { dim: DIM })
    await index.add(rows(1))
    expect(await index.delete([7, 8])).toBe(0)
    expect(index.info().changes.commit).toBe(1)
    index.close()
  })

  it('is refused by an index that is open for reading', async () => {
    const writer = await ZgqIndex.create(path, { dim: DIM })
    using reader = ZgqIndex.open(path)
    expect(await rejection(reader.add(rows(1)))).toBe('ZGQ_READ_ONLY')
    writer.close()
  })

  it('names the model where the index has one', async () => {
    const index = await ZgqIndex.create(path, { dim: DIM, model: 'm@1' })
    index.close()
    expect(() => ZgqIndex.open(path, { mode: 'write' })).toThrow(/name the model/)
    expect(() => ZgqIndex.open(path, { mode: 'write', model: 'm@2' })).toThrow(/of model "m@1"/)
    ZgqIndex.open(path, { mode: 'write', model: 'm@1' }).close()
  })
})

describe('writes', () => {
  it('are done in the order of their calls, however large', async () => {
    const index = await ZgqIndex.create<number, { at: string }>(path, { dim: DIM })
    const many = rows(20_000)
    const [first, second, third] = await Promise.all([
      index.upsert([...many, { id: 99_999, vector: vector(), payload: { at: 'first' } }]),
      index.upsert([{ id: 99_999, vector: vector(), payload: { at: 'second' } }]),
      index.delete([19_999])
    ])
    expect([first.removed, second.removed, third]).toEqual([0, 1, 1])
    expect(index.document(99_999)?.payload).toEqual({ at: 'second' })
    index.close()
  })

  it('go into the index that was opened, not into one that took its place', async () => {
    const index = await ZgqIndex.create(path, { dim: DIM })
    const moved = temp.fresh('moved')
    renameSync(path, moved)
    const other = await ZgqIndex.create(path, { dim: DIM })
    expect(await rejection(index.add(rows(2)))).toBe('ZGQ_MISMATCH')
    expect(other.count()).toBe(0)
    index.close()
    other.close()
  })

  it('reject with ZGQ_CLOSED where the index is closed first, and are there whole or not at all', async () => {
    const index = await ZgqIndex.create(path, { dim: DIM })
    const pending = [0, 1, 2].map((i) => rejection(index.add(rows(10, i * 10))))
    index.close()
    index.close()
    for (const outcome of await Promise.all(pending)) expect(['resolved', 'ZGQ_CLOSED']).toContain(outcome)
    using again = ZgqIndex.open(path)
    expect(again.count() % 10).toBe(0)
  })

  it('of rows without payloads, many at a time, beside rows with some', async () => {
    const index = await ZgqIndex.create<number, { n: number }>(path, { dim: DIM, fields: { n: 'number' } })
    await index.add([...rows(5000), { id: 6000, vector: vector(), payload: { n: 3 } }])
    await index.add(rows(600, 7000))
    expect(index.count({ n: { $exists: false } })).toBe(5600)
    expect(index.document(6000)?.payload).toEqual({ n: 3 })
    expect(index.document(4999)?.payload).toBeUndefined()
    index.close()
    expect(await checkIndex(path)).toMatchObject({ ok: true, count: 5601 })
  })

  it('by batches tell how far they came, and stop between two', async () => {
    const index = await ZgqIndex.create(path, { dim: DIM })
    const progress: number[] = []
    const stop = new AbortController()
    async function* batches(): AsyncGenerator<{ id: number; vector: Float32Array }[]> {
      for (let i = 0; i < 5; i++) yield await Promise.resolve(rows(10, i * 10))
    }
    const outcome = await rejection(
      index.add(batches(), {
        signal: stop.signal,
        onProgress: ({ rows: done }) => {
          progress.push(done)
          if (done === 30) stop.abort()
        }
      })
    )
    expect(outcome).toBe(20) // DOMException AbortError
    expect(progress).toEqual([10, 20, 30])
    expect(index.count()).toBe(30)
    index.close()
  })

  it('of many callers share commits', async () => {
    const index = await ZgqIndex.create(path, { dim: DIM })
    await index.add(rows(1))
    await Promise.all(Array.from({ length: 100 }, (_, i) => index.add(rows(1, i + 1))))
    expect(index.count()).toBe(101)
    expect(index.info().changes.commit).toBeLessThan(60)
    index.close()
  })

  it('reach a backup, and another handle', async () => {
    const index = await ZgqIndex.create(path, { dim: DIM })
    const reader = ZgqIndex.open(path)
    await index.add(rows(700))
    await index.delete([5])
    reader.refresh()
    expect(reader.count()).toBe(699)
    const copy = temp.fresh('copy')
    await index.backup(copy)
    expect(await checkIndex(copy)).toMatchObject({ ok: true, count: 699, notes: [] })
    expect(await rejection(index.backup(copy))).toBe('ZGQ_EXISTS')
    mkdirSync(temp.fresh('there'))
    index.close()
    reader.close()
  })
})

describe('searches of an index that is changed', () => {
  it('find ids, not places, in batches of threads, once rows have payloads', async () => {
    const index = await ZgqIndex.create(path, { dim: DIM, threads: 2 })
    await index.add(Array.from({ length: 20_000 }, (_, id) => ({ id, vector: vector(), payload: { id } })))
    const found = await index.searchBatch(
      Float32Array.from({ length: 3000 * DIM }, () => random() * 2 - 1),
      { k: 3 }
    )
    expect(found.flat().every(({ id }) => id < 20_000)).toBe(true)
    index.close()
  })

  it('find k rows where all rows of the nearest zones are deleted', async () => {
    const vectors = Float32Array.from({ length: 20_000 * DIM }, () => random() * 2 - 1)
    await buildIndex({ input: vectors, dim: DIM, output: path, zones: 40 })
    const index = ZgqIndex.open(path, { mode: 'write' })
    const query = vector()
    await index.delete(index.search(query, { k: 6000, exact: true }).map(({ id }) => id))
    const wanted = index.search(query, { k: 10, exact: true }).map(({ id }) => id)
    for (const options of [{}, { recall: 0.99 }, { recall: 0.9 }]) {
      const found = index.search(query, { k: 10, ...options }).map(({ id }) => id)
      expect(found).toHaveLength(10)
      expect(found.filter((id) => wanted.includes(id)).length).toBeGreaterThanOrEqual(9)
    }
    index.close()
  })

  it('with a filter that wait while rows move into a delta find what matches', async () => {
    const index = await ZgqIndex.create(path, { dim: DIM, fields: { n: 'number' }, threads: 0 })
    await index.add(rows(400).map((row) => ({ ...row, payload: { n: row.id % 2 } })))
    const filter: Filter = { n: 1 }
    const queries = Float32Array.from({ length: 4000 * DIM }, () => random() * 2 - 1)
    const pending = index.searchBatch(queries, { k: 5, filter })
    await index.add(rows(700, 1000).map((row) => ({ ...row, payload: { n: 2 } })))
    await index.add(rows(450, 2000).map((row) => ({ ...row, payload: { n: 2 } })))
    for (const hits of await pending) expect(hits).toHaveLength(5)
    index.close()
  })

  it('by an id leave its row out, whatever is written meanwhile', async () => {
    const index = await ZgqIndex.create<string, { n: number }>(path, { dim: DIM, ids: 'string', threads: 0 })
    await index.add(Array.from({ length: 300 }, (_, i) => ({ id: `r${i}`, vector: vector(), payload: { n: i } })))
    for (let round = 0; round < 20; round++) {
      const busy = index.searchBatch(
        Float32Array.from({ length: 500 * DIM }, () => random()),
        { k: 3 }
      )
      const near = index.searchAsync({ id: 'r7' }, { k: 3 })
      await index.update(['r7'], { n: round })
      expect((await near).map(({ id }) => id)).not.toContain('r7')
      await busy
    }
    index.close()
  })

  it('never reject because of commits', async () => {
    const index = await ZgqIndex.create(path, { dim: DIM, fields: { n: 'number' } })
    await index.add(rows(500).map((row) => ({ ...row, payload: { n: row.id % 3 } })))
    let isDone = false
    const loop = async (): Promise<number> => {
      let searches = 0
      for (; !isDone; searches++) expect(await index.searchAsync(vector(), { k: 3, filter: { n: 1 } })).toHaveLength(3)
      return searches
    }
    const loops = [loop(), loop(), loop()]
    for (let i = 0; i < 60; i++) {
      await index.add([{ id: 10_000 + i, vector: vector(), payload: { n: 5 } }])
      await index.delete([10_000 + i])
    }
    isDone = true
    expect(Math.min(...(await Promise.all(loops)))).toBeGreaterThan(0)
    index.close()
  })
})
