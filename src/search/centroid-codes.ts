// Codes of the centroids, for a first look at all of them where there are many: the probe then computes the distances
// of a few only. They are made when an index is opened, not stored.

import { BLOCK_ROWS, signsByteLength } from '../format/codes.ts'
import type { KernelMemory } from '../kernels/kernel-memory.ts'
import type { QueryCodes } from '../quantizer/query-codes.ts'
import { ZoneEncoder } from '../quantizer/zone-encoder.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'

/** Sign codes of all centroids around the mean, and what a query needs of them. */
export class CentroidCodes {
  /** float32, zones rounded up to a multiple of 32 */
  readonly estimates: number
  /** u32, zones */
  readonly positions: number
  readonly #memory: KernelMemory
  readonly #blocks: number
  readonly #zones: number
  readonly #mean: Float32Array

  private constructor(memory: KernelMemory, place: { blocks: number; zones: number; mean: Float32Array }) {
    this.#memory = memory
    this.#blocks = place.blocks
    this.#zones = place.zones
    this.#mean = place.mean
    this.estimates = memory.allocate(Math.ceil(place.zones / BLOCK_ROWS) * BLOCK_ROWS * 4)
    this.positions = memory.allocate(place.zones * 4)
  }

  /** Encodes the centroids; returns undefined where their values are too large for float32 arithmetic. */
  static create(memory: KernelMemory, snapshot: Snapshot): CentroidCodes | undefined {
    const { meta, quantizer, zones } = snapshot
    if (quantizer === undefined) return undefined
    const { dim, metric } = meta
    // Zones are near in Euclidean distance for cosine too: centroids are not of unit length.
    const encoder = new ZoneEncoder(memory, { dim, metric: metric === 'ip' ? 'ip' : 'l2', bits: 1, ...quantizer })
    const { signs } = encoder.encode(quantizer.mean, zones.length, [snapshot.centroids])
    if (zones.some((zone) => !(zone.maxNorm < LARGEST_NORM))) return undefined
    const blocks = memory.allocate(signsByteLength(zones.length, dim))
    memory.bytesAt(blocks, signs.byteLength).set(signs)
    return new CentroidCodes(memory, { blocks, zones: zones.length, mean: quantizer.mean })
  }

  /**
   * Writes estimates of the distances of all centroids to `estimates`; query: float32, dim, as `codes` was set with.
   */
  estimate(query: number, codes: QueryCodes, isProduct: boolean): void {
    const { floats } = this.#memory
    const mean = this.#mean
    let distance2 = 0
    let product = 0
    for (let i = 0; i < mean.length; i++) {
      const value = floats[query / 4 + i]
      distance2 += (value - mean[i]) ** 2
      product += value * mean[i]
    }
    this.#memory.kernel.estimateBlocks(
      this.#blocks,
      this.#zones,
      codes.width,
      codes.tables,
      codes.scalars,
      isProduct ? -product : distance2,
      this.estimates
    )
  }
}

/** Squares of larger norms, and their sums, overflow float32. */
const LARGEST_NORM = 1e17
