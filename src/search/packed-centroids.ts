// Centroids of many dimensions in one byte each: the probe reads a quarter of the memory. They are made when an index
// is opened; the arithmetic is in kernels/assembly/centroids.ts.

import { METRIC_CODES } from '../format/layout.ts'
import type { PackedRun } from '../kernels/kernel.ts'
import type { KernelMemory } from '../kernels/kernel-memory.ts'
import { PACKED_CROSS_AT, PACKED_FACTOR_BYTES } from '../kernels/layouts.ts'
import type { QueryRotation } from '../quantizer/query-codes.ts'
import { LEAST_PACKED_DIMS } from './strategy.ts'
import type { SearchState } from './search-state.ts'
import type { Workspace } from './workspace.ts'

/** Values of all centroids that are packed when an index is opened: some 20 ms. */
const MOST_VALUES = 2 ** 20

export class PackedCentroids {
  readonly #memory: KernelMemory
  readonly #run: PackedRun

  private constructor(workspace: Workspace, { rotator, mean }: QueryRotation) {
    const { memory, zoneCount, dim, metric } = workspace
    const { width } = rotator
    this.#memory = memory
    this.#run = {
      metric: METRIC_CODES[metric],
      packed: memory.allocate(zoneCount * width),
      factors: memory.allocate(zoneCount * PACKED_FACTOR_BYTES),
      positions: 0,
      count: zoneCount,
      width,
      integers: 0,
      scalars: 0,
      centroids: workspace.centroids,
      dim,
      query: 0,
      out: workspace.zoneDistances
    }
    const { partial } = workspace
    if (partial === undefined) this.#pack({ rotator, mean }, { first: 0, end: zoneCount })
    else
      partial.onPage = (page) => {
        this.#pack({ rotator, mean }, partial.zonesOf(page))
      }
  }

  /** Packs the centroids of some zones. */
  #pack({ rotator, mean }: Pick<QueryRotation, 'rotator' | 'mean'>, zones: { first: number; end: number }): void {
    const memory = this.#memory
    const { centroids, dim, width } = this.#run
    const row = memory.allocate(width * 4)
    const product = memory.allocate(4)
    for (let zone = zones.first; zone < zones.end; zone++) {
      memory.floats.copyWithin(row / 4, centroids / 4 + zone * dim, centroids / 4 + (zone + 1) * dim)
      memory.floats.fill(0, row / 4 + dim, row / 4 + width)
      memory.kernel.subtractRow(row, 1, dim, mean)
      memory.kernel.innerProducts(row, 1, dim, mean, product)
      rotator.rotate(row, 1)
      const factors = this.#run.factors + zone * PACKED_FACTOR_BYTES
      memory.kernel.packCentroid(row, width, this.#run.packed + zone * width, factors)
      memory.floats[(factors + PACKED_CROSS_AT) / 4] = memory.floats[product / 4]
    }
    memory.free(row)
    memory.free(product)
  }

  /** Packs the centroids of an index; undefined where that does not pay. */
  static create(workspace: Workspace, rotation: QueryRotation): PackedCentroids | undefined {
    const { width } = rotation.rotator
    const pays = workspace.dim >= LEAST_PACKED_DIMS && width * workspace.zoneCount <= MOST_VALUES
    return pays ? new PackedCentroids(workspace, rotation) : undefined
  }

  /** i8, zones * width */
  get bytes(): number {
    return this.#run.packed
  }

  /** PACKED_FACTOR_BYTES a zone */
  get factors(): number {
    return this.#run.factors
  }

  /** Gives its kernel memory back. */
  close(): void {
    for (const region of [this.#run.packed, this.#run.factors]) this.#memory.free(region)
  }

  /**
   * Writes the distances of `count` zones to the distances of the workspace: of those at `positions` (u32), or of the
   * first where that is 0. The query's codes are set.
   */
  distances({ codes, probeQuery }: SearchState, positions: number, count: number): void {
    if (codes === undefined) throw new TypeError('the query has no codes')
    const run = this.#run
    run.positions = positions
    run.count = count
    run.integers = codes.queryCodes.integers
    run.scalars = codes.queryCodes.scalars
    run.query = probeQuery
    this.#memory.kernel.packedDistances(run)
  }
}
