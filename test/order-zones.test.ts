// Numbers of zones: near zones have near ones, and the same on every machine.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { inOrder, orderZones } from '../src/build/order-zones.ts'
import { buildIndex } from '../src/build.ts'
import { FoldRows } from '../src/fold/fold-rows.ts'
import { trainRows } from '../src/fold/train-rows.ts'
import { ZgqIndex } from '../src/index.ts'
import { randomFrom } from './support/random.ts'
import { readVectors } from './support/recall.ts'
import { useTempFolder } from './support/temp-folder.ts'

const random = randomFrom(5)
const noise = Float32Array.from({ length: 1500 * 4 }, random)
describe.each([
  ['no zone', new Float32Array(0), 3],
  ['one zone', Float32Array.of(1, 2, 3), 3],
  ['equal zones', new Float32Array(1000 * 2).fill(7), 2],
  ['noise (seed 5)', noise, 4],
  ['values beyond float32', Float32Array.from(noise, (value, i) => (i % 7 === 0 ? Infinity : value * 1e38)), 4]
])('the order of %s', (_, centroids, dim) => {
  const order = orderZones(centroids, dim)

  it('has each number once, the same each time', () => {
    expect(Array.from(order).sort((a, b) => a - b)).toEqual(
      Array.from({ length: centroids.length / dim }, (__, i) => i)
    )
    expect(orderZones(centroids.slice(), dim)).toEqual(order)
  })
})

it('is that of the points on a line, whatever their order was', () => {
  const places = Float32Array.from(noise.subarray(0, 1200), (value) => Math.round(value * 1e6))
  const line = Float32Array.from({ length: places.length * 3 }, (_, i) => places[Math.floor(i / 3)] * ((i % 3) + 1))
  const found = Array.from(inOrder(places, 1, orderZones(line, 3)))
  const sorted = Array.from(places).sort((a, b) => a - b)
  expect(found[0] < found[1199] ? found : found.reverse()).toEqual(sorted)
})

it('puts the values of zones where their new numbers are', () => {
  expect(inOrder(Float32Array.of(0, 1, 10, 11, 20, 21), 2, Uint32Array.of(2, 0, 1))).toEqual(
    Float32Array.of(20, 21, 0, 1, 10, 11)
  )
})

/** Counts the places of zones: those that are numbered in a row are one. */
function placesOf(zones: readonly number[]): number {
  const found = new Set(zones)
  return zones.filter((zone) => !found.has(zone - 1)).length
}

/** Share of the places that zones numbered by chance would be. */
function shareOf(sets: readonly (readonly number[])[], zoneCount: number): number {
  const places = sets.reduce((sum, zones) => sum + placesOf(zones), 0)
  return places / sets.reduce((sum, { length }) => sum + length * (1 - (length - 1) / zoneCount), 0)
}

describe('zones that are near', () => {
  const temp = useTempFolder('order-zones')
  const base = readVectors('sift10k.base.u8bin')
  const { dim } = base
  const asked = readVectors('sift10k.queries.u8bin').rows
  const queries = Array.from({ length: 100 }, (_, i) => asked.slice(i * dim, (i + 1) * dim))
  let index: ZgqIndex
  beforeAll(async () => {
    const output = temp.fresh('sift')
    await buildIndex({ input: base.rows, dim, zones: 400, output })
    index = ZgqIndex.open(output)
  })
  afterAll(() => {
    index.close()
  })

  it('lie in a row more often than by chance, after a build', () => {
    const probed = queries.map((query) => index.search(query, { nprobe: 32, explain: true }).explain.zones)
    expect(shareOf(probed, index.info().zones)).toBeLessThan(0.75)
  })

  it('lie in a row more often than by chance, where a fold trains them', () => {
    const rows = new FoldRows({ dim, idType: 'integer' })
    for (let id = 0; id < 4000; id++)
      rows.takeFresh(id, { id, vector: base.rows.slice(id * dim, (id + 1) * dim), payload: undefined })
    const { centroids } = trainRows(rows, { zones: 200, metric: 'l2', seed: 1 }, () => undefined)
    expect(
      shareOf(
        queries.map((query) => nearest(centroids, query, 16)),
        200
      )
    ).toBeLessThan(0.75)
  })
})

function nearest(centroids: Float32Array, query: Float32Array, wanted: number): number[] {
  const distances = Array.from({ length: centroids.length / query.length }, (_, zone) =>
    query.reduce((sum, value, i) => sum + (value - centroids[zone * query.length + i]) ** 2, 0)
  )
  return Array.from(distances.keys())
    .sort((a, b) => distances[a] - distances[b])
    .slice(0, wanted)
}
