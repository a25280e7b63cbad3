// What a call changes: worked out and checked in full before anything of it is written, so that a call that fails
// leaves nothing behind.

import { describe } from '../describe.ts'
import { ZgqError } from '../errors.ts'
import { decodePayload, PayloadEncoder } from '../format/payload.ts'
import type { FreshRow } from '../catalogue/changes.ts'
import { placesOf } from '../search/index-rows.ts'
import { findRow, isFresh, type RowPlace } from '../search/lookup.ts'
import type { OpenIndex } from '../search/open-index.ts'
import type { Segment } from '../format/segment-table.ts'
import type { Id } from '../types.ts'
import { unpackRows, type Choice, type WriteRequest } from './messages.ts'
import { expectFields } from './pack-rows.ts'
import type { Rows } from './rows.ts'

/** A row of a segment that gets another payload. */
export interface PlannedPatch {
  readonly segment: Segment
  readonly row: number
  readonly payload: Uint8Array
}

/** What a call changes. */
export interface Plan {
  readonly added: Rows
  readonly removedFresh: readonly FreshRow[]
  /** Rows of segments that are deleted. */
  readonly deleted: ReadonlyMap<Segment, readonly number[]>
  readonly patches: readonly PlannedPatch[]
  /** What the caller is told. */
  readonly answer: { readonly rows: number; readonly removed: number }
}

/** Plans a call over an index as it is; throws as the call rejects. */
export function planChange(index: OpenIndex, request: Exclude<WriteRequest, { readonly kind: 'close' }>): Plan {
  switch (request.kind) {
    case 'rows':
      return planRows(index, request)
    case 'update':
      return planUpdate(index, chosen(index, request.choice), request.values)
    case 'delete': {
      const places = chosen(index, request.choice)
      return { ...planRemoval(places), added: NO_ROWS, patches: [], answer: { rows: 0, removed: places.length } }
    }
  }
}

const NO_ROWS: Rows = { count: 0, ids: [], vectors: new Float32Array(0), payloads: [] }

function planRows(index: OpenIndex, request: Extract<WriteRequest, { readonly kind: 'rows' }>): Plan {
  const rows = unpackRows(request.packs)
  const { documents } = index.context
  const firstOf = new Map<Id, number>()
  const removed = new Map<Id, RowPlace>()
  if (request.replace !== undefined)
    for (const place of placesOf(index, request.replace)) removed.set(idOf(index, place), place)
  for (const [row, id] of rows.ids.entries()) {
    const before = firstOf.get(id)
    if (before !== undefined)
      throw new ZgqError('ZGQ_ID_EXISTS', `id ${describe(id)} is given twice, in rows ${before} and ${row} of the call`)
    firstOf.set(id, row)
    if (removed.has(id)) continue
    const place = findRow(documents, id)
    if (place === undefined) continue
    if (!request.replaces)
      throw new ZgqError(
        'ZGQ_ID_EXISTS',
        `row ${row}: id ${describe(id)} is in the index already; upsert replaces its row. Nothing of this call was ` +
          'added'
      )
    removed.set(id, place)
  }
  const answer = { rows: rows.count, removed: removed.size }
  return { ...planRemoval([...removed.values()]), added: rows, patches: [], answer }
}

/** The rows that a choice names and that are there, each once. */
function chosen(index: OpenIndex, choice: Choice): RowPlace[] {
  if ('filter' in choice) return [...placesOf(index, choice.filter)]
  const places = [...new Set(choice.ids)].map((id) => findRow(index.context.documents, id))
  return places.filter((place) => place !== undefined)
}

function idOf({ context }: OpenIndex, place: RowPlace): Id {
  return isFresh(place) ? place.id : context.documents.files.idOf(place)
}

function planRemoval(places: readonly RowPlace[]): Pick<Plan, 'removedFresh' | 'deleted'> {
  const deleted = new Map<Segment, number[]>()
  for (const place of places) {
    if (isFresh(place)) continue
    const rows = deleted.get(place.segment)
    if (rows === undefined) deleted.set(place.segment, [place.row])
    else rows.push(place.row)
  }
  return { removedFresh: places.filter(isFresh), deleted }
}

/** A fresh row is replaced by one with another payload; a row of a segment gets a patch. */
function planUpdate(index: OpenIndex, places: readonly RowPlace[], encodedValues: Uint8Array): Plan {
  const { cataloguePath, live, files } = index.context.documents
  const { fields, meta } = index.snapshot
  const values = decodePayload(encodedValues, { path: cataloguePath })
  const encoder = new PayloadEncoder()
  const updated = (place: RowPlace): Uint8Array => {
    const [bytes, path] = isFresh(place)
      ? [place.payload, cataloguePath]
      : [live.patches.find(place.segment.slot, place.row)?.payload ?? files.payloadOf(place), cataloguePath]
    const before = bytes === undefined ? {} : decodePayload(bytes, { path })
    const name = `the row with id ${describe(idOf(index, place))}`
    const payload = { ...before, ...values }
    expectFields(payload, fields, name)
    return Uint8Array.from(encoder.encode(payload, name))
  }
  const removedFresh = places.filter(isFresh)
  const vectors = new Float32Array(removedFresh.length * meta.dim)
  for (const [i, { vector }] of removedFresh.entries()) vectors.set(vector, i * meta.dim)
  const ids = removedFresh.map(({ id }) => id)
  const added = { count: removedFresh.length, ids, vectors, payloads: removedFresh.map(updated) }
  const patches = places.flatMap((place) => (isFresh(place) ? [] : [{ ...place, payload: updated(place) }]))
  return { added, removedFresh, deleted: new Map(), patches, answer: { rows: places.length, removed: 0 } }
}
