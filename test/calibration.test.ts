// Calibration: how it is measured, stored, read back, interpolated and refused.

import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { beforeAll, describe, expect, it } from 'vitest'

import { buildIndex, calibrateIndex, type BuildOptions, type CalibrateOptions } from '../src/build.ts'
import { CALIBRATED_KS, CALIBRATED_RECALLS, thresholdFor } from '../src/format/calibration.ts'
import {
  CALIBRATION_HEADER,
  CALIBRATION_POINT,
  decodeCalibration,
  encodeCalibration
} from '../src/format/calibration-record.ts'
import { metaChecksum } from '../src/catalogue/rows.ts'
import { CATALOGUE_NAME } from '../src/format/layout.ts'
import { checkRequest } from '../src/search/request.ts'
import type { Calibration, CalibrationCurve, Metric, SearchOptions } from '../src/types.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { rowOf } from './support/brute-force.ts'
import { makeVectors, type DataSetName } from './support/datasets.ts'
import { codeOf, errorOf } from './support/errors.ts'
import { exactIds, meanRecall } from './support/recall.ts'
import { jsonOf, runZgq } from './support/run-zgq.ts'
import { errorFrom, rejection } from './support/small-build.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { fbin, ivecs } from './support/vector-files.ts'

const temp = useTempFolder('calibration', IN_MEMORY)
const SEED = 81
const DIM = 12
const COUNT = 3000
const rows = makeVectors('clustered', { count: COUNT, dim: DIM }, SEED)
const queries = makeVectors('clustered', { count: 300, dim: DIM }, SEED)
const queryList = Array.from({ length: 300 }, (_, i) => rowOf(queries, DIM, i))
const [query] = queryList

async function build(options: Partial<BuildOptions> = {}): Promise<string> {
  const output = temp.fresh('index')
  await buildIndex({ input: rows, dim: DIM, zones: 60, output, ...options })
  return output
}

function withIndex<T>(path: string, work: (index: ZgqIndex) => T): T {
  const index = ZgqIndex.open(path)
  try {
    return work(index)
  } finally {
    index.close()
  }
}

function storedIn(path: string): Calibration {
  const { calibration } = withIndex(path, (index) => index.info())
  if (calibration === null) throw new Error('the index has no calibration')
  return calibration
}

const copyOf = (path: string): string => {
  const copy = temp.fresh('copy')
  cpSync(path, copy, { recursive: true })
  return copy
}

/** Runs one statement on a catalogue. */
function change(path: string, sql: string, ...values: unknown[]): void {
  const database = new Sqlite(join(path, CATALOGUE_NAME))
  try {
    database.prepare(sql).run(...values)
  } finally {
    database.close()
  }
}

const fileOf = (name: string, bytes: Uint8Array): string => {
  const path = temp.fresh(name)
  writeFileSync(path, bytes)
  return path
}

let path = ''
beforeAll(async () => {
  path = await build()
})

describe(`the calibration of a build (seed ${SEED})`, () => {
  it('says what it was measured with', () => {
    expect(storedIn(path)).toMatchObject({
      source: 'base',
      queries: 1000,
      confidence: 0.95,
      highestRecall: expect.closeTo(1000 / 1002.706, 6),
      scale: expect.any(Number)
    })
  })

  it('has a curve for each number of hits, with recalls that ascend', () => {
    const { curves } = storedIn(path)
    expect(curves.map((curve) => curve.k)).toEqual(CALIBRATED_KS)
    for (const { points } of curves) {
      const recalls = points.map((point) => point.recall)
      expect(recalls).toEqual([...new Set(recalls)].sort((a, b) => a - b))
      expect(recalls).toEqual(expect.arrayContaining([...CALIBRATED_RECALLS]))
    }
  })

  it('asks for no less where more recall is wanted: thresholds and zones never fall', () => {
    for (const { points } of storedIn(path).curves) {
      for (const values of [points.map((point) => point.threshold), points.map((point) => point.zones)])
        expect(values).toEqual([...values].sort((a, b) => a - b))
      expect(points[points.length - 1].threshold).toBeGreaterThan(points[0].threshold)
    }
  })

  it('keeps every recall below the one that was measured', () => {
    for (const { points } of storedIn(path).curves)
      expect(points.filter((point) => point.mean < point.recall)).toEqual([])
  })

  it('reaches to the highest recall that it promises', () => {
    const { curves, highestRecall } = storedIn(path)
    for (const { points } of curves) expect(points[points.length - 1].recall).toBe(highestRecall)
  })

  it('names as zones what searches probe', () => {
    const { curves } = storedIn(path)
    const { zones } = curves[1].points.find((point) => point.recall === 0.95) ?? { zones: NaN }
    const probed = withIndex(path, (index) =>
      queryList.map((some) => index.search(some, { recall: 0.95, explain: true }).explain.zones.length)
    )
    expect(probed.reduce((sum, value) => sum + value, 0) / probed.length / zones).toBeGreaterThan(0.7)
    expect(probed.reduce((sum, value) => sum + value, 0) / probed.length / zones).toBeLessThan(1.4)
  })

  it('is the same for the same build, and does not depend on the memory of the build', async () => {
    expect(storedIn(await build())).toEqual(storedIn(path))
    expect(storedIn(await build({ memoryBytes: 64 * 2 ** 20 }))).toEqual(storedIn(path))
  })
})

describe('a threshold between the points of a calibration', () => {
  const curve = (k: number, of: (recall: number) => number): CalibrationCurve => ({
    k,
    points: [0.5, 0.8, 0.9, 0.95, 0.99].map((recall) => ({
      recall,
      threshold: of(recall),
      mean: recall,
      zones: 1 + of(recall)
    }))
  })
  const calibrationOf = (...curves: CalibrationCurve[]): Calibration => ({
    source: 'base',
    queries: 1000,
    confidence: 0.95,
    highestRecall: 0.99,
    scale: 1,
    curves
  })
  const rising = calibrationOf(
    curve(1, (recall) => recall),
    curve(10, (recall) => 2 * recall),
    curve(100, (recall) => 5 * recall)
  )
  const falling = calibrationOf(
    curve(1, (recall) => 5 * recall),
    curve(10, (recall) => 2 * recall),
    curve(100, (recall) => recall)
  )
  const at = (recall: number, k: number, calibration = rising): number => thresholdFor(calibration, recall, k).threshold

  it('is that of the point where there is one', () => {
    for (const { k, points } of rising.curves) {
      for (const point of points) {
        const found = thresholdFor(rising, point.recall, k)
        expect(found.threshold).toBeCloseTo(point.threshold, 10)
        expect(found.zones).toBeCloseTo(point.zones, 10)
      }
    }
  })

  it('rises from 0 with the recall', () => {
    const recalls = Array.from({ length: 989 }, (_, i) => (i + 1) / 1000)
    for (const k of [1, 3, 10, 40, 100, 700]) {
      const thresholds = recalls.map((recall) => at(recall, k))
      expect(thresholds).toEqual([...thresholds].sort((a, b) => a - b))
      expect(new Set(thresholds).size).toBe(recalls.length)
    }
    expect(at(1e-9, 1)).toBeLessThan(1e-8)
  })

  it('is halfway where -ln(1 - recall) is halfway', () => {
    expect(at(1 - Math.sqrt(0.1 * 0.05), 1)).toBeCloseTo((0.9 + 0.95) / 2, 10)
  })

  it('rises with the number of hits', () => {
    const thresholds = [1, 2, 3, 5, 10, 11, 30, 100, 101, 200, 1000, 10_000].map((k) => at(0.93, k))
    expect(thresholds).toEqual([...new Set(thresholds)].sort((a, b) => a - b))
  })

  it('is the geometric mean where ln k is halfway', () => {
    expect(at(0.9, Math.sqrt(10) * 10)).toBeCloseTo(Math.sqrt(1.8 * 4.5), 10)
  })

  it('does not fall beyond the last number of hits, even where it fell before it', () => {
    for (const k of [101, 500, 10_000]) expect(thresholdFor(falling, 0.9, k)).toEqual(thresholdFor(falling, 0.9, 100))
  })

  it('is that of the next number of hits where the last needs none', () => {
    const none = calibrationOf(
      curve(1, () => 0),
      curve(10, (recall) => recall),
      curve(100, (recall) => recall)
    )
    expect(at(0.9, 1, none)).toBe(0)
    expect(at(0.9, 2, none)).toBe(0.9)
  })

  it('is that of the only curve for any number of hits', () => {
    const single = calibrationOf(curve(1, (recall) => recall))
    expect([1, 10, 1000].map((k) => at(0.9, k, single))).toEqual([0.9, 0.9, 0.9])
  })
})

describe('a stored calibration', () => {
  type Change = (bytes: Uint8Array) => Uint8Array
  const point = { recall: 0.5, threshold: 1, mean: 0.5, zones: 1 }
  /** A field of the header with another value. */
  const header =
    (field: keyof typeof CALIBRATION_HEADER.fields, value: number): Change =>
    (bytes) => {
      CALIBRATION_HEADER.encode({ ...CALIBRATION_HEADER.decode(bytes, 0, path), [field]: value }, bytes)
      return bytes
    }
  /** The stored calibration with these curves. */
  const curves =
    (...some: readonly CalibrationCurve[]): Change =>
    () =>
      encodeCalibration({ ...storedIn(path), curves: some })
  const ofPoint = (change: Partial<typeof point & { trust: number }>): Change =>
    curves({ k: 1, points: [{ ...point, ...change }] })
  const damaged: readonly (readonly [string, Change])[] = [
    ['of no bytes', () => new Uint8Array(0)],
    ['cut off in its header', (bytes) => bytes.slice(0, 79)],
    ['cut off in a point', (bytes) => bytes.slice(0, -1)],
    ['with a byte too much', (bytes) => Uint8Array.of(...bytes, 0)],
    ['with fewer points than there are', header('pointCount', 1)],
    ['with more points than there may be', header('pointCount', 2 ** 40)],
    ['of no source', header('source', 0)],
    ['of an unknown source', header('source', 3)],
    ['of no queries', header('queries', 0)],
    ...(
      ['confidence', 'highestRecall', 'scale', 'copies', 'nearestZone', 'farthestZone', 'farthestHit'] as const
    ).flatMap((field): (readonly [string, Change])[] => [
      [`with ${field} negative`, header(field, -1)],
      [`with ${field} NaN`, header(field, NaN)],
      [`with ${field} infinite`, header(field, Infinity)]
    ]),
    ['with a confidence above 1', header('confidence', 1.5)],
    ['with a highest recall of 1', header('highestRecall', 1)],
    ['with no curve', curves()],
    ['with a curve without points', curves({ k: 1, points: [] })],
    ['with a curve of k 0', curves({ k: 0, points: [point] })],
    ['with curves in another order', () => curves(...[...storedIn(path).curves].reverse())(new Uint8Array(0))],
    ['with a curve twice', () => curves(storedIn(path).curves[0], storedIn(path).curves[0])(new Uint8Array(0))],
    ...(['recall', 'threshold', 'mean', 'zones', 'trust'] as const).flatMap((field): (readonly [string, Change])[] => [
      [`with a point whose ${field} is NaN`, ofPoint({ [field]: NaN })],
      [`with a point whose ${field} is negative`, ofPoint({ [field]: -1 })]
    ]),
    ['with points in another order', curves({ k: 1, points: [0.9, 0.5].map((recall) => ({ ...point, recall })) })],
    ['with a threshold that falls', curves({ k: 1, points: [point, { ...point, recall: 0.9, threshold: 0.5 }] })],
    ['with a recall of 1', ofPoint({ recall: 1 })],
    ['with a recall of 0', ofPoint({ recall: 0 })],
    ['with a mean above 1', ofPoint({ mean: 1.1 })],
    ['with no zones', ofPoint({ zones: 0 })],
    ['with more zones than there are', ofPoint({ zones: 1001 })],
    ['with an infinite threshold', ofPoint({ threshold: Infinity })]
  ]
  const encoded = (): Uint8Array => encodeCalibration(storedIn(path))

  it('is read back as it was written', () => {
    expect(decodeCalibration(encoded(), 1000, path)).toEqual(storedIn(path))
  })

  it('is read where points for filters are among the others, and as if they were not', () => {
    const bytes = encoded()
    const last = bytes.slice(-CALIBRATION_POINT.byteLength)
    CALIBRATION_POINT.encode({ ...CALIBRATION_POINT.decode(last, 0, path), filter: 1 }, last)
    const more = Uint8Array.of(...bytes, ...last)
    header('pointCount', CALIBRATION_HEADER.decode(bytes, 0, path).pointCount + 1)(more)
    expect(decodeCalibration(more, 1000, path)).toEqual(storedIn(path))
  })

  it.each(damaged)('%s is corrupt', (_, change) => {
    const bytes = change(encoded())
    expect(codeOf(() => decodeCalibration(bytes, 1000, path))).toBe('ZGQ_CORRUPT')
  })

  it('that is damaged, though its checksum fits, makes open throw ZGQ_CORRUPT', () => {
    const copy = copyOf(path)
    const bytes = encodeCalibration({ ...storedIn(path), curves: [] })
    change(
      copy,
      'UPDATE meta SET value = ?, crc = ? WHERE key = ?',
      bytes,
      metaChecksum('calibration', bytes),
      'calibration'
    )
    expect(codeOf(() => ZgqIndex.open(copy))).toBe('ZGQ_CORRUPT')
  })

  it('with any byte turned over makes open throw ZGQ_CORRUPT', () => {
    const copy = copyOf(path)
    const database = new Sqlite(join(copy, CATALOGUE_NAME))
    const bytes =
      database.prepare<[], Buffer>("SELECT value FROM meta WHERE key = 'calibration'").pluck().get() ?? Buffer.alloc(0)
    expect(bytes.length).toBeGreaterThan(500)
    for (const at of [0, 1, 37, Math.floor(bytes.length / 2), bytes.length - 1]) {
      const flipped = Buffer.from(bytes)
      flipped[at] ^= 0x10
      database.prepare('UPDATE meta SET value = ? WHERE key = ?').run(flipped, 'calibration')
      expect({ at, code: codeOf(() => ZgqIndex.open(copy)) }).toEqual({ at, code: 'ZGQ_CORRUPT' })
    }
    database.close()
  })
})

describe('an index without a calibration', () => {
  let bare = ''
  beforeAll(() => {
    bare = copyOf(path)
    change(bare, "DELETE FROM meta WHERE key = 'calibration'")
  })

  it('answers with nprobe, exact, or when told nothing', () => {
    withIndex(bare, (index) => {
      expect(index.info().calibration).toBe(null)
      expect(index.search(query, { exact: true })).toHaveLength(10)
      expect(index.search(query, { nprobe: 3, explain: true }).explain.zones).toHaveLength(3)
      expect(index.search(query)).toHaveLength(10)
    })
  })

  it('throws ZGQ_UNSUPPORTED for a recall, and says how to calibrate', () => {
    const error = withIndex(bare, (index) => errorOf(() => index.search(query, { recall: 0.9 })))
    expect({ code: error.code, message: error.message }).toEqual({
      code: 'ZGQ_UNSUPPORTED',
      message: expect.stringContaining('zgq calibrate')
    })
  })

  it('has one once it is calibrated', async () => {
    const copy = copyOf(bare)
    const calibration = await calibrateIndex(copy)
    expect(storedIn(copy)).toEqual(calibration)
    expect(withIndex(copy, (index) => index.search(query, { recall: 0.9 }))).toHaveLength(10)
  })
})

describe('a recall that a search is asked for', () => {
  const request = (
    options: SearchOptions,
    of: { count: number; calibration?: Calibration }
  ): ReturnType<typeof checkRequest> =>
    checkRequest(options, {
      dim: 128,
      bits: 4,
      zoneCount: 50,
      rows: of.count,
      deltaRows: 0,
      calibration: storedIn(path),
      last: undefined,
      ...of
    })

  it.each([0, 1, NaN, -1, 2, -0.5, Infinity])('of %d is a RangeError', (recall) => {
    withIndex(path, (index) => {
      expect(() => index.search(query, { recall })).toThrow(RangeError)
    })
  })

  it('that is a text is a TypeError', () => {
    withIndex(path, (index) => {
      // @ts-expect-error what JavaScript may pass
      expect(() => index.search(query, { recall: '0.9' })).toThrow(TypeError)
    })
  })

  it.each([{ nprobe: 3 }, { exact: true }])('with %o is a TypeError', (other) => {
    withIndex(path, (index) => {
      expect(() => index.search(query, { recall: 0.9, ...other })).toThrow(TypeError)
    })
  })

  it('above what can be promised is reached by an exact search where the index is small', () => {
    withIndex(path, (index) => {
      expect(index.search(query, { recall: 0.9999 })).toEqual(index.search(query, { exact: true }))
      expect(index.search(query, { recall: 0.9999, explain: true }).explain.zones).toHaveLength(index.info().zones)
    })
  })

  it('above what can be promised is ZGQ_RECALL where the index is large, and says what can be', () => {
    const { message } = errorOf(() => request({ recall: 0.998 }, { count: 9000 }))
    expect(codeOf(() => request({ recall: 0.998 }, { count: 9000 }))).toBe('ZGQ_RECALL')
    for (const part of ['0.998', '0.9973', '1000', 'exact']) expect(message).toContain(part)
  })

  it('is refused above 2^20 values, not at them', () => {
    expect(request({ recall: 0.998 }, { count: 8192 }).isExact).toBe(true)
    expect(codeOf(() => request({ recall: 0.998 }, { count: 8193 }))).toBe('ZGQ_RECALL')
  })

  it('means the same whatever was asked for before', () => {
    const ways: SearchOptions[] = [
      { recall: 0.8 },
      { recall: 0.99 },
      { recall: 0.8, k: 1 },
      {},
      { recall: 0.9999 },
      { nprobe: 2 },
      { recall: 0.8, k: 100 }
    ]
    const zonesOf = (index: ZgqIndex, options: SearchOptions): readonly number[] =>
      index.search(query, { ...options, explain: true }).explain.zones
    const fresh = ways.map((options) => withIndex(path, (index) => zonesOf(index, options)))
    expect(new Set(fresh.map((zones) => zones.length)).size).toBeGreaterThan(3)
    withIndex(path, (index) => {
      for (const step of [1, 2, 3, 5])
        for (let i = 0; i < ways.length; i++)
          expect(zonesOf(index, ways[(i * step) % ways.length])).toEqual(fresh[(i * step) % ways.length])
    })
  })

  it('that nobody named is what can be promised, where .95 cannot', () => {
    const few = { ...storedIn(path), queries: 10, highestRecall: 0.8 }
    expect(request({}, { count: 9000, calibration: few }).probe).toEqual(
      request({ recall: 0.8 }, { count: 9000, calibration: few }).probe
    )
    expect(codeOf(() => request({ recall: 0.81 }, { count: 9000, calibration: few }))).toBe('ZGQ_RECALL')
  })
})

describe('a large index', () => {
  const dim = 128
  it('says by search which recall it can promise', async () => {
    const output = temp.fresh('large')
    await buildIndex({
      input: makeVectors('clustered', { count: 9000, dim }, SEED),
      dim,
      bits: 1,
      zones: 30,
      queries: makeVectors('clustered', { count: 40, dim }, SEED + 1),
      output
    })
    withIndex(output, (index) => {
      const some = makeVectors('clustered', { count: 1, dim }, SEED + 2)
      const error = errorOf(() => index.search(some, { recall: 0.95 }))
      expect({ code: error.code, message: error.message }).toEqual({
        code: 'ZGQ_RECALL',
        message: expect.stringContaining('0.9366')
      })
      expect(index.search(some)).toHaveLength(10)
      expect(index.search(some, { recall: 0.93 })).toHaveLength(10)
    })
  })
})

describe('data on which there is little to measure is built, and searched by recall', () => {
  const cases: readonly { name: string; count: number; kind: DataSetName; zones?: number; skipped?: Metric }[] = [
    { name: '1 row', count: 1, kind: 'normal' },
    { name: '2 rows', count: 2, kind: 'normal' },
    { name: 'one zone', count: 200, kind: 'normal', zones: 1 },
    { name: 'as many zones as rows', count: 40, kind: 'normal', zones: 40 },
    { name: 'rows that are all equal', count: 500, kind: 'one vector repeated', zones: 10 },
    { name: 'many exact copies', count: 900, kind: '90 % one vector', zones: 20 },
    { name: 'few distinct vectors', count: 900, kind: 'few distinct vectors', zones: 20 },
    // Under ip its products overflow float32: only an exact search is sure to find it.
    { name: 'one huge outlier', count: 300, kind: 'one huge outlier', zones: 10, skipped: 'ip' }
  ]
  const ways: readonly { metric: Metric; bits: number }[] = [
    { metric: 'l2', bits: 0 },
    { metric: 'l2', bits: 4 },
    { metric: 'cosine', bits: 1 },
    { metric: 'ip', bits: 4 }
  ]
  const all = cases.flatMap((one) =>
    ways.filter((way) => way.metric !== one.skipped).map((way) => ({ ...one, ...way }))
  )

  it.each(all)(`$name ($metric, $bits bits, seed ${SEED})`, async ({ count, kind, zones, metric, bits }) => {
    const vectors = makeVectors(kind, { count, dim: DIM }, SEED)
    const output = await build({ input: vectors, zones, metric, bits })
    withIndex(output, (index) => {
      for (const curve of index.info().calibration?.curves ?? [])
        for (const point of curve.points)
          for (const value of Object.values(point)) expect(value).toBeGreaterThanOrEqual(0)
      const some = Array.from({ length: Math.min(count, 30) }, (_, i) => rowOf(vectors, DIM, count - 1 - i))
      for (const k of [1, 10, 1000]) {
        for (const recall of [0.1, 0.8, 0.95]) {
          for (const each of some) expect(index.search(each, { k, recall }).length).toBeGreaterThanOrEqual(1)
        }
      }
      // By distance, not by id: which of equal rows are found is chance.
      const found = some.map((each) => ({
        best: index.search(each, { k: 1 })[0].distance,
        least: index.search(each, { k: 1, exact: true })[0].distance
      }))
      expect(found.filter(({ best, least }) => best === least).length / found.length).toBeGreaterThanOrEqual(0.9)
    })
  })
})

describe('calibrateIndex', () => {
  const dataFiles = (folder: string): Map<string, string> =>
    new Map(
      readdirSync(folder)
        .filter((name) => name.endsWith('.zgq'))
        .map((name) => [name, readFileSync(join(folder, name)).toString('hex')])
    )
  /** Calibrates a copy that must fail, and tells that its calibration is what it was. */
  const failing = async (options: CalibrateOptions, index = path): Promise<unknown> => {
    const copy = copyOf(index)
    const reason = await rejection(calibrateIndex(copy, options))
    expect(storedIn(copy)).toEqual(storedIn(index))
    return reason
  }

  it('measures with the queries it is given, from an array or a file, and stores that', async () => {
    const copy = copyOf(path)
    const calibration = await calibrateIndex(copy, { queries })
    expect(calibration).toMatchObject({
      source: 'queries',
      queries: 300,
      highestRecall: expect.closeTo(300 / 302.706, 6)
    })
    expect(storedIn(copy)).toEqual(calibration)
    expect(await calibrateIndex(copy, { queries: fileOf('queries.fbin', fbin(queries, DIM)) })).toEqual(calibration)
  })

  it('reaches the recall for the queries it was given, though they are unlike the rows', async () => {
    const copy = copyOf(path)
    const wide = queries.map((value, i) => value * 0.3 + rows[i] * 0.5)
    const some = queryList.map((_, i) => rowOf(wide, DIM, i))
    await calibrateIndex(copy, { queries: wide })
    withIndex(copy, (index) => {
      for (const recall of [0.8, 0.9, 0.95])
        expect(meanRecall(index, some, exactIds(index, some, 10), { k: 10, recall })).toBeGreaterThanOrEqual(recall)
    })
  })

  it('gives the same for the same seed, and another for another', async () => {
    const copy = copyOf(path)
    const first = await calibrateIndex(copy, { seed: 5 })
    expect(await calibrateIndex(copy, { seed: 5 })).toEqual(first)
    expect(await calibrateIndex(copy, { seed: 6 })).not.toEqual(first)
  })

  it('leaves every byte of the data files as it was', async () => {
    const copy = copyOf(path)
    await calibrateIndex(copy, { queries })
    expect(dataFiles(copy)).toEqual(dataFiles(path))
    expect(readdirSync(copy).sort()).toEqual(readdirSync(path).sort())
  })

  it('does not change what an open index keeps', async () => {
    const copy = copyOf(path)
    const index = ZgqIndex.open(copy)
    try {
      const before = { calibration: index.info().calibration, hits: index.search(query, { recall: 0.9 }) }
      await calibrateIndex(copy, { queries })
      expect({ calibration: index.info().calibration, hits: index.search(query, { recall: 0.9 }) }).toEqual(before)
    } finally {
      index.close()
    }
  })

  it('tells how far it is', async () => {
    const seen: string[] = []
    await calibrateIndex(copyOf(path), {
      queries,
      onProgress: ({ done, total }) => {
        seen.push(`${done}/${total}`)
      }
    })
    expect([seen[0], seen.at(-1)]).toEqual(['0/300', '300/300'])
  })

  it('rejects with the reason of the signal and keeps the old calibration', async () => {
    const abort = new AbortController()
    const reason = new Error('enough')
    expect(
      await failing({
        queries,
        signal: abort.signal,
        onProgress: ({ done }) => {
          if (done > 0) abort.abort(reason)
        }
      })
    ).toBe(reason)
  })

  it('rejects with what onProgress throws and keeps the old calibration', async () => {
    const reason = new Error('full')
    expect(
      await failing({
        queries,
        onProgress: () => {
          throw reason
        }
      })
    ).toBe(reason)
  })

  it.each<readonly [string, string, () => string | Float32Array]>([
    [
      'ZGQ_DIMENSION',
      'of another dimension in a file',
      () => fileOf('wide.fbin', fbin(queries.subarray(0, 13 * 4), 13))
    ],
    ['ZGQ_DIMENSION', 'that are no multiple of the dimension', () => queries.subarray(0, DIM + 1)],
    ['ZGQ_NON_FINITE', 'with NaN', () => queries.slice(0, DIM * 3).fill(NaN, DIM + 1, DIM + 2)],
    [
      'ZGQ_NON_FINITE',
      'with infinity in a file',
      () => fileOf('infinite.fbin', fbin(queries.slice(0, DIM).fill(Infinity, 1, 2), DIM))
    ],
    ['ZGQ_BUILD_INPUT', 'of which there are none', () => new Float32Array(0)],
    ['ZGQ_BUILD_INPUT', 'in an empty file', () => fileOf('none.fbin', new Uint8Array(0))],
    [
      'ZGQ_BUILD_INPUT',
      'in a file of no rows',
      () => fileOf('no-rows.fbin', fbin(new Float32Array(0), DIM).fill(DIM, 4, 5))
    ],
    ['ZGQ_TRUNCATED', 'in a file cut short', () => fileOf('short.fbin', fbin(queries, DIM).subarray(0, 500))],
    ['ZGQ_NOT_FOUND', 'in a file that is not there', () => join(temp.path, 'nowhere.fbin')]
  ])('rejects with %s for queries %s', async (code, _, make) => {
    expect(await failing({ queries: make() })).toMatchObject({ code })
  })

  it('rejects with ZGQ_ZERO_VECTOR for a query without direction under cosine, and takes it under l2', async () => {
    const zero = queries.slice(0, DIM * 3).fill(0, DIM, DIM * 2)
    expect(await failing({ queries: zero }, await build({ metric: 'cosine' }))).toMatchObject({
      code: 'ZGQ_ZERO_VECTOR'
    })
    expect(await calibrateIndex(copyOf(path), { queries: zero })).toMatchObject({ queries: 3 })
  })

  it('rejects with ZGQ_NOT_FOUND where there is no index', async () => {
    expect(await errorFrom(calibrateIndex(join(temp.path, 'nowhere')))).toMatchObject({ code: 'ZGQ_NOT_FOUND' })
  })

  it.each<readonly [string, unknown]>([
    ['queries: 5', { queries: 5 }],
    ['queries: an empty path', { queries: '' }],
    ['an unknown option', { query: queries }],
    ['a seed that is a text', { seed: '1' }]
  ])('rejects with a TypeError for %s', async (_, options) => {
    // @ts-expect-error what JavaScript may pass
    expect(await rejection(calibrateIndex(path, options))).toBeInstanceOf(TypeError)
  })

  it('rejects with ZGQ_LOCKED while another writes to the catalogue', async () => {
    const copy = copyOf(path)
    const database = new Sqlite(join(copy, CATALOGUE_NAME))
    try {
      database.exec('BEGIN IMMEDIATE')
      expect(await errorFrom(calibrateIndex(copy, { queries: queries.subarray(0, DIM * 20) }))).toMatchObject({
        code: 'ZGQ_LOCKED'
      })
    } finally {
      database.close()
    }
  })

  /** Runs work without the rights of root, which may write anywhere. */
  async function withoutRoot<T>(work: () => Promise<T>): Promise<T> {
    if (process.geteuid?.() !== 0) return work()
    process.seteuid?.(65534)
    try {
      return await work()
    } finally {
      process.seteuid?.(0)
    }
  }

  it.each([
    ['folder', 0o555, 0o666],
    ['catalogue', 0o777, 0o444]
  ] as const)(
    'rejects with ZGQ_READ_ONLY for a read-only %s, and keeps the old calibration',
    async (_, folderMode, fileMode) => {
      const copy = copyOf(path)
      chmodSync(temp.path, 0o755)
      for (const name of readdirSync(copy)) chmodSync(join(copy, name), fileMode)
      chmodSync(copy, folderMode)
      try {
        expect(await withoutRoot(async () => errorFrom(calibrateIndex(copy, { queries })))).toMatchObject({
          code: 'ZGQ_READ_ONLY'
        })
        expect(storedIn(copy)).toEqual(storedIn(path))
      } finally {
        chmodSync(copy, 0o755)
      }
    }
  )
})

describe('a build with queries', () => {
  it('that cannot be read fails before any work, and keeps the work of a build before it', async () => {
    const stages: string[] = []
    const onProgress = ({ stage }: { stage: string }): void => {
      stages.push(stage)
    }
    const output = temp.fresh('index')
    const [input, narrow] = [temp.fresh('rows.fbin'), temp.fresh('narrow.fbin')]
    writeFileSync(input, fbin(rows, DIM))
    writeFileSync(narrow, fbin(rows.subarray(0, 30), 10))
    const options = { input, output, zones: 60, onProgress }
    const bad = { ...options, queries: narrow }
    expect(await rejection(buildIndex(bad))).toMatchObject({ code: 'ZGQ_DIMENSION' })
    expect(stages).not.toContain('train')
    expect(existsSync(`${output}.building`)).toBe(false)

    const stop = new AbortController()
    const stopping = (progress: { stage: string }): void => {
      if (progress.stage === 'write') stop.abort(new Error('enough'))
    }
    await rejection(buildIndex({ ...options, onProgress: stopping, signal: stop.signal, keepWork: true }))
    expect(await rejection(buildIndex({ ...bad, queries: 'nowhere.fbin' }))).toMatchObject({ code: 'ZGQ_NOT_FOUND' })
    expect(existsSync(`${output}.building`)).toBe(true)
    const resumed: string[] = []
    await buildIndex({ ...options, onResume: (stage) => resumed.push(stage) })
    expect(resumed).toHaveLength(1)
  })

  it('is calibrated by them', async () => {
    const output = await build({ queries })
    expect(storedIn(output)).toMatchObject({ source: 'queries', queries: 300 })
    expect(storedIn(output)).toEqual(await calibrateIndex(copyOf(path), { queries }))
  })

  it.each([
    ['ZGQ_DIMENSION', new Float32Array(DIM + 1)],
    ['ZGQ_NON_FINITE', new Float32Array(DIM).fill(NaN)],
    ['ZGQ_BUILD_INPUT', new Float32Array(0)]
  ])('leaves nothing and rejects with %s for bad ones', async (code, bad) => {
    const folder = temp.fresh('refused')
    mkdirSync(folder)
    expect(
      await errorFrom(buildIndex({ input: rows, dim: DIM, zones: 10, queries: bad, output: join(folder, 'index') }))
    ).toMatchObject({ code })
    expect(readdirSync(folder)).toEqual([])
  })
})

describe('the command', () => {
  const queriesFile = fileOf('asked.fbin', fbin(queries, DIM))
  let index = ''
  beforeAll(() => {
    index = copyOf(path)
  })

  it('calibrate prints with --json what it stored', () => {
    const printed = jsonOf('calibrate', index, queriesFile)
    expect(printed).toEqual({ path: index, calibration: storedIn(index) })
    expect(storedIn(index)).toMatchObject({ source: 'queries', queries: 300 })
  })

  it('calibrate prints for people a line for each recall, without queries too', () => {
    const copy = copyOf(path)
    const { code, stdout } = runZgq('calibrate', copy, '--seed', '3')
    expect({ code, lines: stdout.split('\n').filter((line) => /^ +0\.\d+ /.test(line)).length }).toEqual({
      code: 0,
      lines: CALIBRATED_RECALLS.length + 1
    })
    expect(stdout).toContain('1,000 rows of the index')
    expect(storedIn(copy)).not.toEqual(storedIn(path))
  })

  it('calibrate refuses a seed beside queries with 2', () => {
    expect(runZgq('calibrate', index, queriesFile, '--seed', '3').code).toBe(2)
  })

  it('build takes --queries', () => {
    const output = temp.fresh('built')
    jsonOf('build', fileOf('rows.fbin', fbin(rows, DIM)), output, '--queries', queriesFile)
    expect(storedIn(output)).toMatchObject({ source: 'queries', queries: 300 })
  })

  it('inspect shows the calibration, as JSON and for people', () => {
    expect(jsonOf('inspect', index)).toMatchObject({ calibration: storedIn(index) })
    const { stdout } = runZgq('inspect', index)
    for (const part of ['calibration by 300 queries', '0.95', 'zones, k=10']) expect(stdout).toContain(part)
  })

  it('eval prints a row for each recall in the order asked, with the recall asked for and the mean number of zones', () => {
    const truth = fileOf('truth.ivecs', ivecs(withIndex(index, (open) => exactIds(open, queryList, 10))))
    const meanZones = (recall: number): number =>
      withIndex(index, (open) => {
        const zones = queryList.map((some) => open.search(some, { recall, explain: true }).explain.zones.length)
        return Math.round((zones.reduce((sum, value) => sum + value, 0) / zones.length) * 10) / 10
      })
    expect(jsonOf('eval', index, queriesFile, truth, '--recall', '.95,0.8,.9')).toMatchObject({
      k: 10,
      queries: 300,
      rows: [0.95, 0.8, 0.9].map((target) => ({
        target,
        nprobe: meanZones(target),
        recall: expect.toSatisfy((recall: number) => recall >= target)
      }))
    })
  })
})
