// From hits of the kernel to hits of the caller, in indexes whose heaps hold ordinals: ids of their own kind, ties by
// id, payloads.

import { decodePayload } from '../format/payload.ts'
import { rowOf, slotOf } from '../format/ordinals.ts'
import type { FileRange } from '../storage/reader.ts'
import type { Ordinal } from '../storage/segment-reads.ts'
import type { Hit, Id, Payload } from '../types.ts'
import type { HitWants, PayloadWish } from './hit-wants.ts'
import type { DocumentsContext } from './search-context.ts'

/** Hits as a search finds them, and what is wanted of them. */
export interface HitsToComplete {
  /** Nearest first; ids are ordinals where the index uses them. */
  readonly hits: readonly Hit[]
  readonly k: number
  readonly wants: Pick<HitWants, 'maxDistance' | 'payload'>
  /** An ordinal that is left out; undefined: none. */
  readonly leftOut: number | undefined
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
  const { wants, leftOut, k } = of
  if (!documents.usesOrdinals)
    return of.hits.filter(({ id, distance }) => distance <= wants.maxDistance && id !== leftOut).slice(0, k)
  return placesOfHits(documents, of).map(({ id, distance, ordinal }) => {
    if (wants.payload === false) return { id, distance }
    return { id, distance, payload: payloadOf(documents, ordinal, wants.payload) }
  })
}

interface PlacedHit {
  readonly id: Id
  readonly distance: number
  readonly ordinal: Ordinal
}

/** The first k hits that are wanted, in the order of (distance, id). */
function placesOfHits({ segments, files }: DocumentsContext, of: HitsToComplete): PlacedHit[] {
  const placed: PlacedHit[] = []
  let isInOrder = true
  for (const { id: number, distance } of of.hits) {
    if (distance > of.wants.maxDistance) break
    if (placed.length >= of.k && distance > placed[placed.length - 1].distance) break
    if (number === of.leftOut) continue
    const ordinal = { segment: segments.inSlot(slotOf(number)), row: rowOf(number) }
    isInOrder &&= placed.length === 0 || distance > placed[placed.length - 1].distance
    placed.push({ id: files.idOf(ordinal), distance, ordinal })
  }
  if (!isInOrder) placed.sort((a, b) => a.distance - b.distance || compareIds(a.id, b.id))
  return placed.slice(0, of.k)
}

/** Integers ascending, strings by their UTF-8 bytes, which is not the order of their UTF-16. */
export function compareIds(a: Id, b: Id): number {
  return typeof a === 'number' && typeof b === 'number'
    ? a - b
    : Buffer.compare(Buffer.from(String(a)), Buffer.from(String(b)))
}

/** Reads and decodes the payload of a row, or some keys of it; undefined: it has none. */
export function payloadOf(documents: DocumentsContext, ordinal: Ordinal, wish: PayloadWish): Payload | undefined {
  const bytes = documents.files.payloadOf(ordinal)
  if (bytes === undefined) return undefined
  return decodePayload(bytes, { path: documents.files.payloadPath(ordinal) }, wish instanceof Set ? wish : undefined)
}

/** The ranges that completing hits reads, in rounds: those of tables first. */
export function rangesOfHits(
  { segments, files, usesOrdinals }: DocumentsContext,
  { hits, wants }: Pick<HitsToComplete, 'hits' | 'wants'>
): { tables: FileRange[]; payloads: () => FileRange[] } {
  if (!usesOrdinals) return { tables: [], payloads: () => [] }
  const ordinals = hits.map(({ id }) => ({ segment: segments.inSlot(slotOf(id)), row: rowOf(id) }))
  const payloads = wants.payload !== false
  return {
    tables: files.rangesOfTables(ordinals, { ids: true, payloads }),
    payloads: () => (payloads ? files.rangesOfPayloads(ordinals) : [])
  }
}
