// Codes or rows: small work is done sooner by the plain scan of float32 rows, which needs no tables and no rerank.

import type { CatalogueZone } from '../format/catalogue.ts'
import type { SearchRequest } from './request.ts'

/**
 * Bytes of float32 rows of a whole index up to which its rows may take the place of codes: more would not stay in
 * memory beside them.
 */
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
/** A hit is sorted and made an object of. */
const HIT = 60
/** Rows that are reranked beyond the k wanted. */
const SPARE_CANDIDATES = 5

/**
 * Tells whether the rows of an index are few enough to be scanned in the place of codes. Not by the cache: hits must
 * not depend on it.
 */
export function mayScanRows(index: { readonly count: number; readonly dim: number }): boolean {
  return index.count * index.dim * 4 <= MOST_ROW_BYTES
}

/** Tells whether scanning the rows of these zones costs less than scanning their codes and reranking. */
export function areRowsCheaper(zones: readonly CatalogueZone[], dim: number, k: number): boolean {
  let rows = 0
  for (const zone of zones) rows += zone.rowCount
  const codes =
    CODES_START +
    CODES_START_VALUE * dim +
    rows * dim * CODE_VALUE +
    Math.min(rows, k + SPARE_CANDIDATES) * (CANDIDATE + CANDIDATE_VALUE * dim)
  return rows * dim * ROW_VALUE < codes
}

/** Computes the microseconds that a search with everything in memory is likely to take, by the same constants. */
export function estimateMicros(
  index: EstimatedIndex,
  request: Pick<SearchRequest, 'k' | 'probe' | 'isExact' | 'rerank'>
): number {
  const { meta, zones } = index
  const { count, dim, bits } = meta
  const probed = Math.min(zones.length, zonesMeant(request.probe))
  const values = (count * probed * dim) / zones.length
  const candidates = Math.max(request.rerank, Math.min(count, request.k + SPARE_CANDIDATES))
  const codes =
    CODES_START + CODES_START_VALUE * dim + values * CODE_VALUE + candidates * (CANDIDATE + CANDIDATE_VALUE * dim)
  const scan = bits === 0 || request.isExact ? values * ROW_VALUE : codes
  return (zones.length * dim * ROW_VALUE + scan + request.k * HIT) / 1000
}

function zonesMeant(probe: SearchRequest['probe']): number {
  if ('firstZone' in probe) return probe.endZone - probe.firstZone
  return 'nprobe' in probe ? probe.nprobe : Math.ceil(probe.zones)
}

/** Facts of an index that are known before anything of it was read. */
interface EstimatedIndex {
  readonly meta: { readonly count: number; readonly dim: number; readonly bits: number }
  readonly zones: { readonly length: number }
}
