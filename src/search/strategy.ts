// Codes or rows, some zones or all: small work is done sooner by the plain scan of float32 rows, which needs no tables
// and no rerank, and of little work by all of it. Decided by what an index and its calibration say, never by times, the
// cache or the machine: the same index gives the same plan everywhere.

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

/** What a row costs besides its values, as so many values (bench/README.md, "Exact by default"). */
const ROW_COST = 32
/** Work, with ROW_COST a row, up to which a search scans all rows: 1,000 x 64. About 10 us, less than all else takes. */
const MOST_EXACT_WORK = 100_000
/** How much longer than the choice of zones an exact search may take, for the sake of never missing a hit. */
const EXACT_WORTH = 1.15
// Of searches by rows, in nanoseconds: the work above, a zone, the call, a row whose distance is computed once more.
const WORK = 1 / 9
const ZONE = 200
const ROWS_START = 7000
const CONFIRMED = 100

/** Tells whether every search that asks for a recall, or for nothing, scans all rows: then there is no miss. */
export function isAlwaysExact(index: { readonly count: number; readonly dim: number }): boolean {
  return index.count * (index.dim + ROW_COST) <= MOST_EXACT_WORK
}

/** Tells whether an exact search takes hardly longer than one that probes so many zones as the calibration says. */
export function isExactWorthwhile(index: PlannedIndex, of: { readonly zones: number; readonly k: number }): boolean {
  if (isAlwaysExact(index)) return true
  if (!mayScanRows(index)) return false
  const { count, dim, bits, zoneCount } = index
  const share = Math.min(1, of.zones / zoneCount)
  const { k } = of
  // Rows that enter the heap of a scan in any order: k for each time that the number of rows grows by e.
  const confirmed = Math.min(count, k) * (1 + Math.log(Math.max(1, count / Math.max(1, k)))) * CONFIRMED
  const byRows = (part: number): number =>
    ROWS_START + part * (count * (dim + ROW_COST) * WORK + zoneCount * ZONE) + confirmed
  const byCodes = ROWS_START + CODES_START + codesCost(index, { rows: count * share, k })
  const some = bits === 0 ? byRows(share) : Math.min(byRows(share), byCodes)
  return byRows(1) <= EXACT_WORTH * (some + zoneCount * dim * ROW_VALUE)
}

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
  return rows * dim * ROW_VALUE < CODES_START + codesCost({ dim }, { rows, k })
}

/** Tables, codes of `rows` rows and their candidates. */
function codesCost({ dim }: { readonly dim: number }, { rows, k }: { rows: number; k: number }): number {
  const candidates = Math.min(rows, k + SPARE_CANDIDATES)
  return CODES_START_VALUE * dim + rows * dim * CODE_VALUE + candidates * (CANDIDATE + CANDIDATE_VALUE * dim)
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

/** Facts of an index that a plan follows from. */
export interface PlannedIndex {
  readonly count: number
  readonly dim: number
  readonly bits: number
  readonly zoneCount: number
}

/** Facts of an index that are known before anything of it was read. */
interface EstimatedIndex {
  readonly meta: { readonly count: number; readonly dim: number; readonly bits: number }
  readonly zones: { readonly length: number }
}
