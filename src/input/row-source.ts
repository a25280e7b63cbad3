// The seam between a build and where its vectors and ids come from: random access by row number.
// Inputs that can only be read once (async iterables) are spooled to a file first.

import { ZgqError, type ZgqErrorPlace } from '../errors.ts'
import { MAX_DIM } from '../format/layout.ts'

/** Bytes of a file. */
export interface ByteRange {
  readonly offset: number
  readonly byteLength: number
}

/** Vectors of one dimension, which can be read in any order and repeatedly. */
export interface RowSource {
  readonly dim: number
  readonly count: number
  /** Name of the source in messages: a path, or the kind of value. */
  readonly label: string
  /** Reads rows `firstRow` up to `firstRow + target.length / dim` into `target` (float32, row-major). */
  readRows(firstRow: number, target: Float32Array): void
  close(): void
}

/** Rows that lie in one file, of which only a part may be on this machine. */
export interface PlacedRows extends RowSource {
  /** Returns the bytes that reading these rows reads. */
  rangesOf(firstRow: number, rowCount: number): ByteRange[]
}

/** Ids in the order of the rows. */
export interface IdSource {
  readonly count: number
  readonly label: string
  /** Reads the ids of rows `firstRow` up to `firstRow + target.length`, each a safe integer >= 0. */
  readIds(firstRow: number, target: Float64Array): void
  /** As of `PlacedRows`; absent where ids have no places of their own. */
  rangesOf?(firstRow: number, rowCount: number): ByteRange[]
  close(): void
}

/** Throws ZGQ_DIMENSION if `dim` is not an integer from 1 to 65,536. */
export function checkDim(dim: number, place: ZgqErrorPlace = {}): void {
  if (Number.isInteger(dim) && dim >= 1 && dim <= MAX_DIM) return
  throw new ZgqError('ZGQ_DIMENSION', `the vectors have ${dim} dimensions, expected 1 to ${MAX_DIM}`, place)
}

/**
 * Throws RangeError if `firstRow` to `firstRow + rowCount` are not whole rows of the source: a mistake of the caller,
 * never of the input.
 */
export function checkRange(
  source: { readonly count: number; readonly label: string },
  firstRow: number,
  rowCount: number
): void {
  if (Number.isInteger(firstRow) && Number.isInteger(rowCount) && firstRow >= 0 && firstRow + rowCount <= source.count)
    return
  throw new RangeError(`${source.label}: cannot read ${rowCount} rows from row ${firstRow}, there are ${source.count}`)
}
