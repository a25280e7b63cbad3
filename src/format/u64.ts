// Integers of 64 bits in two words of 32, without bigint. One beyond +-2^53 comes out rounded, and never as a safe
// integer.

const UNIT = 2 ** 32

/** Joins an integer's words; a signed high word makes a signed integer. */
export function joinU64(low: number, high: number): number {
  return low + high * UNIT
}

/** Reads integer number i of words, low first. */
export function u64At(words: Uint32Array, i: number): number {
  return joinU64(words[i * 2], words[i * 2 + 1])
}

/** Returns bits 0 to 31 of a safe integer >= 0. */
export function lowWord(value: number): number {
  return value >>> 0
}

/** Returns bits 32 and up of a safe integer >= 0. */
export function highWord(value: number): number {
  return Math.floor(value / UNIT)
}

/** High word of the largest safe integer, 2^53 - 1. */
export const MOST_HIGH_WORD = 2 ** 21 - 1
