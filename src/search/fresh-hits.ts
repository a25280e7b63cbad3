// The part of a search that is scanned exactly when it begins: fresh rows. What is found there goes along with the
// search, with the rows themselves, and joins its hits at the end.

import type { FreshRow } from '../catalogue/changes.ts'
import { ordinalOf, rowOf, slotOf } from '../format/ordinals.ts'
import type { Patches } from '../live/patches.ts'
import type { Hit } from '../types.ts'
import type { FoundHit } from './found-hit.ts'
import type { SearchRequest } from './request.ts'
import { setTolerance, takeHits } from './scan.ts'
import type { DocumentsContext } from './search-context.ts'
import type { SearchState } from './search-state.ts'

/** A slot that no segment has. */
const FRESH_SLOT = 2 ** 21 - 1
/** Hits that are looked for beyond those wanted, so that ties at the end are seen. */
const SPARE_HITS = 8

/** What stands for a fresh row where heaps hold ordinals. */
function freshOrdinal({ sequence }: FreshRow): number {
  return ordinalOf(FRESH_SLOT, sequence % 2 ** 32)
}

/** Scans the fresh rows; throws as the search does for its query, and ZGQ_CORRUPT. */
export function scanFresh(state: SearchState, documents: DocumentsContext, request: SearchRequest): FoundHit[] {
  const { fresh } = documents.live
  const compiled = request.filter?.compiled
  const matches = compiled === undefined ? undefined : fresh.match(compiled)
  const count = matches?.count ?? fresh.count
  const wanted = Math.min(request.wanted ?? request.k, count)
  if (wanted === 0) return []
  state.freshScanned = count
  state.scaleQuery()
  setTolerance(state, fresh.norms)
  const run = fresh.run(matches?.bits)
  try {
    for (let k = Math.min(count, wanted + SPARE_HITS); ; k = count) {
      state.startHits(k)
      state.memory.kernel.scan(state.scanQuery, run)
      const hits = takeHits(state, k)
      // Which of equally far rows come first is for their ids to say.
      if (k < count && hits[wanted - 1].distance === hits[k - 1].distance) continue
      return hits
        .map(({ id: place, distance }) => foundAt(documents, { place, distance }, request))
        .sort(inOrder)
        .slice(0, wanted)
    }
  } finally {
    fresh.endRun(run)
  }
}

function foundAt(
  { live, usesOrdinals }: DocumentsContext,
  { place, distance }: { readonly place: number; readonly distance: number },
  { isForDocuments = false }: SearchRequest
): FoundHit {
  const fresh = live.fresh.at(place)
  if (fresh === undefined) throw new TypeError(`the fresh row in place ${place} was removed`)
  const id = usesOrdinals ? freshOrdinal(fresh) : Number(fresh.id)
  return isForDocuments ? { id, distance, fresh } : { id, distance }
}

function inOrder(a: Hit, b: Hit): number {
  return a.distance - b.distance || a.id - b.id
}

/** Joins hits of segments and of fresh rows, each in order: the first `wanted` of both. */
export function joinHits(hits: readonly Hit[], fresh: readonly FoundHit[], wanted: number): FoundHit[] {
  const joined: FoundHit[] = []
  for (let i = 0, j = 0; joined.length < wanted && (i < hits.length || j < fresh.length);) {
    const isFresh = i === hits.length || (j < fresh.length && inOrder(fresh[j], hits[i]) < 0)
    joined.push(isFresh ? fresh[j++] : hits[i++])
  }
  return joined
}

/** Notes with hits, whose ids are ordinals, the payloads that were updated. */
export function withPatches(hits: readonly FoundHit[], patches: Patches): FoundHit[] {
  return hits.map((hit) => {
    const patch = hit.fresh === undefined ? patches.find(slotOf(hit.id), rowOf(hit.id)) : undefined
    return patch === undefined ? hit : { ...hit, patch: patch.payload }
  })
}
