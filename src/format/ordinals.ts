// Ordinals of rows inside an open index: slot of the segment * 2^32 + row in it, as one number, or as u64 where ids are
// u64. Where ids are strings, or rows have payloads, heaps hold ordinals in the place of ids.

import { highWord, joinU64, lowWord } from './u64.ts'

/** Slots that ordinals can name: more segments than an index of 10^9 rows has. */
export const MOST_ORDINAL_SLOTS = 2 ** 21

export function ordinalOf(slot: number, row: number): number {
  return joinU64(row, slot)
}

export function slotOf(ordinal: number): number {
  return highWord(ordinal)
}

export function rowOf(ordinal: number): number {
  return lowWord(ordinal)
}

/** Writes the ordinals of rows from `firstRow` on: 8 bytes each. */
export function fillOrdinals(target: Uint8Array, slot: number, firstRow: number): void {
  const words = new Uint32Array(target.buffer, target.byteOffset, target.byteLength / 4)
  for (let i = 0; i < words.length; i += 2) {
    words[i] = firstRow + i / 2
    words[i + 1] = slot
  }
}
