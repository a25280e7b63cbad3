// Integers of 64 bits in two words.

import { expect, it } from 'vitest'

import { highWord, joinU64, lowWord, u64At } from '../src/format/u64.ts'

it.each([0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1])('%d is split into words and joined again', (value) => {
  const words = Uint32Array.of(7, 7, lowWord(value), highWord(value))
  expect(joinU64(words[2], words[3])).toBe(value)
  expect(u64At(words, 1)).toBe(value)
})

it('a signed high word makes a negative integer', () => {
  expect(joinU64(0xffff_ffff, -1)).toBe(-1)
})

it('what is beyond 2^53 - 1 is no safe integer', () => {
  expect(Number.isSafeInteger(u64At(Uint32Array.of(0, 2 ** 21), 0))).toBe(false)
  expect(Number.isSafeInteger(u64At(Uint32Array.of(0xffff_ffff, 0xffff_ffff), 0))).toBe(false)
})
