// Random changes of an index against a model in memory: whatever is asked after each of them, by the handle that wrote
// and by another one, is what brute force over the model says.

import { existsSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

import fc from 'fast-check'
import { Query } from 'mingo'
import { describe, expect, it } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { checkIndex, repairIndex } from '../src/check.ts'
import type { Filter, Hit, Id, Metric } from '../src/types.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { randomFrom } from './support/random.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { step } from './support/torture.ts'

const DIM = 6
const FIELDS = { group: 'number', tags: 'string[]', name: 'string' } as const
const temp = useTempFolder('changes-model', IN_MEMORY)
/** Sequences of each shape. */
const RUNS = step(4, 100)

interface ModelRow {
  readonly vector: Float32Array
  readonly payload: Record<string, unknown> | undefined
}
type Model = Map<Id, ModelRow>
type Row = { id: Id; vector: Float32Array; payload?: Record<string, unknown> }

/** What a step does; numbers choose ids, values and handles. */
interface Step {
  readonly kind:
    | 'add'
    | 'upsert'
    | 'replace'
    | 'update'
    | 'updateIds'
    | 'delete'
    | 'deleteFilter'
    | 'reopen'
    | 'many'
    | 'fold'
    | 'foldAll'
    | 'foldWith'
    | 'repair'
  readonly seed: number
  readonly count: number
  readonly byOther: boolean
}

const anyStep: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom<Step['kind'][]>(
    'add',
    'add',
    'add',
    'upsert',
    'upsert',
    'replace',
    'update',
    'updateIds',
    'delete',
    'deleteFilter',
    'reopen',
    'many',
    'fold',
    'foldAll',
    'foldWith',
    'repair'
  ),
  seed: fc.nat(1_000_000),
  count: fc.integer({ min: 1, max: 12 }),
  byOther: fc.boolean()
})

interface Shape {
  readonly metric: Metric
  readonly ids: 'integer' | 'string'
  readonly bits: number
  readonly built: number
}

function distanceOf(metric: Metric, a: Float32Array, b: Float32Array): number {
  let [product, left, right, squares] = [0, 0, 0, 0]
  for (let i = 0; i < DIM; i++) {
    product += a[i] * b[i]
    left += a[i] * a[i]
    right += b[i] * b[i]
    squares += (a[i] - b[i]) ** 2
  }
  if (metric === 'l2') return squares
  return metric === 'ip' ? -product : 1 - product / Math.sqrt(left * right)
}

class World {
  readonly #shape: Shape
  readonly path: string
  readonly model: Model = new Map()
  #writer: ZgqIndex<Id, Record<string, unknown>>
  #other: ZgqIndex<Id, Record<string, unknown>>
  #random = randomFrom(1)

  private constructor(shape: Shape, path: string, writer: ZgqIndex<Id, Record<string, unknown>>) {
    this.#shape = shape
    this.path = path
    this.#writer = writer
    this.#other = this.#open()
  }

  static async make(shape: Shape, seed: number): Promise<World> {
    const path = temp.fresh('index')
    const { metric, ids, bits, built } = shape
    if (built === 0) {
      const writer = await ZgqIndex.create<Id, Record<string, unknown>>(path, {
        dim: DIM,
        metric,
        ids,
        bits,
        fields: FIELDS
      })
      return new World(shape, path, writer)
    }
    const model: Model = new Map()
    const random = randomFrom(seed)
    for (let i = 0; i < built; i++) model.set(idOf(ids, i), { vector: vectorOf(random), payload: payloadOf(random) })
    await buildIndex({
      input: (async function* () {
        yield {
          vectors: Float32Array.from([...model.values()].flatMap(({ vector }) => [...vector])),
          ids: [...model.keys()] as string[],
          payloads: [...model.values()].map(({ payload }) => payload ?? {})
        }
      })(),
      output: path,
      dim: DIM,
      metric,
      bits,
      zones: Math.ceil(built / 40),
      fields: FIELDS
    })
    const world = new World(shape, path, ZgqIndex.open(path, { mode: 'write', threads: 0 }))
    for (const [id, { vector, payload }] of model) world.model.set(id, { vector, payload: payload ?? {} })
    return world
  }

  #open(): ZgqIndex<Id, Record<string, unknown>> {
    return ZgqIndex.open(this.path, { mode: 'write', threads: 0 })
  }

  close(): void {
    this.#writer.close()
    this.#other.close()
  }

  async run({ kind, seed, count, byOther }: Step): Promise<void> {
    const random = (this.#random = randomFrom(seed))
    const index = byOther ? this.#other : this.#writer
    const { model } = this
    switch (kind) {
      case 'add': {
        const rows = this.#rows(count, true)
        const existing = rows.find(({ id }) => model.has(id))
        if (existing === undefined) {
          expect(await index.add(rows)).toEqual({ rows: rows.length, removed: 0 })
          for (const row of rows) this.#set(row)
        } else await expect(index.add(rows)).rejects.toMatchObject({ code: 'ZGQ_ID_EXISTS' })
        break
      }
      case 'many': {
        // Enough for a delta of its own.
        const rows = this.#rows(600, true).filter(({ id }) => !model.has(id))
        await index.add({
          ids: rows.map(({ id }) => id),
          vectors: Float32Array.from(rows.flatMap(({ vector }) => [...vector])),
          payloads: rows.map(({ payload }) => payload)
        })
        for (const row of rows) this.#set(row)
        break
      }
      case 'fold':
      case 'foldAll':
        await index.optimize({ all: kind === 'foldAll', memoryBytes: seed % 2 === 0 ? 2 ** 20 : 2 ** 28 })
        break
      case 'foldWith': {
        // The other handle writes meanwhile.
        const folding = index.optimize({ all: true })
        const writing = byOther ? this.#writer : this.#other
        const rows = this.#rows(count, false)
        const some = this.#some(count)
        await writing.upsert(rows)
        await writing.delete(some)
        await writing.update({ group: 1 }, { extra: seed })
        for (const row of rows) this.#set(row)
        for (const id of some) model.delete(id)
        for (const [id, { vector, payload }] of [...model])
          if (payload?.['group'] === 1) model.set(id, { vector, payload: { ...payload, extra: seed } })
        await folding
        break
      }
      case 'upsert':
      case 'replace': {
        const rows = this.#rows(count, false)
        const replace = kind === 'replace' ? filterOf(random) : undefined
        const removed = new Set(rows.filter(({ id }) => model.has(id)).map(({ id }) => id))
        if (replace !== undefined) for (const id of this.#matching(replace)) removed.add(id)
        expect(await index.upsert(rows, replace === undefined ? {} : { replace })).toEqual({
          rows: rows.length,
          removed: removed.size
        })
        for (const id of removed) model.delete(id)
        for (const row of rows) this.#set(row)
        break
      }
      case 'update':
      case 'updateIds': {
        const values = { name: `n${Math.floor(random() * 5)}`, extra: seed }
        const filter = filterOf(random)
        const some = this.#some(count)
        const ids = kind === 'update' ? this.#matching(filter) : some.filter((id) => model.has(id))
        const updated = await index.update(kind === 'update' ? filter : some, values)
        expect(updated).toBe(ids.length)
        for (const id of ids) {
          const { vector, payload } = this.#at(id)
          model.set(id, { vector, payload: { ...payload, ...values } })
        }
        break
      }
      case 'delete': {
        const some = this.#some(count)
        const ids = some.filter((id) => model.has(id))
        expect(await index.delete(some)).toBe(ids.length)
        for (const id of ids) model.delete(id)
        break
      }
      case 'deleteFilter': {
        const filter = filterOf(random)
        const ids = this.#matching(filter)
        expect(await index.delete({ filter })).toBe(ids.length)
        for (const id of ids) model.delete(id)
        break
      }
      case 'repair': {
        this.close()
        while (existsSync(join(this.path, 'catalogue.sqlite-wal'))) await setTimeout(2) // its thread seals it
        const output = temp.fresh('repaired')
        expect(await repairIndex({ input: this.path, output })).toMatchObject({ rows: model.size, lost: { rows: 0 } })
        rmSync(this.path, { recursive: true })
        renameSync(output, this.path)
        this.#writer = this.#open()
        this.#other = this.#open()
        break
      }
      case 'reopen':
        if (byOther) {
          this.#other.close()
          this.#other = this.#open()
        } else {
          this.#writer.close()
          this.#writer = this.#open()
        }
    }
  }

  #at(id: Id): ModelRow {
    const row = this.model.get(id)
    if (row === undefined) throw new Error(`the model has no ${id}`)
    return row
  }

  #set({ id, vector, payload }: Row): void {
    this.model.set(id, { vector, payload })
  }

  #rows(count: number, isNew: boolean): Row[] {
    const random = this.#random
    const rows = new Map<Id, Row>()
    for (let i = 0; i < count; i++) {
      const id = idOf(this.#shape.ids, Math.floor(random() * (isNew ? 5000 : 300)))
      const payload = random() < 0.1 ? undefined : payloadOf(random)
      rows.set(id, { id, vector: vectorOf(random), ...(payload === undefined ? {} : { payload }) })
    }
    return [...rows.values()]
  }

  #some(count: number): Id[] {
    const ids = [...this.model.keys()]
    const random = this.#random
    const some = Array.from({ length: count }, () =>
      random() < 0.2 || ids.length === 0 ? idOf(this.#shape.ids, 9999) : ids[Math.floor(random() * ids.length)]
    )
    return [...new Set(some)]
  }

  #matching(filter: Filter): Id[] {
    const query = new Query(filter as never)
    return [...this.model].flatMap(([id, { payload }]) => (query.test(payload ?? {}) ? [id] : []))
  }

  /** Asks all that can be asked, of both handles. */
  async expectAgreement(seed: number): Promise<void> {
    for (const [i, index] of [this.#writer, this.#other].entries()) await this.#expectOf(index, seed + i)
  }

  async #expectOf(index: ZgqIndex<Id, Record<string, unknown>>, seed: number): Promise<void> {
    const random = randomFrom(seed)
    const { model } = this
    const { metric } = this.#shape
    const byId = (a: Id, b: Id): number => (a < b ? -1 : a > b ? 1 : 0)
    index.refresh()
    expect(index.count()).toBe(model.size)
    expect([...index.ids()].sort(byId)).toEqual([...model.keys()].sort(byId))
    const filter = filterOf(random)
    const matching = new Set(this.#matching(filter))
    expect(index.count(filter)).toBe(matching.size)
    expect([...index.ids(filter)].sort(byId)).toEqual([...matching].sort(byId))
    for (const id of [...this.#some(5), idOf(this.#shape.ids, 12345)]) {
      const row = model.get(id)
      expect(index.has(id)).toBe(row !== undefined)
      expect(index.get(id)).toEqual(row?.vector)
      expect(index.document(id)).toEqual(row && { id, ...row })
    }
    const query = vectorOf(random)
    const all = [...model].map(([id, { vector }]) => ({ id, distance: distanceOf(metric, query, vector) }))
    all.sort((a, b) => a.distance - b.distance || byId(a.id, b.id))
    const k = 1 + Math.floor(random() * 20)
    expectHits(index.search(query, { k, exact: true, payload: true }), all.slice(0, k), model)
    const some = all.filter(({ id }) => matching.has(id))
    expectHits(index.search(query, { k, exact: true, filter, payload: true }), some.slice(0, k), model)
    expectHits(await index.searchAsync(query, { k, exact: true, filter }), some.slice(0, k))
    const [batch] = await index.searchBatch(query, { k, exact: true })
    expectHits(batch, all.slice(0, k))
    // Coded searches find k, each of them a row, once.
    const coded = index.search(query, { k })
    const filtered = index.search(query, { k, filter })
    expect(coded).toHaveLength(Math.min(k, all.length))
    expect(filtered).toHaveLength(Math.min(k, matching.size))
    expect(filtered.every(({ id }) => matching.has(id))).toBe(true)
    for (const hits of [coded, filtered]) {
      expect(new Set(hits.map(({ id }) => id)).size).toBe(hits.length)
      for (const { id, distance } of hits)
        expect(distance).toBeCloseTo(distanceOf(metric, query, this.#at(id).vector), 4)
    }
  }
}

function expectHits(
  found: readonly Hit<Id, unknown>[],
  wanted: readonly { id: Id; distance: number }[],
  model?: Model
): void {
  expect(found.map(({ id }) => id)).toEqual(wanted.map(({ id }) => id))
  for (const [i, { distance, payload, id }] of found.entries()) {
    expect(distance).toBeCloseTo(wanted[i].distance, 4)
    if (model !== undefined) expect(payload).toEqual(model.get(id)?.payload)
  }
}

function idOf(ids: Shape['ids'], number: number): Id {
  return ids === 'integer' ? number : `id ${number}`
}

function vectorOf(random: () => number): Float32Array {
  return Float32Array.from({ length: DIM }, () => Math.fround(random() * 2 - 1))
}

function payloadOf(random: () => number): Record<string, unknown> {
  const tags = ['a', 'b', 'c'].filter(() => random() < 0.4)
  const payload: Record<string, unknown> = { group: Math.floor(random() * 6), text: `text ${random()}` }
  if (random() < 0.8) payload['tags'] = tags
  if (random() < 0.5) payload['name'] = `n${Math.floor(random() * 5)}`
  return payload
}

function filterOf(random: () => number): Filter {
  const group = Math.floor(random() * 6)
  const filters: Filter[] = [
    { group },
    { tags: { $in: ['a'] } },
    { name: { $in: ['n1', 'n2'] }, group: { $gt: 2 } },
    { $or: [{ group }, { name: `n${group}` }] },
    { name: { $exists: false } }
  ].map((filter) => filter as Filter)
  const filter = filters[Math.floor(random() * filters.length)]
  return 'name' in filter && group < 3 ? { group: { $lte: group } } : filter
}

describe('an index that is changed at random', () => {
  const shapes: Shape[] = [
    { metric: 'l2', ids: 'string', bits: 4, built: 0 },
    { metric: 'cosine', ids: 'integer', bits: 4, built: 0 },
    { metric: 'ip', ids: 'integer', bits: 0, built: 400 },
    { metric: 'cosine', ids: 'string', bits: 1, built: 400 },
    { metric: 'l2', ids: 'integer', bits: 4, built: 400 }
  ]
  it.each(shapes)(
    'answers as the model does: $metric, $ids ids, $bits bits, $built rows built',
    async (shape) => {
      await fc.assert(
        fc.asyncProperty(fc.array(anyStep, { minLength: 3, maxLength: 24 }), fc.nat(1000), async (steps, seed) => {
          const world = await World.make(shape, seed)
          try {
            for (const [i, each] of steps.entries()) {
              await world.run(each)
              await world.expectAgreement(seed + i)
            }
          } finally {
            world.close()
          }
        }),
        { numRuns: RUNS, endOnFailure: false }
      )
    },
    300_000
  )

  it('passes the check after hundreds of changes', async () => {
    const world = await World.make({ metric: 'cosine', ids: 'string', bits: 4, built: 200 }, 5)
    const steps = fc.sample(anyStep, { seed: 7, numRuns: 150 })
    for (const each of steps) await world.run(each)
    await world.expectAgreement(3)
    world.close()
    expect(await checkIndex(world.path)).toMatchObject({ ok: true })
  }, 120_000)
})
