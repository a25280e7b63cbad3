// Searches with all that a caller may want of hits: filters, ids that are strings, ties by id, payloads. The searches
// themselves are those of search.ts; here is what stands before and after them.

import type { ExplainedHits, Hit, Id } from '../types.ts'
import { completeHits, endsInTie, type HitsToComplete } from './documents.ts'
import type { FilterMasks } from './filter-masks.ts'
import type { HitWants } from './hit-wants.ts'
import { leastGain } from './masked-rule.ts'
import type { SearchRequest } from './request.ts'
import type { SearchContext, SearchResult } from './search-context.ts'
import { search } from './search.ts'

/** A search, as it was checked. */
export interface DocumentSearch {
  readonly request: SearchRequest
  readonly wants: HitWants
  /** The id of a row that is left out; undefined: none. */
  readonly leftOut: Id | undefined
}

/** Hits of the caller's kind. */
export type FoundDocuments = Hit<Id, unknown>[] | ExplainedHits<Id, unknown>

/** How often the hits asked for are multiplied while they end in a tie. */
export const TIE_GROWTH = 4

/** Tells whether a search wants no more than the kernel's own hits. */
export function isPlain(context: SearchContext, { wants, leftOut }: DocumentSearch): boolean {
  const { filter, maxDistance, payload } = wants
  return (
    !context.documents.usesOrdinals &&
    filter === undefined &&
    maxDistance === Infinity &&
    payload === false &&
    leftOut === undefined
  )
}

/** Searches and completes the hits; throws as `search` does, and as reads of fields, ids and payloads do. */
export function searchDocuments(
  context: SearchContext,
  query: Float32Array,
  of: DocumentSearch
): { readonly found: FoundDocuments; readonly isUnlike: boolean } {
  const { documents } = context
  const { filter } = of.wants
  const masks = filter === undefined ? undefined : documents.filters.take(filter)
  try {
    let result: SearchResult | undefined
    for (let k = firstK(context, of); ; k = Math.min(k * TIE_GROWTH, rowsOf(context))) {
      result = search(context, query, requestWith(context, of, { masks, k }))
      if (!mustRepeat(context, of, { hits: result.hits, k })) break
    }
    const hits = completeHits(documents, toComplete(of, result.hits))
    const { explain, isUnlike } = result
    return { found: explain === undefined ? hits : { hits, explain }, isUnlike }
  } finally {
    if (masks !== undefined) documents.filters.giveBack(masks)
  }
}

/** Hits that a search is asked for: one more shows whether the last ones are in a tie. */
export function firstK(context: SearchContext, { request, leftOut }: DocumentSearch): number {
  const { documents } = context
  const { k } = request
  if (k === 0) return 0
  return Math.min(rowsOf(context), k + (leftOut === undefined ? 0 : 1) + (documents.usesOrdinals ? 1 : 0))
}

/** Counts the rows that may be found at most. */
export function rowsOf({ workspace, documents }: SearchContext): number {
  return workspace.planned.count + documents.live.fresh.count
}

/** Tells whether more hits are needed to know which belong to the first k. */
export function mustRepeat(
  context: SearchContext,
  { request, leftOut }: DocumentSearch,
  { hits, k }: { readonly hits: readonly Hit[]; readonly k: number }
): boolean {
  const wanted = request.k + (leftOut === undefined ? 0 : 1)
  return context.documents.usesOrdinals && k < rowsOf(context) && hits.length === k && endsInTie({ hits, k: wanted })
}

export function toComplete({ request, wants, leftOut }: DocumentSearch, hits: readonly Hit[]): HitsToComplete {
  return { hits, k: request.k, wants, leftOut }
}

export function requestWith(
  { documents }: SearchContext,
  { request, wants }: DocumentSearch,
  of: { readonly masks: FilterMasks | undefined; readonly k: number }
): SearchRequest {
  const { masks, k } = of
  const completing = { isForDocuments: true, readsPayloads: wants.payload !== false }
  if (masks === undefined) return { ...request, k, ...completing }
  const { probe, isExact } = request
  const recall = 'recall' in probe ? probe.recall : undefined
  const filter = {
    masks,
    compiled: masks.filter,
    nprobe: recall === undefined && !isExact && 'nprobe' in probe ? probe.nprobe : undefined,
    meanZones: 'zones' in probe ? probe.zones : 0,
    leastGain: recall === undefined ? 0 : leastGain(recall) * documents.gain,
    alignment: documents.alignment
  }
  // How many zones are probed is the filter's business.
  const shared = { k: Math.min(k, masks.matchCount), wanted: k, ...completing }
  return { ...request, ...shared, probe: { nprobe: 1 }, filter }
}
