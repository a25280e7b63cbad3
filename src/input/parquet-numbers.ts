// Decodes numbers that stand in the pages of a Parquet column.

import { KIND_BYTES, plainNumbers, toFloat32, type NumberKind, type Numbers } from './number-kinds.ts'
import type { ParquetLibrary } from './parquet-library.ts'
import type { ValueDecoder } from './parquet-pages.ts'
import { decodeHybrid, joinByteStreams, lookUp } from './parquet-values.ts'

/** Some writers make pages of 100 MB: their numbers are given out in pieces. */
const PIECE_BYTES = 2 ** 20

export class NumberDecoder implements ValueDecoder<Numbers> {
  readonly #library: ParquetLibrary
  readonly #kind: NumberKind
  readonly #isVector: boolean
  #dictionary: Numbers | undefined

  /** isVector: numbers are wanted as float32. */
  constructor(library: ParquetLibrary, kind: NumberKind, isVector: boolean) {
    this.#library = library
    this.#kind = kind
    this.#isVector = isVector
  }

  readDictionary(bytes: Uint8Array, count: number): void {
    this.#expectNumbers(bytes, count)
    this.#dictionary = this.#toNumbers(bytes)
  }

  decode(values: Uint8Array, count: number, encoding: string): Iterable<Numbers> {
    switch (encoding) {
      case 'PLAIN':
        return this.#plainPieces(values, count)
      case 'BYTE_STREAM_SPLIT':
        return this.#plainPieces(joinByteStreams(values, KIND_BYTES[this.#kind]), count)
      case 'PLAIN_DICTIONARY':
      case 'RLE_DICTIONARY': {
        if (count === 0) return []
        if (this.#dictionary === undefined) throw new Error('a page refers to a dictionary that is not there')
        const indexes = new Uint32Array(count)
        decodeHybrid(values.subarray(1), values[0], indexes)
        return [lookUp(indexes, this.#dictionary)]
      }
      case 'DELTA_BINARY_PACKED': {
        const unpacked = KIND_BYTES[this.#kind] === 4 ? new Int32Array(count) : new BigInt64Array(count)
        if (count > 0)
          this.#library.unpackDeltas(
            { view: new DataView(values.buffer, values.byteOffset, values.byteLength), offset: 0 },
            count,
            unpacked
          )
        return [this.#toNumbers(new Uint8Array(unpacked.buffer))]
      }
      default:
        throw new Error(`values in the encoding ${encoding}, which is not supported`)
    }
  }

  #plainPieces(bytes: Uint8Array, count: number): Iterable<Numbers> {
    this.#expectNumbers(bytes, count)
    return this.#pieces(bytes)
  }

  *#pieces(bytes: Uint8Array): Generator<Numbers> {
    for (let start = 0; start < bytes.length; start += PIECE_BYTES)
      yield this.#toNumbers(bytes.subarray(start, start + PIECE_BYTES))
  }

  #expectNumbers(bytes: Uint8Array, count: number): void {
    const expected = count * KIND_BYTES[this.#kind]
    if (bytes.length !== expected) throw new Error(`a page has ${bytes.length} bytes of values, expected ${expected}`)
  }

  #toNumbers(bytes: Uint8Array): Numbers {
    const numbers = plainNumbers(bytes, this.#kind)
    return this.#isVector ? toFloat32(numbers) : numbers
  }
}
