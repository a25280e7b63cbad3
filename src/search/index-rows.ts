// The rows of an open index as callers see them: one by its id, all of them, or those that meet a filter.

import type { Filter, Id, StoredDocument } from '../types.ts'
import { payloadOf } from './documents.ts'
import type { PayloadWish } from './hit-wants.ts'
import { expectId, findRow, isFresh, type RowPlace } from './lookup.ts'
import type { OpenIndex } from './open-index.ts'
import { rowsOf } from './rows.ts'
import type { SearchContext } from './search-context.ts'

/** Finds a row; throws TypeError or RangeError for what is no id, and as reads do. */
export function findPlace({ context }: OpenIndex, id: unknown): RowPlace | undefined {
  const { documents } = context
  expectId(id, documents)
  return findRow(documents, id)
}

/** Returns a copy of the vector of a row; throws as reads do. */
export function vectorAt({ files }: SearchContext, place: RowPlace): Float32Array {
  return isFresh(place) ? place.vector.slice() : files.readRow(place)
}

/** Reads a row; throws as reads do. */
export function documentAt(context: SearchContext, place: RowPlace, wish: PayloadWish): StoredDocument<Id, unknown> {
  const { documents } = context
  return {
    id: isFresh(place) ? place.id : documents.files.idOf(place),
    vector: vectorAt(context, place),
    payload: wish === false ? undefined : payloadOf(documents, place, wish)
  }
}

/** Counts the rows, or those that meet a filter; throws ZGQ_FILTER, and as reads do. */
export function countRows(index: OpenIndex, filter: Filter | undefined): number {
  if (filter === undefined) return index.count
  const { filters, live } = index.context.documents
  const compiled = filters.compile(filter)
  const masks = filters.take(compiled)
  filters.giveBack(masks)
  return masks.matchCount + live.fresh.match(compiled).count
}

/** Returns the rows, or those that meet a filter; throws ZGQ_FILTER, and as reads do. */
export function placesOf({ snapshot, context }: OpenIndex, filter: Filter | undefined): Iterable<RowPlace> {
  const { segments, files, filters, live, cataloguePath } = context.documents
  const compiled = filter === undefined ? undefined : filters.compile(filter)
  return rowsOf({ segments, files, fields: snapshot.fields, live, path: cataloguePath }, compiled)
}
