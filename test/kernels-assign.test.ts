// Assignment by 16-bit integers: the same bits in both kernels, and near what plain arithmetic says.

import { describe, expect, it } from 'vitest'

import type { KernelMemory } from '../src/kernels/kernel-memory.ts'
import { product, rowOf, squaredDistance } from './support/brute-force.ts'
import { KERNEL_KINDS, memoryOf, put } from './support/kernels.ts'
import { anyFloat, randomFrom, randomVectors, smallInteger } from './support/random.ts'

const SEED = 27
const DIMS = [1, 2, 3, 7, 8, 9, 16, 100, 768, 1536, 4096]
const COUNTS = [0, 1, 3, 4, 5, 33]
/** 70 zones of 4,096 values take three tiles. */
const ZONE_COUNTS = [1, 2, 5, 70]
const MOST_ZONES = 70

interface Sets {
  readonly dim: number
  readonly count: number
  readonly rows: Float32Array
  readonly centroids: Float32Array
}

interface Quantized {
  readonly integers: Int16Array
  readonly units: Float32Array
  readonly at: { readonly rows: number; readonly units: number }
}

function quantize(memory: KernelMemory, values: Float32Array, dim: number): Quantized {
  const width = (dim + 7) & ~7
  const count = values.length / dim
  const at = { rows: memory.allocate(count * width * 2), units: memory.allocate(count * 4) }
  memory.bytesAt(at.rows, count * width * 2).fill(7) // what lies behind the last dimension is written too
  memory.kernel.quantizeRows(put(memory, values), count, dim, at.rows, at.units)
  return {
    integers: new Int16Array(memory.bytesAt(at.rows, count * width * 2).slice().buffer),
    units: memory.float32At(at.units, count).slice(),
    at
  }
}

function assigned(
  memory: KernelMemory,
  { rows, centroids, count, dim }: Sets
): { zones: number[]; scores: number[] }[] {
  const [of, to] = [quantize(memory, rows, dim), quantize(memory, centroids, dim)]
  const halfNorms = Float32Array.from({ length: MOST_ZONES }, (_, zone) => {
    const centroid = rowOf(centroids, dim, zone)
    return product(centroid, centroid) / 2
  })
  const run = {
    rows: of.at.rows,
    units: of.at.units,
    count,
    width: (dim + 7) & ~7,
    centroids: to.at.rows,
    centroidUnits: to.at.units,
    halfNorms: put(memory, halfNorms),
    zones: memory.allocate(count * 4),
    scores: memory.allocate(count * 4)
  }
  return ZONE_COUNTS.map((zoneCount) => {
    memory.kernel.assign({ ...run, zoneCount })
    return { zones: [...memory.uint32At(run.zones, count)], scores: [...memory.float32At(run.scores, count)] }
  })
}

function* sets(value: typeof anyFloat): Generator<Sets> {
  const random = randomFrom(SEED)
  for (const dim of DIMS) {
    for (const count of COUNTS) {
      const rows = randomVectors({ count, dim }, random, value)
      const centroids = randomVectors({ count: MOST_ZONES, dim }, random, value)
      if (count > 4) rows.fill(0, dim, 2 * dim)
      if (count > 4) rows.fill(32_767, 2 * dim, 3 * dim) // the largest products that there can be
      if (count > 4) centroids.fill(-32_767, 0, dim)
      yield { dim, count, rows, centroids }
    }
  }
}

const nameOf = ({ dim, count }: Sets): string => `${count} rows of ${dim}`

describe.each([
  ['random floats', anyFloat],
  ['small integers', smallInteger]
])(`rows as integers (%s, seed ${SEED})`, (_, value) => {
  it('are the same in both kernels, and within half a unit of the rows', () => {
    for (const { rows, dim, ...rest } of sets(value)) {
      const where = nameOf({ rows, dim, ...rest })
      const [wasm, scalar] = KERNEL_KINDS.map((kind) => quantize(memoryOf(kind), rows, dim))
      expect(scalar.integers, where).toEqual(wasm.integers)
      expect(scalar.units, where).toEqual(wasm.units)
      const width = (dim + 7) & ~7
      for (const [i, integer] of wasm.integers.entries()) {
        const [row, at] = [Math.floor(i / width), i % width]
        const wanted = at < dim ? rows[row * dim + at] : 0
        const unit = wasm.units[row]
        if (Math.abs(integer * unit - wanted) > 0.51 * unit) expect(integer * unit, where).toBe(wanted)
      }
    }
  })

  it('find the same centroids in both kernels, and none that is much farther than the nearest', () => {
    for (const some of sets(value)) {
      const where = nameOf(some)
      const [wasm, scalar] = KERNEL_KINDS.map((kind) => assigned(memoryOf(kind), some))
      expect(scalar, where).toEqual(wasm)
      for (const [i, { zones }] of wasm.entries()) {
        for (const [row, zone] of zones.entries()) {
          const x = rowOf(some.rows, some.dim, row)
          const distances = Array.from({ length: ZONE_COUNTS[i] }, (__, of) =>
            squaredDistance(x, rowOf(some.centroids, some.dim, of))
          )
          const excess = distances[zone] - Math.min(...distances)
          expect(excess, where).toBeLessThanOrEqual(1e-3 * (distances[zone] + product(x, x)) + 1e-30)
        }
      }
    }
  })
})
