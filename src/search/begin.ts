// The beginning of a search: what it sees is settled here, one generation of the index, whatever is written meanwhile.

import { FilterMasks } from './filter-masks.ts'
import { scanFresh } from './fresh-hits.ts'
import type { SearchRequest } from './request.ts'
import type { SearchContext } from './search-context.ts'
import type { SearchState } from './search-state.ts'

/** Begins a search with a checked query and request; throws as searches do for their query, and as reads of fields. */
export function begin(
  { documents }: SearchContext,
  state: SearchState,
  of: { readonly query: Float32Array; readonly request: SearchRequest }
): void {
  const { query, request: asked } = of
  const { live, usesOrdinals, filters } = documents
  const masks = asked.filter?.masks
  // A search that waited for its turn asks for what matches now.
  const current = masks instanceof FilterMasks && !masks.isCurrent ? filters.take(masks.filter) : undefined
  try {
    state.start(query, withMasks(asked, current), live.masks)
  } finally {
    if (current !== undefined) filters.giveBack(current)
  }
  if (live.isUnchanged) return
  if (usesOrdinals && asked.isForDocuments === true) state.patches = live.patches
  if (live.fresh.count > 0) state.freshHits = scanFresh(state, documents, state.request)
}

function withMasks(request: SearchRequest, masks: FilterMasks | undefined): SearchRequest {
  if (masks === undefined || request.filter === undefined) return request
  const k = Math.min(request.wanted ?? request.k, masks.matchCount)
  return { ...request, k, filter: { ...request.filter, masks } }
}
