// Sums of the rows of each zone, in double precision and in the order in which rows are added.

import { ELEMENT_BYTES } from '../format/layout.ts'
import { KernelMemory } from '../kernels/kernel-memory.ts'
import { loadKernel } from '../kernels/load-kernel.ts'
import type { Recipe } from './site.ts'

export class RowSums {
  readonly #memory = new KernelMemory(loadKernel())
  readonly #dim: number
  readonly #valueCount: number
  readonly #rows: number
  readonly #zones: number
  readonly #sums: number

  constructor({ recipe }: { readonly recipe: Pick<Recipe, 'dim' | 'zones' | 'rowsPerBlock'> }) {
    const { dim, zones, rowsPerBlock } = recipe
    this.#dim = dim
    this.#valueCount = zones * dim
    this.#rows = this.#memory.allocate(rowsPerBlock * dim * ELEMENT_BYTES)
    this.#zones = this.#memory.allocate(rowsPerBlock * ELEMENT_BYTES)
    this.#sums = this.#memory.allocate(this.#valueCount * 8)
  }

  clear(): void {
    this.values().fill(0)
  }

  /** float64, zones * dim: a view until memory is allocated. */
  values(): Float64Array {
    return this.#memory.float64At(this.#sums, this.#valueCount)
  }

  /** Adds rows (float32, at most `rowsPerBlock` * dim), of which `zones` are the zones. */
  add(rows: Float32Array, zones: Uint32Array): void {
    this.#memory.float32At(this.#rows, rows.length).set(rows)
    this.#memory.uint32At(this.#zones, zones.length).set(zones)
    this.#memory.kernel.addRows(this.#rows, zones.length, this.#dim, this.#zones, this.#sums)
  }
}
