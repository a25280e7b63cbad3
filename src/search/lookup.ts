// Looking a row up by its id: through the ids file, or where an index has none in every segment.

import { hashInteger, hashText, idHash, type IdHash } from '../format/id-hash.ts'
import { checkStringId } from '../format/string-ids.ts'
import { expectWholeNumber } from '../options.ts'
import type { FileRange } from '../storage/reader.ts'
import type { Ordinal } from '../storage/segment-reads.ts'
import type { Id } from '../types.ts'
import { ZgqError } from '../errors.ts'
import type { DocumentsContext } from './search-context.ts'

/** Throws TypeError or RangeError for what is no id of the index. */
export function expectId(id: unknown, { idType }: DocumentsContext): asserts id is Id {
  if (idType === 'string') checkStringId(id)
  else expectWholeNumber('id', id, { least: 0 })
}

/** Finds the row with an id, or undefined; throws as reads of ids do. */
export function findRow(documents: DocumentsContext, id: Id): Ordinal | undefined {
  const { ids, files } = documents
  if (ids === undefined) return findByReading(documents, id)
  return placesOfId(documents, id).find((place) => files.idOf(place) === id)
}

/** Returns the rows that may have an id, by its hash; none where the index has no ids file. */
export function placesOfId({ segments, ids }: DocumentsContext, id: Id): Ordinal[] {
  if (ids === undefined) return []
  return Array.from({ length: ids.find(hashOf(id)) }, (_, i) => {
    const [number, row] = [ids.segments[i], ids.rows[i]]
    const position = segments.find(number)
    const segment = position === -1 ? undefined : segments.at(position)
    if (segment === undefined || row >= segment.rowCount)
      throw new ZgqError('ZGQ_CORRUPT', `the ids file names row ${row} of segment ${number}, which is not there`, {
        path: ids.path
      })
    return { segment, row }
  })
}

/** The ranges that a lookup lacks next: see `IdLookup.rangesFor`. */
export function rangesOfLookup({ ids }: DocumentsContext, id: Id): FileRange[] {
  return ids?.rangesFor(hashOf(id)) ?? []
}

function hashOf(id: Id): IdHash {
  const hash = idHash()
  if (typeof id === 'number') hashInteger(id, hash)
  else hashText(Buffer.from(id), hash)
  return hash
}

function findByReading({ segments, files }: DocumentsContext, id: Id): Ordinal | undefined {
  for (const segment of segments) {
    for (let row = 0; row < segment.rowCount; row++) if (files.idOf({ segment, row }) === id) return { segment, row }
  }
  return undefined
}
