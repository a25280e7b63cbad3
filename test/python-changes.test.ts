// The second reader, format-spec/reader.py, reads what was changed: fresh rows, deltas, deletions and patches.

import { cpSync } from 'node:fs'
import { describe, expect, it, vi } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { ZgqIndex } from '../src/index.ts'
import type { Metric } from '../src/types.ts'
import { rowOf } from './support/brute-force.ts'
import { editCatalogue, logsOf } from './support/changed-catalogue.ts'
import { makeVectors } from './support/datasets.ts'
import { documentId, documentPayload, DOCUMENT_FIELDS } from './support/document-index.ts'
import { expectReaderAgrees, runReader } from './support/second-reader.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('python-changes', IN_MEMORY)
const SEED = 2400
const DIM = 10
const BUILT = 200
const COUNT = 1600
const METRICS: readonly Metric[] = ['l2', 'cosine', 'ip']
const ROWS = makeVectors('clustered', { count: COUNT, dim: DIM }, SEED)

const numbers = (first: number, end: number): number[] => Array.from({ length: end - first }, (_, i) => first + i)
const rowsFrom = (
  first: number,
  end: number
): { id: string; vector: Float32Array; payload: Readonly<Record<string, unknown>> }[] =>
  numbers(first, end).map((row) => ({
    id: documentId(row),
    vector: rowOf(ROWS, DIM, row),
    payload: documentPayload(row) ?? {}
  }))

/** Builds an index, changes it in every way and closes it; returns where it is, and how many rows are live. */
async function changedIndex(metric: Metric, bits: number): Promise<{ folder: string; count: number }> {
  const folder = temp.fresh('index')
  const built = rowsFrom(0, BUILT)
  await buildIndex({
    input: ROWS.slice(0, BUILT * DIM),
    dim: DIM,
    metric,
    bits,
    zones: 8,
    output: folder,
    fields: DOCUMENT_FIELDS,
    ids: built.map(({ id }) => id),
    payloads: built.map(({ payload }) => payload)
  })
  const index = ZgqIndex.open<string>(folder, { mode: 'write' })
  await index.add(rowsFrom(BUILT, 1400)) // more than fresh rows may be: a delta
  await index.add(rowsFrom(1400, COUNT))
  await index.delete([3, 4, 5, 250, 251, 1450].map(documentId))
  await index.upsert([{ id: documentId(7), vector: rowOf(ROWS, DIM, 8), payload: {} }])
  await index.update([8, 300, 1500].map(documentId), { n: 0.25, tags: ['patched'] })
  const count = index.count()
  index.close()
  // Its thread closes last, and seals.
  await vi.waitFor(() => {
    expect(logsOf(folder)).toEqual([])
  }, 10_000)
  return { folder, count }
}

describe.each(METRICS)('the second reader, under %s', (metric) => {
  it('finds in a changed index what an open index finds, and passes the check', async () => {
    const { folder, count } = await changedIndex(metric, 4)
    expect(count).toBe(COUNT - 6)
    const queries = Float32Array.from([8, 3, 250, 1500, 1450].flatMap((row) => [...rowOf(ROWS, DIM, row)]))
    using index = ZgqIndex.open(folder)
    const of = { temp, folder, queries, dim: DIM, k: 7 }
    for (const hits of expectReaderAgrees(index, of)) expect(hits).toHaveLength(7)
    for (const hits of expectReaderAgrees(index, { ...of, filter: { tags: 'patched' } })) expect(hits).toHaveLength(3)
    expect(runReader(folder, '--check')).toMatchObject({ ok: true, count })
    for (const row of [3, 250, 1450]) expect(runReader(folder, '--id', documentId(row))).toMatchObject({ found: null })
    for (const row of [0, 7, 260, 1500]) expect(runReader(folder, '--id', documentId(row))).not.toMatchObject({ found: null }) // prettier-ignore
  })
})

it('the second reader refuses tables of changes that are damaged', async () => {
  const { folder } = await changedIndex('l2', 0)
  for (const sql of [
    'UPDATE fresh SET crc = crc + 1 WHERE sequence = (SELECT max(sequence) FROM fresh)',
    'UPDATE patches SET row = row + 1',
    "UPDATE masks SET deleted = x'01'",
    'DELETE FROM patches'
  ]) {
    const damaged = temp.fresh('damaged')
    cpSync(folder, damaged, { recursive: true })
    expect(runReader(damaged, '--check')).toMatchObject({ ok: true })
    editCatalogue(damaged, [sql])
    expect([sql, runReader(damaged, '--check')]).toEqual([sql, 'ZGQ_CORRUPT'])
  }
})
