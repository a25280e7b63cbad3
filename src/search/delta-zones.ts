// The centroids of deltas' zones in kernel memory. There are few, all of them are searched, and more come while
// searches are under way.

import { ELEMENT_BYTES } from '../format/layout.ts'
import type { KernelMemory } from '../kernels/kernel-memory.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'

/** Zones that there is room for, once there is one; then for twice as many. */
const FIRST_ZONES = 16

export class DeltaZones {
  readonly #memory: KernelMemory
  readonly #dim: number
  readonly #isProduct: boolean
  #count = 0
  #capacity = 0
  /** float32, capacity * dim, and a distance of each. */
  #centroids = 0
  #distances = 0

  constructor({ dim, metric }: Snapshot['meta'], memory: KernelMemory) {
    this.#memory = memory
    this.#dim = dim
    this.#isProduct = metric === 'ip'
  }

  get count(): number {
    return this.#count
  }

  /** Takes the zones of a snapshot in the place of those before. */
  take({ meta, centroids }: Snapshot): void {
    const own = centroids.subarray(meta.zoneCount * this.#dim)
    this.#roomFor(meta.deltaZoneCount)
    this.#memory.float32At(this.#centroids, own.length).set(own)
    this.#count = meta.deltaZoneCount
  }

  #roomFor(count: number): void {
    if (count <= this.#capacity) return
    const capacity = Math.max(FIRST_ZONES, count, this.#capacity * 2)
    this.#centroids = this.#memory.replace(this.#centroids, capacity * this.#dim * ELEMENT_BYTES)
    this.#distances = this.#memory.replace(this.#distances, capacity * ELEMENT_BYTES)
    this.#capacity = capacity // only once there is room
  }

  /** float32, zones * dim */
  get centroids(): number {
    return this.#centroids
  }

  /** float32, zones */
  get distances(): number {
    return this.#distances
  }

  /** Computes the distances of the first `count` zones from a query as the probe sees it. */
  measure(probeQuery: number, count: number): void {
    const { kernel } = this.#memory
    if (this.#isProduct) kernel.innerProducts(this.#centroids, count, this.#dim, probeQuery, this.#distances)
    else kernel.l2Distances(this.#centroids, count, this.#dim, probeQuery, this.#distances)
  }
}
