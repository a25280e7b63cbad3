// The probe: which zones a search scans, by way of the codes of centroids where there are many.

import { beforeAll, describe, expect, it } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { CONFIDENCE } from '../src/search/confidence.ts'
import { openContext, type OpenedContext } from '../src/search/open-context.ts'
import { probe, type CodedCentroids } from '../src/search/probe.ts'
import { countZones, scoreZone } from '../src/search/recall-rule.ts'
import type { SearchState } from '../src/search/search-state.ts'
import type { ProbeWish } from '../src/search/probe-wish.ts'
import { readCatalogue } from '../src/catalogue/reader.ts'
import type { Metric } from '../src/types.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { product, rowOf, squaredDistance } from './support/brute-force.ts'
import { mean, readVectors } from './support/recall.ts'
import { centroidsOf } from './support/snapshot.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('probe')
const COUNT = 5000
const THRESHOLDS = [0.5, 1, 2]
const METRICS: readonly Metric[] = ['l2', 'cosine', 'ip']
const sift = readVectors('sift10k.base.u8bin')
const DIM = sift.dim
const rows = sift.rows.slice(0, COUNT * DIM)
const asked = readVectors('sift10k.queries.u8bin').rows
const queries = Array.from({ length: 200 }, (_, i) => rowOf(asked, DIM, i * 5))

const paths = { l2: temp.fresh('l2'), cosine: temp.fresh('cosine'), ip: temp.fresh('ip') }
beforeAll(async () => {
  for (const metric of METRICS)
    await buildIndex({ input: rows, dim: DIM, metric, zones: 300, bits: 1, output: paths[metric] })
})

/** Units like those that a calibration measures here. */
const SCALE = { l2: 60_000, cosine: 0.25, ip: 120 }

/** The distance by which zones are ordered (spec, section 6), in double precision. */
function zoneDistance(metric: Metric, query: Float32Array, centroid: Float32Array): number {
  if (metric === 'ip') return -product(query, centroid)
  const norm = metric === 'cosine' ? Math.sqrt(product(query, query)) : 1
  return squaredDistance(
    query.map((value) => value / norm),
    centroid
  )
}

describe.each(METRICS)('the probe of an index with some 300 zones (%s)', (metric) => {
  /** Lists zones for every query, with the codes of centroids or without. */
  function listAll(wish: ProbeWish, isCoded: boolean): number[][] {
    const { readers, context } = openWithCodes()
    try {
      return queries.map((query) => {
        return context.states.use((state) => {
          state.start(query, { k: 1, probe: wish, explain: false, isExact: false, rerank: 0, confidence: CONFIDENCE })
          state.scaleQuery()
          probe(state, isCoded ? codedBy(context, state) : undefined)
          return state.segments.map(({ zone }) => zone)
        })
      })
    } finally {
      readers.close()
    }
  }

  const openWithCodes = (): OpenedContext =>
    openContext(readCatalogue(paths[metric]), { mapping: 'auto', cacheBytes: 2 ** 24, verify: 'touch' })

  function codedBy({ codes }: OpenedContext['context'], state: SearchState): CodedCentroids {
    if (codes?.centroids === undefined) throw new Error('there are no codes of centroids')
    state.codes?.queryCodes.set(state.codesQuery, state.scanQuery.queryNorm2, { confidence: CONFIDENCE, bits: 1 })
    return codes
  }

  const wishes: readonly (readonly [string, ProbeWish])[] = [
    ...[1, 4, 16, 60].map((nprobe): readonly [string, ProbeWish] => [`${nprobe} zones`, { nprobe }]),
    ...THRESHOLDS.map((factor): readonly [string, ProbeWish] => [
      `a threshold of ${factor} units`,
      { threshold: factor / Math.sqrt(SCALE[metric]), zones: 12, scale: SCALE[metric], recall: 0.9 }
    ])
  ]

  it.each(wishes)('lists by codes nearly the zones that it lists by all distances: %s', (_, wish) => {
    const [coded, plain] = [listAll(wish, true), listAll(wish, false)]
    const common = coded.map((zones, i) => zones.filter((zone) => plain[i].includes(zone)).length / plain[i].length)
    expect(mean(common)).toBeGreaterThanOrEqual(0.98)
    if ('threshold' in wish) expect(mean(plain.map((zones) => zones.length))).toBeGreaterThan(1.2)
    expect(mean(coded.map((zones, i) => zones.length / plain[i].length))).toBeCloseTo(1, 1)
  })

  it.each([true, false])('lists the zones in order of distance, each once (by codes: %s)', (isCoded) => {
    const centroids = centroidsOf(readCatalogue(paths[metric]))
    for (const [i, list] of listAll({ nprobe: 40 }, isCoded).entries()) {
      const distances = list.map((zone) => zoneDistance(metric, queries[i], centroids[zone]))
      const largest = Math.max(...distances.map(Math.abs))
      const outOfOrder = distances.filter((distance, at) => at > 0 && distance < distances[at - 1] - 1e-5 * largest)
      expect(outOfOrder).toEqual([])
      expect(new Set(list).size).toBe(40)
    }
  })

  it('lists by all distances exactly the nearest zones', () => {
    const centroids = centroidsOf(readCatalogue(paths[metric]))
    for (const [i, list] of listAll({ nprobe: 10 }, false).entries()) {
      const distances = centroids.map((centroid) => zoneDistance(metric, queries[i], centroid)).sort((a, b) => a - b)
      const tolerance = 1e-5 * Math.max(...distances.map(Math.abs))
      expect(
        list.filter((zone) => zoneDistance(metric, queries[i], centroids[zone]) > distances[9] + tolerance)
      ).toEqual([])
    }
  })

  it('lists the zones up to a threshold and no further', () => {
    const wish = { threshold: 2 / Math.sqrt(SCALE[metric]), zones: 1, scale: SCALE[metric], recall: 0.9 }
    const { readers, context } = openWithCodes()
    readers.close()
    const { maxNorm } = context.workspace
    const centroids = centroidsOf(readCatalogue(paths[metric]))
    for (const [i, list] of listAll(wish, false).entries()) {
      const norm = Math.sqrt(product(queries[i], queries[i]))
      const distances = centroids
        .map((centroid) => zoneDistance(metric, queries[i], centroid))
        .map((distance) => (metric === 'ip' ? maxNorm + distance / norm : distance))
        .sort((a, b) => a - b)
      // By the spec, section 7.6.
      const unit = distances[0] + 0.03 * wish.scale
      const first = distances.findIndex(
        (distance, r) => ((distance - distances[0]) / unit) * Math.sqrt((r + 1) / unit) > wish.threshold
      )
      // rounding to float32 at the edge
      expect(Math.abs(list.length - (first === -1 ? distances.length : first))).toBeLessThanOrEqual(1)
    }
  })

  it('takes a number of zones above their count for all', () => {
    const index = ZgqIndex.open(paths[metric])
    try {
      const { zones } = index.info()
      expect(zones).toBeGreaterThanOrEqual(256)
      for (const nprobe of [zones, zones + 1, 2 ** 31, Number.MAX_SAFE_INTEGER]) {
        const { hits, explain } = index.search(queries[0], { nprobe, explain: true })
        expect([...explain.zones].sort((a, b) => a - b)).toEqual(Array.from({ length: zones }, (_, i) => i))
        expect(hits).toEqual(index.search(queries[0], { nprobe: zones }))
      }
    } finally {
      index.close()
    }
  })

  it.each([
    {},
    { nprobe: 3 },
    { nprobe: 300 },
    { recall: 0.6 },
    { recall: 0.99, k: 100 },
    { exact: true },
    { nprobe: 5, rerank: 50 }
  ])('finds the same hits with explain as without: %o', (options) => {
    const index = ZgqIndex.open(paths[metric])
    try {
      for (const query of queries.slice(0, 50))
        expect(index.search(query, { ...options, explain: true }).hits).toEqual(index.search(query, options))
    } finally {
      index.close()
    }
  })
})

describe('the rule for zones', () => {
  const l2 = { metric: 'l2', ruleNorm: 0, queryNorm: 1 } as const

  it('scores the nearest zone with 0, and others the more the farther and the later they come', () => {
    expect(scoreZone(2, 2, { rank: 1, scale: 1 })).toBe(0)
    const byDistance = [2, 2.5, 3, 8].map((distance) => scoreZone(2, distance, { rank: 4, scale: 1 }))
    const byRank = [1, 2, 9, 100].map((rank) => scoreZone(2, 3, { rank, scale: 1 }))
    for (const scores of [byDistance, byRank]) expect(scores).toEqual([...new Set(scores)].sort((a, b) => a - b))
  })

  it('counts one zone at least, and all of them where no distance is above zero', () => {
    expect(countZones([1, 5, 9], { threshold: 0, scale: 1 }, l2)).toBe(1)
    expect(countZones([0, 0, 0], { threshold: 0, scale: 0 }, l2)).toBe(3)
    expect(countZones([1, 5, 9], { threshold: 1e9, scale: 1 }, l2)).toBe(3)
  })

  it('does not depend on the length of the query under ip', () => {
    const counts = [0.01, 1, 1000].map((length) =>
      countZones(
        [-9, -8, -5, -1].map((product) => product * length),
        { threshold: 2, scale: 1 },
        { metric: 'ip', ruleNorm: 10, queryNorm: length }
      )
    )
    expect(new Set(counts).size).toBe(1)
    expect(counts[0]).toBeGreaterThan(1)
    expect(counts[0]).toBeLessThan(4)
  })
})
