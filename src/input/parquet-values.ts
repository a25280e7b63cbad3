// Decodes what stands in a Parquet page: levels, runs and dictionaries. Strict where libraries are lenient: every count
// is checked, and nothing is made up for what is missing. Source: the Parquet format, Encodings.md. Headers, pages and
// compression are not known here.

import type { SchemaElement } from 'hyparquet'

import type { NumberKind } from './number-kinds.ts'

/** Tells which numbers a leaf of the schema holds; undefined for text, times, decimals and the like. */
export function numberKindOf(element: SchemaElement): NumberKind | undefined {
  const { type, type_length: byteLength, converted_type: converted, logical_type: logical } = element
  if (type === 'FLOAT') return 'f4'
  if (type === 'DOUBLE') return 'f8'
  if (type === 'FIXED_LEN_BYTE_ARRAY') return logical?.type === 'FLOAT16' && byteLength === 2 ? 'f2' : undefined
  if (type !== 'INT32' && type !== 'INT64') return undefined
  if (logical !== undefined && logical.type !== 'INTEGER') return undefined
  if (converted !== undefined && !/^U?INT_\d+$/.test(converted)) return undefined
  const isUnsigned = converted?.startsWith('UINT') === true || (logical?.type === 'INTEGER' && !logical.isSigned)
  if (type === 'INT32') return isUnsigned ? 'u4' : 'i4'
  return isUnsigned ? 'u8' : 'i8'
}

/** BYTE_STREAM_SPLIT: the first bytes of all values, then the second bytes, and so on. */
export function joinByteStreams(bytes: Uint8Array, width: number): Uint8Array {
  const count = bytes.length / width
  const joined = new Uint8Array(bytes.length)
  for (let byte = 0, from = 0; byte < width; byte++) {
    for (let i = 0; i < count; i++) joined[i * width + byte] = bytes[from++]
  }
  return joined
}

/** Looks numbers up in a dictionary; throws where an index is beyond it. */
export function lookUp(indexes: Uint32Array, dictionary: Float32Array | Float64Array): Float32Array | Float64Array {
  const found = dictionary instanceof Float32Array ? new Float32Array(indexes.length) : new Float64Array(indexes.length)
  for (let i = 0; i < indexes.length; i++) {
    if (indexes[i] >= dictionary.length) throw new Error(`value ${indexes[i]} of a dictionary of ${dictionary.length}`)
    found[i] = dictionary[indexes[i]]
  }
  return found
}

/** Bits that hold 0 to `most`. */
export function bitWidth(most: number): number {
  return 32 - Math.clz32(most)
}

/**
 * Fills `target` from the hybrid of runs and bit-packed groups of 8; throws where the bytes end first or the last value
 * is too wide.
 */
export function decodeHybrid(bytes: Uint8Array, width: number, target: Uint8Array | Uint32Array): void {
  if (width < 0 || width > 32) throw new Error(`values of ${width} bits`)
  let at = 0
  for (let done = 0; done < target.length;) {
    let header = 0
    for (let shift = 0; ; shift += 7) {
      if (at === bytes.length || shift > 28) throw new Error(`${done} levels or indexes, expected ${target.length}`)
      const byte = bytes[at++]
      header += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) break
    }
    const isPacked = header % 2 === 1
    const count = Math.min(target.length - done, Math.floor(header / 2) * (isPacked ? 8 : 1))
    const byteLength = isPacked ? Math.ceil((count * width) / 8) : Math.ceil(width / 8)
    if (at + byteLength > bytes.length)
      throw new Error(`a run ends ${at + byteLength - bytes.length} bytes after its page`)
    const values = target.subarray(done, done + count)
    if (isPacked) unpack(bytes.subarray(at, at + byteLength), width, values)
    else values.fill(unpackOne(bytes, at, byteLength))
    // the last group may be cut short
    at += isPacked ? Math.min(bytes.length - at, Math.floor(header / 2) * width) : byteLength
    done += count
  }
}

function unpackOne(bytes: Uint8Array, at: number, byteLength: number): number {
  let value = 0
  for (let byte = 0; byte < byteLength; byte++) value += bytes[at + byte] * 2 ** (8 * byte)
  return value
}

/** Unpacks values of `width` bits, the lowest bits first. */
function unpack(bytes: Uint8Array, width: number, target: Uint8Array | Uint32Array): void {
  for (let i = 0, bit = 0; i < target.length; i++) {
    let value = 0
    for (let taken = 0; taken < width;) {
      const bits = Math.min(width - taken, 8 - (bit & 7))
      value += ((bytes[bit >>> 3] >>> (bit & 7)) & (2 ** bits - 1)) * 2 ** taken
      taken += bits
      bit += bits
    }
    target[i] = value
  }
}
