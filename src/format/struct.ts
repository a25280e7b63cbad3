// Fixed-layout records: one declaration gives the encoder, the decoder and the table that a test compares with the
// spec. All values are little-endian. A u64 above 2^53 - 1 is refused as damage; bigint does not leave this file.

import { ZgqError } from '../errors.ts'
import { joinU64 } from './u64.ts'

/**
 * `flags64`: a u64 that is a set of bits; as a number it may lose low bits, which matters to nobody who only asks for
 * zero.
 */
export type FieldType = 'u32' | 'u64' | 'flags64' | 'f64' | `bytes${number}`

export interface Field {
  readonly offset: number
  readonly type: FieldType
}

type FieldValue<T extends FieldType> = T extends `bytes${number}` ? Uint8Array : number

export type RecordOf<F extends Record<string, Field>> = { [K in keyof F]: FieldValue<F[K]['type']> }

/** A record type: its length in bytes, its fields, and its codec. */
export interface Struct<F extends Record<string, Field>> {
  readonly byteLength: number
  readonly fields: F
  /** Writes `record` at `offset` of `target`; bytes that no field names are left as they are. */
  encode(record: RecordOf<F>, target: Uint8Array, offset?: number): void
  /** Reads a record at `offset` of `source`; throws ZGQ_CORRUPT, naming `path`, for a u64 above 2^53 - 1. */
  decode(source: Uint8Array, offset: number, path: string): RecordOf<F>
}

/** Declares a record of `byteLength` bytes. */
export function struct<const F extends Record<string, Field>>(byteLength: number, fields: F): Struct<F> {
  const names = Object.keys(fields) as (keyof F & string)[]
  return {
    byteLength,
    fields,
    encode(record, target, offset = 0) {
      const view = new DataView(target.buffer, target.byteOffset + offset, byteLength)
      for (const name of names) encodeField(view, fields[name], record[name] as number | Uint8Array)
    },
    decode(source, offset, path) {
      const view = new DataView(source.buffer, source.byteOffset + offset, byteLength)
      const record: Record<string, number | Uint8Array> = {}
      for (const name of names) record[name] = decodeField(view, fields[name], { name, path })
      return record as RecordOf<F>
    }
  }
}

function encodeField(view: DataView, field: Field, value: number | Uint8Array): void {
  if (typeof value !== 'number') {
    new Uint8Array(view.buffer, view.byteOffset + field.offset, value.byteLength).set(value)
  } else if (field.type === 'u32') {
    view.setUint32(field.offset, value, true)
  } else if (field.type === 'f64') {
    view.setFloat64(field.offset, value, true)
  } else {
    view.setBigUint64(field.offset, BigInt(value), true)
  }
}

function decodeField(view: DataView, field: Field, of: { name: string; path: string }): number | Uint8Array {
  if (field.type === 'u32') return view.getUint32(field.offset, true)
  if (field.type === 'f64') return view.getFloat64(field.offset, true)
  if (field.type === 'u64') return readU64(view, field.offset, of)
  if (field.type === 'flags64')
    return joinU64(view.getUint32(field.offset, true), view.getUint32(field.offset + 4, true))
  const byteLength = Number(field.type.slice('bytes'.length))
  return new Uint8Array(view.buffer, view.byteOffset + field.offset, byteLength).slice()
}

/** By two words: a bigint for each would take longer than all else that reading a header does. */
function readU64(view: DataView, offset: number, of: { name: string; path: string }): number {
  const value = joinU64(view.getUint32(offset, true), view.getUint32(offset + 4, true))
  if (value > Number.MAX_SAFE_INTEGER)
    throw new ZgqError('ZGQ_CORRUPT', `field ${of.name} holds ${view.getBigUint64(offset, true)}, above 2^53 - 1`, {
      path: of.path
    })
  return value
}
