// The second reader, format-spec/reader.py, was written from the spec alone. What it finds proves that the spec says
// what the code does.

import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { checkIndex } from '../src/check.ts'
import { ZgqIndex } from '../src/index.ts'
import { readCatalogue } from '../src/catalogue/reader.ts'
import { writeCatalogue } from '../src/catalogue/writer.ts'
import { CATALOGUE_NAME } from '../src/format/layout.ts'
import type { Metric } from '../src/types.ts'
import { rowOf } from './support/brute-force.ts'
import { makeIds, makeVectors, type DataSetName } from './support/datasets.ts'
import { errorOf } from './support/errors.ts'
import { expectSameHits } from './support/hits.ts'
import { changeCatalogue } from './support/index-damage.ts'
import { writeSegmentedIndex } from './support/segmented-index.ts'
import { runReader } from './support/second-reader.ts'
import { useTempFolder } from './support/temp-folder.ts'
import { fbin } from './support/vector-files.ts'

const temp = useTempFolder('python')
const SEED = 61
const DIM = 12
const COUNT = 600
const QUERIES = 5

beforeAll(() => {
  if (spawnSync('python3', ['--version']).status !== 0)
    throw new Error('python3 is needed for this test: the second reader is written in Python')
})

async function build(
  kind: DataSetName,
  metric: Metric,
  options: { hasIds?: boolean; bits?: number } = {}
): Promise<string> {
  const { hasIds = true, bits } = options
  const output = temp.fresh('index')
  const ids = hasIds ? makeIds(COUNT, SEED) : undefined
  await buildIndex({
    input: makeVectors(kind, { count: COUNT, dim: DIM }, SEED),
    dim: DIM,
    ids,
    metric,
    bits,
    zones: 15,
    output
  })
  return output
}

function queryFile(kind: DataSetName): { path: string; queries: Float32Array } {
  const queries = makeVectors(kind, { count: QUERIES, dim: DIM }, SEED + 1)
  const path = temp.fresh('queries.fbin')
  writeFileSync(path, fbin(queries, DIM))
  return { path, queries }
}

function hitsOf(printed: unknown): { id: number; distance: number }[][] {
  const { queries }: { queries: { hits: { id: number; distance: number }[] }[] } = Object(printed)
  return queries.map(({ hits }) => hits)
}

/** Expects both readers to find the same. */
function expectAgreement(index: string, kind: DataSetName, how: { k: number; nprobe: number | undefined }): void {
  const { path, queries } = queryFile(kind)
  const found = hitsOf(
    runReader(
      index,
      path,
      '--k',
      String(how.k),
      ...(how.nprobe === undefined ? ['--exact'] : ['--nprobe', String(how.nprobe)])
    )
  )
  const open = ZgqIndex.open(index)
  try {
    expect(found).toHaveLength(QUERIES)
    found.forEach((hits, i) => {
      // Every row of the zones, whatever its code says.
      const options =
        how.nprobe === undefined ? { k: how.k, exact: true } : { k: how.k, nprobe: how.nprobe, rerank: COUNT }
      expectSameHits(open.search(rowOf(queries, DIM, i), options), hits)
    })
  } finally {
    open.close()
  }
}

const METRICS: readonly Metric[] = ['l2', 'cosine', 'ip']
const KINDS = [
  { kind: 'clustered', bits: 4, hasIds: true },
  { kind: 'clustered', bits: 2, hasIds: true },
  { kind: 'small integers', bits: 0, hasIds: true },
  { kind: 'few distinct vectors', bits: 1, hasIds: false }
] as const
const cases = METRICS.flatMap((metric) => KINDS.map((kind) => ({ metric, ...kind })))

describe.each(cases)(
  `an index of $kind under $metric with codes of $bits bits (seed ${SEED})`,
  ({ metric, kind, ...options }) => {
    let index = ''
    beforeAll(async () => {
      index = await build(kind, metric, options)
    })

    it('gives the same hits to an exact search', () => {
      expectAgreement(index, kind, { k: 25, nprobe: undefined })
    })

    it('gives the same hits to a search of all vectors', () => {
      expectAgreement(index, kind, { k: COUNT + 5, nprobe: undefined })
    })

    it('passes the checks of both', async () => {
      const { count, zones, files } = await checkIndex(index)
      expect(runReader('--check', index)).toEqual({ ok: true, count, zones, files })
    })
  }
)

describe.each(METRICS)(`an index of several segments a zone and two generations (%s, seed ${SEED})`, (metric) => {
  const ZONES = 40 // two blocks of codes
  const vectors = makeVectors('clustered', { count: COUNT, dim: DIM }, SEED)
  const ids = Float64Array.from(makeIds(COUNT, SEED))
  const segmented = (bits: number): { folder: string; segments: number } => {
    const folder = temp.fresh('segmented')
    const facts = { folder, dim: DIM, metric, bits, vectors, ids, zones: ZONES, seed: SEED }
    return { folder, segments: writeSegmentedIndex(facts) }
  }

  it.each([0, 1, 4])('gives the same hits to both readers and passes the checks of both (%d bits)', async (bits) => {
    const { folder, segments } = segmented(bits)
    const { files, segments: found } = readCatalogue(folder)
    expect(found.count).toBe(segments)
    expect(segments).toBeGreaterThan(ZONES)
    expect(new Set(files.map(({ generation }) => generation))).toEqual(new Set([1, 2]))
    expectAgreement(folder, 'clustered', { k: COUNT + 5, nprobe: undefined })
    for (const nprobe of [1, 7]) expectAgreement(folder, 'clustered', { k: 10, nprobe })
    const report = { ok: true, count: COUNT, zones: ZONES, files: files.length }
    expect(await checkIndex(folder)).toMatchObject(report)
    expect(runReader('--check', folder)).toEqual(report)
  })

  it('gives estimates without bias, and of the centroids too', () => {
    const { folder } = segmented(2)
    const { queries } = queryFile('clustered')
    for (const kind of ['planes', 'refined'] as const) {
      const { mean, beyond4 } = statisticsOf(deviationsOf(estimatesOf(folder, DIM, queries), kind))
      expect(Math.abs(mean)).toBeLessThan(0.2)
      expect(beyond4).toBeLessThanOrEqual(0.002)
    }
    const values = deviationsOf(zoneEstimatesOf(folder, DIM, queries), 'planes')
    expect(values).toHaveLength(ZONES * QUERIES)
    const { mean, beyond4 } = statisticsOf(values)
    expect(Math.abs(mean)).toBeLessThan(0.5)
    expect(beyond4).toBeLessThanOrEqual(0.01)
  })
})

it('an index without vectors has no hits, in both readers', async () => {
  const folder = temp.fresh('empty')
  mkdirSync(folder)
  writeCatalogue(join(folder, CATALOGUE_NAME), {
    meta: { indexId: new Uint8Array(16), generation: 1, dim: DIM, metric: 'l2', bits: 0, idType: 'integer', count: 0 },
    quantizer: undefined,
    build: {},
    files: [],
    segments: [],
    centroids: new Float32Array(0),
    zoneCodes: new Uint8Array(0),
    documents: { fields: [], model: undefined, encodedNote: undefined }
  })
  expectAgreement(folder, 'clustered', { k: 10, nprobe: undefined })
  expectAgreement(folder, 'clustered', { k: 10, nprobe: 3 })
  expect(await checkIndex(folder)).toMatchObject({ ok: true, count: 0, zones: 0, files: 0 })
  expect(runReader('--check', folder)).toEqual({ ok: true, count: 0, zones: 0, files: 0 })
})

describe.each(['l2', 'cosine', 'ip'] as const)('zones that are chosen by a number of probes (%s)', (metric) => {
  it.each([1, 4])('are the same for %d', async (nprobe) => {
    expectAgreement(await build('clustered', metric, { bits: 0 }), 'clustered', { k: 10, nprobe })
  })
})

interface Estimated {
  readonly distance: number
  /** Estimate and standard deviation. */
  readonly planes: readonly [number, number]
  readonly refined?: readonly [number, number]
}

/** What the codes say of every row to some queries, by the formulas of the spec. */
function estimatesOf(index: string, dim: number, queries: Float32Array): Estimated[] {
  const path = temp.fresh('queries.fbin')
  writeFileSync(path, fbin(queries, dim))
  const { queries: answers }: { queries: { rows: Estimated[] }[] } = Object(runReader('--estimates', index, path))
  return answers.flatMap(({ rows }) => rows)
}

/** The same of all centroids. */
function zoneEstimatesOf(index: string, dim: number, queries: Float32Array): Estimated[] {
  const path = temp.fresh('queries.fbin')
  writeFileSync(path, fbin(queries, dim))
  const { queries: answers }: { queries: { zones: Estimated[] }[] } = Object(runReader('--estimates', index, path))
  return answers.flatMap(({ zones }) => zones)
}

/** Errors in standard deviations. */
const deviationsOf = (rows: readonly Estimated[], kind: 'planes' | 'refined'): number[] =>
  rows.map((row) => {
    const [estimate, deviation] = row[kind] ?? [NaN, NaN]
    return (estimate - row.distance) / deviation
  })

function statisticsOf(values: readonly number[]): { mean: number; beyond2: number; beyond4: number } {
  const share = (limit: number): number => values.filter((value) => !(Math.abs(value) <= limit)).length / values.length
  return { mean: values.reduce((sum, value) => sum + value, 0) / values.length, beyond2: share(2), beyond4: share(4) }
}

describe.each(METRICS)(`estimates by the spec from codes as they are written (%s, seed ${SEED})`, (metric) => {
  // 12 is less than a block of 16; 64 is a power of two; 100 needs two windows.
  describe.each([12, 64, 100])('%d dimensions', (dim) => {
    const count = 200
    const all = makeVectors('clustered', { count: count + QUERIES, dim }, SEED)
    const estimates = new Map<number, readonly Estimated[]>()
    beforeAll(async () => {
      for (const bits of [1, 2, 4, 8]) {
        const output = temp.fresh('index')
        await buildIndex({ input: all.subarray(0, count * dim), dim, metric, bits, zones: 9, output })
        estimates.set(bits, estimatesOf(output, dim, all.slice(count * dim)))
      }
    })
    const estimatesWith = (bits: number): readonly Estimated[] => estimates.get(bits) ?? []

    it.each([
      [1, 'planes'],
      [2, 'planes'],
      [2, 'refined'],
      [4, 'refined']
    ] as const)('with %d bits are without bias and as near as their errors say (%s)', (bits, kind) => {
      const values = deviationsOf(estimatesWith(bits), kind)
      expect(values).toHaveLength(count * QUERIES)
      const { mean, beyond2, beyond4 } = statisticsOf(values)
      expect(Math.abs(mean)).toBeLessThan(0.15)
      expect(beyond2).toBeLessThan(0.07) // of a normal variable: .046
      expect(beyond4).toBeLessThanOrEqual(0.002)
    })

    it('have smaller errors the more bits they have', () => {
      const [one, two, four] = [1, 2, 4, 8].map((bits) =>
        estimatesWith(bits).reduce((sum, { planes, refined = planes }) => sum + refined[1], 0)
      )
      expect(two).toBeLessThan(one / 1.5)
      expect(four).toBeLessThan(two / 2)
    })
  })

  it.each([1, 2, 4, 8])('are exact for rows that are their centroid (%d bits)', async (bits) => {
    const index = await build('one vector repeated', metric, { bits })
    const { queries } = queryFile('clustered')
    const wrong = estimatesOf(index, DIM, queries).filter(({ distance, planes, refined = planes }) =>
      [planes, refined].some(([estimate]) => Math.abs(estimate - distance) > 1e-4 * Math.max(1, Math.abs(distance)))
    )
    expect(wrong).toEqual([])
  })
})

it('an index without codes gives no estimates', async () => {
  const index = await build('clustered', 'l2', { bits: 0 })
  expect(() => estimatesOf(index, DIM, queryFile('clustered').queries)).toThrow('ended with 2')
})

describe('what one reader refuses, the other refuses with the same code', () => {
  const fileOf = (index: string, kind: 'vectors' | 'codes'): string => join(index, `${kind}-000001-00000.zgq`)
  const flip = (path: string, offset: number): void => {
    const bytes = readFileSync(path)
    bytes[offset] ^= 4
    writeFileSync(path, bytes)
  }

  it.each<readonly [string, string, (index: string) => void]>([
    [
      'a page that is damaged',
      'ZGQ_CORRUPT',
      (index) => {
        flip(fileOf(index, 'vectors'), 4096 + 77)
      }
    ],
    [
      'a header that is damaged',
      'ZGQ_CORRUPT',
      (index) => {
        flip(fileOf(index, 'vectors'), 64)
      }
    ],
    [
      'a header of codes that is damaged',
      'ZGQ_CORRUPT',
      (index) => {
        flip(fileOf(index, 'codes'), 64)
      }
    ],
    [
      'vectors that are cut short',
      'ZGQ_TRUNCATED',
      (index) => {
        truncateSync(fileOf(index, 'vectors'), 8192)
      }
    ],
    [
      'codes that are cut short',
      'ZGQ_TRUNCATED',
      (index) => {
        truncateSync(fileOf(index, 'codes'), 8192)
      }
    ],
    [
      'vectors that are missing',
      'ZGQ_CORRUPT',
      (index) => {
        rmSync(fileOf(index, 'vectors'))
      }
    ],
    [
      'codes that are missing',
      'ZGQ_CORRUPT',
      (index) => {
        rmSync(fileOf(index, 'codes'))
      }
    ],
    [
      'codes in the place of vectors',
      'ZGQ_CORRUPT',
      (index) => {
        const length = statSync(fileOf(index, 'vectors')).size
        writeFileSync(
          fileOf(index, 'vectors'),
          Buffer.concat([readFileSync(fileOf(index, 'codes')), Buffer.alloc(length)]).subarray(0, length)
        )
      }
    ],
    [
      'a quantizer that is missing',
      'ZGQ_CORRUPT',
      (index) => {
        changeCatalogue(index, "DELETE FROM meta WHERE key = 'quantizer'")
      }
    ],
    [
      'a catalogue that is missing',
      'ZGQ_NOT_AN_INDEX',
      (index) => {
        rmSync(join(index, 'catalogue.sqlite'))
      }
    ],
    [
      'a catalogue of text',
      'ZGQ_NOT_AN_INDEX',
      (index) => {
        writeFileSync(join(index, 'catalogue.sqlite'), 'text')
      }
    ],
    [
      'a row of the catalogue that was changed',
      'ZGQ_CORRUPT',
      (index) => {
        changeCatalogue(index, 'UPDATE segments SET count = count + 1')
      }
    ],
    [
      'a row of the catalogue that is missing',
      'ZGQ_CORRUPT',
      (index) => {
        changeCatalogue(index, 'DELETE FROM zones WHERE first = 0')
      }
    ],
    [
      'a newer version',
      'ZGQ_UNSUPPORTED',
      (index) => {
        changeCatalogue(index, 'PRAGMA user_version = 3')
      }
    ],
    [
      'an older version',
      'ZGQ_UNSUPPORTED',
      (index) => {
        changeCatalogue(index, 'PRAGMA user_version = 1')
      }
    ],
    [
      'a folder that is missing',
      'ZGQ_NOT_FOUND',
      (index) => {
        rmSync(index, { recursive: true })
      }
    ]
  ])('%s (%s)', async (_, code, damage) => {
    const index = await build('clustered', 'cosine')
    const { path, queries } = queryFile('clustered')
    damage(index)
    const ours = errorOf(() => {
      const open = ZgqIndex.open(index)
      try {
        open.search(rowOf(queries, DIM, 0), { exact: true })
      } finally {
        open.close()
      }
    })
    expect([ours.code, runReader(index, path, '--exact'), runReader('--check', index)]).toEqual([code, code, code])
  })

  it.each([
    ['header', 0],
    ['ids', 200],
    ['last code', -1]
  ])('codes that are damaged, where they are read (%s)', async (_, offset) => {
    const index = await build('clustered', 'l2')
    const { offset: start, byteLength } = readCatalogue(index).segments.extent(0, 'codes')
    flip(fileOf(index, 'codes'), start + (offset < 0 ? byteLength + offset : offset))
    const open = ZgqIndex.open(index)
    const ours = errorOf(() => open.search(rowOf(queryFile('clustered').queries, DIM, 0), { nprobe: 15, rerank: 1 }))
    open.close()
    expect([
      ours.code,
      runReader('--check', index),
      runReader('--estimates', index, queryFile('clustered').path)
    ]).toEqual(Array(3).fill('ZGQ_CORRUPT'))
    expectAgreement(index, 'clustered', { k: 10, nprobe: undefined })
  })

  it('but an index that is found beside its place, both open', async () => {
    const index = await build('clustered', 'l2')
    renameSync(index, `${index}.replaced`)
    mkdirSync(`${index}.building`)
    writeFileSync(`${index}.building/lock.json`, '{"pid":1,"host":"elsewhere","start":"","isReplacing":true}')
    expectAgreement(index, 'clustered', { k: 10, nprobe: undefined })
  })
})
