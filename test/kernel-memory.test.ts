// The memory of a kernel: what is handed out lies apart, what is given back is used again.

import { describe, expect, it } from 'vitest'

import type { KernelMemory } from '../src/kernels/kernel-memory.ts'
import { heapByteLength } from '../src/kernels/addresses.ts'
import { CANDIDATE_BYTES, CANDIDATES_HEADER_BYTES } from '../src/kernels/layouts.ts'
import { Regions } from '../src/kernels/regions.ts'
import { QueryRotation } from '../src/quantizer/query-codes.ts'
import { SearchState } from '../src/search/search-state.ts'
import { Workspace } from '../src/search/workspace.ts'
import { KERNEL_KINDS, memoryOf } from './support/kernels.ts'
import { randomFrom } from './support/random.ts'
import { snapshotOf, zoneOf } from './support/snapshot.ts'

const SEED = 140

interface Region {
  readonly start: number
  readonly byteLength: number
  /** What its bytes were filled with. */
  readonly mark: number
}

/** Sizes of a few bytes to some hundred kilobytes, 0 among them. */
function anySize(random: () => number): number {
  return Math.floor(random() ** 4 * 300_000)
}

function allocateMarked(memory: KernelMemory, byteLength: number, mark: number): Region {
  const start = memory.allocate(byteLength)
  memory.bytesAt(start, byteLength).fill(mark)
  return { start, byteLength, mark }
}

function takeOut<T>(list: T[], random: () => number): T {
  return list.splice(Math.floor(random() * list.length), 1)[0]
}

const roundedUp = (byteLength: number): number => Math.max(64, Math.ceil(byteLength / 64) * 64)

describe.each(KERNEL_KINDS)('memory of the %s kernel', (kind) => {
  it(`hands out aligned regions of zeros that keep what is written to them (seed ${SEED})`, () => {
    const random = randomFrom(SEED)
    const memory = memoryOf(kind)
    const held: Region[] = []
    for (let step = 0; step < 1500; step++) {
      if (held.length > 0 && random() < 0.48) {
        const { start, byteLength, mark } = takeOut(held, random)
        expect(memory.bytesAt(start, byteLength).every((byte) => byte === mark)).toBe(true)
        memory.free(start)
      } else {
        const byteLength = anySize(random)
        const start = memory.allocate(byteLength)
        expect(start % 64).toBe(0)
        expect(start).toBeGreaterThan(0)
        expect(start + byteLength).toBeLessThanOrEqual(memory.bytes.byteLength)
        const bytes = memory.bytesAt(start, byteLength)
        expect(bytes.every((byte) => byte === 0)).toBe(true)
        const mark = 1 + Math.floor(random() * 255)
        bytes.fill(mark)
        held.push({ start, byteLength, mark })
      }
      expect(memory.usedByteLength).toBe(held.reduce((sum, { byteLength }) => sum + roundedUp(byteLength), 0))
    }
  })

  it(`does not grow where all is given back and allocated again, a hundred times (seed ${SEED + 1})`, () => {
    const random = randomFrom(SEED + 1)
    const memory = memoryOf(kind)
    const kept = [allocateMarked(memory, 1000, 7)]
    const sizes = Array.from({ length: 60 }, () => anySize(random))
    let held = sizes.map((byteLength) => memory.allocate(byteLength))
    kept.push(allocateMarked(memory, 1000, 8)) // so that blocks between the two have to be joined again
    const before = { buffer: memory.kernel.buffer.byteLength, used: memory.usedByteLength }
    for (let round = 0; round < 100; round++) {
      while (held.length > 0) memory.free(takeOut(held, random))
      held = sizes.map((byteLength) => memory.allocate(byteLength))
    }
    expect({ buffer: memory.kernel.buffer.byteLength, used: memory.usedByteLength }).toEqual(before)
    for (const { start, byteLength, mark } of kept)
      expect(memory.bytesAt(start, byteLength).every((byte) => byte === mark)).toBe(true)
  })

  it('throws where what is given back is not allocated: twice, in the middle, never', () => {
    const memory = memoryOf(kind)
    const [first, second] = [memory.allocate(1000), memory.allocate(1000)]
    memory.free(first)
    for (const wrong of [first, second + 64, second + 1024, 2 ** 31, -64, NaN])
      expect(() => {
        memory.free(wrong)
      }, `${wrong}`).toThrow(RangeError)
    expect(memory.usedByteLength).toBe(1024)
    memory.free(0) // none
    expect(memory.usedByteLength).toBe(1024)
  })

  it('replaces a region by a larger one, and leaves it where there is no room', () => {
    const memory = memoryOf(kind)
    const region = allocateMarked(memory, 1000, 5)
    expect(() => memory.replace(region.start, 2 ** 33)).toThrow(/kernel memory is limited to 4 GiB/)
    expect(memory.bytesAt(region.start, 1000).every((byte) => byte === 5)).toBe(true)
    expect(memory.usedByteLength).toBe(1024)
    const larger = memory.replace(region.start, 5000)
    expect(memory.usedByteLength).toBe(roundedUp(5000))
    expect(memory.bytesAt(larger, 5000).every((byte) => byte === 0)).toBe(true)
  })
})

describe('heaps and candidates of a search', () => {
  const DIM = 16
  const snapshot = snapshotOf({ dim: DIM, metric: 'l2', zones: [zoneOf({ centroid: new Float32Array(DIM) })] })

  it('give the smaller place back where they move to a larger one', () => {
    const memory = memoryOf('wasm')
    const workspace = new Workspace(snapshot, memory)
    const rotation = { dim: DIM, flips: new Uint8Array((3 * DIM) / 8), mean: new Float32Array(DIM) }
    const state = new SearchState(snapshot.meta, workspace, new QueryRotation(memory, rotation))
    const before = memory.usedByteLength
    for (const k of [1, 65, 1000, 50_000]) {
      state.startHits(k)
      state.codes?.start(k, 0)
    }
    const candidates = CANDIDATES_HEADER_BYTES + 32 * 50_000 * CANDIDATE_BYTES
    const taken = 2 * roundedUp(heapByteLength(50_000)) + roundedUp(candidates)
    expect(memory.usedByteLength - before).toBe(taken)
  })
})

describe('the book of regions', () => {
  const takeAt = (regions: Regions, byteLength: number): number => {
    const place = regions.place(byteLength)
    regions.take(place)
    return place.start
  }

  it(`says as a map of granules does what overlaps, fits and ends where (seed ${SEED + 2})`, () => {
    const random = randomFrom(SEED + 2)
    const regions = new Regions()
    /** By granule: the start of the region that takes it, or undefined. */
    const map: (number | undefined)[] = [0]
    const held: { start: number; granules: number }[] = []
    for (let step = 0; step < 3000; step++) {
      if (held.length > 0 && random() < (step % 600 < 300 ? 0.4 : 0.6)) {
        const { start, granules } = takeOut(held, random)
        regions.release(start)
        map.fill(undefined, start / 64, start / 64 + granules)
      } else {
        const granules = 1 + Math.floor(random() ** 3 * 20)
        const start = takeAt(regions, granules * 64 - Math.floor(random() * 64))
        const taken = map.slice(start / 64, start / 64 + granules)
        expect(taken.every((owner) => owner === undefined)).toBe(true)
        const fitsBelow = freeRuns(map).some((run) => run >= granules)
        expect(start < map.length * 64, `step ${step}`).toBe(fitsBelow)
        for (let i = 0; i < granules; i++) map[start / 64 + i] = start
        held.push({ start, granules })
      }
      while (map.at(-1) === undefined) map.pop()
      expect(regions.end).toBe(map.length * 64)
      expect(regions.usedByteLength).toBe((map.filter((owner) => owner !== undefined).length - 1) * 64)
    }
    for (const { start } of held) regions.release(start)
    expect(regions.end).toBe(64)
    expect(regions.usedByteLength).toBe(0)
  })

  it('takes the smallest free block that is large enough', () => {
    const regions = new Regions()
    const [large, , small, ,] = [640, 64, 192, 64].map((byteLength) => takeAt(regions, byteLength))
    regions.release(large)
    regions.release(small)
    expect(takeAt(regions, 128)).toBe(small)
    expect(takeAt(regions, 128)).toBe(large)
    expect(takeAt(regions, 64)).toBe(small + 128)
  })
})

/** Lengths of the runs of granules that are free. */
function freeRuns(map: readonly (number | undefined)[]): number[] {
  const runs: number[] = []
  for (let at = 0, run = 0; at < map.length; at++) {
    run = map[at] === undefined ? run + 1 : 0
    if (run > 0 && map[at + 1] !== undefined) runs.push(run)
  }
  return runs
}
