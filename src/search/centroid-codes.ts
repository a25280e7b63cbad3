// Codes of the centroids, for a first look at all of them where there are many: the probe then computes the distances
// of a few only. The catalogue has them.

import { BLOCK_ROWS } from '../format/codes.ts'
import type { KernelMemory } from '../kernels/kernel-memory.ts'
import { SCALAR_MEAN_DISTANCE2_AT, SCALAR_MEAN_PRODUCT_AT } from '../kernels/layouts.ts'
import type { QueryCodes } from '../quantizer/query-codes.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'

/** Sign codes of all centroids around the mean, and what a query needs of them. */
export class CentroidCodes {
  /** float32, zones rounded up to a multiple of 32 */
  readonly estimates: number
  /** u32, zones */
  readonly positions: number
  readonly #memory: KernelMemory
  /** Sign codes, in blocks of 32 zones */
  readonly blocks: number
  readonly #zones: number

  private constructor(memory: KernelMemory, of: { codes: Uint8Array; zones: number }) {
    this.#memory = memory
    this.#zones = of.zones
    this.blocks = memory.allocate(of.codes.byteLength)
    memory.bytesAt(this.blocks, of.codes.byteLength).set(of.codes)
    this.estimates = memory.allocate(Math.ceil(of.zones / BLOCK_ROWS) * BLOCK_ROWS * 4)
    this.positions = memory.allocate(of.zones * 4)
  }

  /** Brings the codes into kernel memory; undefined where centroids are too large for float32 arithmetic. */
  static create(memory: KernelMemory, snapshot: Snapshot, maxNorm: number): CentroidCodes | undefined {
    const { quantizer, zoneCodes, meta } = snapshot
    if (quantizer === undefined || !(maxNorm < LARGEST_NORM)) return undefined
    return new CentroidCodes(memory, { codes: zoneCodes, zones: meta.zoneCount })
  }

  /** Gives its kernel memory back. */
  close(): void {
    for (const region of [this.blocks, this.estimates, this.positions]) this.#memory.free(region)
  }

  /** Writes estimates of the distances of all centroids from the query of `codes` to `estimates`. */
  estimate(codes: QueryCodes, isProduct: boolean): void {
    const { floats, kernel } = this.#memory
    const { width, tables, scalars } = codes
    const base = isProduct
      ? -floats[(scalars + SCALAR_MEAN_PRODUCT_AT) / 4]
      : floats[(scalars + SCALAR_MEAN_DISTANCE2_AT) / 4]
    kernel.estimateBlocks(this.blocks, this.#zones, width, tables, scalars, base, this.estimates)
  }
}

/** Squares of larger norms, and their sums, overflow float32. */
export const LARGEST_NORM = 1e17
