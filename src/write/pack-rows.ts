// Rows of a caller, checked and packed for the writer's thread: on the caller's thread, in slices, so that its
// event loop has its turns.

import { setImmediate } from 'node:timers/promises'

import { nowMicros } from '../clock.ts'
import { countOf, describe, formatCount } from '../describe.ts'
import { ZgqError } from '../errors.ts'
import { toFloat32Array } from '../float-arrays.ts'
import { faultOfValue, type DeclaredField } from '../format/fields.ts'
import { PayloadEncoder } from '../format/payload.ts'
import { checkStringId } from '../format/string-ids.ts'
import { checkOptionNames, expectWholeNumber } from '../options.ts'
import { isPlainObject } from '../plain-object.ts'
import type { Id, IdType, Metric } from '../types.ts'
import { packBytes, type PackedRows } from './messages.ts'

/** How long the caller's thread packs before others have their turn. */
const SLICE_MICROS = 2000
/** Rows between two looks at the clock. */
const ROWS_PER_LOOK = 16
/** Rows and bytes of payloads of a pack. */
const PACK_ROWS = 4096
const PACK_VALUES = 2 ** 20
const PACK_PAYLOAD_BYTES = 4 * 2 ** 20

/** What rows are held against. */
export interface PackedFor {
  readonly dim: number
  readonly metric: Metric
  readonly idType: IdType
  readonly fields: readonly DeclaredField[]
}

/** Rows of a caller in either form: `idAt`, and so on, may throw. */
interface GivenRows {
  readonly count: number
  idAt(row: number): unknown
  vectorAt(row: number): Float32Array
  payloadAt(row: number): unknown
}

/**
 * Checks and packs the rows of a call. Throws TypeError, RangeError, ZGQ_DIMENSION, ZGQ_NON_FINITE or ZGQ_ZERO_VECTOR,
 * naming the row.
 */
export async function packRows(batch: unknown, of: PackedFor): Promise<PackedRows[]> {
  const rows = givenRows(batch, of.dim)
  const packs: PackedRows[] = []
  const packer = new RowPacker(of)
  let sliceEnd = nowMicros() + SLICE_MICROS
  const mostRows = Math.max(1, Math.min(PACK_ROWS, Math.floor(PACK_VALUES / of.dim)))
  for (let row = 0; row < rows.count; row++) {
    packer.add(rows, row, mostRows)
    if (packer.count === mostRows || packer.payloadBytes >= PACK_PAYLOAD_BYTES) packs.push(packer.take())
    if (row % ROWS_PER_LOOK === 0 && nowMicros() > sliceEnd) {
      await setImmediate()
      sliceEnd = nowMicros() + SLICE_MICROS
    }
  }
  if (packer.count > 0) packs.push(packer.take())
  return packs
}

class RowPacker {
  count = 0
  payloadBytes = 0
  readonly #of: PackedFor
  readonly #encoder = new PayloadEncoder()
  #vectors = new Float32Array(0)
  #ids: Id[] = []
  #payloads: (Uint8Array | undefined)[] = []

  constructor(of: PackedFor) {
    this.#of = of
  }

  add(rows: GivenRows, row: number, mostRows: number): void {
    const { dim } = this.#of
    if (this.count === 0) this.#vectors = new Float32Array(Math.min(mostRows, rows.count - row) * dim)
    const name = `row ${row}`
    this.#ids.push(this.#checkId(rows.idAt(row), name))
    const vector = rows.vectorAt(row)
    expectVector(vector, this.#of, name)
    this.#vectors.set(vector, this.count * dim)
    const payload = rows.payloadAt(row)
    this.#payloads.push(payload === undefined ? undefined : this.#encode(payload, name))
    this.count++
  }

  #checkId(id: unknown, name: string): Id {
    const { idType } = this.#of
    try {
      return expectIdOf(id, idType)
    } catch (error) {
      if (error instanceof TypeError) throw new TypeError(`${name}: ${error.message}`)
      throw error instanceof RangeError ? new RangeError(`${name}: ${error.message}`) : error
    }
  }

  #encode(payload: unknown, name: string): Uint8Array {
    const bytes = Uint8Array.from(this.#encoder.encode(payload, name))
    expectFields(payload, this.#of.fields, name)
    this.payloadBytes += bytes.byteLength
    return bytes
  }

  /** Returns what was added since the last time. */
  take(): PackedRows {
    const { count } = this
    const packed = {
      count,
      vectors: this.#vectors.subarray(0, count * this.#of.dim),
      ids: this.#ids,
      payloads: packBytes(this.#payloads)
    }
    this.count = 0
    this.payloadBytes = 0
    this.#ids = []
    this.#payloads = []
    return packed
  }
}

/** Returns what is an id of an index; throws TypeError or RangeError. */
export function expectIdOf(id: unknown, idType: IdType): Id {
  if (idType === 'string') return checkStringId(id)
  expectWholeNumber('id', id, { least: 0 })
  return Number(id)
}

/** Throws ZGQ_NON_FINITE or ZGQ_ZERO_VECTOR for a vector that has no distances. */
function expectVector(vector: Float32Array, { metric }: PackedFor, name: string): void {
  let norm2 = 0
  for (let i = 0; i < vector.length; i++) norm2 += vector[i] * vector[i]
  if (norm2 > 0 && norm2 < Infinity) return
  const at = vector.findIndex((value) => !Number.isFinite(value))
  if (at >= 0)
    throw new ZgqError(
      'ZGQ_NON_FINITE',
      `${name}: the vector holds ${vector[at]} at position ${at}, expected finite float32`
    )
  if (metric === 'cosine')
    throw new ZgqError('ZGQ_ZERO_VECTOR', `${name}: the vector has length zero: cosine cannot compare it`)
}

/** Throws TypeError where a declared field has a value of another type. */
export function expectFields(payload: unknown, fields: readonly DeclaredField[], name: string): void {
  if (typeof payload !== 'object' || payload === null) return
  for (const field of fields) {
    const value: unknown = Object.hasOwn(payload, field.name) ? Reflect.get(payload, field.name) : undefined
    const fault = faultOfValue(field.type, value)
    if (fault !== undefined) throw new TypeError(`${name}: the field ${field.name} ${fault}`)
  }
}

function givenRows(batch: unknown, dim: number): GivenRows {
  if (Array.isArray(batch)) return listedRows(batch, dim)
  if (isPlainObject(batch)) return columnRows(batch, dim)
  throw new TypeError(
    `rows must be an array of { id, vector, payload }, or { ids, vectors, payloads }, found ${describe(batch)}`
  )
}

const ROW_KEYS = ['id', 'vector', 'payload']

function listedRows(batch: readonly unknown[], dim: number): GivenRows {
  const at = (row: number): Readonly<Record<string, unknown>> => {
    const given = batch[row]
    if (!isPlainObject(given))
      throw new TypeError(`row ${row} must be an object { id, vector, payload }, found ${describe(given)}`)
    return given
  }
  return {
    count: batch.length,
    idAt(row) {
      const given = at(row)
      const other = Object.keys(given).find((key) => !ROW_KEYS.includes(key))
      if (other !== undefined)
        throw new TypeError(`row ${row}: unknown key ${describe(other)}, expected ${ROW_KEYS.join(', ')}`)
      return given.id
    },
    vectorAt: (row) => vectorOf(at(row).vector, dim, row),
    payloadAt: (row) => at(row).payload
  }
}

function vectorOf(vector: unknown, dim: number, row: number): Float32Array {
  const floats = Array.isArray(vector) ? numbersOf(vector, row) : toFloat32Array(vector)
  if (floats === undefined)
    throw new TypeError(
      `row ${row}: vector must be a Float32Array, a Float64Array or an array of numbers, found ${describe(vector)}`
    )
  if (floats.length !== dim)
    throw new ZgqError(
      'ZGQ_DIMENSION',
      `row ${row}: the vector has ${countOf(floats.length, 'value')}, expected ${formatCount(dim)}, the dimension of ` +
        'the index'
    )
  return floats
}

function numbersOf(vector: readonly unknown[], row: number): Float32Array {
  return Float32Array.from(vector, (value, i) => {
    if (typeof value === 'number') return value
    throw new TypeError(`row ${row}: the vector holds ${describe(value)} at position ${i}, expected a number`)
  })
}

function columnRows(batch: Readonly<Record<string, unknown>>, dim: number): GivenRows {
  checkOptionNames('rows', batch, ['ids', 'vectors', 'payloads'])
  const { ids, vectors: given, payloads } = batch
  const vectors = toFloat32Array(given)
  if (vectors === undefined)
    throw new TypeError(`vectors must be a Float32Array or a Float64Array, found ${describe(given)}`)
  if (!isList(ids)) throw new TypeError(`ids must be an array, found ${describe(ids)}`)
  const count = ids.length
  if (vectors.length !== count * dim)
    throw new ZgqError(
      'ZGQ_DIMENSION',
      `the vectors have ${countOf(vectors.length, 'value')}, expected ${formatCount(count * dim)}: ` +
        `${countOf(count, 'id')} of ${countOf(dim, 'dimension')}`
    )
  if (payloads !== undefined && !(Array.isArray(payloads) && payloads.length === count))
    throw new TypeError(`payloads must be an array of ${countOf(count, 'value')}, found ${describe(payloads)}`)
  return {
    count,
    idAt: (row) => ids[row],
    vectorAt: (row) => vectors.subarray(row * dim, (row + 1) * dim),
    payloadAt: (row): unknown => (payloads === undefined ? undefined : Reflect.get(payloads, row))
  }
}

function isList(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && 'length' in value)
}
