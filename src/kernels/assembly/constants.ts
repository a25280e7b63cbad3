// Vectors that loops hold in a register. They are data of the module, in the first 64 bytes of memory, which belong to
// no region (../regions.ts): V8 from Node 24 on makes a constant of the code anew at each use, in three instructions.
// docs/decisions.md has the numbers.

const BYTE_NIBBLES = memory.data<u8>([15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15], 16)
const NIBBLE = memory.data<u16>([15])
const PAIR = memory.data<u16>([3])
const ROUNDING = memory.data<f32>([12582912])
const SQRT_HALF = memory.data<f32>([0.7071067811865475244])
const HALF = memory.data<f32>([0.5])

/** 15 in each byte. */
@inline
export function byteNibbles(): v128 {
  return v128.load(BYTE_NIBBLES)
}

/** 15 in each 16-bit lane. */
@inline
export function shortNibbles(): v128 {
  return v128.load16_splat(NIBBLE)
}

/** 3 in each 16-bit lane. */
@inline
export function shortPairs(): v128 {
  return v128.load16_splat(PAIR)
}

/**
 * 1.5 * 2^23 in each float32 lane: where float32 values are whole numbers. Adding it rounds half to even; the low 16 bits of
 * the sum are those of the rounded number, and 0 for what is not a number.
 */
@inline
export function rounding(): v128 {
  return v128.load32_splat(ROUNDING)
}

/** sqrt(1 / 2) in each float32 lane. */
@inline
export function sqrtHalves(): v128 {
  return v128.load32_splat(SQRT_HALF)
}

/** 1 / 2 in each float32 lane. */
@inline
export function halves(): v128 {
  return v128.load32_splat(HALF)
}
