// The number types of files of vectors, and their bytes as numbers that a build can use.

import { joinU64 } from '../format/u64.ts'
import { float16Table } from './float16.ts'

/** Floats, signed and unsigned integers of so many bytes. */
export type NumberKind = 'f2' | 'f4' | 'f8' | 'i1' | 'u1' | 'i2' | 'u2' | 'i4' | 'u4' | 'i8' | 'u8'

export const KIND_BYTES: Readonly<Record<NumberKind, number>> = {
  f2: 2,
  f4: 4,
  f8: 8,
  i1: 1,
  u1: 1,
  i2: 2,
  u2: 2,
  i4: 4,
  u4: 4,
  i8: 8,
  u8: 8
}

export type Numbers = Float32Array | Float64Array

/**
 * Reads little-endian numbers that lie one after the other; integers above 2^53 are rounded, but never into the safe
 * range.
 */
export function plainNumbers(bytes: Uint8Array, kind: NumberKind): Numbers {
  const { buffer } = new Uint8Array(bytes) // a copy: aligned, and no part of a pool
  switch (kind) {
    case 'f2': {
      const table = float16Table()
      return Float32Array.from(new Uint16Array(buffer), (bits) => table[bits])
    }
    case 'f4':
      return new Float32Array(buffer)
    case 'f8':
      return new Float64Array(buffer)
    case 'i1':
      return Float32Array.from(new Int8Array(buffer))
    case 'u1':
      return Float32Array.from(new Uint8Array(buffer))
    case 'i2':
      return Float32Array.from(new Int16Array(buffer))
    case 'u2':
      return Float32Array.from(new Uint16Array(buffer))
    case 'i4':
      return Float64Array.from(new Int32Array(buffer))
    case 'u4':
      return Float64Array.from(new Uint32Array(buffer))
    case 'i8':
      return joinWords(buffer, new Int32Array(buffer))
    case 'u8':
      return joinWords(buffer, new Uint32Array(buffer))
  }
}

/** Puts 64-bit integers together from halves: no bigint, as in all of the build. */
function joinWords(buffer: ArrayBufferLike, highs: Int32Array | Uint32Array): Float64Array {
  const lows = new Uint32Array(buffer)
  const numbers = new Float64Array(lows.length / 2)
  for (let i = 0; i < numbers.length; i++) numbers[i] = joinU64(lows[2 * i], highs[2 * i + 1])
  return numbers
}

/** Gives numbers as the nearest float32; beyond its range they become infinite, which a build refuses. */
export function toFloat32(numbers: Numbers): Float32Array {
  return numbers instanceof Float32Array ? numbers : new Float32Array(numbers)
}
