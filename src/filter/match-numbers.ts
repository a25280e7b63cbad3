// Conditions on numbers, over the rows of a segment: a word of the mask for 32 rows. Booleans become bits without a
// branch, which would be guessed wrong for every other row.

import type { NumberSet } from './sieve.ts'
import type { NumberCondition } from './predicate.ts'

/** Writes the mask of the rows from `low` to `high`. */
export function matchNumbers({ low, high }: NumberCondition, numbers: Float64Array, mask: Uint32Array): void {
  for (let row = 0, word = 0; row < numbers.length; word++) {
    const end = Math.min(row + 32, numbers.length)
    let bits = 0
    for (let bit = 0; row < end; row++, bit++) {
      const value = numbers[row]
      bits |= (Number(value >= low) & Number(value <= high)) << bit
    }
    mask[word] = bits
  }
}

/** Writes the mask of the rows whose number is in a set. */
export function matchNumberSet(set: NumberSet, numbers: Float64Array, mask: Uint32Array): void {
  const words = new Uint32Array(numbers.buffer, numbers.byteOffset, numbers.length * 2)
  for (let row = 0, word = 0; row < numbers.length; word++) {
    const end = Math.min(row + 32, numbers.length)
    let bits = 0
    for (let bit = 0; row < end; row++, bit++) bits |= Number(set.hasAt(numbers, words, row)) << bit
    mask[word] = bits
  }
}
