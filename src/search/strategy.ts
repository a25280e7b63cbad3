// Codes or rows: small work is done sooner by the plain scan of float32 rows, which needs no tables and no rerank; huge values leave no choice.

import type { CatalogueZone } from '../format/catalogue.ts'
import type { Metric } from '../types.ts'

/** Estimates are sums of products of norms: of larger ones they overflow float32, and rows would be lost. */
const LARGEST_NORM = 1e15

/** Tells whether estimates of all rows of these zones stay within float32; for cosine all vectors have unit length. */
export function areEstimable(metric: Metric, zones: readonly CatalogueZone[]): boolean {
  return metric === 'cosine' || zones.every((zone) => zone.maxNorm <= LARGEST_NORM)
}

/** Tells whether estimates of distances to a query stay within float32; queryNorm2: <q, q>. */
export function isEstimableFrom(metric: Metric, queryNorm2: number): boolean {
  return metric === 'cosine' || queryNorm2 <= LARGEST_NORM ** 2
}

/** Bytes of float32 rows of a whole index up to which its rows may take the place of codes: more would not stay in memory beside them. */
const MOST_ROW_BYTES = 16 * 2 ** 20

// What a search costs, in nanoseconds on the machine of bench/README.md ("Small and large"): only the ratios matter.
const ROW_VALUE = 1 / 12
const CODE_VALUE = 1 / 70
/** Tables, rotation and the calls around them; then for each dimension. */
const CODES_START = 2500
const CODES_START_VALUE = 12
/** A candidate is copied, compared and computed in double precision. */
const CANDIDATE = 450
const CANDIDATE_VALUE = 0.4
/** Rows that are reranked beyond the k wanted. */
const SPARE_CANDIDATES = 5

/** Tells whether the rows of an index are few enough to be kept in kernel memory beside its codes. */
export function mayScanRows(index: { readonly count: number; readonly dim: number }, cacheBytes: number): boolean {
  const rowBytes = index.count * index.dim * 4
  return rowBytes <= MOST_ROW_BYTES && rowBytes <= cacheBytes / 2
}

/** Tells whether scanning the rows of these zones costs less than scanning their codes and reranking. */
export function areRowsCheaper(zones: readonly CatalogueZone[], dim: number, k: number): boolean {
  let rows = 0
  for (const zone of zones) rows += zone.rowCount
  const codes = CODES_START + CODES_START_VALUE * dim + rows * dim * CODE_VALUE + Math.min(rows, k + SPARE_CANDIDATES) * (CANDIDATE + CANDIDATE_VALUE * dim)
  return rows * dim * ROW_VALUE < codes
}
