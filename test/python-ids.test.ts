// The second reader, format-spec/reader.py, on ids: strings beside the rows, and the ids file that leads to them.

import { readFileSync, writeFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { readCatalogue } from '../src/catalogue/reader.ts'
import { checkIndex } from '../src/check.ts'
import type { ZgqError } from '../src/errors.ts'
import { makeVectors } from './support/datasets.ts'
import { runReader } from './support/second-reader.ts'
import { useTempFolder } from './support/temp-folder.ts'
import { giveIdsFile, giveTextIds, integerIdsOf, type PlacedId } from './support/text-ids.ts'
import { fbin } from './support/vector-files.ts'

const temp = useTempFolder('python-ids')
const SEED = 62
const DIM = 4
const COUNT = 900 // four leaves and a root
const PAGE = 4096

const vectors = makeVectors('small integers', { count: COUNT, dim: DIM }, SEED)

async function build(): Promise<string> {
  const output = temp.fresh('index')
  const ids = Array.from({ length: COUNT }, (_, row) => row * 7 + (row % 3) * 2 ** 40)
  await buildIndex({ input: vectors, dim: DIM, ids, metric: 'l2', bits: 0, zones: 7, output })
  return output
}

const rowOfId = (id: number): number => Math.floor((id % 2 ** 40) / 7)
const textOf = (id: number): string => `${'\u00e9'.repeat(id % 4)}note ${rowOfId(id)} \u{1f600}`

/** What it prints for the row of an id. */
function foundRow({ id, segment, row }: PlacedId, at: number): unknown {
  return { id: String(id), found: { segment, row, vector: [...vectors.subarray(at * DIM, (at + 1) * DIM)] } }
}

describe.each(['integers', 'strings'] as const)('ids that are %s, to the second reader', (type) => {
  let folder = ''
  let ids: readonly PlacedId[] = []
  /** By row of the input. */
  const rowOf = (placed: PlacedId): number =>
    typeof placed.id === 'number' ? rowOfId(placed.id) : Number(/note (\d+) /.exec(placed.id)?.[1])
  let path = ''
  let giveIds: (placed: readonly PlacedId[]) => string

  beforeAll(async () => {
    folder = await build()
    const snapshot = readCatalogue(folder)
    ids = type === 'integers' ? integerIdsOf(folder) : giveTextIds(folder, textOf)
    giveIds = (placed) => giveIdsFile(folder, snapshot, placed)
    path = giveIds(ids)
  })

  it('pass its check', () => {
    expect(runReader('--check', folder)).toEqual({ ok: true, count: COUNT, zones: 7, files: 2 })
  })

  it('are found through the ids file, the rows with them', () => {
    for (let i = 0; i < COUNT; i += 131) {
      expect(runReader('--id', String(ids[i].id), folder)).toEqual(foundRow(ids[i], rowOf(ids[i])))
    }
    const absent = type === 'integers' ? '5' : 'no such note'
    expect(runReader('--id', absent, folder)).toEqual({ id: absent, found: null })
  })

  it('come with the hits, ordered by (distance, id)', () => {
    const queries = temp.fresh('queries.fbin')
    writeFileSync(queries, fbin(vectors.slice(0, 2 * DIM), DIM))
    const { queries: found }: { queries: { hits: { id: number | string; distance: number }[] }[] } = Object(
      runReader(folder, queries, '--exact', '--k', String(COUNT))
    )
    for (const [i, { hits }] of found.entries()) {
      const query = vectors.subarray(i * DIM, (i + 1) * DIM)
      const expected = ids
        .map((placed) => {
          const row = vectors.subarray(rowOf(placed) * DIM, (rowOf(placed) + 1) * DIM)
          return { id: placed.id, distance: row.reduce((sum, value, j) => sum + (value - query[j]) ** 2, 0) }
        })
        .sort((a, b) => a.distance - b.distance || compareIds(a.id, b.id))
      expect(hits).toEqual(expected)
    }
  })

  it('are refused where the ids file is damaged or leads elsewhere', async () => {
    const ours = async (): Promise<unknown> =>
      type === 'strings' ? 'ZGQ_CORRUPT' : await checkIndex(folder).catch(({ code }: ZgqError) => code)
    const sound = readFileSync(path)
    const damaged = Buffer.from(sound)
    damaged[5 * PAGE + 9] ^= 1
    writeFileSync(path, damaged)
    expect(runReader('--id', String(ids[0].id), folder)).toBe('ZGQ_CORRUPT')
    expect([runReader('--check', folder), await ours()]).toEqual(['ZGQ_CORRUPT', 'ZGQ_CORRUPT'])
    const [first, second] = ids
    giveIds([{ ...first, row: second.row }, { ...second, row: first.row }, ...ids.slice(2)])
    expect([runReader('--check', folder), await ours()]).toEqual(['ZGQ_CORRUPT', 'ZGQ_CORRUPT'])
    giveIds([{ ...first, row: 2 ** 30 }, ...ids.slice(1)])
    expect(runReader('--id', String(first.id), folder)).toBe('ZGQ_CORRUPT')
    writeFileSync(path, sound)
    expect(runReader('--check', folder)).toMatchObject({ ok: true })
    if (type === 'integers') expect(await checkIndex(folder)).toMatchObject({ ok: true, count: COUNT })
  })
})

function compareIds(a: number | string, b: number | string): number {
  return typeof a === 'number' || typeof b === 'number'
    ? Number(a) - Number(b)
    : Buffer.compare(Buffer.from(a), Buffer.from(b))
}
