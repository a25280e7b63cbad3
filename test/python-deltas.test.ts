// The second reader, format-spec/reader.py, reads deltas: the same hits, and the same damage.

import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { fileNameOf } from '../src/format/file-record.ts'
import { ZgqIndex } from '../src/index.ts'
import type { Metric } from '../src/types.ts'
import { makeVectors } from './support/datasets.ts'
import { addDelta, rowsOf } from './support/delta-index.ts'
import { documentId, documentPayload, DOCUMENT_FIELDS } from './support/document-index.ts'
import { flipByte } from './support/flip-byte.ts'
import { expectReaderAgrees, runReader } from './support/second-reader.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('python-deltas', IN_MEMORY)
const SEED = 2300
const DIM = 10
const BUILT = 200
const COUNT = 900
const METRICS: readonly Metric[] = ['l2', 'cosine', 'ip']

async function makeIndex(metric: Metric, bits: number): Promise<{ folder: string; rows: Float32Array }> {
  const folder = temp.fresh('index')
  const rows = makeVectors('clustered', { count: COUNT, dim: DIM }, SEED)
  const numbers = Array.from({ length: COUNT }, (_, row) => row)
  await buildIndex({
    input: rows.slice(0, BUILT * DIM),
    dim: DIM,
    metric,
    bits,
    zones: 8,
    output: folder,
    fields: DOCUMENT_FIELDS,
    ids: numbers.slice(0, BUILT).map(documentId),
    payloads: numbers.slice(0, BUILT).map((row) => documentPayload(row) ?? {})
  })
  for (const [first, end] of [
    [BUILT, 850],
    [850, COUNT]
  ])
    addDelta(
      folder,
      rowsOf({
        ids: numbers.slice(first, end).map(documentId),
        vectors: rows.slice(first * DIM, end * DIM),
        payloads: numbers.slice(first, end).map((row) => documentPayload(row))
      })
    )
  return { folder, rows }
}

describe.each(METRICS)('the second reader, under %s', (metric) => {
  it('finds in deltas what an open index finds, and passes the check', async () => {
    const { folder, rows } = await makeIndex(metric, 4)
    const queries = rows.slice(0, 3 * DIM).map((value) => value + 0.25)
    using index = ZgqIndex.open(folder)
    for (const probed of [{}, { nprobe: 2 }])
      expectReaderAgrees(index, { temp, folder, queries, dim: DIM, k: 5, ...probed })
    expect(runReader(folder, '--check')).toMatchObject({ ok: true, count: COUNT, zones: index.info().zones })
    expect(runReader(folder, '--id', documentId(COUNT - 1))).toMatchObject({ found: { row: 49 } })
    expect(runReader(folder, '--id', documentId(3))).toMatchObject({ found: { segment: expect.any(Number) } })
  })
})

it('the second reader finds damage in a delta', async () => {
  const { folder } = await makeIndex('l2', 1)
  const { files, segments } = addDelta(
    folder,
    rowsOf({ ids: ['z'], vectors: new Float32Array(DIM).fill(1), payloads: [undefined] })
  )
  const last = segments.at(segments.count - 1)
  const file = join(folder, fileNameOf(files[files.length - 1]))
  for (const { offset } of [last.rows, last.columns, last.codes, last.fields]) {
    const restore = flipByte(file, offset + 3)
    expect(runReader(folder, '--check')).toBe('ZGQ_CORRUPT')
    restore()
  }
  expect(runReader(folder, '--check')).toMatchObject({ ok: true, count: COUNT + 1 })
})
