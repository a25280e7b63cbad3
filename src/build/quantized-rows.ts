// Rows in kernel memory as 16-bit integers, each with the unit that they count: what assignment computes with.

import { ELEMENT_BYTES } from '../format/layout.ts'
import type { KernelMemory } from '../kernels/kernel-memory.ts'

export class QuantizedRows {
  /** i16, capacity * width */
  readonly rows: number
  /** float32, capacity */
  readonly units: number
  /** Dimensions rounded up to 8. */
  readonly width: number
  readonly #memory: KernelMemory
  readonly #dim: number

  constructor(memory: KernelMemory, of: { dim: number; capacity: number }) {
    this.#memory = memory
    this.#dim = of.dim
    this.width = (of.dim + 7) & ~7
    this.rows = memory.allocate(of.capacity * this.rowBytes)
    this.units = memory.allocate(of.capacity * ELEMENT_BYTES)
  }

  get rowBytes(): number {
    return this.width * 2
  }

  /** Takes `count` rows (float32, dim). */
  set(rows: number, count: number): void {
    this.#memory.kernel.quantizeRows(rows, count, this.#dim, this.rows, this.units)
  }

  /** Takes a row of `from`. */
  copy(row: number, from: QuantizedRows, fromRow: number): void {
    const { bytes, floats } = this.#memory
    const start = from.rows + fromRow * this.rowBytes
    bytes.copyWithin(this.rows + row * this.rowBytes, start, start + this.rowBytes)
    floats[this.units / 4 + row] = floats[from.units / 4 + fromRow]
  }
}

/** Rows from `firstRow` on, as one side of a run of the kernel's `assign`. */
export function asRows(
  of: QuantizedRows,
  firstRow: number,
  count: number
): { rows: number; units: number; count: number; width: number } {
  return {
    rows: of.rows + firstRow * of.rowBytes,
    units: of.units + firstRow * ELEMENT_BYTES,
    count,
    width: of.width
  }
}

/** Centroids from `first` on, as the other side; halfNorms: of all of them. */
export function asCentroids(
  of: QuantizedRows,
  first: number,
  rest: { count: number; halfNorms: number }
): { centroids: number; centroidUnits: number; halfNorms: number; zoneCount: number } {
  return {
    centroids: of.rows + first * of.rowBytes,
    centroidUnits: of.units + first * ELEMENT_BYTES,
    halfNorms: rest.halfNorms + first * ELEMENT_BYTES,
    zoneCount: rest.count
  }
}
