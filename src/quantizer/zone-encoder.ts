// Turns the rows of a zone into codes: residuals to the centroid, rotated, quantised by the kernel (spec, section 8).

import { BLOCK_ROWS, blockBytes, codeWidth, refinedRowBytes, planesByteLength } from '../format/codes.ts'
import type { KernelMemory } from '../kernels/kernel-memory.ts'
import { METRIC_CODES } from '../format/layout.ts'
import type { Metric } from '../types.ts'
import { Rotator } from './rotation.ts'

/** Makes the codes of an index. */
export interface Quantizer {
  readonly dim: number
  readonly metric: Metric
  /** 1, 2, 4 or 8 */
  readonly bits: number
  /** What the rotation flips, as `drawFlips` makes it. */
  readonly flips: Uint8Array
  /** Origin of rotated queries and centroids: float32, dim. */
  readonly mean: Float32Array
}

/** The codes of a zone as they are written. */
export interface ZoneCodes {
  /** Blocks of sign planes with their factors. */
  readonly planes: Uint8Array
  readonly refinedCodes: Uint8Array | undefined
}

export class ZoneEncoder {
  readonly #memory: KernelMemory
  readonly #quantizer: Quantizer
  readonly #rotator: Rotator
  readonly #width: number
  /** float32, 32 * width */
  readonly #residuals: number
  readonly #centroid: number
  readonly #rotatedCentroid: number
  readonly #crosses: number
  readonly #block: number
  readonly #refined: number
  readonly #codes: number

  constructor(memory: KernelMemory, quantizer: Quantizer) {
    const { dim, bits, flips } = quantizer
    this.#memory = memory
    this.#quantizer = quantizer
    this.#width = codeWidth(dim)
    this.#rotator = new Rotator(memory, dim, flips)
    this.#residuals = memory.allocate(BLOCK_ROWS * this.#width * 4)
    this.#centroid = memory.allocate(this.#width * 4)
    this.#rotatedCentroid = memory.allocate(this.#width * 4)
    this.#crosses = memory.allocate(BLOCK_ROWS * 4)
    this.#block = memory.allocate(blockBytes(dim))
    this.#refined = memory.allocate(BLOCK_ROWS * refinedRowBytes(dim, bits))
    this.#codes = memory.allocate(BLOCK_ROWS * this.#width)
  }

  /**
   * Encodes `rowCount` rows that come in runs (float32, whole rows; of unit length for cosine), a multiple of 32 rows
   * in each but the last.
   */
  encode(centroid: Float32Array, rowCount: number, rowRuns: Iterable<Float32Array>): ZoneCodes {
    const { dim, bits } = this.#quantizer
    this.#setCentroid(centroid)
    const planes = new Uint8Array(planesByteLength(rowCount, dim))
    const rowBytes = refinedRowBytes(dim, bits)
    const refinedCodes = bits > 1 ? new Uint8Array(rowCount * rowBytes) : undefined
    let done = 0
    for (const run of rowRuns) {
      const count = run.length / dim
      for (let first = 0; first < count; first += BLOCK_ROWS) {
        const rows = Math.min(BLOCK_ROWS, count - first)
        this.#encodeBlock(run.subarray(first * dim, (first + rows) * dim), rows)
        planes.set(this.#memory.bytesAt(this.#block, blockBytes(dim)), (done / BLOCK_ROWS) * blockBytes(dim))
        refinedCodes?.set(this.#memory.bytesAt(this.#refined, rows * rowBytes), done * rowBytes)
        done += rows
      }
    }
    return { planes, refinedCodes }
  }

  #setCentroid(centroid: Float32Array): void {
    const { mean } = this.#quantizer
    const padded = this.#memory.float32At(this.#centroid, this.#width)
    padded.fill(0)
    padded.set(centroid)
    const rotated = this.#memory.float32At(this.#rotatedCentroid, this.#width)
    rotated.fill(0)
    for (let i = 0; i < centroid.length; i++) rotated[i] = centroid[i] - mean[i]
    this.#rotator.rotate(this.#rotatedCentroid, 1)
  }

  #encodeBlock(rows: Float32Array, count: number): void {
    const { dim, metric, bits } = this.#quantizer
    const { kernel } = this.#memory
    const width = this.#width
    const residuals = this.#memory.float32At(this.#residuals, count * width)
    residuals.fill(0)
    for (let i = 0; i < count; i++) residuals.set(rows.subarray(i * dim, (i + 1) * dim), i * width)
    kernel.subtractRow(this.#residuals, count, width, this.#centroid)
    if (metric === 'ip') kernel.innerProducts(this.#residuals, count, width, this.#centroid, this.#crosses)
    this.#rotator.rotate(this.#residuals, count)
    kernel.encodeBlock({
      residuals: this.#residuals,
      crosses: this.#crosses,
      centroid: this.#rotatedCentroid,
      count,
      width,
      bits,
      metric: METRIC_CODES[metric],
      block: this.#block,
      refined: this.#refined,
      codes: this.#codes
    })
  }
}
