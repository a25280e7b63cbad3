// What an open index says of its zones, compared with the rows that are in them.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { buildIndex } from '../src/build.ts'
import { ZgqIndex } from '../src/index.ts'
import { codeOf } from './support/errors.ts'
import { makeVectors } from './support/datasets.ts'
import { useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('zones')
const DIM = 6
const COUNT = 900
const norm = (values: Float32Array): number => Math.hypot(...values)

describe.each(['l2', 'cosine', 'ip'] as const)('zones() of an index with %s', (metric) => {
  let index: ZgqIndex
  beforeAll(async () => {
    const output = temp.fresh(metric)
    await buildIndex({
      input: makeVectors('clustered', { count: COUNT, dim: DIM }, 5),
      dim: DIM,
      metric,
      zones: 12,
      output
    })
    index = ZgqIndex.open(output)
  })
  afterAll(() => {
    index.close()
  })

  it('describes each zone once, in the order of their numbers, and all rows', () => {
    const zones = index.zones()
    expect(zones.map(({ zone }) => zone)).toEqual(Array.from({ length: index.info().zones }, (_, zone) => zone))
    expect(zones.reduce((sum, { rows }) => sum + rows, 0)).toBe(COUNT)
    expect(
      zones
        .map(({ rows }) => rows)
        .sort((a, b) => a - b)
        .at(-1)
    ).toBe(index.info().zoneRows.max)
  })

  it('says how far the rows of a zone are from its centroid, and how long they are', () => {
    for (const { zone, rows, radius, minNorm, maxNorm, centroid } of index.zones()) {
      const { hits, explain } = index.search(centroid, { nprobe: 1, k: COUNT, explain: true })
      if (explain.zones[0] !== zone) continue // with ip the nearest zone to a centroid may be another one
      const found = hits.map(({ id }) => index.get(id) ?? new Float32Array(0))
      const distances = found.map((row) => {
        const scale = metric === 'cosine' ? norm(row) : 1
        return norm(row.map((value, i) => value / scale - centroid[i]))
      })
      expect(found).toHaveLength(rows)
      expect(radius).toBeCloseTo(Math.max(...distances), 4)
      expect(minNorm).toBeCloseTo(Math.min(...found.map(norm)), 4)
      expect(maxNorm).toBeCloseTo(Math.max(...found.map(norm)), 4)
    }
    expect.hasAssertions()
  })

  it('gives copies: changing one changes no answer', () => {
    const query = index.zones()[0].centroid
    const before = index.search(query, { nprobe: 2 })
    for (const { centroid } of index.zones()) centroid.fill(0)
    expect(index.search(query, { nprobe: 2 })).toEqual(before)
    expect(index.zones()[0].centroid).toEqual(query)
  })

  it('is ZGQ_CLOSED once the index is', () => {
    const closed = ZgqIndex.open(index.info().path)
    closed.close()
    expect(codeOf(() => closed.zones())).toBe('ZGQ_CLOSED')
  })
})
