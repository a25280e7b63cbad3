// Ordinals of rows, by which a calibration names them: slot of the segment * 2^32 + row in it, as one number.

import { highWord, joinU64, lowWord } from '../format/u64.ts'
import type { SearchContext } from '../search/search-context.ts'

export function ordinalOf(slot: number, row: number): number {
  return joinU64(row, slot)
}

export function slotOf(ordinal: number): number {
  return highWord(ordinal)
}

export function rowOf(ordinal: number): number {
  return lowWord(ordinal)
}

/** Returns the zone that a row is in. */
export function zoneOf({ workspace }: SearchContext, ordinal: number): number {
  return workspace.segments.inSlot(slotOf(ordinal)).zone
}
