// Which zones a fold rewrites: those where enough has changed, the neediest first, as many as fit into memory.

import type { Segment } from '../format/segment-table.ts'
import { LARGE, SMALL } from './assign-rows.ts'
import type { BookedZone, ZoneBook } from './zone-book.ts'

/** Part of a zone's rows that may be deleted, or have come since it was written, before it is written anew. */
const CHANGED = 1 / 5

export interface Choice {
  /** Bytes of rows that may be taken. */
  readonly budgetBytes: number
  /** Zones are rewritten for a single deleted or updated row. */
  readonly all: boolean
  /** Segments from this number on were written by this fold: their size is no reason to write them again. */
  readonly firstOwnSegment: number
}

/** Chooses zones, of which `joining` says how many rows join each. */
export function chooseZones(book: ZoneBook, joining: ReadonlyMap<number, number>, choice: Choice): BookedZone[] {
  const wanted = book.zones
    .map((zone) => ({ zone, need: needOf(zone, joining.get(zone.zone) ?? 0, { book, choice }) }))
    .filter(({ need }) => need > 0)
    .sort((a, b) => b.need - a.need || a.zone.zone - b.zone.zone)
  const chosen: BookedZone[] = []
  let bytes = 0
  for (const { zone } of wanted) {
    if (chosen.length > 0 && bytes + zone.byteLength > choice.budgetBytes) break
    bytes += zone.byteLength
    chosen.push(zone)
  }
  return chosen
}

/** The segments of a zone that came after it was written: all but the largest. */
export function others(segments: readonly Segment[]): Segment[] {
  const largest = segments.reduce((best, segment) => (segment.rowCount > best.rowCount ? segment : best), segments[0])
  return segments.filter((segment) => segment !== largest)
}

/** How much a zone needs to be rewritten; 0: not at all. */
function needOf(
  zone: BookedZone,
  joining: number,
  { book, choice }: { readonly book: ZoneBook; readonly choice: Choice }
): number {
  const { segments, rowCount, deletedCount, patchedRows, isInPoorFile } = zone
  if (rowCount === 0) return 0
  const joined = others(segments).reduce((rows, segment) => rows + segment.rowCount, 0)
  const changed = (deletedCount + joining + joined) / rowCount
  if (changed >= CHANGED) return changed
  // Beside a writer that never rests a fold would never end.
  const isOwn = segments.every(({ segment }) => segment >= choice.firstOwnSegment)
  if (isOwn) return 0
  if (choice.all && (deletedCount > 0 || patchedRows > 0 || segments.length > 1)) return CHANGED
  const left = rowCount - deletedCount + joining
  const isOdd = left > book.rowsPerZone * LARGE || (left < book.rowsPerZone * SMALL && book.zones.length > 1)
  // A zone to which nothing came, and from which nothing went, is as it was meant, whatever its size.
  return (isOdd && changed > 0) || isInPoorFile ? CHANGED / 2 : 0
}
