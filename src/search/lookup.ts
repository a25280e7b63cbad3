// Looking a row up by its id: among fresh rows, then among those of deltas, then through the ids files, the newest
// first, or where an index has none in every segment. A row that was deleted is not found.

import type { FreshRow } from '../catalogue/changes.ts'
import { hashInteger, hashText, idHash, type IdHash } from '../format/id-hash.ts'
import { checkStringId, encodeStringId } from '../format/string-ids.ts'
import { expectWholeNumber } from '../options.ts'
import type { IdLookup } from '../storage/id-lookup.ts'
import type { FileRange } from '../storage/reader.ts'
import type { Ordinal } from '../storage/segment-reads.ts'
import type { Id } from '../types.ts'
import { ZgqError } from '../errors.ts'
import type { DocumentsContext } from './search-context.ts'

/** Where a row is: in a segment, or among the fresh rows. */
export type RowPlace = Ordinal | FreshRow

export function isFresh(place: RowPlace): place is FreshRow {
  return 'sequence' in place
}

/** Throws TypeError or RangeError for what is no id of the index. */
export function expectId(id: unknown, { idType }: Pick<DocumentsContext, 'idType'>): asserts id is Id {
  if (idType === 'string') checkStringId(id)
  else expectWholeNumber('id', id, { least: 0 })
}

/** Finds the row with an id, or undefined; throws as reads of ids do. */
export function findRow(documents: DocumentsContext, id: Id): RowPlace | undefined {
  return findChanged(documents, id) ?? findBuilt(documents, id)
}

/** Finds a row that was written since the index was built. */
export function findChanged({ live, deltaIds }: DocumentsContext, id: Id): RowPlace | undefined {
  const fresh = live.fresh.find(id)
  if (fresh !== undefined) return fresh
  const found = deltaIds.find(id)
  return found !== undefined && !live.masks.isDeleted(found.segment.slot, found.row) ? found : undefined
}

/** Finds a row of the built zones. */
export function findBuilt(documents: DocumentsContext, id: Id): Ordinal | undefined {
  const { ids, files, live } = documents
  const isIt = (place: Ordinal): boolean =>
    files.idOf(place) === id && !live.masks.isDeleted(place.segment.slot, place.row)
  if (ids.length === 0) return findByReading(documents, isIt)
  const hash = hashOf(id)
  for (const lookup of ids) {
    const found = placesIn(lookup, hash, documents).find(isIt)
    if (found !== undefined) return found
  }
  return undefined
}

/** Returns the rows of built zones that may have an id, by its hash; none where the index has no ids file. */
export function placesOfId(documents: DocumentsContext, id: Id): Ordinal[] {
  const hash = hashOf(id)
  return documents.ids.flatMap((lookup) => placesIn(lookup, hash, documents))
}

function placesIn(lookup: IdLookup, hash: IdHash, { segments, nextSegment }: DocumentsContext): Ordinal[] {
  const places: Ordinal[] = []
  const count = lookup.find(hash)
  for (let i = 0; i < count; i++) {
    const [number, row] = [lookup.segments[i], lookup.rows[i]]
    const position = segments.find(number)
    if (position === -1 && number < nextSegment) continue // it went since, and its rows with it
    const segment = position === -1 ? undefined : segments.at(position)
    if (segment === undefined || row >= segment.rowCount)
      throw new ZgqError('ZGQ_CORRUPT', `the ids file names row ${row} of segment ${number}, which is not there`, {
        path: lookup.path
      })
    places.push({ segment, row })
  }
  return places
}

/** The ranges that a lookup lacks next in any ids file: see `IdLookup.rangesFor`. */
export function rangesOfLookup({ ids }: DocumentsContext, id: Id): FileRange[] {
  const hash = hashOf(id)
  return ids.flatMap((lookup) => lookup.rangesFor(hash))
}

/** Takes ranges that `rangesOfLookup` gave and that are served; throws as reads of ids do. */
export function loadLookup({ ids }: DocumentsContext, ranges: readonly FileRange[]): void {
  for (const lookup of ids) lookup.load(ranges.filter(({ file }) => file === lookup.file))
}

function hashOf(id: Id): IdHash {
  const hash = idHash()
  if (typeof id === 'number') hashInteger(id, hash)
  else hashText(encodeStringId(id), hash)
  return hash
}

function findByReading(
  { segments, builtZones }: DocumentsContext,
  isIt: (place: Ordinal) => boolean
): Ordinal | undefined {
  if (builtZones === 0) return undefined
  for (const segment of segments) {
    if (segment.zone >= builtZones) continue
    for (let row = 0; row < segment.rowCount; row++) if (isIt({ segment, row })) return { segment, row }
  }
  return undefined
}
