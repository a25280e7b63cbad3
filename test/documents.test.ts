// Documents end to end: ids of either kind, payloads, fields and filters, from a build to searches of every mode. What
// is expected comes from the rows themselves, by brute force.

import { describe, expect, it } from 'vitest'

import { buildIndex, type BuildOptions } from '../src/build.ts'
import type { Filter, Hit, Id, Metric, SearchOptions } from '../src/types.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { distance, product, rowOf } from './support/brute-force.ts'
import { codeOf } from './support/errors.ts'
import { randomFrom, randomVectors, smallInteger } from './support/random.ts'
import { errorFrom } from './support/small-build.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('documents', IN_MEMORY)
const SEED = 4021
const COUNT = 700

interface Note {
  readonly path: string
  readonly n: number
  readonly draft?: boolean
  readonly tags: readonly string[] | null
  readonly body: string
}

const FIELDS = { path: 'string', n: 'number', draft: 'boolean', tags: 'string[]' } as const

/** Every seventh has no draft, every fifth null for its tags. */
function noteOf(row: number): Note {
  return {
    path: `dir${row % 9}/\u{1F4D8}-${row}.md`,
    n: row,
    ...(row % 7 === 0 ? {} : { draft: row % 2 === 0 }),
    tags: row % 5 === 0 ? null : ['all', `t${row % 4}`],
    body: 'b'.repeat(row % 50)
  }
}

/** In UTF-16 the second half would come before the first, by UTF-8 it does not. */
const textIdOf = (row: number): string => (row % 2 === 0 ? `\uFF5E${row}` : `\u{1F600}${row}`)

interface Documents {
  readonly rows: Float32Array
  readonly dim: number
  readonly idOf: (row: number) => Id
}

async function build(of: Documents, options: Partial<BuildOptions> = {}): Promise<string> {
  const output = temp.fresh('index')
  const { rows, dim, idOf } = of
  const ids = Array.from({ length: rows.length / dim }, (_, row) => idOf(row))
  const payloads = ids.map((_, row) => noteOf(row))
  const given = ids.every((id) => typeof id === 'string') ? ids : ids.map(Number)
  await buildIndex({ input: rows, dim, output, ids: given, payloads, fields: FIELDS, ...options })
  return output
}

function compareIds(a: Id, b: Id): number {
  return typeof a === 'number' && typeof b === 'number'
    ? a - b
    : Buffer.compare(Buffer.from(`${a}`), Buffer.from(`${b}`))
}

/** The first k rows that match, by the book. */
function expected(
  { rows, dim, idOf }: Documents,
  of: { metric: Metric; query: Float32Array; k: number; matches: (row: number) => boolean }
): Hit<Id>[] {
  const { metric, query, k, matches } = of
  const norm2 = product(query, query)
  return Array.from({ length: rows.length / dim }, (_, row) => row)
    .filter(matches)
    .map((row) => ({ id: idOf(row), distance: distance(metric, query, norm2, rowOf(rows, dim, row)) }))
    .sort((a, b) => a.distance - b.distance || compareIds(a.id, b.id))
    .slice(0, k)
}

const FILTERS: readonly { readonly filter: Filter | undefined; readonly matches: (note: Note) => boolean }[] = [
  { filter: undefined, matches: () => true },
  { filter: {}, matches: () => true },
  { filter: { draft: true }, matches: ({ draft }) => draft === true },
  { filter: { draft: { $ne: true } }, matches: ({ draft }) => draft !== true },
  { filter: { n: { $lt: 5 } }, matches: ({ n }) => n < 5 },
  { filter: { n: { $gte: 690 }, tags: 'all' }, matches: ({ n, tags }) => n >= 690 && tags !== null },
  { filter: { path: { $startsWith: 'dir3/' } }, matches: ({ path }) => path.startsWith('dir3/') },
  {
    filter: { $not: { tags: { $in: ['t1', 't2'] } } },
    matches: ({ tags }) => !(tags ?? []).some((t) => t === 't1' || t === 't2')
  },
  { filter: { tags: null }, matches: ({ tags }) => tags === null },
  { filter: { n: { $gt: 1e6 } }, matches: () => false }
]

describe.each([
  { metric: 'l2', dim: 7, bits: 4, ids: 'string' },
  { metric: 'cosine', dim: 33, bits: 1, ids: 'string' },
  { metric: 'ip', dim: 16, bits: 8, ids: 'integer' },
  { metric: 'l2', dim: 3, bits: 0, ids: 'string' },
  { metric: 'cosine', dim: 20, bits: 4, ids: 'integer' }
] as const)(`documents: $metric, $dim dims, $bits bits, $ids ids (seed ${SEED})`, ({ metric, dim, bits, ids }) => {
  const random = randomFrom(SEED)
  const documents: Documents = {
    rows: randomVectors({ count: COUNT, dim }, random, smallInteger),
    dim,
    idOf: ids === 'string' ? textIdOf : (row) => (row * 7) % 1009
  }
  const queries = Array.from({ length: 6 }, () => randomVectors({ count: 1, dim }, random, smallInteger))
  const path = build(documents, { metric, bits, zones: 12 })
  const open = async (): Promise<ZgqIndex<Id, Note>> => ZgqIndex.open(await path, { threads: 1 })

  it.each(FILTERS)('ranks what $filter admits as brute force does, ties by id', async ({ filter, matches }) => {
    using index = await open()
    for (const query of queries) {
      for (const k of [1, 10, 100]) {
        const found = index.search(query, { k, exact: true, filter })
        expect(found).toEqual(expected(documents, { metric, query, k, matches: (row) => matches(noteOf(row)) }))
      }
    }
  })

  it.each(FILTERS)('finds k rows that meet $filter where there are k, in every mode', async ({ filter, matches }) => {
    using index = await open()
    const count = Array.from({ length: COUNT }, (_, row) => noteOf(row)).filter(matches).length
    expect(index.count(filter)).toBe(count)
    const modes: Omit<SearchOptions, 'explain'>[] = [
      {},
      { recall: 0.9 },
      { nprobe: 1 },
      { exact: true },
      { recall: 0.99, rerank: 50 }
    ]
    for (const mode of modes) {
      // without a filter so many zones as are asked for may hold fewer
      if (filter === undefined && mode.nprobe !== undefined) continue
      const options = { ...mode, k: 20, filter, payload: true }
      const hits = index.search(queries[0], options)
      expect(hits).toHaveLength(Math.min(20, count))
      for (const { payload } of hits) expect(payload !== undefined && matches(payload)).toBe(true)
      expect(await index.searchAsync(queries[0], options)).toEqual(hits)
      const batch = await index.searchBatch(Float32Array.from(queries.flatMap((query) => [...query])), options)
      expect(batch).toEqual(queries.map((query) => index.search(query, options)))
    }
  })

  it('returns a row by its id, with its vector and payload', async () => {
    using index = await open()
    for (const row of [0, 1, 350, COUNT - 1]) {
      const id = documents.idOf(row)
      expect(index.has(id)).toBe(true)
      expect(index.get(id)).toEqual(rowOf(documents.rows, dim, row))
      expect(index.document(id)).toEqual({ id, vector: rowOf(documents.rows, dim, row), payload: noteOf(row) })
    }
    const missing = ids === 'string' ? 'nobody' : 1009
    expect([index.has(missing), index.get(missing), index.document(missing)]).toEqual([false, undefined, undefined])
    expect([...index.ids()].sort(compareIds)).toEqual(
      Array.from({ length: COUNT }, (_, row) => documents.idOf(row)).sort(compareIds)
    )
  })

  it('finds the neighbours of a stored vector, itself left out', async () => {
    using index = await open()
    const id = documents.idOf(5)
    const query = rowOf(documents.rows, dim, 5)
    const hits = index.search({ id }, { k: 10, exact: true })
    expect(hits).toEqual(expected(documents, { metric, query, k: 10, matches: (row) => row !== 5 }))
    expect(await index.searchAsync({ id }, { k: 10, exact: true })).toEqual(hits)
  })

  it('returns the payload, or the keys of it that are asked for', async () => {
    using index = await open()
    const [hit] = index.search(queries[1], { k: 1 })
    expect(Object.keys(hit)).toEqual(['id', 'distance'])
    const [some] = index.search(queries[1], { k: 1, payload: ['n', 'body', 'nothing'] })
    expect(Object.keys(some.payload ?? {}).sort()).toEqual(['body', 'n'])
    const [whole] = await index.searchAsync(queries[1], { k: 1, payload: true })
    expect(whole.payload).toEqual(noteOf(some.payload?.n ?? -1))
  })

  it('leaves out hits beyond a distance', async () => {
    using index = await open()
    const all = index.search(queries[2], { k: 30, exact: true })
    const maxDistance = all[9].distance
    const near = all.filter((hit) => hit.distance <= maxDistance)
    expect(index.search(queries[2], { k: 30, exact: true, maxDistance })).toEqual(near)
    expect(index.search(queries[2], { k: 30, maxDistance: -1e9 })).toEqual([])
  })

  it('explains how a search with a filter went', async () => {
    using index = await open()
    const few = index.search(queries[0], { k: 2, filter: { n: { $lt: 5 } }, explain: true })
    expect(few.explain.filter).toMatchObject({ rowsMatched: 5 })
    expect(few.explain.filter?.plan).toBe(bits === 0 ? 'exact' : 'matches')
    const none = index.search(queries[0], { filter: { n: -1 }, explain: true })
    expect(none).toMatchObject({ hits: [], explain: { filter: { rowsMatched: 0, stopped: 'no row matches' } } })
    expect(none.explain.filter?.segmentsSkipped).toBe(index.zones().length)
    expect(index.search(queries[0], { explain: true }).explain.filter).toBeUndefined()
  })
})

describe('documents of other shapes', () => {
  const rows = randomVectors({ count: 300, dim: 4 }, randomFrom(SEED), smallInteger)
  const documents: Documents = { rows, dim: 4, idOf: textIdOf }

  it('orders equal distances by the UTF-8 of ids, also where the last of k is among them', async () => {
    const same = { ...documents, rows: new Float32Array(300 * 4).fill(1) }
    using index = ZgqIndex.open<string>(await build(same, { zones: 3 }))
    const sorted = Array.from({ length: 300 }, (_, row) => textIdOf(row)).sort(compareIds)
    for (const k of [1, 7, 299, 300]) {
      for (const options of [{ exact: true }, {}, { filter: {} }]) {
        const found = index.search(Float32Array.of(1, 2, 3, 4), { k, ...options })
        if (options.exact === true) expect(found.map(({ id }) => id)).toEqual(sorted.slice(0, k))
        expect(found).toHaveLength(k)
      }
    }
  })

  it('needs no fields for payloads, no payloads for string ids', async () => {
    const ids = Array.from({ length: 300 }, (_, row) => textIdOf(row))
    const bare = temp.fresh('bare')
    await buildIndex({ input: rows, dim: 4, output: bare, ids })
    using index = ZgqIndex.open<string>(bare)
    expect(index.info()).toMatchObject({ ids: 'string', fields: {}, model: undefined, note: undefined })
    expect(index.info().files.map(({ kind }) => kind)).not.toContain('payload')
    expect(index.document(ids[3])).toEqual({ id: ids[3], vector: rowOf(rows, 4, 3), payload: undefined })
    expect(codeOf(() => index.search(rowOf(rows, 4, 0), { filter: { n: 1 } }))).toBe('ZGQ_FILTER')
  })

  it('tells what an index was given: its model and note', async () => {
    const path = await build(documents, { model: 'm@1', note: { a: [1, 'b'] } })
    using index = ZgqIndex.open<string, Note>(path, { model: 'm@1' })
    expect(index.info()).toMatchObject({ model: 'm@1', note: { a: [1, 'b'] }, ids: 'string', fields: FIELDS })
    expect(codeOf(() => ZgqIndex.open(path, { model: 'm@2' }))).toBe('ZGQ_MISMATCH')
  })

  it('works without caches, with plain reads', async () => {
    using index = ZgqIndex.open<string, Note>(await build(documents, { zones: 9 }), { cacheBytes: 0, mapping: 'pread' })
    for (let row = 0; row < 300; row += 37) {
      const options = { k: 5, payload: true, filter: { n: { $lt: 200 } } } as const
      const hits = index.search(rowOf(rows, 4, row), options)
      expect(hits).toHaveLength(5)
      expect(await index.searchAsync(rowOf(rows, 4, row), options)).toEqual(hits)
      expect(index.document(textIdOf(row))?.payload).toEqual(noteOf(row))
    }
  })

  it('keeps more filters than there is room for', async () => {
    using index = ZgqIndex.open<string, Note>(await build(documents), { cacheBytes: 0 })
    const counts = Array.from({ length: 600 }, (_, n) => index.count({ n: { $lt: n } }))
    expect(counts).toEqual(Array.from({ length: 600 }, (_, n) => Math.min(n, 300)))
    const searches = Array.from({ length: 40 }, (_, n) =>
      index.searchAsync(rowOf(rows, 4, n), { filter: { n: { $lt: n } }, k: 50 })
    )
    expect((await Promise.all(searches)).map(({ length }) => length)).toEqual(Array.from({ length: 40 }, (_, n) => n))
  })

  it('finds all rows that match where nearly all zones have some', async () => {
    const away = Array.from({ length: 300 }, (_, row) => (row < 280 ? row % 40 : 40 + (row % 4)))
    const spread = { ...documents, rows: Float32Array.from(away.flatMap((at) => [at * 100, 0, 0, 0])) }
    const path = await build(spread, { zones: 44, bits: 0 })
    using index = ZgqIndex.open<string, Note>(path)
    for (const matches of [(row: number) => row >= 8, (row: number) => row % 40 > 1 || row >= 280]) {
      const ns = away.flatMap((_, row) => (matches(row) ? row : []))
      const filter = { n: { $in: ns } }
      const hits = index.search(Float32Array.of(0, 0, 0, 0), { k: 300, exact: true, filter })
      expect(hits).toHaveLength(ns.length)
      expect(index.search(Float32Array.of(0, 0, 0, 0), { k: ns.length, filter })).toHaveLength(ns.length)
    }
  })

  it('rejects a batch that is closed while its filter is evaluated', async () => {
    const index = ZgqIndex.open<string, Note>(await build(documents), { threads: 0 })
    const queries = Float32Array.from({ length: 20_000 * 4 }, (_, i) => i % 7)
    const pending = index.searchBatch(queries, { filter: { n: { $gt: 3 } } })
    index.close()
    expect((await errorFrom(pending)).code).toBe('ZGQ_CLOSED')
  })

  it('reads no payload beyond the hits, however many rows are as far', async () => {
    const same = { ...documents, rows: new Float32Array(300 * 4).fill(1) }
    using index = ZgqIndex.open<string, Note>(await build(same), { threads: 0, mapping: 'pread' })
    const query = Float32Array.of(1, 2, 3, 4)
    const hits = await index.searchAsync(query, { k: 3, payload: true })
    expect(hits).toEqual(index.search(query, { k: 3, payload: true }))
    expect(await index.searchAsync(query, { k: 3, payload: true, maxDistance: -1 })).toEqual([])
    expect(index.info().queries.byRecall).toBeLessThanOrEqual(3)
  })

  it('shares one evaluation of a filter among searches at the same time, whoever gives up', async () => {
    using index = ZgqIndex.open<string, Note>(await build(documents), { threads: 0 })
    const controller = new AbortController()
    const aborted = index.searchAsync(rowOf(rows, 4, 0), { filter: { n: { $lt: 77 } }, signal: controller.signal })
    const others = Array.from({ length: 20 }, (_, i) =>
      index.searchAsync(rowOf(rows, 4, i), { k: 100, filter: { n: { $lt: 77 } } })
    )
    controller.abort(new Error('enough'))
    await expect(aborted).rejects.toThrow('enough')
    for (const hits of await Promise.all(others)) expect(hits).toHaveLength(77)
  })

  it('says how exact searches and those for nothing went', async () => {
    using index = ZgqIndex.open<string, Note>(await build(documents, { zones: 9 }))
    const query = rowOf(rows, 4, 0)
    const ask = (options: SearchOptions): unknown =>
      index.search(query, { filter: { n: { $lt: 200 } }, ...options, explain: true }).explain.filter
    expect(ask({ k: 100, exact: true })).toMatchObject({ plan: 'matches', stopped: 'all matches ranked' })
    expect(ask({ k: 0 })).toMatchObject({ rowsMatched: 200, stopped: 'nothing asked for' })
    using rowsOnly = ZgqIndex.open<string, Note>(await build(documents, { zones: 9, bits: 0 }))
    expect(
      rowsOnly.search(query, { filter: { draft: true }, exact: true, explain: true }).explain.filter
    ).toMatchObject({
      plan: 'exact',
      stopped: 'no zone left'
    })
  })

  it('refuses a query by its id with further keys', async () => {
    using index = ZgqIndex.open<string, Note>(await build(documents))
    const query = { id: textIdOf(0), vector: [1] }
    expect(() => index.search(query)).toThrow(TypeError)
    await expect(index.searchAsync(query)).rejects.toThrow(TypeError)
  })

  it('rejects what is asked in vain, and after it is closed', async () => {
    const index = ZgqIndex.open<string, Note>(await build(documents))
    const query = rowOf(rows, 4, 0)
    expect(codeOf(() => index.search({ id: 'nobody' }))).toBe('ZGQ_NOT_FOUND')
    expect(() => index.has('')).toThrow(RangeError)
    expect(() => index.has('\uD800')).toThrow(TypeError)
    expect(() => index.search(query, { maxDistance: Number.NaN })).toThrow(RangeError)
    const pending = index.searchAsync(query, { filter: { n: 1 }, payload: true })
    index.close()
    expect((await errorFrom(pending)).code).toBe('ZGQ_CLOSED')
    expect(codeOf(() => index.count({ n: 1 }))).toBe('ZGQ_CLOSED')
    expect((await errorFrom(index.searchAsync(query, { filter: {} }))).code).toBe('ZGQ_CLOSED')
  })
})
