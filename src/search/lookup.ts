// Looking a vector up by its id. There is no order of ids over all zones, so every zone is asked: a binary search in
// each.

import type { CatalogueZone } from '../format/catalogue.ts'
import type { RowPlace, ZoneFiles } from '../storage/zone-files.ts'

/** Finds the row with an id, or undefined. Reads the ids of one zone after the other until it is found. */
export function findRow(zones: readonly CatalogueZone[], files: ZoneFiles, id: number): RowPlace | undefined {
  for (const zone of zones) {
    const row = positionOf(files.readIdWords(zone), id)
    if (row !== undefined) return { zone, row }
  }
  return undefined
}

/** Searches ascending ids (u64 as two words, low first). */
function positionOf(words: Uint32Array, id: number): number | undefined {
  let low = 0
  let high = words.length / 2
  while (low < high) {
    const middle = (low + high) >>> 1
    const found = words[middle * 2] + words[middle * 2 + 1] * 2 ** 32
    if (found === id) return middle
    if (found < id) low = middle + 1
    else high = middle
  }
  return undefined
}
