// Open indexes that live through folds by others: writers and readers go on, what began before ends as it began, and
// nothing is held longer than it is used. The folds are made by hand.

import { describe, expect, it, vi } from 'vitest'

import { buildIndex } from '../src/build.ts'
import type { Hit, Id } from '../src/types.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { foldByHand } from './support/hand-fold.ts'
import { randomFrom } from './support/random.ts'
import { openDescriptors } from './support/reader-contract.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('folded-readers', IN_MEMORY)
const SEED = 1510
const DIM = 8
const BUILT = 500

interface Payload {
  readonly group: number
  readonly text?: string
}
interface Row {
  readonly vector: Float32Array
  readonly payload: Payload | undefined
}
type Model = ReadonlyMap<Id, Row>
type Index = ZgqIndex<Id, Payload>

interface Case {
  readonly bits: 0 | 4
  readonly ids: 'string' | 'integer'
}
const CASES: Case[] = [
  { bits: 0, ids: 'integer' },
  { bits: 4, ids: 'integer' },
  { bits: 4, ids: 'string' }
]

/** An index, what it holds, and changes of both. */
class Changing {
  readonly folder = temp.fresh('index')
  readonly #of: Case
  readonly #random: () => number
  #rows = new Map<Id, Row>()
  #next = 0
  writer!: Index

  constructor(of: Case, random: () => number) {
    this.#of = of
    this.#random = random
  }

  async build(): Promise<void> {
    const rows = this.newRows(BUILT)
    const ids = [...rows.keys()]
    await buildIndex({
      input: Float32Array.from([...rows.values()].flatMap(({ vector }) => [...vector])),
      dim: DIM,
      bits: this.#of.bits,
      zones: 9,
      output: this.folder,
      calibrate: false,
      ...(this.hasPayloads && {
        ids: ids.map(String),
        fields: { group: 'number' },
        payloads: Array.from(rows.values(), ({ payload }) => payload ?? {})
      })
    })
    this.#rows = rows
    this.writer = ZgqIndex.open(this.folder, { mode: 'write' })
  }

  get hasPayloads(): boolean {
    return this.#of.ids === 'string'
  }

  /** A copy: changes come. */
  get rows(): Model {
    return new Map(this.#rows)
  }

  vector(): Float32Array {
    return Float32Array.from({ length: DIM }, () => this.#random() * 2 - 1)
  }

  newRows(count: number): Map<Id, Row> {
    const rows = new Map<Id, Row>()
    for (let i = 0; i < count; i++) {
      const number = this.#next++
      const id = this.hasPayloads ? `row ${number}` : number
      rows.set(id, { vector: this.vector(), payload: this.hasPayloads ? { group: number % 4 } : undefined })
    }
    return rows
  }

  async add(count: number): Promise<void> {
    const rows = this.newRows(count)
    await this.writer.add(
      Array.from(rows, ([id, { vector, payload }]) => ({ id, vector, ...(payload !== undefined && { payload }) }))
    )
    for (const [id, row] of rows) this.#rows.set(id, row)
  }

  some(count: number): Id[] {
    const ids = [...this.#rows.keys()]
    return Array.from(new Set(Array.from({ length: count }, () => ids[Math.floor(this.#random() * ids.length)])))
  }

  async delete(count: number): Promise<void> {
    const ids = this.some(count)
    await this.writer.delete(ids)
    for (const id of ids) this.#rows.delete(id)
  }

  async update(count: number): Promise<void> {
    const ids = this.some(count)
    const group = Math.floor(this.#random() * 4)
    await this.writer.update(ids, { group, text: 'updated' })
    for (const id of ids) {
      const row = this.#rows.get(id)
      if (row !== undefined) this.#rows.set(id, { ...row, payload: { group, text: 'updated' } })
    }
  }

  /** Keeps some of the segments; their files go at once. */
  fold(keptShare = 0.6): void {
    const kept = new Map<number, boolean>()
    const folded = foldByHand(this.folder, ({ segment }) => {
      if (!kept.has(segment)) kept.set(segment, this.#random() < keptShare)
      return kept.get(segment) === true
    })
    folded.removeFiles()
  }
}

function nearest(rows: Model, query: Float32Array, isWanted: (row: Row) => boolean = () => true, most = 10): Hit<Id>[] {
  return Array.from(rows)
    .filter(([, row]) => isWanted(row))
    .map(([id, { vector }]) => ({ id, distance: vector.reduce((sum, value, i) => sum + (value - query[i]) ** 2, 0) }))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, most)
}

const idsOf = (hits: readonly { readonly id: Id }[]): Id[] => hits.map(({ id }) => id)

/** Everything that an index answers is what the rows say. */
async function expectAnswers(
  index: Index,
  rows: Model,
  of: { changing: Changing; gone: readonly Id[] }
): Promise<void> {
  const { changing, gone } = of
  expect(index.count()).toBe(rows.size)
  expect(new Set(index.ids())).toEqual(new Set(rows.keys()))
  for (const id of gone) expect([id, index.has(id)]).toEqual([id, rows.has(id)])
  const queries = [changing.vector(), changing.vector()]
  for (const query of queries) {
    const expected = idsOf(nearest(rows, query))
    for (const options of [{ exact: true }, { nprobe: 10_000, rerank: 10_000 }]) {
      expect(idsOf(index.search(query, options))).toEqual(expected)
      expect(idsOf(await index.searchAsync(query, options))).toEqual(expected)
    }
  }
  const batch = Float32Array.from(queries.flatMap((query) => [...query]))
  expect((await index.searchBatch(batch, { exact: true })).map(idsOf)).toEqual(
    queries.map((query) => idsOf(nearest(rows, query)))
  )
  for (const id of changing.some(5)) {
    const { vector, payload } = rows.get(id) ?? { vector: undefined, payload: undefined }
    expect([id, index.document(id)]).toEqual([id, { id, vector, payload }])
  }
  if (!changing.hasPayloads) return
  for (let group = 0; group < 4; group++) {
    const isWanted = ({ payload }: Row): boolean => payload?.group === group
    expect(index.count({ group })).toBe([...rows.values()].filter(isWanted).length)
    for (const options of [{ exact: true }, { nprobe: 10_000, rerank: 10_000 }])
      expect(idsOf(index.search(queries[0], { filter: { group }, ...options }))).toEqual(
        idsOf(nearest(rows, queries[0], isWanted))
      )
  }
}

describe.each(CASES)(`with $bits bits and ids that are $ids (seed ${SEED})`, (of) => {
  it(
    'writers and readers see what brute force sees through any succession of changes and folds',
    { timeout: 60_000 },
    async () => {
      const random = randomFrom(SEED)
      const changing = new Changing(of, random)
      await changing.build()
      using reader: Index = ZgqIndex.open(changing.folder)
      const gone: Id[] = []
      for (let round = 0; round < 12; round++) {
        const before = changing.rows
        await changing.add(round % 4 === 3 ? 700 : 40)
        await changing.delete(30)
        if (changing.hasPayloads) await changing.update(25)
        if (random() < 0.6) await expectAnswers(reader, changing.rows, { changing, gone })
        if (random() < 0.8) changing.fold()
        const rows = changing.rows
        gone.push(...[...before.keys()].filter((id) => !rows.has(id)))
        await expectAnswers(reader, rows, { changing, gone })
        await expectAnswers(changing.writer, rows, { changing, gone })
      }
      changing.writer.close()
    }
  )

  it('calls that began before a fold end on what they began with, later ones see what is there', async () => {
    const changing = new Changing(of, randomFrom(SEED + 1))
    await changing.build()
    using reader: Index = ZgqIndex.open(changing.folder, { cacheBytes: 2 ** 16, mapping: 'pread' })
    for (let round = 0; round < 5; round++) {
      await changing.add(20)
      await changing.delete(60)
      const before = changing.rows
      expect(reader.count()).toBe(before.size)
      const queries = Array.from({ length: 30 }, () => changing.vector())
      const asked = round % 2 === 0 ? { exact: true } : { nprobe: 10_000, rerank: 10_000 }
      const one = queries.map(async (query) => await reader.searchAsync(query, asked))
      const many = reader.searchBatch(Float32Array.from(queries.flatMap((query) => [...query])), asked)
      const documents = reader.documents()
      const [first] = [documents.next()]
      const filtered = changing.hasPayloads
        ? reader.searchAsync(queries[0], { ...asked, filter: { group: 1 } })
        : undefined
      changing.fold(0.3)
      const after = changing.rows
      expect(reader.count()).toBe(after.size)
      const expected = queries.map((query) => idsOf(nearest(before, query)))
      expect(idsOf(reader.search(queries[0], { exact: true }))).toEqual(idsOf(nearest(after, queries[0])))
      expect((await Promise.all(one)).map(idsOf)).toEqual(expected)
      expect((await many).map(idsOf)).toEqual(expected)
      if (filtered !== undefined)
        expect(idsOf(await filtered)).toEqual(idsOf(nearest(before, queries[0], ({ payload }) => payload?.group === 1)))
      const seen = new Map([first.value, ...documents].map(({ id, vector, payload }) => [id, { vector, payload }]))
      expect(seen).toEqual(before)
    }
    changing.writer.close()
    if (process.platform === 'linux') {
      const ofGone = (): string[] => openDescriptors(temp).filter((name) => name.endsWith('(deleted)'))
      await vi.waitFor(() => expect(ofGone()).toEqual([]))
    }
  })
})

it('an iterator that nobody goes on with does not hold what closed', async () => {
  const changing = new Changing({ bits: 4, ids: 'integer' }, randomFrom(SEED + 2))
  await changing.build()
  const reader: Index = ZgqIndex.open(changing.folder)
  const ids = reader.ids()
  expect(ids.next().done).toBe(false)
  const never = reader.ids()
  await changing.add(3)
  changing.fold(0)
  expect(reader.count()).toBe(changing.rows.size)
  expect(ids.next().done).toBe(false)
  changing.writer.close()
  reader.close()
  expect(() => ids.next()).toThrow(/closed/)
  expect(() => never.next()).toThrow(/closed/)
  // The writer's thread has descriptors, too, for as long as it takes to end.
  if (process.platform === 'linux') await vi.waitFor(() => expect(openDescriptors(temp)).toEqual([]))
})

it('nprobe counts zones that match a filter, however many segments they have', async () => {
  const folder = temp.fresh('index')
  const count = 6000
  const random = randomFrom(SEED + 3)
  await buildIndex({
    input: Float32Array.from({ length: count * DIM }, () => random() * 2 - 1),
    dim: DIM,
    zones: 20,
    output: folder,
    calibrate: false,
    fields: { group: 'number' },
    payloads: Array.from({ length: count }, (_, row) => ({ group: row % 4 }))
  })
  foldByHand(folder, () => true) // every two zones become one
  using index: Index = ZgqIndex.open(folder)
  const { zones } = index.info()
  expect(zones).toBe(10)
  for (const nprobe of [1, 4, zones]) {
    const options = { k: 1, nprobe, filter: { group: { $lt: 3 } }, explain: true } as const
    const { explain } = index.search(new Float32Array(DIM).fill(0.1), options)
    expect(explain.zones.length).toBe(nprobe)
  }
})

it('threads search again once a fold has taken in what was changed', { timeout: 60_000 }, async () => {
  const changing = new Changing({ bits: 4, ids: 'integer' }, randomFrom(SEED + 4))
  await changing.build()
  using reader: Index = ZgqIndex.open(changing.folder, { threads: 1 })
  const query = changing.vector()
  const many = Float32Array.from(Array.from({ length: 10_000 }, () => [...query]).flat())
  const find = async (): Promise<Id[][]> => (await reader.searchBatch(many, { exact: true })).map(idsOf)
  const expectFound = (found: readonly Id[][]): void => {
    const expected = idsOf(nearest(changing.rows, query))
    expect(found.every((ids) => ids.join() === expected.join())).toBe(true)
  }
  const findUntilThreadsRun = async (): Promise<void> => {
    do expectFound(await find())
    while (reader.info().threads.running === 0)
  }
  await findUntilThreadsRun()
  await changing.add(5)
  expectFound(await find())
  await changing.delete(5)
  changing.fold(0)
  expect(reader.count()).toBe(changing.rows.size)
  expect(reader.info().threads.running).toBe(0) // other ones, which are not there yet
  await findUntilThreadsRun()
  changing.writer.close()
})
