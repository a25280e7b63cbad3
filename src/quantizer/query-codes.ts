// A query as the scan of codes sees it: rotated, then tables of its sums and its values in integers.

import type { QueryRun } from '../kernels/kernel.ts'
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
  readonly dim: number
  /** float32, dim, in kernel memory */
  readonly mean: number

  constructor(
    memory: KernelMemory,
    of: { readonly dim: number; readonly flips: Uint8Array; readonly mean: Float32Array }
  ) {
    this.rotator = new Rotator(memory, of.dim, of.flips)
    this.dim = of.dim
    this.mean = memory.allocate(of.mean.byteLength)
    memory.float32At(this.mean, of.dim).set(of.mean)
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
  /** What `encodeQuery` works with. */
  readonly encoding: QueryRun

  constructor(memory: KernelMemory, { rotator, dim, mean }: QueryRotation) {
    const { width, flips, rounds, window, scale } = rotator
    this.width = width
    this.#memory = memory
    this.tables = memory.allocate(width * 4)
    this.integers = memory.allocate(width * 2)
    this.scalars = memory.allocate(SCALARS_BYTES)
    const { tables, integers, scalars } = this
    const rotated = memory.allocate(width * 4)
    const rotation = { width, flips, rounds, window, scale }
    this.encoding = { query: 0, dim, mean, rotated, ...rotation, tables, integers, scalars }
  }

  /** Encodes the query at `query` (float32, dim; of unit length for cosine; norm2 = <q,q>). */
  set(query: number, norm2: number, trust: { confidence: Confidence; bits: number }): void {
    const { confidence, bits } = trust
    this.encoding.query = query
    this.#memory.kernel.encodeQuery(this.encoding)
    const { floats } = this.#memory
    floats[(this.scalars + SCALAR_PLANES_CONFIDENCE_AT) / 4] = confidence.planes
    floats[(this.scalars + SCALAR_REFINED_CONFIDENCE_AT) / 4] = confidence.refined
    floats[(this.scalars + SCALAR_QUERY_NORM2_AT) / 4] = norm2
    floats[(this.scalars + SCALAR_SLACK_AT) / 4] = bits === 1 ? confidence.planesSlack : confidence.slack
  }

  /** Gives the kernel memory back; the rotation's stays. */
  close(): void {
    for (const region of [this.encoding.rotated, this.tables, this.integers, this.scalars]) this.#memory.free(region)
  }
}
