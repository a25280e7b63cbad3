// Between which lengths of vectors the estimates of codes, which are float32, can be trusted. Beyond, rows are scanned
// in the place of codes.

import type { SearchState } from './search-state.ts'

/**
 * Bounds of (|q| + |x|)^2. Terms of an estimate, its error included, are below some hundred times that and must not
 * overflow; they must stay above the smallest float32 with all their digits.
 */
export const LARGEST_ESTIMATE = 2 ** 116
export const SMALLEST_ESTIMATE = 2 ** -100

/** Tells whether estimates of distances from the query that was set to the rows of any zone fit into float32. */
export function hasEstimates(state: SearchState): boolean {
  if (state.metric === 'cosine') return true // all that is estimated has unit length
  const norm = state.queryNorm + state.workspace.maxNorm
  return norm * norm > SMALLEST_ESTIMATE && norm * norm < LARGEST_ESTIMATE
}
