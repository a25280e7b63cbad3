// The seam between a build and inputs that are read once, from front to back: batches of vectors, with or without ids.
// How batches become something that can be read in any order is in spool.ts.

import { countOf, formatCount } from '../describe.ts'
import { ZgqError } from '../errors.ts'
import { findBadStringId } from '../format/string-ids.ts'
import type { IdType } from '../types.ts'
import type { VectorBatch } from './vector-batch.ts'

/** About what a batch of vectors weighs. */
const BATCH_BYTES = 2 * 2 ** 20
const SHOWN_CHARACTERS = 40

/** Vectors of one dimension that are read once. */
export interface BatchSource {
  readonly dim: number
  /** Kind of the ids, which every batch has; undefined: none has. */
  readonly idType: IdType | undefined
  /** Every batch has payloads; else none has. */
  readonly hasPayloads: boolean
  /**
   * To be read once. Rejects with ZGQ_BUILD_INPUT, ZGQ_DIMENSION or ZGQ_TRUNCATED, naming the row or line, and with
   * ZGQ_IO.
   */
  readonly batches: AsyncIterable<VectorBatch>
  /** How messages call a row, counted from 0. Default: `row 0`. */
  readonly nameOfRow?: (row: number) => string
  /** Releases what the source holds; a second call does nothing. */
  close(): void
}

/** Collects rows, float32, and gives them out a batch at a time. */
export class BatchBuffer {
  readonly #dim: number
  #vectors: Float32Array
  #length = 0

  constructor(dim: number) {
    this.#dim = dim
    this.#vectors = new Float32Array(Math.max(1, Math.floor(BATCH_BYTES / (dim * 4))) * dim)
  }

  /**
   * Takes values, row-major, that may begin and end in the middle of a row; yields each batch that is full, to be kept
   * by the caller.
   */
  *append(values: Float32Array): Generator<Float32Array> {
    for (let done = 0; done < values.length;) {
      const taken = values.subarray(done, done + this.#vectors.length - this.#length)
      this.#vectors.set(taken, this.#length)
      this.#length += taken.length
      done += taken.length
      if (this.#length === this.#vectors.length) yield this.#take()
    }
  }

  /** Yields what is left, if anything. */
  *rest(): Generator<Float32Array> {
    if (this.#length > 0) yield this.#take()
  }

  #take(): Float32Array {
    const full = this.#vectors.subarray(0, this.#length)
    if (this.#length % this.#dim !== 0) throw new Error(`${this.#length} values are no rows of ${this.#dim}`)
    this.#vectors = new Float32Array(this.#vectors.length)
    this.#length = 0
    return full
  }
}

/** Wraps what a library throws over a file once; a ZgqError passes through unchanged. */
export function wrapFormatError(error: unknown, path: string, what: string): ZgqError {
  if (error instanceof ZgqError) return error
  const reason = error instanceof Error ? error.message : String(error)
  return new ZgqError('ZGQ_BUILD_INPUT', `${what}: ${reason}`, { path, cause: error })
}

/** Describes a row of another dimension than the first. */
export function otherDim(
  found: number,
  expected: number,
  place: { readonly row: string; readonly path: string }
): ZgqError {
  return new ZgqError(
    'ZGQ_DIMENSION',
    `${place.row} has ${countOf(found, 'dimension')}, expected ${formatCount(expected)} as in the first`,
    {
      path: place.path
    }
  )
}

/** Tells the kind of ids by the first one. */
export function idTypeOf(first: unknown): IdType {
  return typeof first === 'string' ? 'string' : 'integer'
}

/** Ids of a batch, all of one kind: the type of batches has no arrays of both. */
export function idsOf(ids: readonly (number | string)[]): readonly number[] | readonly string[]
export function idsOf(ids: readonly unknown[]): readonly unknown[] {
  return ids
}

/** Throws ZGQ_BUILD_INPUT for an id that is not of that kind, or not one that an index can hold. */
export function checkId(
  id: unknown,
  place: { readonly row: string; readonly path: string },
  idType: IdType = 'integer'
): number | string {
  const { row, path } = place
  if (idType === 'string') {
    const bad = findBadStringId(id)
    if (typeof id === 'string' && bad === undefined) return id
    const like = typeof id === 'string' ? '' : ' like the ids before it'
    throw new ZgqError('ZGQ_BUILD_INPUT', `the id of ${row} cannot be used: ${bad}${like}`, { path })
  }
  if (typeof id === 'number' && Number.isSafeInteger(id) && id >= 0) return id
  const found = typeof id === 'string' ? JSON.stringify(shorten(id)) : shorten(String(id))
  throw new ZgqError('ZGQ_BUILD_INPUT', `the id of ${row} is ${found}, expected a safe integer >= 0`, { path })
}

/** Cuts text for a message. */
export function shorten(text: string): string {
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}...` : text
}
