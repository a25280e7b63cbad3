// How a search goes that is told nothing, or a recall: exactly where that costs no more, by the calibration, or,
// without one, by a fixed number of zones; and what says so.

import { writeFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'

import { buildIndex, calibrateIndex, type BuildOptions, type BuildReport } from '../src/build.ts'
import type { SegmentRecord } from '../src/format/segment-record.ts'
import type { SegmentTable } from '../src/format/segment-table.ts'
import { findDoubts, type DoubtedIndex } from '../src/search/doubts.ts'
import { isAlwaysExact, isExactWorthwhile } from '../src/search/strategy.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { rowOf } from './support/brute-force.ts'
import { makeVectors } from './support/datasets.ts'
import { codeOf } from './support/errors.ts'
import { jsonOf, runZgq } from './support/run-zgq.ts'
import { rejection } from './support/small-build.ts'
import { tableOf, zoneOf } from './support/snapshot.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'
import { fbin } from './support/vector-files.ts'

const temp = useTempFolder('plans', IN_MEMORY)
const SEED = 4

async function build(
  count: number,
  dim: number,
  options: Partial<BuildOptions> = {}
): Promise<{ path: string; report: BuildReport; rows: Float32Array }> {
  const path = temp.fresh('index')
  const rows = makeVectors('normal', { count, dim }, SEED)
  return { path, rows, report: await buildIndex({ input: rows, dim, output: path, ...options }) }
}

function withIndex<T>(path: string, work: (index: ZgqIndex) => T): T {
  const index = ZgqIndex.open(path)
  try {
    return work(index)
  } finally {
    index.close()
  }
}

describe(`a small index of 1,000 x 64 (seed ${SEED})`, () => {
  let small: Awaited<ReturnType<typeof build>>
  const queries = makeVectors('normal', { count: 20, dim: 64 }, SEED + 1)
  const queryList = Array.from({ length: 20 }, (_, i) => rowOf(queries, 64, i))
  beforeAll(async () => {
    small = await build(1000, 64)
  })

  it('is not calibrated by its build, and says that any recall is met exactly, without a warning', () => {
    expect(small.report.warnings).toEqual([])
    expect(withIndex(small.path, (index) => index.info())).toMatchObject({
      calibration: null,
      plan: { kind: 'exact', reason: expect.stringContaining('any recall') },
      warnings: []
    })
  })

  it('never misses a hit, whatever recall is asked for', async () => {
    const index = ZgqIndex.open(small.path)
    try {
      for (const k of [1, 10, 100]) {
        const exact = queryList.map((query) => index.search(query, { k, exact: true }))
        for (const options of [{ k }, { k, recall: 0.5 }, { k, recall: 0.99999 }]) {
          expect(queryList.map((query) => index.search(query, options))).toEqual(exact)
          expect(await index.searchBatch(queries, options)).toEqual(exact)
        }
      }
    } finally {
      index.close()
    }
  })

  it('probes as many zones as nprobe says', () => {
    withIndex(small.path, (index) => {
      expect(index.search(queryList[0], { nprobe: 3, explain: true }).explain.zones).toHaveLength(3)
    })
  })

  it('has a calibration where queries are given, and stays exact', async () => {
    await calibrateIndex(small.path, { queries })
    withIndex(small.path, (index) => {
      expect(index.info()).toMatchObject({ calibration: { source: 'queries' }, plan: { kind: 'exact' } })
      expect(index.search(queryList[0], { recall: 0.6 })).toEqual(index.search(queryList[0], { exact: true }))
    })
  })
})

describe('an exact search is the plan', () => {
  const shapes = [8, 64, 384, 1536].flatMap((dim) =>
    Array.from({ length: 30 }, (_, i) => ({ count: Math.round(1.5 ** i), dim }))
  )

  it('for small indexes and not for large ones, with one border between them', () => {
    for (const dim of [8, 64, 384, 1536]) {
      const answers = shapes.filter((shape) => shape.dim === dim).map(isAlwaysExact)
      expect([answers[0], answers.at(-1)]).toEqual([true, false])
      expect(answers.slice(answers.indexOf(false))).not.toContain(true)
    }
    expect([1000, 1500].map((count) => isAlwaysExact({ count, dim: 64 }))).toEqual([true, false])
  })

  it('where the calibration says that nearly all zones would be probed, and not where few would be, nor with codes', () => {
    const index = { count: 3000, dim: 64, bits: 0, zoneCount: 23, deltaRows: 0 }
    expect([18.5, 2].map((zones) => isExactWorthwhile(index, { zones, k: 10 }))).toEqual([true, false])
    expect(isExactWorthwhile({ ...index, bits: 4 }, { zones: 18.5, k: 10 })).toBe(false)
  })

  it('for more zones if it is for fewer, and never for a large index', () => {
    for (const { count, dim } of shapes) {
      const answers = Array.from({ length: 40 }, (_, i) =>
        isExactWorthwhile({ count, dim, bits: 0, zoneCount: 40, deltaRows: 0 }, { zones: i + 1, k: 10 })
      )
      expect(answers.includes(true) ? answers.slice(answers.indexOf(true)) : []).not.toContain(false)
      if (count * dim > 2 ** 22) expect(answers).not.toContain(true)
    }
  })
})

describe('an index without codes and without structure of 3,000 x 64', () => {
  it('is searched exactly by default, as its calibration says that nearly all would be scanned', async () => {
    const output = temp.fresh('uniform')
    const input = makeVectors('uniform', { count: 3000, dim: 64 }, SEED)
    await buildIndex({ input, dim: 64, output, bits: 0 })
    withIndex(output, (index) => {
      expect(index.info()).toMatchObject({ plan: { kind: 'exact' }, calibration: { source: 'base' } })
      for (let i = 0; i < 50; i++) {
        const query = rowOf(input, 64, i).map((value, at) => (value + input[(i + 50) * 64 + at]) / 2)
        expect(index.search(query)).toEqual(index.search(query, { exact: true }))
      }
    })
  })
})

describe('a build that is told not to calibrate', () => {
  let bare: Awaited<ReturnType<typeof build>>
  beforeAll(async () => {
    bare = await build(3000, 32, { calibrate: false, zones: 60 })
  })

  it('leaves an index that promises no recall, and says so', () => {
    expect(bare.report.warnings).toEqual([expect.stringContaining('not calibrated')])
    withIndex(bare.path, (index) => {
      expect(index.info()).toMatchObject({
        calibration: null,
        plan: { kind: 'nprobe', reason: expect.stringContaining('zones') },
        warnings: bare.report.warnings
      })
      const query = rowOf(bare.rows, 32, 0)
      expect(codeOf(() => index.search(query, { recall: 0.9 }))).toBe('ZGQ_UNSUPPORTED')
      expect(index.search(query, { explain: true }).explain.zones.length).toBeLessThan(index.info().zones)
    })
  })

  it('refuses queries, which would be for nothing', async () => {
    const options = { calibrate: false, queries: bare.rows.slice(0, 32) }
    expect(await rejection(build(100, 32, options))).toBeInstanceOf(TypeError)
  })

  it('is what --no-calibrate does; build and inspect print the warning', () => {
    const file = temp.fresh('rows.fbin')
    writeFileSync(file, fbin(bare.rows, 32))
    const output = temp.fresh('command')
    const { stdout } = runZgq('build', file, output, '--no-calibrate')
    expect(stdout).toMatch(/warning +No recall is promised/)
    expect(runZgq('inspect', output).stdout).toMatch(/warning +No recall is promised/)
    expect(jsonOf('inspect', output)).toMatchObject({ plan: { kind: 'nprobe' }, warnings: bare.report.warnings })
  })
})

describe('a promise is doubtful', () => {
  const ordinary = [1, 1.1, 1.2].map((maxNorm) => ({ rowCount: 1000, minNorm: maxNorm / 2, maxNorm }))
  const segmentsOfNorms = (norms: readonly Pick<SegmentRecord, 'rowCount' | 'minNorm' | 'maxNorm'>[]): SegmentTable =>
    tableOf(
      norms.map((facts, zone) => zoneOf({ ...facts, zone, segment: zone, centroid: new Float32Array(1) })),
      norms.length
    )
  const sound: DoubtedIndex = {
    meta: { metric: 'ip' },
    segments: segmentsOfNorms(ordinary),
    calibration: {
      source: 'base',
      queries: 1000,
      confidence: 0.95,
      highestRecall: 0.9973,
      scale: 1,
      curves: [],
      copies: 0.01
    },
    plan: { kind: 'recall', reason: '' },
    queries: { byRecall: 1000, unlike: 9 }
  }
  const { calibration } = sound

  it('nowhere in an ordinary index', () => {
    expect(findDoubts(sound)).toEqual([])
  })

  it.each<readonly [string, string, Partial<DoubtedIndex>]>([
    ['without a calibration', 'not calibrated', { calibration: null, plan: { kind: 'nprobe', reason: '' } }],
    [
      'where too few queries were measured for the default recall',
      '0.9174',
      { calibration: calibration && { ...calibration, queries: 30, highestRecall: 0.9174 } }
    ],
    ['where many rows have copies', '31 %', { calibration: calibration && { ...calibration, copies: 0.31 } }],
    [
      'where rows of very unequal length were taken for queries under ip',
      '50 times',
      { segments: segmentsOfNorms([...ordinary, { rowCount: 3, minNorm: 1, maxNorm: 41.25 }]) }
    ],
    ['where many queries were unlike', '40 of 1000', { queries: { byRecall: 1000, unlike: 40 } }]
  ])('%s', (_, part, change) => {
    expect(findDoubts({ ...sound, ...change })).toEqual([expect.stringContaining(part)])
  })

  it('no more where queries were given to calibrate with', () => {
    const given = calibration && { ...calibration, source: 'queries' as const, copies: 0.5 }
    expect(findDoubts({ ...sound, calibration: given })).toEqual([])
  })
})
