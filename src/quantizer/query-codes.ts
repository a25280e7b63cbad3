// A query as the scan of codes sees it: rotated, then tables of its sums and its values in integers.

import type { KernelMemory } from '../kernels/kernel-memory.ts'
import {
  SCALARS_BYTES,
  SCALAR_PLANES_CONFIDENCE_AT,
  SCALAR_QUERY_NORM2_AT,
  SCALAR_REFINED_CONFIDENCE_AT,
  SCALAR_SLACK_AT
} from '../kernels/layouts.ts'
import { Rotator } from './rotation.ts'

/** The rotation of all queries, with its origin. */
export class QueryRotation {
  readonly rotator: Rotator
  /** float32, dim */
  readonly mean: Float32Array

  constructor(
    memory: KernelMemory,
    of: { readonly dim: number; readonly flips: Uint8Array; readonly mean: Float32Array }
  ) {
    this.rotator = new Rotator(memory, of.dim, of.flips)
    this.mean = of.mean
  }
}

/** How many standard deviations of its error an estimate is trusted to keep within. */
export interface Confidence {
  readonly planes: number
  readonly refined: number
  /**
   * How much of that, as a share, is added to the estimates from which the limit for candidates is taken: the smallest
   * of many are too small.
   */
  readonly slack: number
  /** The same where sign planes are all there is: every candidate more is a row to read. */
  readonly planesSlack: number
}

export class QueryCodes {
  readonly width: number
  readonly tables: number
  readonly integers: number
  readonly scalars: number
  readonly #memory: KernelMemory
  readonly #rotator: Rotator
  readonly #mean: Float32Array
  readonly #query: number

  constructor(memory: KernelMemory, { rotator, mean }: QueryRotation) {
    this.width = rotator.width
    this.#memory = memory
    this.#rotator = rotator
    this.#mean = mean
    this.#query = memory.allocate(this.width * 4)
    this.tables = memory.allocate(this.width * 4)
    this.integers = memory.allocate(this.width * 2)
    this.scalars = memory.allocate(SCALARS_BYTES)
  }

  /** Rotates the query at `query` (float32, dim; of unit length for cosine; norm2 = <q,q>) and builds its tables. */
  set(query: number, norm2: number, trust: { confidence: Confidence; bits: number }): void {
    const { confidence, bits } = trust
    const mean = this.#mean
    const { floats } = this.#memory
    const [from, centred] = [query / 4, this.#query / 4]
    for (let i = 0; i < mean.length; i++) floats[centred + i] = floats[from + i] - mean[i]
    for (let i = mean.length; i < this.width; i++) floats[centred + i] = 0
    this.#rotator.rotate(this.#query, 1)
    this.#memory.kernel.buildTables(this.#query, this.width, this.tables, this.integers, this.scalars)
    floats[(this.scalars + SCALAR_PLANES_CONFIDENCE_AT) / 4] = confidence.planes
    floats[(this.scalars + SCALAR_REFINED_CONFIDENCE_AT) / 4] = confidence.refined
    floats[(this.scalars + SCALAR_QUERY_NORM2_AT) / 4] = norm2
    floats[(this.scalars + SCALAR_SLACK_AT) / 4] = bits === 1 ? confidence.planesSlack : confidence.slack
  }
  /** Gives the kernel memory back; the rotation's stays. */
  close(): void {
    for (const region of [this.#query, this.tables, this.integers, this.scalars]) this.#memory.free(region)
  }
}
