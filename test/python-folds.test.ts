// The second reader, format-spec/reader.py, reads what folds leave: zones of several segments, several ids files, rows
// and tables that a fold moved. The golden index that was folded is among the tests of golden files.

import { cpSync } from 'node:fs'
import { describe, expect, it, vi } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { readCatalogue } from '../src/catalogue/reader.ts'
import { ZgqIndex } from '../src/index.ts'
import type { Id, Metric } from '../src/types.ts'
import { rowOf } from './support/brute-force.ts'
import { askCatalogue, editCatalogue, logsOf } from './support/changed-catalogue.ts'
import { makeVectors } from './support/datasets.ts'
import { documentId, documentPayload, DOCUMENT_FIELDS } from './support/document-index.ts'
import { expectReaderAgrees, runReader } from './support/second-reader.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('python-folds', IN_MEMORY)
const SEED = 2500
const DIM = 10
const BUILT = 1200
const COUNT = BUILT + 200
const DELETED = [0, 3, 1210, 1330]
const METRICS: readonly Metric[] = ['l2', 'cosine', 'ip']
const ROWS = makeVectors('clustered', { count: COUNT, dim: DIM }, SEED)

const rowsFrom = (first: number, end: number) =>
  Array.from({ length: end - first }, (_, i) => ({
    id: documentId(first + i),
    vector: rowOf(ROWS, DIM, first + i),
    payload: documentPayload(first + i) ?? {}
  }))

/** Built, folded twice and written to: several segments a zone, several ids files, rows of every table. */
async function foldedIndex(metric: Metric, bits: number): Promise<string> {
  const folder = temp.fresh('index')
  const built = rowsFrom(0, BUILT)
  await buildIndex({
    input: ROWS.slice(0, BUILT * DIM),
    dim: DIM,
    metric,
    bits,
    zones: 12,
    output: folder,
    fields: DOCUMENT_FIELDS,
    ids: built.map(({ id }) => id),
    payloads: built.map(({ payload }) => payload)
  })
  const index = ZgqIndex.open<string>(folder, { mode: 'write', autoOptimize: false })
  for (const first of [BUILT, BUILT + 90]) {
    await index.add(rowsFrom(first, first + 90))
    await index.optimize()
  }
  await index.add(rowsFrom(BUILT + 180, COUNT))
  await index.delete(DELETED.map(documentId))
  await index.update([8, 1250, 1390].map(documentId), { tags: ['patched'] })
  index.close()
  // Its thread closes last, and seals.
  await vi.waitFor(() => {
    expect(logsOf(folder)).toEqual([])
  }, 10_000)
  return folder
}

describe.each(METRICS)('the second reader, under %s', (metric) => {
  it('finds in a folded index what an open index finds, and passes the check', async () => {
    const folder = await foldedIndex(metric, metric === 'ip' ? 1 : 4)
    const { files, segments } = readCatalogue(folder)
    const ofZones = Array.from({ length: segments.count }, (_, i) => segments.at(i).zone)
    expect(ofZones.length).toBeGreaterThan(new Set(ofZones).size) // a zone has several segments
    expect(files.filter(({ kind }) => kind === 'ids').length).toBeGreaterThan(1)
    const queries = Float32Array.from([8, 3, 1250, 1390, 1330].flatMap((row) => [...rowOf(ROWS, DIM, row)]))
    using index = ZgqIndex.open<Id>(folder)
    const of = { temp, folder, queries, dim: DIM, k: 9 }
    for (const probed of [{}, { nprobe: 1 }, { nprobe: 3 }]) expectReaderAgrees(index, { ...of, ...probed })
    for (const hits of expectReaderAgrees(index, { ...of, filter: { tags: 'patched' } })) expect(hits).toHaveLength(3)
    const count = COUNT - DELETED.length
    expect(runReader(folder, '--check')).toMatchObject({ ok: true, count, zones: index.info().zones })
    for (const row of DELETED) expect(runReader(folder, '--id', documentId(row))).toMatchObject({ found: null })
    for (const row of [1, 1200, 1250, 1310, 1390])
      expect(runReader(folder, '--id', documentId(row))).not.toMatchObject({ found: null })
  })
})

it('the second reader does not look at reserved numbers and superseded files', async () => {
  const folder = await foldedIndex('l2', 4)
  expect(askCatalogue(folder, 'SELECT count(*) > 0 FROM superseded')).toEqual([[1]])
  const copy = temp.fresh('copy')
  cpSync(folder, copy, { recursive: true })
  editCatalogue(
    copy,
    ['UPDATE superseded SET crc = crc + 1'],
    ['INSERT INTO reservations VALUES (1, ?, 0)', Buffer.from('?')]
  )
  expect(runReader(copy, '--check')).toMatchObject({ ok: true, count: COUNT - DELETED.length })
})
