// Vectors that loops hold in a register: written when the module starts and loaded from memory, because V8 from Node 24
// on makes a constant of the code anew at each use, in three instructions. docs/decisions.md has the numbers. They lie
// in the first 64 bytes of memory, which belong to no region (../regions.ts). Data of the module would lie there only
// with an option of the compiler (memoryBase) that costs it the folding of offsets into loads.

const NIBBLES: usize = 16
const NIBBLE: usize = 32
const PAIR: usize = 34
const ROUNDING: usize = 36
const SQRT_HALF: usize = 40
const HALF: usize = 44

v128.store(NIBBLES, i8x16.splat(15))
store<u16>(NIBBLE, 15)
store<u16>(PAIR, 3)
store<f32>(ROUNDING, 12_582_912)
store<f32>(SQRT_HALF, 0.7071067811865475244)
store<f32>(HALF, 0.5)

/** 15 in each byte. */
@inline
export function byteNibbles(): v128 {
  return v128.load(NIBBLES)
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
 * 1.5 * 2^23 in each float32 lane: where float32 values are whole numbers. Adding it rounds half to even; the low 16
 * bits of the sum are those of the rounded number, and 0 for what is not a number.
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
