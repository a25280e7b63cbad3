// Facts of a zone: its centroid, radius and norms, computed by the kernel from rows that come a chunk at a time.

import { BLOCK_ROWS } from '../format/codes.ts'
import type { KernelMemory } from '../kernels/kernel-memory.ts'
import type { Metric } from '../types.ts'

/** Bytes of rows that pass through kernel memory at a time. */
const CHUNK_BYTES = 1024 * 1024

/** Rows by their positions. */
export interface PlacedRows {
  /** Copies rows from `position` on into `target`, whole rows. */
  readRows(position: number, target: Float32Array): void
}

/** Facts of a zone for its directory entry. */
export interface ZoneFacts {
  readonly centroid: Float32Array
  readonly inverseNorms: Float32Array | undefined
  readonly minNorm: number
  readonly maxNorm: number
  readonly radius: number
  readonly spread: number
}

/** Computes what the directory says of a zone, a chunk of rows at a time. */
export class ZoneStatistics {
  readonly #memory: KernelMemory
  readonly #metric: Metric
  readonly #dim: number
  readonly #chunkRows: number
  readonly #rows: number
  readonly #norms: number
  readonly #centroid: number
  readonly #distances: number
  /** float64, dim; and u32, chunkRows: no zone but one. */
  readonly #sums: number
  readonly #zeros: number

  constructor(memory: KernelMemory, of: { metric: Metric; dim: number }) {
    this.#memory = memory
    this.#metric = of.metric
    this.#dim = of.dim
    this.#chunkRows = Math.max(1, Math.floor(CHUNK_BYTES / (this.#dim * 4 * BLOCK_ROWS))) * BLOCK_ROWS
    this.#rows = this.#memory.allocate(this.#chunkRows * this.#dim * 4)
    this.#norms = this.#memory.allocate(this.#chunkRows * 8)
    this.#centroid = this.#memory.allocate(this.#dim * 4)
    this.#distances = this.#memory.allocate(this.#chunkRows * 4)
    this.#sums = this.#memory.allocate(this.#dim * 8)
    this.#zeros = this.#memory.allocate(this.#chunkRows * 4)
  }

  /** Yields the rows at `positions`, a chunk at a time; a chunk is overwritten by the next. */
  *eachChunk(rows: PlacedRows, positions: Uint32Array): Generator<Float32Array> {
    for (let first = 0; first < positions.length; first += this.#chunkRows) {
      const count = Math.min(this.#chunkRows, positions.length - first)
      const chunk = this.#memory.float32At(this.#rows, count * this.#dim)
      for (let i = 0; i < count; i++)
        rows.readRows(positions[first + i], chunk.subarray(i * this.#dim, (i + 1) * this.#dim))
      yield chunk
    }
  }

  /** The same, of unit length for cosine. */
  *eachScaledChunk(rows: PlacedRows, positions: Uint32Array): Generator<Float32Array> {
    for (const chunk of this.eachChunk(rows, positions)) {
      if (this.#metric === 'cosine') this.#memory.kernel.normalizeRows(this.#rows, chunk.length / this.#dim, this.#dim)
      yield chunk
    }
  }

  /** `around`: the centroid of the zone that the rows join; else they have one of their own, their mean. */
  measure(rows: PlacedRows, positions: Uint32Array, around?: Float32Array): ZoneFacts {
    const { kernel } = this.#memory
    const sums = this.#memory.float64At(this.#sums, this.#dim).fill(0)
    const inverseNorms = this.#metric === 'cosine' ? new Float32Array(positions.length) : undefined
    let minNorm2 = Infinity
    let maxNorm2 = 0
    let done = 0
    for (const chunk of this.eachChunk(rows, positions)) {
      const count = chunk.length / this.#dim
      kernel.squaredNorms(this.#rows, count, this.#dim, this.#norms)
      const norms = this.#memory.float64At(this.#norms, count)
      for (let i = 0; i < count; i++) {
        minNorm2 = Math.min(minNorm2, norms[i])
        maxNorm2 = Math.max(maxNorm2, norms[i])
        if (inverseNorms !== undefined) inverseNorms[done + i] = 1 / Math.sqrt(norms[i])
      }
      if (inverseNorms !== undefined) kernel.normalizeRows(this.#rows, count, this.#dim)
      kernel.addRows(this.#rows, count, this.#dim, this.#zeros, this.#sums)
      done += count
    }
    const centroid = around ?? Float32Array.from(sums, (sum) => sum / positions.length)
    const maxNorm = Math.sqrt(maxNorm2)
    const { radius, spread } = this.#reach(rows, positions, centroid)
    // Distances of huge values overflow float32; both then fall back to a bound that holds.
    return {
      centroid,
      inverseNorms,
      minNorm: Math.sqrt(minNorm2),
      maxNorm,
      radius: Number.isFinite(radius) ? radius : 2 * maxNorm,
      spread: Number.isFinite(spread) ? spread : 2 * maxNorm
    }
  }

  /** Largest distance to the centroid, and the root of the mean square of all. */
  #reach(
    rows: PlacedRows,
    positions: Uint32Array,
    centroid: Float32Array
  ): { readonly radius: number; readonly spread: number } {
    const { kernel } = this.#memory
    this.#memory.float32At(this.#centroid, this.#dim).set(centroid)
    let largest = 0
    let sum = 0
    for (const chunk of this.eachScaledChunk(rows, positions)) {
      const count = chunk.length / this.#dim
      kernel.l2Distances(this.#rows, count, this.#dim, this.#centroid, this.#distances)
      const distances = this.#memory.float32At(this.#distances, count)
      for (let i = 0; i < count; i++) {
        largest = Math.max(largest, distances[i])
        sum += distances[i]
      }
    }
    return { radius: Math.sqrt(largest), spread: Math.sqrt(sum / positions.length) }
  }
}
