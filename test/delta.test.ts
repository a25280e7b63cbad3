// Deltas: rows that were added after a build are found in every mode, beside the built ones and without any.

import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

import { buildIndex, calibrateIndex } from '../src/build.ts'
import { readCatalogue } from '../src/catalogue/reader.ts'
import { checkIndex } from '../src/check.ts'
import { checkFields } from '../src/format/fields.ts'
import { fileNameOf } from '../src/format/file-record.ts'
import { PAGE_BYTES } from '../src/format/layout.ts'
import type { Hit, Id, Metric } from '../src/types.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { bruteForce, rowOf } from './support/brute-force.ts'
import { makeVectors } from './support/datasets.ts'
import { addDelta, rowsOf } from './support/delta-index.ts'
import { DOCUMENT_FIELDS, documentId, documentPayload } from './support/document-index.ts'
import { createEmpty, type EmptyIndex } from './support/empty-index.ts'
import { flipByte } from './support/flip-byte.ts'
import { errorFrom } from './support/small-build.ts'
import { expectSameHits } from './support/hits.ts'
import { randomFrom } from './support/random.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('delta', IN_MEMORY)
const SEED = 2100
const DIM = 24
const METRICS: readonly Metric[] = ['l2', 'cosine', 'ip']
const CASES = METRICS.flatMap((metric) => [0, 1, 4].map((bits) => ({ metric, bits })))
/** Rows that are built, and of deltas: several segments, one, a row. */
const PARTS = [1500, 1100, 300, 1]
const COUNT = PARTS.reduce((sum, count) => sum + count, 0)

interface Shape {
  readonly metric: Metric
  readonly bits: number
}

/** Rows of several parts: the first is built, the others are deltas. */
interface Specimen extends Shape {
  readonly folder: string
  readonly rows: Float32Array
  readonly ids: readonly number[]
  readonly queries: readonly Float32Array[]
}

function vectorsOf(of: Shape, parts: readonly number[]): { rows: Float32Array; queries: Float32Array[] } {
  const count = parts.reduce((sum, part) => sum + part, 0)
  const all = makeVectors('clustered', { count: count + 12, dim: DIM }, SEED + of.bits)
  const queries = Array.from({ length: 12 }, (_, i) => rowOf(all, DIM, count + i))
  return { rows: all.slice(0, count * DIM), queries }
}

/** Ids of rows: those of deltas lie between and below built ones. */
const idOf = (row: number): number => (row * 7919) % 100_003

async function makeSpecimen(of: Shape, calibrate = true): Promise<Specimen> {
  const folder = temp.fresh(`${of.metric}-${of.bits}`)
  const { rows, queries } = vectorsOf(of, PARTS)
  const ids = Array.from({ length: COUNT }, (_, row) => idOf(row))
  const [built] = PARTS
  await buildIndex({
    input: rows.slice(0, built * DIM),
    ids: ids.slice(0, built),
    dim: DIM,
    output: folder,
    zones: 30,
    calibrate,
    ...of
  })
  addDeltas(folder, { rows, ids })
  return { ...of, folder, rows, ids, queries }
}

function addDeltas(folder: string, of: { rows: Float32Array; ids: readonly number[] }): void {
  let first = PARTS[0]
  for (const count of PARTS.slice(1)) {
    const end = first + count
    addDelta(folder, rowsOf({ ids: of.ids.slice(first, end), vectors: of.rows.slice(first * DIM, end * DIM) }))
    first = end
  }
}

function nearest({ metric, rows, ids }: Specimen, query: Float32Array, k = 10): Hit[] {
  return bruteForce({ metric, rows, ids, query }).slice(0, k)
}

/** An index that was created empty. */
function newIndex(of: Omit<EmptyIndex, 'dim'>): string {
  const folder = temp.fresh('empty')
  createEmpty(folder, { dim: DIM, ...of })
  return folder
}

function recallOf(found: readonly Hit[], truth: readonly Hit[]): number {
  const wanted = new Set<Id>(truth.map(({ id }) => id))
  return found.filter(({ id }) => wanted.has(id)).length / truth.length
}

describe.each(CASES)(`an index with deltas under $metric with $bits bits (seed ${SEED})`, (of) => {
  it('finds all rows exactly, and by default as many as without deltas', async () => {
    const specimen = await makeSpecimen(of)
    using index = ZgqIndex.open(specimen.folder)
    expect(index.count()).toBe(COUNT)
    let recall = 0
    for (const query of specimen.queries) {
      const truth = nearest(specimen, query)
      expectSameHits(index.search(query, { exact: true }), truth)
      expectSameHits(index.search(query, { nprobe: 1000, rerank: COUNT }), truth)
      recall += recallOf(index.search(query), truth) / specimen.queries.length
    }
    expect(recall).toBeGreaterThanOrEqual(0.95)
    expect(await checkIndex(specimen.folder)).toMatchObject({ ok: true, count: COUNT })
  })

  it('finds the rows of deltas with one zone probed, whatever zone that is', async () => {
    const specimen = await makeSpecimen(of, false)
    using index = ZgqIndex.open(specimen.folder)
    for (let row = PARTS[0]; row < COUNT; row += 97) {
      const query = rowOf(specimen.rows, DIM, row)
      const { hits, explain } = index.search(query, { k: 3, nprobe: 1, explain: true })
      if (of.metric !== 'ip') expect(hits[0].id).toBe(idOf(row))
      expect(explain.vectorsScanned).toBeGreaterThan(COUNT - PARTS[0])
    }
  })

  it('answers the same to a batch, to asynchronous searches and where rows are read as they are needed', async () => {
    const specimen = await makeSpecimen(of)
    using index = ZgqIndex.open(specimen.folder)
    using small = ZgqIndex.open(specimen.folder, { cacheBytes: 0, mapping: 'pread' })
    const queries = Float32Array.from(specimen.queries.flatMap((query) => [...query]))
    for (const options of [{ k: 7 }, { k: 7, exact: true }, { k: 20, nprobe: 2 }]) {
      const expected = specimen.queries.map((query) => index.search(query, options))
      expect(await index.searchBatch(queries, options)).toEqual(expected)
      expect(await Promise.all(specimen.queries.map((query) => small.searchAsync(query, options)))).toEqual(expected)
      expect(specimen.queries.map((query) => small.search(query, options))).toEqual(expected)
    }
  })

  it('is searched in all modes with deltas only, after it was created empty', async () => {
    const folder = newIndex(of)
    {
      using index = ZgqIndex.open(folder)
      expect(index.search(new Float32Array(DIM).fill(1))).toEqual([])
    }
    const { rows, queries } = vectorsOf(of, [0, ...PARTS.slice(1)])
    const ids = Array.from({ length: rows.length / DIM }, (_, row) => idOf(row))
    addDelta(folder, rowsOf({ ids: ids.slice(0, 900), vectors: rows.slice(0, 900 * DIM) }))
    addDelta(folder, rowsOf({ ids: ids.slice(900), vectors: rows.slice(900 * DIM) }))
    using index = ZgqIndex.open(folder)
    const specimen = { ...of, folder, rows, ids, queries }
    for (const query of queries) {
      const truth = nearest(specimen, query)
      expectSameHits(index.search(query, { exact: true }), truth)
      expect(recallOf(index.search(query), truth)).toBeGreaterThanOrEqual(0.9)
      expect(recallOf(index.search(query, { recall: 0.99 }), truth)).toBeGreaterThanOrEqual(0.9)
      expect(recallOf(index.search(query, { nprobe: 3 }), truth)).toBeGreaterThanOrEqual(0.9)
      expect(await index.searchAsync(query)).toEqual(index.search(query))
    }
    expect(index.info().plan.kind).not.toBe('nprobe')
    expect(await checkIndex(folder)).toMatchObject({ ok: true, count: ids.length, zones: 0 })
  })
})

const isLarge = (row: number): boolean => {
  const size = documentPayload(row)?.size
  return typeof size === 'number' && size > 900
}

const isTaggedDraft = (row: number): boolean => {
  const { tags, draft } = documentPayload(row) ?? {}
  return Array.isArray(tags) && tags.includes('tag 2') && draft === true
}

describe.each(METRICS.flatMap((metric) => [0, 4].map((bits) => ({ metric, bits }))))(
  `an index of documents with deltas under $metric with $bits bits (seed ${SEED})`,
  (of) => {
    const rowsFrom = (rows: Float32Array, first: number, end: number): ReturnType<typeof rowsOf> => {
      const range = Array.from({ length: end - first }, (_, i) => first + i)
      return rowsOf({
        ids: range.map(documentId),
        vectors: rows.slice(first * DIM, end * DIM),
        payloads: range.map((row) => documentPayload(row))
      })
    }

    async function makeDocuments(
      built: number
    ): Promise<{ folder: string; rows: Float32Array; queries: Float32Array[] }> {
      const { rows, queries } = vectorsOf(of, PARTS)
      const fields = checkFields(DOCUMENT_FIELDS)
      const folder = built === 0 ? newIndex({ ...of, ids: 'string', fields }) : temp.fresh('documents')
      if (built > 0)
        await buildIndex({
          input: rows.slice(0, built * DIM),
          dim: DIM,
          output: folder,
          zones: 12,
          fields: DOCUMENT_FIELDS,
          ids: Array.from({ length: built }, (_, row) => documentId(row)),
          payloads: Array.from({ length: built }, (_, row) => documentPayload(row) ?? {}),
          ...of
        })
      addDelta(folder, rowsFrom(rows, built, 2000))
      addDelta(folder, rowsFrom(rows, 2000, COUNT))
      return { folder, rows, queries }
    }

    it.each([0, 1500])('finds, filters and returns the documents of deltas beside %d built ones', async (built) => {
      const { folder, rows, queries } = await makeDocuments(built)
      using index = ZgqIndex.open<string>(folder)
      const numbers = Array.from({ length: COUNT }, (_, row) => row)
      const few = [2100, 2200]
      const filters = [
        { filter: { size: { $gt: 900 } }, isLive: isLarge },
        { filter: { tags: { $in: ['tag 2'] }, draft: true }, isLive: isTaggedDraft },
        { filter: { kind: 'c1' }, isLive: (row: number) => documentPayload(row)?.kind === 'c1' }
      ]
      let [recall, asked] = [0, 0]
      for (const query of queries) {
        for (const { filter, isLive } of filters) {
          const truth = bruteForce({ metric: of.metric, rows, ids: numbers, query }, undefined, isLive).map((hit) => ({
            ...hit,
            id: documentId(hit.id)
          }))
          expect(index.count(filter)).toBe(truth.length)
          const exact = index.search(query, { exact: true, filter, k: 5 })
          expect(exact.map(({ id }) => id)).toEqual(truth.slice(0, 5).map(({ id }) => id))
          const found = index.search(query, { filter, k: 10, payload: true })
          recall += found.filter(({ id }) => truth.slice(0, 10).some((hit) => hit.id === id)).length
          asked += 10
          expect(await index.searchAsync(query, { filter, k: 10, payload: true })).toEqual(found)
        }
      }
      expect(recall / asked).toBeGreaterThanOrEqual(0.95)
      for (const row of few) {
        const [hit] = index.search(rowOf(rows, DIM, row), { k: 1, exact: true, payload: true })
        if (of.metric !== 'ip') expect(hit).toMatchObject({ id: documentId(row) })
        if (of.metric !== 'ip') expect(hit.payload).toEqual(documentPayload(row))
      }
      expect([...index.ids()].sort()).toEqual(numbers.map(documentId).sort())
      expect([...index.documents()].map(({ id }) => id).sort()).toEqual(numbers.map(documentId).sort())
      expect(await checkIndex(folder)).toMatchObject({ ok: true, count: COUNT })
    })
  }
)

describe('a delta file', () => {
  it('has of documents the columns and payloads that a build has', async () => {
    const { rows } = vectorsOf({ metric: 'l2', bits: 4 }, PARTS)
    const numbers = Array.from({ length: 500 }, (_, row) => row)
    const payloads = numbers.map((row) => documentPayload(row) ?? {})
    const ids = numbers.map(documentId)
    const vectors = rows.slice(0, 500 * DIM)
    const built = temp.fresh('built')
    const shape = { dim: DIM, metric: 'l2', bits: 4, fields: DOCUMENT_FIELDS } as const
    await buildIndex({ input: vectors, ids, payloads, output: built, zones: 1, calibrate: false, ...shape })
    const of = { metric: 'l2', bits: 4, ids: 'string', fields: checkFields(DOCUMENT_FIELDS) } as const
    const { folder, segments, files } = addDelta(newIndex(of), rowsOf({ ids, vectors, payloads }))
    const fromBuild = readCatalogue(built)
    for (const kind of ['rows', 'columns', 'fields', 'payload'] as const) {
      const bytesOf = (path: string, { offset, byteLength }: { offset: number; byteLength: number }): Buffer =>
        readFileSync(path).subarray(offset, offset + byteLength)
      const extent = fromBuild.segments.at(0)[kind]
      const file = fromBuild.files.find((record) => record.file === extent.file)
      expect(file).toBeDefined()
      if (file === undefined) continue
      const expected = bytesOf(join(built, fileNameOf(file)), extent)
      expect(bytesOf(join(folder, fileNameOf(files[0])), segments.at(0)[kind]).equals(expected)).toBe(true)
    }
  })

  it('is damaged wherever a byte that counts is flipped', async () => {
    const of = { metric: 'cosine', bits: 4, ids: 'string', fields: checkFields(DOCUMENT_FIELDS) } as const
    const numbers = Array.from({ length: 600 }, (_, row) => row)
    const { rows } = vectorsOf(of, PARTS)
    const { folder, segments, files } = addDelta(
      newIndex(of),
      rowsOf({
        ids: numbers.map(documentId),
        vectors: rows.slice(0, 600 * DIM),
        payloads: numbers.map((row) => documentPayload(row))
      })
    )
    const path = join(folder, fileNameOf(files[0]))
    const random = randomFrom(SEED)
    const places = [...segments].flatMap((segment) =>
      (['rows', 'columns', 'codes', 'fields', 'payload'] as const).map((kind) => ({ kind, ...segment[kind] }))
    )
    places.push({ ...places[0], kind: 'rows', offset: 0, byteLength: PAGE_BYTES })
    places.push({ ...places[0], kind: 'rows', offset: files[0].byteLength - 72, byteLength: 72 })
    for (const { kind, offset, byteLength } of places) {
      // Between columns there may be padding, which nobody looks at: their table has none.
      const within = kind === 'rows' ? byteLength : 24
      const at = offset + Math.floor(random() * within)
      const restore = flipByte(path, at)
      expect(await errorFrom(checkIndex(folder)), `${kind} at ${at}`).toMatchObject({ code: 'ZGQ_CORRUPT' })
      restore()
    }
    expect(await checkIndex(folder)).toMatchObject({ ok: true })
  })

  it('of a writer that died is replaced', async () => {
    const folder = newIndex({ metric: 'l2', bits: 0 })
    const { rows } = vectorsOf({ metric: 'l2', bits: 0 }, PARTS)
    const leftover = openSync(join(folder, 'delta-000002-00000.zgq'), 'w')
    writeSync(leftover, 'half a file')
    closeSync(leftover)
    addDelta(folder, rowsOf({ ids: [3, 4], vectors: rows.slice(0, 2 * DIM) }))
    expect(await checkIndex(folder)).toMatchObject({ ok: true, count: 2 })
  })
})

describe('a calibration of an index with deltas', () => {
  it('is that of its built zones', async () => {
    const of = { metric: 'l2', bits: 4 } as const
    const specimen = await makeSpecimen(of, false)
    const built = temp.fresh('built')
    const [count] = PARTS
    await buildIndex({
      input: specimen.rows.slice(0, count * DIM),
      ids: specimen.ids.slice(0, count),
      dim: DIM,
      output: built,
      zones: 30,
      calibrate: false,
      ...of
    })
    expect(await calibrateIndex(specimen.folder)).toEqual(await calibrateIndex(built))
    expect(await checkIndex(specimen.folder)).toMatchObject({ ok: true, count: COUNT })
  })

  it('is refused where there are no zones', async () => {
    const folder = newIndex({ metric: 'l2', bits: 4 })
    addDelta(folder, rowsOf({ ids: [1], vectors: new Float32Array(DIM).fill(1) }))
    expect(await errorFrom(calibrateIndex(folder))).toMatchObject({ code: 'ZGQ_UNSUPPORTED' })
  })
})
