// From hits of the kernel to hits of the caller, in indexes whose heaps hold ordinals: ids of their own kind, ties by
// id, payloads.

import { decodePayload } from '../format/payload.ts'
import { rowOf, slotOf } from '../format/ordinals.ts'
import { compareStringIds, encodeStringId } from '../format/string-ids.ts'
import type { DocumentFiles } from '../storage/document-files.ts'
import type { FileRange } from '../storage/reader.ts'
import type { Ordinal } from '../storage/segment-reads.ts'
import type { FoundHit } from './found-hit.ts'
import { findRow, isFresh, type RowPlace } from './lookup.ts'
import type { Hit, Id, Payload } from '../types.ts'
import type { HitWants, PayloadWish } from './hit-wants.ts'
import type { DocumentsContext } from './search-context.ts'

/** Hits as a search finds them, and what is wanted of them. */
export interface HitsToComplete {
  /** Nearest first; ids are ordinals where the index uses them. */
  readonly hits: readonly FoundHit[]
  readonly k: number
  readonly wants: Pick<HitWants, 'maxDistance' | 'payload'>
  /** The id of a row that is left out; undefined: none. */
  readonly leftOut: Id | undefined
}

/**
 * Tells whether hits may end in the middle of rows at the same distance: which of them belong to the first k is then
 * not known.
 */
export function endsInTie({ hits, k }: { readonly hits: readonly Hit[]; readonly k: number }): boolean {
  return k > 0 && hits.length > k && hits[k - 1].distance === hits[hits.length - 1].distance
}

/** Completes hits; throws ZGQ_CORRUPT, ZGQ_TRUNCATED, ZGQ_UNSUPPORTED or ZGQ_IO. */
export function completeHits(documents: DocumentsContext, of: HitsToComplete): Hit<Id>[] {
  return withPayloads(documents, placesOfHits(documents, of), of.wants.payload)
}

/** A hit whose id was read. */
export interface PlacedHit {
  readonly id: Id
  readonly distance: number
  /** Undefined where nobody asks for payloads, or its row is gone by now. */
  readonly place: RowPlace | undefined
  /** The payload, where it was updated since the row was written. */
  readonly patch: Uint8Array | undefined
}

/** Reads the payloads of hits, where they are wanted. Throws as `completeHits` does. */
export function withPayloads(documents: DocumentsContext, placed: readonly PlacedHit[], wish: PayloadWish): Hit<Id>[] {
  return placed.map(({ id, distance, place, patch }) => {
    if (wish === false) return { id, distance }
    if (place === undefined) return { id, distance, payload: undefined }
    const payload = patch === undefined ? writtenOf(documents, place, wish) : decoded(documents, patch, wish)
    return { id, distance, payload }
  })
}

/** Reads the ids of the first k hits that are wanted, and tells where their payloads are. Throws as `completeHits`. */
export function placeHits(
  documents: DocumentsContext,
  of: HitsToComplete
): { readonly placed: PlacedHit[]; readonly ranges: FileRange[] } {
  const placed = placesOfHits(documents, of)
  if (of.wants.payload === false) return { placed, ranges: [] }
  const ordinals = placed.flatMap(({ place, patch }) =>
    place === undefined || isFresh(place) || patch !== undefined ? [] : [place]
  )
  return { placed, ranges: documents.files.rangesOfPayloads(ordinals) }
}

/** The first k hits that are wanted, in the order of (distance, id). */
function placesOfHits(documents: DocumentsContext, of: HitsToComplete): PlacedHit[] {
  const placed: PlacedHit[] = []
  let isInOrder = true
  for (const { id: found, distance, fresh, patch } of wantedOf(of)) {
    isInOrder &&= placed.length === 0 || distance > placed[placed.length - 1].distance
    const place = fresh ?? placeOf(documents, found, of)
    const id = fresh?.id ?? (documents.usesOrdinals ? idAt(documents, place) : found)
    placed.push({ id, distance, place, patch })
  }
  if (!isInOrder) placed.sort((a, b) => a.distance - b.distance || compareIds(a.id, b.id))
  return placed.filter(({ id }) => id !== of.leftOut).slice(0, of.k)
}

/** Hits that may be among the first k, one more where one is left out: those as far as the last of them with it. */
function wantedOf({ hits, k, wants, leftOut }: HitsToComplete): FoundHit[] {
  const near = hits.filter(({ distance }) => distance <= wants.maxDistance)
  const most = k + (leftOut === undefined ? 0 : 1)
  const farthest = k === 0 || near.length === 0 ? -Infinity : near[Math.min(most, near.length) - 1].distance
  return near.filter(({ distance }) => distance <= farthest)
}

/** Where the row of a hit is; where heaps hold ids, it is looked up if its payload is wanted. */
function placeOf(documents: DocumentsContext, found: number, { wants }: HitsToComplete): RowPlace | undefined {
  if (documents.usesOrdinals) return ordinalIn(documents, found)
  if (wants.payload === false) return undefined
  // Only what was written since it was opened can have given payloads to rows of such an index.
  const { live, segments } = documents
  return live.isUnchanged && !segments.totals.hasPayloads ? undefined : findRow(documents, found)
}

function idAt(documents: DocumentsContext, place: RowPlace | undefined): Id {
  if (place === undefined) throw new TypeError('a hit has no place')
  return isFresh(place) ? place.id : documents.files.idOf(place)
}

function ordinalIn({ segments }: DocumentsContext, ordinal: number): Ordinal {
  return { segment: segments.inSlot(slotOf(ordinal)), row: rowOf(ordinal) }
}

/** Integers ascending, strings by their UTF-8 bytes, which is not the order of their UTF-16. */
export function compareIds(a: Id, b: Id): number {
  return typeof a === 'number' && typeof b === 'number'
    ? a - b
    : compareStringIds(encodeStringId(String(a)), encodeStringId(String(b)))
}

/**
 * The same of a hit without a patch. Where heaps hold ordinals, hits have the patches of the generation that was
 * searched: what was updated since is not asked for.
 */
function writtenOf(documents: DocumentsContext, place: RowPlace, wish: PayloadWish): Payload | undefined {
  const { files, usesOrdinals } = documents
  if (isFresh(place) || !usesOrdinals) return payloadOf(documents, place, wish)
  return decodedFile(files, place, wish)
}

/** Reads and decodes the payload of a row, or some keys of it; undefined: it has none. */
export function payloadOf(documents: DocumentsContext, place: RowPlace, wish: PayloadWish): Payload | undefined {
  const { live, files } = documents
  if (isFresh(place)) return decoded(documents, place.payload, wish)
  const patch = live.patches.find(place.segment.slot, place.row)
  if (patch !== undefined) return decoded(documents, patch.payload, wish)
  return decodedFile(files, place, wish)
}

/** A segment without payloads names no file. */
function decodedFile(files: DocumentFiles, place: Ordinal, wish: PayloadWish): Payload | undefined {
  const bytes = files.payloadOf(place)
  return bytes && decodedAt(files.payloadPath(place), bytes, wish)
}

function decoded(
  { cataloguePath }: DocumentsContext,
  bytes: Uint8Array | undefined,
  wish: PayloadWish
): Payload | undefined {
  return decodedAt(cataloguePath, bytes, wish)
}

function decodedAt(path: string, bytes: Uint8Array | undefined, wish: PayloadWish): Payload | undefined {
  return bytes && decodePayload(bytes, { path }, wish instanceof Set ? wish : undefined)
}

/** The ranges that placing hits reads: ids, and where payloads are. */
export function tablesOf(documents: DocumentsContext, of: HitsToComplete): FileRange[] {
  if (!documents.usesOrdinals) return []
  const ordinals = wantedOf(of).flatMap(({ id, fresh }) => (fresh === undefined ? [ordinalIn(documents, id)] : []))
  return documents.files.rangesOfTables(ordinals, { ids: true, payloads: of.wants.payload !== false })
}
