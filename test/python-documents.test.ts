// Documents in the second reader, written from the spec alone: the same hits, filtered and with payloads, as ours.

import { writeFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'

import type { Filter, Id } from '../src/types.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { buildDocuments } from './support/document-index.ts'
import { runReader } from './support/second-reader.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { fbin } from './support/vector-files.ts'

const temp = useTempFolder('python-documents', IN_MEMORY)
const SEED = 87
const DIM = 8
const COUNT = 300
const K = 40

const FILTERS: readonly Record<string, string | number | boolean>[] = [
  {},
  { path: 'dir 1/\u{1f600} 7.md' },
  { kind: 'c2' },
  { size: 44 },
  { draft: true },
  { draft: false, kind: 'c1' },
  { tags: 'tag 5' },
  { tags: 'nobody' }
]

interface PythonHit {
  readonly id: Id
  readonly distance: number
  readonly payload: unknown
}

/** Bytes as the second reader prints them. */
function printed(payload: unknown): unknown {
  return JSON.parse(
    JSON.stringify(payload, (_, value: unknown) => (value instanceof Uint8Array ? { bytes: [...value] } : value))
  )
}

describe.each([
  ['string', 'l2'],
  ['integer', 'cosine'],
  ['string', 'ip']
] as const)(`an index whose ids are of type %s (%s, seed ${SEED})`, (ids, metric) => {
  const folder = temp.fresh(`${ids}-${metric}`)
  const queriesPath = temp.fresh('queries.fbin')
  const queries: Float32Array[] = []
  beforeAll(async () => {
    const shape = { output: folder, count: COUNT, dim: DIM, metric, bits: 2, ids, seed: SEED }
    const vectors = await buildDocuments(shape)
    queries.push(vectors.slice(0, DIM))
    writeFileSync(queriesPath, fbin(vectors.slice(0, DIM), DIM))
  })

  it('passes its check', () => {
    expect(runReader('--check', folder)).toMatchObject({ ok: true, count: COUNT })
  })

  it.each(FILTERS)('has the same hits with their payloads: %o', (wanted) => {
    const filter: Filter = wanted
    const index = ZgqIndex.open<Id>(folder)
    try {
      const [query] = queries
      const ours = index.search(query, { k: K, exact: true, payload: true, filter })
      const options = ['--exact', '--k', String(K), '--filter', JSON.stringify(wanted), '--payload']
      const { queries: found }: { queries: { hits: PythonHit[] }[] } = Object(
        runReader(folder, queriesPath, ...options)
      )
      const [theirs] = found
      expect(theirs.hits.map(({ id, payload }) => ({ id, payload }))).toEqual(
        ours.map(({ id, payload }) => ({ id, payload: printed(payload) }))
      )
      for (const [i, { distance }] of theirs.hits.entries()) expect(distance).toBeCloseTo(ours[i].distance, 4)
    } finally {
      index.close()
    }
  })

  it('finds some rows by every kind of field', () => {
    const index = ZgqIndex.open<Id>(folder)
    try {
      const counts = FILTERS.map((filter) => index.count(filter))
      expect(counts.slice(0, -1).every((count) => count > 0)).toBe(true)
      expect(counts[counts.length - 1]).toBe(0)
    } finally {
      index.close()
    }
  })
})
