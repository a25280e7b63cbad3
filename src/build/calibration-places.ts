// Where rows are, as one number: zone * 2^32 + row of the zone.

import type { SearchContext } from '../search/search.ts'
import type { Neighbours } from './calibration-lists.ts'

/** By id. */
export type Places = ReadonlyMap<number, number>

const ZONE_UNIT = 2 ** 32

export function placeOf(zone: number, row: number): number {
  return zone * ZONE_UNIT + row
}

export function zoneOf(place: number): number {
  return Math.floor(place / ZONE_UNIT)
}

export function rowOf(place: number): number {
  return place % ZONE_UNIT
}

/** Finds the places of all neighbours, and of the rows in `more`, in one pass over the ids of the index. */
export function findPlaces(context: SearchContext, neighbours: readonly Neighbours[], more: readonly number[]): Places {
  const wanted = new Set(more)
  for (const { ids } of neighbours) for (const id of ids) wanted.add(id)
  const places = new Map<number, number>()
  for (const zone of context.workspace.zones) {
    const words = context.files.readIdWords(zone)
    for (let row = 0; row < zone.rowCount; row++) {
      const id = words[row * 2] + words[row * 2 + 1] * ZONE_UNIT
      if (wanted.has(id)) places.set(id, placeOf(zone.zone, row))
    }
  }
  return places
}
