// Ordinals of rows, by which a calibration finds them: slot of the segment * 2^32 + row in it, as one number.

import { highWord, joinU64, lowWord, u64At } from '../format/u64.ts'
import type { SearchContext } from '../search/search-context.ts'
import type { Neighbours } from './calibration-lists.ts'

/** By id. */
export type Ordinals = ReadonlyMap<number, number>

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

/** Finds the ordinals of all neighbours, and of the rows in `more`, in one pass over the ids of the index. */
export function findOrdinals(
  context: SearchContext,
  neighbours: readonly Neighbours[],
  more: readonly number[]
): Ordinals {
  const wanted = new Set(more)
  for (const { ids } of neighbours) for (const id of ids) wanted.add(id)
  const ordinals = new Map<number, number>()
  for (const segment of context.workspace.segments) {
    const words = context.files.readIdWords(segment)
    for (let row = 0; row < segment.rowCount; row++) {
      const id = u64At(words, row)
      if (wanted.has(id)) ordinals.set(id, ordinalOf(segment.slot, row))
    }
  }
  return ordinals
}
