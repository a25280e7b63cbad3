// Ordinals of rows, by which a calibration finds them: zone * 2^32 + row of the zone, as one number.

import { highWord, joinU64, lowWord, u64At } from '../format/u64.ts'
import type { SearchContext } from '../search/search.ts'
import type { Neighbours } from './calibration-lists.ts'

/** By id. */
export type Ordinals = ReadonlyMap<number, number>

export function ordinalOf(zone: number, row: number): number {
  return joinU64(row, zone)
}

export function zoneOf(ordinal: number): number {
  return highWord(ordinal)
}

export function rowOf(ordinal: number): number {
  return lowWord(ordinal)
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
  for (const zone of context.workspace.zones) {
    const words = context.files.readIdWords(zone)
    for (let row = 0; row < zone.rowCount; row++) {
      const id = u64At(words, row)
      if (wanted.has(id)) ordinals.set(id, ordinalOf(zone.zone, row))
    }
  }
  return ordinals
}
