// Decodes strings, bytes and booleans that stand in the pages of a Parquet column. Source: the Parquet format,
// Encodings.md.

import { isUtf8 } from 'node:buffer'

import type { ParquetLibrary } from './parquet-library.ts'
import type { ValueDecoder } from './parquet-pages.ts'
import { decodeHybrid } from './parquet-values.ts'

/** Values that are given out together. */
const PIECE_VALUES = 1024
const LENGTH_BYTES = 4

/** Makes a string of bytes; throws for what is not UTF-8. */
export function decodeText(bytes: Uint8Array): string {
  if (!isUtf8(bytes)) throw new Error('a text that is not UTF-8')
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
}

/** Decodes byte arrays; `convert` makes a value of each. */
export class ByteArrayDecoder implements ValueDecoder<readonly unknown[]> {
  readonly #library: ParquetLibrary
  readonly #convert: (bytes: Uint8Array) => unknown
  #dictionary: readonly unknown[] | undefined

  constructor(library: ParquetLibrary, convert: (bytes: Uint8Array) => unknown) {
    this.#library = library
    this.#convert = convert
  }

  readDictionary(bytes: Uint8Array, count: number): void {
    this.#dictionary = [...this.#plain(bytes, count)].flat()
  }

  decode(bytes: Uint8Array, count: number, encoding: string): Iterable<readonly unknown[]> {
    if (count === 0) return []
    switch (encoding) {
      case 'PLAIN':
        return this.#plain(bytes, count)
      case 'PLAIN_DICTIONARY':
      case 'RLE_DICTIONARY':
        return [this.#lookUp(bytes, count)]
      case 'DELTA_LENGTH_BYTE_ARRAY':
        return this.#deltaLengths(bytes, count)
      case 'DELTA_BYTE_ARRAY':
        return this.#deltas(bytes, count)
      default:
        throw new Error(`values in the encoding ${encoding}, which is not supported`)
    }
  }

  /** Each value after its length. */
  *#plain(bytes: Uint8Array, count: number): Generator<unknown[]> {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    let piece: unknown[] = []
    let at = 0
    for (let i = 0; i < count; i++) {
      if (at + LENGTH_BYTES > bytes.length) throw new Error(`a page has ${i} values, expected ${count}`)
      const end = at + LENGTH_BYTES + view.getUint32(at, true)
      if (end > bytes.length) throw new Error(`a value ends ${end - bytes.length} bytes after its page`)
      piece.push(this.#convert(bytes.subarray(at + LENGTH_BYTES, end)))
      at = end
      if (piece.length < PIECE_VALUES) continue
      yield piece
      piece = []
    }
    if (at !== bytes.length) throw new Error(`a page has ${bytes.length} bytes of values, expected ${at}`)
    yield piece
  }

  #lookUp(bytes: Uint8Array, count: number): unknown[] {
    const dictionary = this.#dictionary
    if (dictionary === undefined) throw new Error('a page refers to a dictionary that is not there')
    const indexes = new Uint32Array(count)
    decodeHybrid(bytes.subarray(1), bytes[0], indexes)
    return Array.from(indexes, (index) => {
      if (index >= dictionary.length) throw new Error(`value ${index} of a dictionary of ${dictionary.length}`)
      return dictionary[index]
    })
  }

  /** All lengths, then all values. */
  *#deltaLengths(bytes: Uint8Array, count: number): Generator<unknown[]> {
    const { numbers: lengths, end } = this.#unpack(bytes, count)
    const values = new Cutter(bytes, end)
    for (let first = 0; first < count; first += PIECE_VALUES)
      yield Array.from(lengths.subarray(first, first + PIECE_VALUES), (length) => this.#convert(values.take(length)))
  }

  /** How much each value shares with the one before it, then the rest of each. */
  *#deltas(bytes: Uint8Array, count: number): Generator<unknown[]> {
    const shared = this.#unpack(bytes, count)
    const rest = this.#unpack(bytes.subarray(shared.end), count)
    const values = new Cutter(bytes, shared.end + rest.end)
    let last: Uint8Array = new Uint8Array(0)
    let piece: unknown[] = []
    for (let i = 0; i < count; i++) {
      const prefix = shared.numbers[i]
      if (!(prefix >= 0 && prefix <= last.length)) throw new Error(`a value shares ${prefix} bytes of ${last.length}`)
      last = Buffer.concat([last.subarray(0, prefix), values.take(rest.numbers[i])])
      piece.push(this.#convert(last))
      if (piece.length < PIECE_VALUES) continue
      yield piece
      piece = []
    }
    yield piece
  }

  #unpack(bytes: Uint8Array, count: number): { numbers: Int32Array; end: number } {
    const numbers = new Int32Array(count)
    const reader = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 }
    this.#library.unpackDeltas(reader, count, numbers)
    return { numbers, end: reader.offset }
  }
}

/** Cuts bytes into values. */
class Cutter {
  readonly #bytes: Uint8Array
  #at: number

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes
    this.#at = at
  }

  take(length: number): Uint8Array {
    const end = this.#at + length
    if (!(length >= 0 && end <= this.#bytes.length)) throw new Error(`a value of ${length} bytes leaves its page`)
    const value = this.#bytes.subarray(this.#at, end)
    this.#at = end
    return value
  }
}

/** Decodes booleans, a bit each. */
export class BooleanDecoder implements ValueDecoder<readonly boolean[]> {
  readDictionary(): void {
    throw new Error('a dictionary of booleans')
  }

  decode(bytes: Uint8Array, count: number, encoding: string): Iterable<readonly boolean[]> {
    if (count === 0) return []
    if (encoding === 'RLE') {
      if (bytes.length < LENGTH_BYTES) throw new Error('a page that ends before its values')
      const byteLength = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)
      const bits = new Uint8Array(count)
      decodeHybrid(bytes.subarray(LENGTH_BYTES, LENGTH_BYTES + byteLength), 1, bits)
      return [Array.from(bits, (bit) => bit === 1)]
    }
    if (encoding !== 'PLAIN') throw new Error(`values in the encoding ${encoding}, which is not supported`)
    const expected = Math.ceil(count / 8)
    if (bytes.length !== expected) throw new Error(`a page has ${bytes.length} bytes of values, expected ${expected}`)
    return [Array.from({ length: count }, (_, i) => ((bytes[i >>> 3] >>> (i & 7)) & 1) === 1)]
  }
}
