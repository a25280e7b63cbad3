// Checks of single options of a build and of a calibration. Each returns the value as the work takes it, or throws
// TypeError or RangeError.

import { expectPath, isUrl } from '../arguments.ts'
import { describe } from '../describe.ts'
import { asFloat32Array, toFloat32Array } from '../float-arrays.ts'
import { expectWholeNumber, type Range } from '../options.ts'
import type { VectorBatch } from '../input/vector-batch.ts'

/** Returns the path, the values or the batches of an input. */
export function expectInput(input: unknown): string | Float32Array | AsyncIterable<VectorBatch> {
  if (isUrl(input) || typeof input === 'string') return expectPath('input', input)
  const vectors = asFloat32Array(input)
  if (vectors !== undefined) return vectors
  if (isBatches(input)) return input
  throw new TypeError(
    `input must be a path, a file: URL, a Float32Array or an async iterable of { vectors, ids? }, found ` +
      describe(input)
  )
}

export function isBatches(input: unknown): input is AsyncIterable<VectorBatch> {
  return typeof input === 'object' && input !== null && Symbol.asyncIterator in input
}

/** Returns the path or the values of ids. */
export function expectIds(ids: unknown): string | ArrayLike<number> | readonly string[] | undefined {
  if (ids === undefined) return undefined
  if (isUrl(ids) || typeof ids === 'string') return expectPath('ids', ids)
  if (isArrayLike(ids)) return ids
  throw new TypeError(`ids must be a path, a file: URL or an array of integers or strings, found ${describe(ids)}`)
}

/** Tells ids that are strings, by the first. */
export function areTexts(ids: unknown): ids is readonly string[] {
  return Array.isArray(ids) && typeof ids[0] === 'string'
}

/** Returns the payloads of all rows; each is checked when it is read. */
export function expectPayloads(name: string, given: unknown): readonly object[] | undefined {
  if (given === undefined || Array.isArray(given)) return given
  throw new TypeError(`${name} must be an array of objects, found ${describe(given)}`)
}

/** Returns which columns go into payloads. */
export function expectPayload(name: string, given: unknown): 'all' | readonly string[] | undefined {
  if (given === undefined || given === 'all') return given
  if (!Array.isArray(given)) throw new TypeError(`${name} must be 'all' or an array of names, found ${describe(given)}`)
  return given.map((column: unknown) => {
    if (typeof column === 'string' && column !== '') return column
    throw new TypeError(`${name} must have non-empty names, found ${describe(column)}`)
  })
}

function isArrayLike(ids: unknown): ids is ArrayLike<number> {
  return typeof ids === 'object' && ids !== null && 'length' in ids && typeof ids.length === 'number'
}

/** Returns the path or the values of queries. */
export function expectQueries(queries: unknown): string | Float32Array | undefined {
  if (queries === undefined) return undefined
  if (isUrl(queries) || typeof queries === 'string') return expectPath('queries', queries)
  const vectors = toFloat32Array(queries)
  if (vectors !== undefined) return vectors
  throw new TypeError(
    `queries must be a path, a file: URL, a Float32Array or a Float64Array, found ${describe(queries)}`
  )
}

/** Checks a whole number that may be left out. */
export function expectWhole<T extends number | undefined>(name: string, given: T, range: Range): T {
  if (given !== undefined) expectWholeNumber(name, given, range)
  return given
}
