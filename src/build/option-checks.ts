// Checks of single options of a build and of a calibration. Each returns the value as the work takes it, or throws
// TypeError or RangeError.

import { asFloat32Array, expectPath, isUrl, toFloat32Array } from '../arguments.ts'
import { describe } from '../describe.ts'
import { CODE_BITS } from '../format/codes.ts'
import { LONE_SURROGATE } from '../format/fields.ts'
import { METRIC_CODES } from '../format/layout.ts'
import { PAYLOAD_LIMITS, PayloadEncoder } from '../format/payload.ts'
import { expectOneOf, expectWholeNumber, type Range } from '../options.ts'
import { isPlainObject } from '../plain-object.ts'
import type { Metric } from '../types.ts'
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

/** Bytes of the longest name of a model, and of the largest note as the catalogue keeps it. */
const MOST_MODEL_BYTES = 1024
const MOST_NOTE_BYTES = 2 ** 20
/** A reader of the catalogue takes some more. */
const MOST_NOTE_ITEMS = 8000

/** A map of one entry, and its key. */
const NOTE_HEAD = Buffer.from('\x81\xa4note', 'latin1')

/** Returns the name of a model, or null. */
export function expectModel(name: string, given: string | undefined): string | null {
  const model = expectText(name, given) ?? null
  if (model === null) return null
  if (LONE_SURROGATE.test(model)) throw new TypeError(`${name} has a lone surrogate, found ${describe(model)}`)
  if (Buffer.byteLength(model) > MOST_MODEL_BYTES)
    throw new RangeError(`${name} must have at most ${MOST_MODEL_BYTES} bytes of UTF-8, found ${describe(model)}`)
  return model
}

/** Returns a note as the catalogue keeps it, `{ note }` as MessagePack, in base64; null: there is none. */
export function expectNote(name: string, given: unknown): string | null {
  if (given === undefined) return null
  if (!isPlainObject(given)) throw new TypeError(`${name} must be a plain object, found ${describe(given)}`)
  const encoder = new PayloadEncoder(name, {
    depth: PAYLOAD_LIMITS.depth - 1,
    items: MOST_NOTE_ITEMS,
    bytes: MOST_NOTE_BYTES - NOTE_HEAD.byteLength
  })
  return Buffer.concat([NOTE_HEAD, encoder.encode(given, 'buildIndex')]).toString('base64')
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

export function expectMetric(name: string, given: Metric): Metric {
  expectOneOf(name, given, Object.keys(METRIC_CODES))
  return given
}

/** Checks a whole number that may be left out. */
export function expectWhole<T extends number | undefined>(name: string, given: T, range: Range): T {
  if (given !== undefined) expectWholeNumber(name, given, range)
  return given
}

export function expectBits(name: string, given: number): number {
  expectWholeNumber(name, given, { least: 0, most: 8 })
  if (!CODE_BITS.includes(given)) throw new RangeError(`${name} must be 0, 1, 2, 4 or 8, found ${given}`)
  return given
}

export function expectText(name: string, given: string | undefined): string | undefined {
  if (given !== undefined && (typeof given !== 'string' || given === ''))
    throw new TypeError(`${name} must be a non-empty string, found ${describe(given)}`)
  return given
}

export function expectFlag(name: string, given: boolean): boolean {
  if (typeof given !== 'boolean') throw new TypeError(`${name} must be a boolean, found ${describe(given)}`)
  return given
}

export function expectFunction<Call>(name: string, given: Call): Call {
  if (typeof given !== 'function') throw new TypeError(`${name} must be a function, found ${describe(given)}`)
  return given
}

export function expectSignal(name: string, given: AbortSignal | undefined): AbortSignal | undefined {
  if (given !== undefined && !(given instanceof AbortSignal))
    throw new TypeError(`${name} must be an AbortSignal, found ${describe(given)}`)
  return given
}
