// Folds through the public face: what was written comes into zones, deleted rows leave, and nothing is lost whatever
// is written meanwhile, or however the fold ends.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { beforeEach, describe, expect, it } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { FoldLock } from '../src/catalogue/fold-lock.ts'
import { checkIndex } from '../src/check.ts'
import { IndexFolds } from '../src/fold/index-folds.ts'
import { checkOpenOptions } from '../src/open-options.ts'
import { OpenIndex } from '../src/search/open-index.ts'
import type { OpenOptions } from '../src/types.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { randomFrom } from './support/random.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('fold', IN_MEMORY)
const DIM = 16
const K = 10
let path = ''
let random = randomFrom(1)

beforeEach(() => {
  path = temp.fresh('index')
  random = randomFrom(1)
})

/** Rows in clumps, as embeddings are. */
const vector = (): Float32Array => {
  const clump = Math.floor(random() * 12)
  return Float32Array.from({ length: DIM }, (_, i) => ((clump * (i + 3)) % 7) + random() * 2)
}
const rows = (count: number, first = 0): { id: number; vector: Float32Array; payload: { n: number; text: string } }[] =>
  Array.from({ length: count }, (_, i) => ({
    id: first + i,
    vector: vector(),
    payload: { n: first + i, text: `row number ${first + i}` }
  }))
const create = (options: Partial<OpenOptions> = {}): Promise<ZgqIndex> =>
  ZgqIndex.create(path, { dim: DIM, fields: { n: 'number' }, autoOptimize: false, ...options })

async function addAll(index: ZgqIndex, count: number, first = 0): Promise<void> {
  for (let done = 0; done < count; done += 500) await index.add(rows(Math.min(500, count - done), first + done))
}

/** Part of the true neighbours that default searches find. */
function recallOf(index: ZgqIndex): number {
  let found = 0
  const queries = Array.from({ length: 50 }, vector)
  for (const query of queries) {
    const truth = new Set(index.search(query, { k: K, exact: true }).map(({ id }) => id))
    found += index.search(query, { k: K }).filter(({ id }) => truth.has(id)).length
  }
  return found / (queries.length * K)
}

const filesOf = (folder: string): string[] => readdirSync(folder).filter((name) => name.endsWith('.zgq'))

describe('optimize', () => {
  it('makes zones of an index that grew by writes alone', async () => {
    const index = await create()
    await addAll(index, 6000)
    await index.add(rows(3, 6000))
    const before = index.search(vector(), { k: K, exact: true })
    expect(before).toHaveLength(K)
    const done = await index.optimize()
    expect(done).toMatchObject({ steps: 1, rows: 6003 })
    expect(index.info()).toMatchObject({
      count: 6003,
      changes: { freshRows: 0, deltaRows: 0, deletedRows: 0, patchedRows: 0 }
    })
    expect(index.info().zones).toBe(done.zones)
    expect(done.zones).toBeGreaterThan(5)
    expect(recallOf(index)).toBeGreaterThan(0.9)
    expect(index.document(5)?.payload).toEqual({ n: 5, text: 'row number 5' })
    expect(await index.optimize()).toMatchObject({ steps: 0, rows: 0 })
    index.close()
    expect(await checkIndex(path)).toMatchObject({ ok: true })
  })

  it('goes on from a built index: zones that changed little get another segment, others are written anew', async () => {
    await buildIndex({
      input: (async function* () {
        const some = rows(4000)
        yield {
          vectors: Float32Array.from(some.flatMap((row) => [...row.vector])),
          ids: some.map(({ id }) => id),
          payloads: some.map(({ payload }) => payload)
        }
      })(),
      output: path,
      dim: DIM,
      fields: { n: 'number' }
    })
    using index = ZgqIndex.open(path, { mode: 'write', autoOptimize: false })
    const built = index.info().zones
    await index.add(rows(60, 4000))
    const first = await index.optimize({ memoryBytes: 2 ** 20 })
    expect(first).toMatchObject({ rows: 60, zones: built })
    expect(index.info().changes.deltaRows).toBe(0)
    await index.delete(Array.from({ length: 1500 }, (_, i) => i))
    await index.update({ n: { $gte: 3500 } }, { text: 'changed' })
    await addAll(index, 2000, 4060)
    await index.optimize({ memoryBytes: 2 ** 20 })
    expect(index.count()).toBe(4560)
    expect([...index.ids()].sort((a, b) => a - b)).toEqual(Array.from({ length: 4560 }, (_, i) => i + 1500))
    expect(index.document(3600)?.payload).toEqual({ n: 3600, text: 'changed' })
    expect(index.count({ n: { $gte: 6000 } })).toBe(60)
    expect(recallOf(index)).toBeGreaterThan(0.85)
    index.close()
    expect(await checkIndex(path)).toMatchObject({ ok: true })
  })

  it('leaves no deleted row in the files where it is told to rewrite all', async () => {
    const index = await create()
    await addAll(index, 3000)
    await index.optimize()
    await index.update([77], { text: 'an odd text' })
    await index.optimize({ all: true })
    await index.delete([77])
    expect(await index.optimize()).toMatchObject({ steps: 0 }) // one row is no reason
    expect(await index.optimize({ all: true })).toMatchObject({ steps: 1 })
    expect(index.info().changes.deletedRows).toBe(0)
    const named = index.info().files.filter(({ kind }) => kind === 'payload')
    for (const { name } of named) expect(readFileSync(join(path, name)).includes('an odd text')).toBe(false)
    index.close()
    expect(await checkIndex(path)).toMatchObject({ ok: true })
  })

  it.each([
    ['nearly all rows are one', 64, 3000, (i: number) => (i % 10 === 0 ? i : 0)],
    ['there are few rows of many dimensions', 1536, 40, (i: number) => i],
    ['there are few different rows', 16, 2000, (i: number) => i % 20]
  ])('ends where zones cannot be as many as they should: %s', async (_, dim, count, of) => {
    const index = await ZgqIndex.create(path, { dim, autoOptimize: false })
    const some = Array.from({ length: count }, (_row, i) => {
      const drawn = randomFrom(of(i) + 1)
      return { id: i, vector: Float32Array.from({ length: dim }, () => drawn()) }
    })
    for (let first = 0; first < count; first += 500) await index.add(some.slice(first, first + 500))
    expect((await index.optimize({ all: true })).steps).toBeLessThan(5)
    await index.add([{ id: count, vector: some[0].vector }])
    expect((await index.optimize({ all: true })).steps).toBeLessThan(5)
    expect(index.count()).toBe(count + 1)
    index.close()
    expect(await checkIndex(path)).toMatchObject({ ok: true })
  })

  it('has nothing to do where it was just done', async () => {
    const index = await create()
    await addAll(index, 4000)
    for (const all of [false, true]) {
      await index.delete(Array.from({ length: 300 }, (_, i) => i * 3 + (all ? 1 : 0)))
      await index.optimize({ all })
      expect(await index.optimize({ all })).toMatchObject({ steps: 0 })
    }
    index.close()
  })

  it('folds an import that is larger than its memory, step by step', async () => {
    const index = await create()
    await addAll(index, 20_000)
    const { steps, rows: moved } = await index.optimize({ memoryBytes: 4 * 2 ** 20 })
    expect(steps).toBeGreaterThan(2)
    expect(moved).toBeLessThan(60_000)
    expect(index.info().changes.deltaRows).toBe(0)
    expect(recallOf(index)).toBeGreaterThan(0.85)
    index.close()
    expect(await checkIndex(path)).toMatchObject({ ok: true })
  })

  it('ends beside a writer that never rests', async () => {
    const index = await create()
    await addAll(index, 2000)
    await index.optimize()
    const other = ZgqIndex.open(path, { mode: 'write', autoOptimize: false })
    let isFolding = true
    const folding = index.optimize({ all: true }).finally(() => (isFolding = false))
    for (let i = 0; isFolding; i++) {
      await other.add(rows(1, 5000 + i))
      await other.delete([i])
    }
    expect((await folding).steps).toBeLessThan(6)
    other.close()
    index.close()
  }, 60_000)

  it('empties an index of which all rows are deleted', async () => {
    const index = await create()
    await addAll(index, 2500)
    await index.optimize()
    await index.delete({ filter: { n: { $gte: 0 } } })
    await index.optimize()
    expect(index.info()).toMatchObject({ count: 0, zones: 0, files: [] })
    expect(index.search(vector(), { k: K })).toEqual([])
    await addAll(index, 1500)
    await index.optimize()
    expect(index.count()).toBe(1500)
    index.close()
    expect(await checkIndex(path)).toMatchObject({ ok: true })
  })

  it('goes on where of the deltas that came first no row is left', async () => {
    const index = await create()
    await addAll(index, 12_000)
    await index.delete({ filter: { n: { $lt: 10_000 } } })
    await index.optimize({ memoryBytes: 2 ** 20 })
    expect(index.info()).toMatchObject({ count: 2000, changes: { deltaRows: 0, deletedRows: 0 } })
    expect(recallOf(index)).toBeGreaterThan(0.85)
    index.close()
    expect(await checkIndex(path)).toMatchObject({ ok: true })
  })

  it('carries over what is written while it works', async () => {
    const index = await create()
    await addAll(index, 4000)
    const other = ZgqIndex.open(path, { mode: 'write', autoOptimize: false })
    let isFolding = true
    const folding = index.optimize().finally(() => (isFolding = false))
    const [deleted, updated] = [new Set<number>(), new Set<number>()]
    for (let i = 0; isFolding && i < 200; i++) {
      await other.delete([i])
      await other.update([3999 - i], { text: 'late' })
      deleted.add(i)
      updated.add(3999 - i)
      if (i % 50 === 0) await addAll(other, 500, 10_000 + i * 500)
      await setTimeout(1)
    }
    await folding
    const added = index.count({ n: { $gte: 10_000 } })
    expect(index.count()).toBe(4000 - deleted.size + added)
    for (const id of deleted) expect(index.has(id)).toBe(false)
    for (const id of updated) expect(index.document(id)?.payload).toMatchObject({ text: 'late' })
    await index.optimize({ all: true })
    expect(index.info().changes).toMatchObject({ deltaRows: 0, deletedRows: 0, patchedRows: 0 })
    for (const id of updated) expect(index.document(id)?.payload).toMatchObject({ text: 'late' })
    other.close()
    index.close()
    expect(await checkIndex(path)).toMatchObject({ ok: true })
  })

  it('is cancelled by its signal, and leaves nothing behind', async () => {
    const index = await create()
    await addAll(index, 6000)
    const before = filesOf(path)
    for (const stage of ['plan', 'train', 'write', 'calibrate']) {
      const controller = new AbortController()
      const reason = new Error(stage)
      const folding = index.optimize({
        signal: controller.signal,
        onProgress: (progress) => {
          if (progress.stage === stage) controller.abort(reason)
        }
      })
      const outcome = await folding.then(
        () => 'done',
        (error: unknown) => error
      )
      // It may have been published already when word of it came.
      if (outcome === 'done') break
      expect(outcome).toBe(reason)
      expect(filesOf(path)).toEqual(before)
    }
    await index.optimize()
    expect(index.count()).toBe(6000)
    index.close()
    expect(await checkIndex(path)).toMatchObject({ ok: true })
  })

  it('may be told twice: the second one waits, and finds nothing to do', async () => {
    const index = await create()
    await addAll(index, 3000)
    const [first, second] = await Promise.all([index.optimize(), index.optimize()])
    expect(first.steps).toBe(1)
    expect(second.steps).toBe(0)
    index.close()
  })

  it('says who is in the way where another fold takes longer than it waits', async () => {
    const index = await create({ lockTimeoutMs: 0 })
    await addAll(index, 2000)
    const lock = FoldLock.take(path, 0)
    await expect(index.optimize()).rejects.toMatchObject({ code: 'ZGQ_LOCKED' })
    lock.release()
    expect(await index.optimize()).toMatchObject({ steps: 1 })
    index.close()
  })

  it('is refused by an index that is open for reading', async () => {
    const index = await create()
    index.close()
    using reader = ZgqIndex.open(path)
    await expect(reader.optimize()).rejects.toMatchObject({ code: 'ZGQ_READ_ONLY' })
  })

  it('rejects with ZGQ_CLOSED where the index is closed in the middle', async () => {
    const index = await create()
    await addAll(index, 6000)
    const folding = index.optimize()
    await setTimeout(30)
    index.close()
    await expect(folding).rejects.toMatchObject({ code: 'ZGQ_CLOSED' })
    using again = ZgqIndex.open(path)
    expect(again.count()).toBe(6000)
  })
})

describe('files that a fold replaced', () => {
  it('stay for readers, and go by themselves after that', async () => {
    const index = await create()
    await addAll(index, 2000)
    index.close()
    const options = checkOpenOptions({ mode: 'write' })
    const opened = OpenIndex.open(path, options)
    const folds = new IndexFolds(opened, options, 50)
    await folds.optimize({})
    const deltas = (): string[] => filesOf(path).filter((name) => name.startsWith('delta'))
    expect(deltas().length).toBeGreaterThan(0)
    for (let i = 0; deltas().length > 0 && i < 600; i++) await setTimeout(50)
    expect(deltas()).toEqual([])
    folds.close()
    opened.close()
  }, 60_000)
})

describe('an index that is open for writing', () => {
  it('folds by itself once enough has come', async () => {
    const index = await create({ autoOptimize: true })
    await addAll(index, 5000)
    for (let i = 0; index.info().changes.deltaRows >= 2000 && i < 600; i++) await setTimeout(50)
    expect(index.info().zones).toBeGreaterThan(0)
    expect(index.count()).toBe(5000)
    index.close()
  }, 60_000)
})
