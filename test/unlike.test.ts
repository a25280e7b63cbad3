// Queries unlike those of the calibration: they are seen when they come, searched with more zones, and counted.

import { beforeAll, describe, expect, it } from 'vitest'

import { buildIndex, calibrateIndex } from '../src/build.ts'
import { findUsual } from '../src/build/calibration-usual.ts'
import type { Metric } from '../src/types.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { rowOf } from './support/brute-force.ts'
import { normal } from './support/datasets.ts'
import { randomFrom } from './support/random.ts'
import { exactIds, mean, meanRecall } from './support/recall.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('unlike', IN_MEMORY)
const SEED = 61
const DIM = 32
const CLUSTERS = 200
const COUNT = 6000

const gaussian = (count: number, seed: number): Float32Array => {
  const random = randomFrom(seed)
  return Float32Array.from({ length: count * DIM }, () => normal(random))
}
const centres = gaussian(CLUSTERS, SEED)
const clustered = (count: number, seed: number): Float32Array => {
  const random = randomFrom(seed)
  const vectors = new Float32Array(count * DIM)
  for (let row = 0; row < count; row++) {
    const at = Math.floor(random() * CLUSTERS) * DIM
    for (let i = 0; i < DIM; i++) vectors[row * DIM + i] = centres[at + i] + 0.2 * normal(random)
  }
  return vectors
}
const listOf = (vectors: Float32Array): Float32Array[] =>
  Array.from({ length: vectors.length / DIM }, (_, i) => rowOf(vectors, DIM, i))

const alike = clustered(200, SEED + 2)
const strange = gaussian(100, SEED + 3)

describe.each<Metric>(['l2', 'cosine', 'ip'])(`queries unlike a base of clusters (%s, seed ${SEED})`, (metric) => {
  let path = ''
  beforeAll(async () => {
    path = temp.fresh('index')
    await buildIndex({ input: clustered(COUNT, SEED + 1), dim: DIM, metric, zones: 120, output: path })
  })

  it('reach the recall that is asked for within .05, and are explained as unlike', () => {
    const index = ZgqIndex.open(path)
    try {
      const list = listOf(strange)
      for (const [k, recall] of [
        [10, 0.9],
        [1, 0.9],
        [10, 0.95]
      ]) {
        const found = meanRecall(index, list, exactIds(index, list, k), { k, recall })
        expect({ k, recall, found }).toEqual({ k, recall, found: expect.toSatisfy((value) => value >= recall - 0.05) })
      }
      const seen = list.map((query) => index.search(query, { recall: 0.9, explain: true }).explain)
      expect(mean(seen.map(({ unlike }) => (unlike ? 1 : 0)))).toBeGreaterThan(0.8)
      expect(mean(seen.map(({ zones }) => zones.length))).toBeLessThan(index.info().zones)
    } finally {
      index.close()
    }
  })

  it('are counted, and warned of', async () => {
    const index = ZgqIndex.open(path, { threads: 0 })
    try {
      expect(index.info().queries).toEqual({ byRecall: 0, unlike: 0 })
      const unlike = listOf(strange).filter((query) => index.search(query, { explain: true }).explain.unlike).length
      expect(index.info().queries).toEqual({ byRecall: 100, unlike })
      expect(index.info().warnings).toEqual([expect.stringContaining(`${unlike} of 100 queries were unlike`)])
      await index.searchBatch(strange)
      await index.searchAsync(rowOf(alike, DIM, 0), { nprobe: 3 })
      expect(index.info().queries).toEqual({ byRecall: 200, unlike: 2 * unlike })
    } finally {
      index.close()
    }
  })

  it('are rare among queries like the base', () => {
    const index = ZgqIndex.open(path)
    try {
      for (const query of listOf(alike)) index.search(query, { recall: 0.95 })
      const { byRecall, unlike } = index.info().queries
      expect(byRecall).toBe(200)
      // ip misses hits now and then, and what it then finds is unusually far.
      expect(unlike / byRecall).toBeLessThan(metric === 'ip' ? 0.15 : 0.03)
    } finally {
      index.close()
    }
  })

  it('are unlike no more once they have calibrated the index', async () => {
    await calibrateIndex(path, { queries: gaussian(400, SEED + 4) })
    const index = ZgqIndex.open(path)
    try {
      for (const query of listOf(strange)) index.search(query, { recall: 0.9 })
      expect(index.info().queries.unlike).toBeLessThanOrEqual(3)
    } finally {
      index.close()
    }
  })
})

describe(`queries unlike a base of so few rows that all zones cost no more than some (seed ${SEED})`, () => {
  it('search all zones once, and nothing twice', async () => {
    const path = temp.fresh('index')
    await buildIndex({ input: clustered(COUNT, SEED + 1), dim: DIM, output: path })
    const index = ZgqIndex.open(path)
    try {
      expect(index.info().plan.kind).toBe('recall')
      const seen = listOf(strange).map((query) => index.search(query, { recall: 0.99, explain: true }).explain)
      const beyond = seen.filter(({ unlike }) => unlike)
      expect(beyond.length).toBeGreaterThan(80)
      expect(mean(beyond.map(({ zones }) => zones.length))).toBeGreaterThan(0.9 * index.info().zones)
      expect(mean(beyond.map(({ vectorsScanned }) => vectorsScanned))).toBeLessThan(1.2 * COUNT)
    } finally {
      index.close()
    }
  })
})

describe('what is usual', () => {
  it('is more than what was seen, less so below than above, the farthest of 1,000 left out', () => {
    const values = Array.from({ length: 1000 }, (_, i) => 100 + i)
    const { nearestZone, farthestZone, farthestHit } = findUsual('l2', values, [...values.slice(1), 1e6]) ?? {}
    expect(nearestZone).toBeCloseTo(101 - 0.1 * 499, 6)
    expect(farthestZone).toBeCloseTo(1098 + 0.5 * 498, 6)
    expect(farthestHit).toBeCloseTo(1099 + 0.5 * 498, 6)
  })

  it('is not known of fewer than 100 queries that have neighbours', () => {
    const values = Array.from({ length: 100 }, (_, i) => i)
    expect(findUsual('l2', [], [])).toBeUndefined()
    expect(findUsual('l2', values, values.slice(1))).toBeUndefined()
    expect(findUsual('l2', values, values)).toBeDefined()
  })
})
