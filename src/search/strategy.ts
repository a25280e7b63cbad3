// Codes or rows, some zones or all: small work is done sooner by the plain scan of float32 rows, which needs no tables
// and no rerank, and of little work by all of it. Decided by what an index and its calibration say, never by times, the
// cache or the machine: the same index gives the same plan everywhere.

import type { Segment } from '../format/segment-table.ts'
import type { ProbeWish } from './probe-wish.ts'

/**
 * Bytes of float32 rows of a whole index up to which its rows may take the place of codes: more would not stay in
 * memory beside them.
 */
const MOST_ROW_BYTES = 16 * 2 ** 20

// Costs of a search, in nanoseconds on the machine of bench/README.md ("Small and large"): only the ratios matter.
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

/** Cost of a row besides its values, as so many values (bench/README.md, "Exact by default"). */
const ROW_COST = 32
/** Work (values and ROW_COST of all rows) up to which searches scan all rows: 1,000 x 64, or about 10 us. */
const MOST_EXACT_WORK = 100_000
/** How much longer an exact search may take than a choice of zones, for the sake of never missing a hit: ns, share. */
const MOST_EXCESS = 10_000
const MOST_EXCESS_SHARE = 0.25
// Costs of plans, in nanoseconds: the call, a unit of the work above, a zone, a row whose distance is computed twice,
// a row whose code is looked at, and candidates as a multiple of those above, as it is on data without structure.
const START = 7000
const WORK = 1 / 9
const ZONE = 200
const CONFIRMED = 100
const CODE = 6
const CANDIDATES_FACTOR = 2

/** Tells whether every search that asks for a recall, or for nothing, scans all rows: then there is no miss. */
export function isAlwaysExact(index: { readonly count: number; readonly dim: number }): boolean {
  return index.count * (index.dim + ROW_COST) <= MOST_EXACT_WORK
}

/** Tells whether an exact search takes hardly longer than one that probes so many zones as the calibration says. */
export function isExactWorthwhile(index: PlannedIndex, of: { readonly zones: number; readonly k: number }): boolean {
  if (!mayScanRows(index)) return false
  const excess = exactCost(index, of.k) - zonesCost(index, of)
  return excess <= Math.min(MOST_EXCESS, MOST_EXCESS_SHARE * (START + zonesCost(index, of)))
}

/** Tells what costs less to search all zones with: their rows, exactly, or their codes. */
export function isExactCheaper(index: PlannedIndex, k: number): boolean {
  return mayScanRows(index) && exactCost(index, k) <= zonesCost(index, { zones: index.zoneCount, k })
}

/** Tells whether one search of all zones costs no more than searches of so many zones, one after the other. */
export function isAllCheaper(index: PlannedIndex, passes: readonly number[], k: number): boolean {
  const all = START + zonesCost(index, { zones: index.zoneCount, k })
  return all <= passes.reduce((sum, zones) => sum + START + zonesCost(index, { zones, k }), 0)
}

/** Cost of scanning the rows of all zones, without the call. */
function exactCost({ count, dim, zoneCount }: PlannedIndex, k: number): number {
  return count * (dim + ROW_COST) * WORK + zoneCount * ZONE + confirmedCost(count, k)
}

/** Cost of probing and searching some zones, by codes or by rows, without the call. */
function zonesCost(index: PlannedIndex, of: { readonly zones: number; readonly k: number }): number {
  const { count, dim, bits, zoneCount } = index
  const zones = Math.min(of.zones, zoneCount)
  const rows = count * (zones / zoneCount)
  const byRows = rows * (dim + ROW_COST) * WORK + confirmedCost(count, of.k)
  const candidates = Math.min(rows, of.k + SPARE_CANDIDATES) * CANDIDATES_FACTOR
  const byCodes = CODES_START + rows * CODE + codesCost(dim, rows, candidates)
  return zones * ZONE + zoneCount * dim * ROW_VALUE + (bits === 0 ? byRows : Math.min(byRows, byCodes))
}

/** Rows that enter a heap of k in random order: k, and as many again each time that the rows grow by a factor of e. */
function confirmedCost(count: number, k: number): number {
  const wanted = Math.min(k, count)
  return wanted * (1 + Math.log(count / Math.max(1, wanted))) * CONFIRMED
}

/**
 * Tells whether the rows of an index are few enough to be scanned in the place of codes. Not by the cache: hits must
 * not depend on it.
 */
export function mayScanRows(index: { readonly count: number; readonly dim: number }): boolean {
  return index.count * index.dim * 4 <= MOST_ROW_BYTES
}

/** Tells whether scanning the rows of these segments costs less than scanning their codes and reranking. */
export function areRowsCheaper(segments: readonly Segment[], dim: number, k: number): boolean {
  let rows = 0
  for (const segment of segments) rows += segment.rowCount
  return rows < fewestCodedRows(dim, k)
}

/** Rows from which on scanning their codes and reranking costs less than scanning them. */
export function fewestCodedRows(dim: number, k: number): number {
  const start = CODES_START + CODES_START_VALUE * dim
  const candidate = CANDIDATE + CANDIDATE_VALUE * dim
  const saved = dim * (ROW_VALUE - CODE_VALUE)
  const candidates = k + SPARE_CANDIDATES
  const rows = (start + candidates * candidate) / saved
  // Of fewer rows than that, all are candidates.
  return rows >= candidates ? rows : start / (saved - candidate)
}

/** Tables, codes of `rows` rows, and candidates. */
function codesCost(dim: number, rows: number, candidates: number): number {
  return CODES_START_VALUE * dim + rows * dim * CODE_VALUE + candidates * (CANDIDATE + CANDIDATE_VALUE * dim)
}

/** Computes the microseconds that a search with everything in memory is likely to take, by the same constants. */
export function estimateMicros(
  index: PlannedIndex,
  request: { readonly k: number; readonly probe: ProbeWish; readonly isExact: boolean; readonly rerank: number }
): number {
  const { count, dim, bits, zoneCount } = index
  const probed = Math.min(zoneCount, zonesMeant(request.probe))
  const values = zoneCount === 0 ? 0 : (count * probed * dim) / zoneCount
  const candidates = Math.max(request.rerank, Math.min(count, request.k + SPARE_CANDIDATES))
  const codes = CODES_START + codesCost(dim, values / dim, candidates)
  const scan = bits === 0 || request.isExact ? values * ROW_VALUE : codes
  return (zoneCount * dim * ROW_VALUE + scan + request.k * HIT) / 1000
}

function zonesMeant(probe: ProbeWish): number {
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

/** The facts of an index that a plan follows from. */
export function plannedIndex({ count, dim, bits, zoneCount }: PlannedIndex): PlannedIndex {
  return { count, dim, bits, zoneCount }
}
