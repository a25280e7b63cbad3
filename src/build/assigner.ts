// Nearest centroids by kernel: the arithmetic that training and assignment share.
// Rows are scaled to unit length (cosine) and centred before they meet the centroids, which live in that same space.
// They meet as 16-bit integers: a row between two centroids may come to one that is farther by some 1e-5 of its
// distance.

import { ELEMENT_BYTES } from '../format/layout.ts'
import type { KernelMemory } from '../kernels/kernel-memory.ts'
import type { Metric } from '../types.ts'
import { CentroidGroups } from './centroid-groups.ts'
import { asCentroids, asRows, QuantizedRows } from './quantized-rows.ts'

/** From so many zones on assignment goes in two levels (bench/README.md, "Build"). */
const GROUPED_ZONES = 1024

export interface AssignerShape {
  readonly dim: number
  readonly metric: Metric
  /** Rows that one call takes at most. */
  readonly rowsPerCall: number
  /** Centroids at most. */
  readonly zones: number
}

export class Assigner {
  readonly shape: AssignerShape
  readonly #memory: KernelMemory
  readonly #rows: number
  readonly #centre: number
  readonly #centroids: number
  readonly #halfNorms: number
  readonly #quantizedRows: QuantizedRows
  readonly #quantizedCentroids: QuantizedRows
  readonly #zones: number
  readonly #scores: number
  readonly #norms: number
  /** Undefined where there are so few centroids that a row meets all of them. */
  readonly #groups: CentroidGroups | undefined
  #zoneCount = 0

  constructor(memory: KernelMemory, shape: AssignerShape) {
    const { dim, rowsPerCall, zones } = shape
    this.shape = shape
    this.#memory = memory
    this.#rows = memory.allocate(rowsPerCall * dim * ELEMENT_BYTES)
    this.#centre = memory.allocate(dim * ELEMENT_BYTES)
    this.#centroids = memory.allocate(zones * dim * ELEMENT_BYTES)
    this.#halfNorms = memory.allocate(zones * ELEMENT_BYTES)
    this.#quantizedRows = new QuantizedRows(memory, { dim, capacity: rowsPerCall })
    this.#quantizedCentroids = new QuantizedRows(memory, { dim, capacity: zones })
    this.#zones = memory.allocate(rowsPerCall * ELEMENT_BYTES)
    this.#scores = memory.allocate(rowsPerCall * ELEMENT_BYTES)
    this.#norms = memory.allocate(Math.max(zones, rowsPerCall) * 8)
    this.#groups = zones >= GROUPED_ZONES ? new CentroidGroups(memory, { dim, rowsPerCall, zones }) : undefined
  }

  /** The point that is the origin: float32, dim. */
  get origin(): Float32Array {
    return this.#memory.float32At(this.#centre, this.shape.dim).slice()
  }

  /** Sets the point that becomes the origin: float32, dim. */
  setCentre(centre: Float32Array): void {
    this.#memory.float32At(this.#centre, this.shape.dim).set(centre)
  }

  /** Sets the centroids, in the centred space: float32, zones * dim. */
  setCentroids(centroids: Float32Array): void {
    const { dim } = this.shape
    this.#zoneCount = centroids.length / dim
    this.#memory.float32At(this.#centroids, centroids.length).set(centroids)
    this.#memory.kernel.squaredNorms(this.#centroids, this.#zoneCount, dim, this.#norms)
    const norms = this.#memory.float64At(this.#norms, this.#zoneCount)
    const halves = this.#memory.float32At(this.#halfNorms, this.#zoneCount)
    for (let i = 0; i < this.#zoneCount; i++) halves[i] = norms[i] / 2
    this.#quantizedCentroids.set(this.#centroids, this.#zoneCount)
    this.#groups?.group({
      centroids: this.#centroids,
      quantized: this.#quantizedCentroids,
      halfNorms: this.#halfNorms,
      count: this.#zoneCount
    })
  }

  /** Returns where to put up to `rowsPerCall` rows: a view over kernel memory, float32, count * dim. */
  rowsView(count: number): Float32Array {
    return this.#memory.float32At(this.#rows, count * this.shape.dim)
  }

  /** Scales the first `count` rows to unit length, for cosine. */
  scale(count: number): void {
    if (this.shape.metric === 'cosine') this.#memory.kernel.normalizeRows(this.#rows, count, this.shape.dim)
  }

  /** Adds the first rows to sums (float64, dim for each group), row i to that of group `groups[i]`. */
  addRows(groups: readonly number[], sums: Float64Array): void {
    const into = this.#memory.allocate(sums.byteLength)
    try {
      this.#memory.float64At(into, sums.length).set(sums)
      this.#memory.uint32At(this.#zones, groups.length).set(groups)
      this.#memory.kernel.addRows(this.#rows, groups.length, this.shape.dim, this.#zones, into)
      sums.set(this.#memory.float64At(into, sums.length))
    } finally {
      this.#memory.free(into)
    }
  }

  /** Moves the first `count` rows into the centred space. */
  centre(count: number): void {
    this.#memory.kernel.subtractRow(this.#rows, count, this.shape.dim, this.#centre)
  }

  /**
   * Finds the nearest centroid (with many of them: nearly always the nearest) of the first `count` rows, which must be
   * scaled and centred: u32, count, a view until the next call.
   */
  nearest(count: number): Uint32Array {
    this.#quantizedRows.set(this.#rows, count)
    if (this.#groups !== undefined) {
      this.#groups.assign(this.#quantizedRows, count, this.#zones)
      return this.#memory.uint32At(this.#zones, count)
    }
    this.#memory.kernel.assign({
      ...asRows(this.#quantizedRows, 0, count),
      ...asCentroids(this.#quantizedCentroids, 0, { count: this.#zoneCount, halfNorms: this.#halfNorms }),
      zones: this.#zones,
      scores: this.#scores
    })
    return this.#memory.uint32At(this.#zones, count)
  }
}
