// A query as the scan of codes sees it: rotated, then tables of its sums and its values in integers.

import type { QueryRun } from '../kernels/kernel.ts'
import type { KernelMemory } from '../kernels/kernel-memory.ts'
import { SCALARS_BYTES } from '../kernels/layouts.ts'
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

/** How much of the error is added to estimates that limits are taken from, with codes of so many bits. */
export function slackOf({ slack, planesSlack }: Confidence, bits: number): number {
  return bits === 1 ? planesSlack : slack
}

/** What each query brings. */
const UNTOLD = { norm2: 0, planes: 0, refined: 0, slack: 0 }

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
    this.encoding = { query: 0, dim, mean, rotated, ...rotation, tables, integers, scalars, ...UNTOLD }
  }

  /** Encodes the query at `query` (float32, dim; of unit length for cosine; norm2 = <q,q>). */
  set(query: number, norm2: number, trust: { confidence: Confidence; bits: number }): void {
    const { confidence, bits } = trust
    const run = this.encoding
    run.query = query
    run.norm2 = norm2
    run.planes = confidence.planes
    run.refined = confidence.refined
    run.slack = slackOf(confidence, bits)
    this.#memory.kernel.encodeQuery(run)
  }

  /** Gives the kernel memory back; the rotation's stays. */
  close(): void {
    for (const region of [this.encoding.rotated, this.tables, this.integers, this.scalars]) this.#memory.free(region)
  }
}
