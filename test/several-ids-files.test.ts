// An index with several ids files, as folds leave them: each knows the rows of its step, and entries of segments that
// went since are no rows any more.

import { mkdirSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

import { checkIndex } from '../src/check.ts'
import type { ZgqError } from '../src/errors.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { rowOf } from './support/brute-force.ts'
import { anyFloat, randomFrom, randomVectors } from './support/random.ts'
import { SegmentIndex, type PlannedSegment } from './support/segment-index.ts'
import { ROOT } from './support/sources.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('several-ids-files')
const SEED = 1500
const DIM = 4
const ZONES = 3

type Random = () => number

function makeIndex(random: Random): SegmentIndex {
  const folder = temp.fresh('index')
  mkdirSync(folder)
  const centroids = randomVectors({ count: ZONES, dim: DIM }, random, anyFloat)
  return new SegmentIndex(folder, { dim: DIM, metric: 'l2', bits: 0, centroids }, random)
}

/** Segments of up to 600 rows: more than a leaf of an ids file. */
function someSegments(count: number, firstId: number, random: Random): PlannedSegment[] {
  return Array.from({ length: count }, (_, i) => {
    const rowCount = 1 + Math.floor(random() * 600)
    return {
      zone: Math.floor(random() * ZONES),
      ids: Array.from({ length: rowCount }, (_row, row) => firstId + i * 1000 + row),
      rows: randomVectors({ count: rowCount, dim: DIM }, random, anyFloat)
    }
  })
}

/** Four steps: each adds segments with an ids file of its own, and takes some away that others know. */
function makeFolded(random: Random): { index: SegmentIndex; gone: number[] } {
  const index = makeIndex(random)
  const gone: number[] = []
  for (let step = 0; step < 4; step++) {
    const before = index.segments
    const idsBefore = index.content.ids
    index.add(someSegments(3, step * 10_000, random))
    index.addIds(index.segments.filter((segment) => !before.includes(segment)))
    const dropped = before.filter(() => random() < 0.4)
    index.drop(dropped)
    const left = new Set(index.content.ids)
    gone.push(...idsBefore.filter((id) => !left.has(id)))
  }
  index.publish()
  return { index, gone }
}

function runReader(...args: readonly string[]): { readonly status: number | null; readonly stdout: string } {
  return spawnSync('python3', [join(ROOT, 'format-spec/reader.py'), ...args], { encoding: 'utf8' })
}

const codeOfCheck = async (folder: string): Promise<string> => {
  const report = await checkIndex(folder).catch(({ code }: ZgqError) => code)
  return typeof report === 'string' ? report : 'sound'
}

describe(`several ids files (seed ${SEED})`, () => {
  it('lead to every row that is there and to none that went, at once and later', async () => {
    const { index, gone } = makeFolded(randomFrom(SEED))
    using opened = ZgqIndex.open(index.folder)
    const { ids, rows } = index.content
    ids.forEach((id, i) => {
      expect(opened.get(id)).toEqual(rowOf(rows, DIM, i))
    })
    expect(gone.length).toBeGreaterThan(0)
    for (const id of gone) expect(opened.has(id)).toBe(false)
    for (const id of ids.filter((_, i) => i % 50 === 0)) {
      using cold = ZgqIndex.open(index.folder)
      expect(await cold.searchAsync({ id }, { k: 3, exact: true })).toEqual(
        opened.search({ id }, { k: 3, exact: true })
      )
    }
    expect(await codeOfCheck(index.folder)).toBe('sound')
    using _verified = ZgqIndex.open(index.folder, { verify: 'open' })
  })

  it('are read by the second reader, and pass its check', () => {
    const { index, gone } = makeFolded(randomFrom(SEED + 1))
    const { ids, rows } = index.content
    expect(JSON.parse(runReader('--check', index.folder).stdout)).toMatchObject({ ok: true, count: ids.length })
    for (let i = 0; i < ids.length; i += Math.ceil(ids.length / 5))
      expect(JSON.parse(runReader('--id', String(ids[i]), index.folder).stdout)).toMatchObject({
        found: { vector: [...rowOf(rows, DIM, i)] }
      })
    expect(JSON.parse(runReader('--id', String(gone[0]), index.folder).stdout)).toMatchObject({ found: null })
  })

  it.each<readonly [string, (index: SegmentIndex) => void]>([
    [
      'a segment is in none of them, though entries are as many as rows',
      (index) => {
        index.addIds(index.segments.slice(1))
        index.addIds(index.segments.slice(2))
      }
    ],
    [
      'a segment is in two of them',
      (index) => {
        index.addIds(index.segments)
        index.addIds(index.segments.slice(0, 1))
      }
    ]
  ])('do not pass a check where %s', async (_, addIds) => {
    const index = makeIndex(randomFrom(SEED + 2))
    const segment = someSegments(1, 0, randomFrom(SEED + 2))[0]
    index.add([0, 1, 2].map((i) => ({ ...segment, ids: segment.ids.map((id) => id + i * 1000) })))
    addIds(index)
    index.publish()
    expect(await codeOfCheck(index.folder)).toBe('ZGQ_CORRUPT')
    expect(runReader('--check', index.folder).status).toBe(1)
  })
})
