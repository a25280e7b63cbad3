// Assignment in two levels, for many centroids: a row meets the groups of centroids first, then the centroids of the
// nearest groups only. It may miss the nearest centroid of a row at the edge of its groups, for one that is nearly as
// near.

import { ELEMENT_BYTES } from '../format/layout.ts'
import type { KernelMemory } from '../kernels/kernel-memory.ts'
import { asCentroids, asRows, QuantizedRows } from './quantized-rows.ts'
import { countingSort, type Sorted } from '../counting-sort.ts'

/** Groups as a multiple of sqrt(centroids). */
const GROUPS_FACTOR = 1.5
/** Groups whose centroids a row meets (bench/README.md, "Build"). */
const NEAREST_GROUPS = 16
/** Rounds of Lloyd's algorithm over the centroids. */
const ROUNDS = 4

/** Where centroids lie: float32, count * dim, the same in integers, and their |c|^2 / 2. */
export interface CentroidBlock {
  readonly centroids: number
  readonly quantized: QuantizedRows
  readonly halfNorms: number
  readonly count: number
}

export class CentroidGroups {
  readonly #memory: KernelMemory
  readonly #dim: number
  readonly #rowsPerCall: number
  readonly #mostGroups: number
  // Group centroids, in float32 too, and the centroids in order of their groups, each with half norms.
  readonly #groups: number
  readonly #quantizedGroups: QuantizedRows
  readonly #groupNorms: number
  readonly #sorted: QuantizedRows
  readonly #sortedNorms: number
  /** Rows in order of their groups. */
  readonly #rows: QuantizedRows
  readonly #zones: number
  readonly #scores: number
  readonly #squares: number
  #groupCount = 0
  /** First centroid of each group in the order of groups, and the end. */
  #starts: Uint32Array = new Uint32Array(1)
  /** Number of each centroid in that order. */
  #names: Uint32Array = new Uint32Array(0)
  /** The nearest groups of each group, nearest first. */
  #neighbours: readonly (readonly number[])[] = []

  constructor(memory: KernelMemory, shape: { dim: number; rowsPerCall: number; zones: number }) {
    const { dim, rowsPerCall, zones } = shape
    this.#memory = memory
    this.#dim = dim
    this.#rowsPerCall = rowsPerCall
    this.#mostGroups = Math.ceil(GROUPS_FACTOR * Math.sqrt(zones))
    this.#groups = memory.allocate(this.#mostGroups * dim * ELEMENT_BYTES)
    this.#quantizedGroups = new QuantizedRows(memory, { dim, capacity: this.#mostGroups })
    this.#groupNorms = memory.allocate(this.#mostGroups * ELEMENT_BYTES)
    this.#sorted = new QuantizedRows(memory, { dim, capacity: zones })
    this.#sortedNorms = memory.allocate(zones * ELEMENT_BYTES)
    this.#rows = new QuantizedRows(memory, { dim, capacity: rowsPerCall })
    this.#zones = memory.allocate(Math.max(zones, rowsPerCall) * ELEMENT_BYTES)
    this.#scores = memory.allocate(Math.max(zones, rowsPerCall) * ELEMENT_BYTES)
    this.#squares = memory.allocate(this.#mostGroups * 8)
  }

  /** Groups the centroids. */
  group(block: CentroidBlock): void {
    this.#groupCount = Math.min(block.count, this.#mostGroups)
    this.#startGroups(block)
    for (let round = 0; round < ROUNDS; round++)
      this.#moveGroups(block, this.#nearestGroups(block.quantized, block.count))
    this.#sortCentroids(block, this.#nearestGroups(block.quantized, block.count))
    this.#neighbours = Array.from({ length: this.#groupCount }, (_, group) => this.#nearestTo(group))
  }

  /** Writes the centroid of each row (u32, count) to `zones`; at most `rowsPerCall` rows. */
  assign(rows: QuantizedRows, count: number, zones: number): void {
    const sorted = this.#sortRows(rows, count)
    const best = new Float32Array(count).fill(-Infinity)
    const found = new Uint32Array(count)
    for (let group = 0; group < this.#groupCount; group++) {
      for (const near of this.#neighbours[group])
        this.#meet({ near, from: sorted.starts[group], to: sorted.starts[group + 1] }, best, found)
    }
    const out = this.#memory.uint32At(zones, count)
    for (let i = 0; i < count; i++) out[sorted.order[i]] = found[i]
  }

  /** Holds the sorted rows of a group against the centroids of a group near it. */
  #meet(run: { near: number; from: number; to: number }, best: Float32Array, found: Uint32Array): void {
    const first = this.#starts[run.near]
    const zoneCount = this.#starts[run.near + 1] - first
    const count = run.to - run.from
    if (zoneCount === 0 || count === 0) return
    this.#memory.kernel.assign({
      ...asRows(this.#rows, run.from, count),
      ...asCentroids(this.#sorted, first, { count: zoneCount, halfNorms: this.#sortedNorms }),
      zones: this.#zones,
      scores: this.#scores
    })
    const scores = this.#memory.float32At(this.#scores, count)
    const numbers = this.#memory.uint32At(this.#zones, count)
    for (let i = 0; i < count; i++) {
      if (scores[i] <= best[run.from + i]) continue
      best[run.from + i] = scores[i]
      found[run.from + i] = this.#names[first + numbers[i]]
    }
  }

  /** Copies rows in order of their nearest groups; returns which row is where, and where groups start. */
  #sortRows(rows: QuantizedRows, count: number): Sorted {
    const sorted = countingSort(this.#nearestGroups(rows, count), this.#groupCount)
    for (let i = 0; i < count; i++) this.#rows.copy(i, rows, sorted.order[i])
    return sorted
  }

  #sortCentroids(block: CentroidBlock, groupOf: Uint32Array): void {
    const sorted = countingSort(groupOf, this.#groupCount)
    this.#starts = sorted.starts
    this.#names = sorted.order
    const norms = this.#memory.float32At(block.halfNorms, block.count)
    const sortedNorms = this.#memory.float32At(this.#sortedNorms, block.count)
    for (let i = 0; i < block.count; i++) {
      this.#sorted.copy(i, block.quantized, sorted.order[i])
      sortedNorms[i] = norms[sorted.order[i]]
    }
  }

  /** Takes every n-th centroid for the first groups: centroids are in random order, or near ones in a row. */
  #startGroups(block: CentroidBlock): void {
    const rowBytes = this.#dim * ELEMENT_BYTES
    for (let group = 0; group < this.#groupCount; group++) {
      const from = block.centroids + Math.floor((group * block.count) / this.#groupCount) * rowBytes
      this.#memory.bytes.copyWithin(this.#groups + group * rowBytes, from, from + rowBytes)
    }
    this.#setNorms()
  }

  /** Moves each group to the mean of its centroids; one without any stays. */
  #moveGroups(block: CentroidBlock, groupOf: Uint32Array): void {
    const dim = this.#dim
    const centroids = this.#memory.float32At(block.centroids, block.count * dim)
    const sums = new Float64Array(this.#groupCount * dim)
    const sizes = new Uint32Array(this.#groupCount)
    for (let i = 0; i < block.count; i++) {
      sizes[groupOf[i]]++
      for (let j = 0, at = groupOf[i] * dim; j < dim; j++) sums[at + j] += centroids[i * dim + j]
    }
    const groups = this.#memory.float32At(this.#groups, this.#groupCount * dim)
    for (let at = 0; at < groups.length; at++) {
      const size = sizes[Math.floor(at / dim)]
      if (size > 0) groups[at] = sums[at] / size
    }
    this.#setNorms()
  }

  #setNorms(): void {
    this.#memory.kernel.squaredNorms(this.#groups, this.#groupCount, this.#dim, this.#squares)
    const squares = this.#memory.float64At(this.#squares, this.#groupCount)
    const halves = this.#memory.float32At(this.#groupNorms, this.#groupCount)
    for (let i = 0; i < this.#groupCount; i++) halves[i] = squares[i] / 2
    this.#quantizedGroups.set(this.#groups, this.#groupCount)
  }

  /** Finds the nearest group of each row: a copy. */
  #nearestGroups(rows: QuantizedRows, count: number): Uint32Array {
    const nearest = new Uint32Array(count)
    for (let first = 0; first < count; first += this.#rowsPerCall) {
      const some = Math.min(this.#rowsPerCall, count - first)
      this.#memory.kernel.assign({
        ...asRows(rows, first, some),
        ...asCentroids(this.#quantizedGroups, 0, { count: this.#groupCount, halfNorms: this.#groupNorms }),
        zones: this.#zones,
        scores: this.#scores
      })
      nearest.set(this.#memory.uint32At(this.#zones, some), first)
    }
    return nearest
  }

  #nearestTo(group: number): number[] {
    this.#memory.kernel.l2Distances(
      this.#groups,
      this.#groupCount,
      this.#dim,
      this.#groups + group * this.#dim * ELEMENT_BYTES,
      this.#scores
    )
    const distances = this.#memory.float32At(this.#scores, this.#groupCount)
    return Array.from(distances.keys())
      .sort((a, b) => distances[a] - distances[b] || a - b)
      .slice(0, NEAREST_GROUPS)
  }
}
