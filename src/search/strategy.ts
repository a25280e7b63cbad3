// Some zones or all: little work is done as soon by the plain scan of all float32 rows, which misses nothing. Decided
// by what an index and its calibration say, never by times, the cache or the machine: the same index gives the same
// plan everywhere.

import type { Snapshot } from '../catalogue/snapshot.ts'
import type { ProbeWish } from './probe-wish.ts'

/**
 * Bytes of float32 rows of a whole index up to which its rows may take the place of codes: more would not stay in
 * memory beside them.
 */
const MOST_ROW_BYTES = 16 * 2 ** 20

// Costs of a search, in nanoseconds on the machine of bench/README.md ("Small and large"): only the ratios matter.
const ROW_VALUE = 1 / 14.5
/** Of a centroid; then of one in bytes. */
const CENTROID_VALUE = 1 / 12
const PACKED_VALUE = 1 / 48
/** A row whose code is looked at, and each of its dimensions. */
const CODE = 1.1
const CODE_VALUE = 1 / 93
/** Tables, rotation and the calls around them; then for each dimension. */
const CODES_START = 500
const CODES_START_VALUE = 3
/** A candidate is found, and computed in double precision. */
const CANDIDATE = 40
const CANDIDATE_VALUE = 0.16
/** A hit is sorted and made an object of. */
const HIT = 60
/** Rows that are reranked beyond the k wanted. */
const SPARE_CANDIDATES = 5

/** Cost of a row besides its values, as so many values (bench/README.md, "Exact by default"). */
const ROW_COST = 32
/** Centroids of at least so many dimensions are probed in bytes. */
export const LEAST_PACKED_DIMS = 256
/** Work (values and ROW_COST of all rows) up to which searches scan all rows: 1,000 x 64, or about 10 us. */
const MOST_EXACT_WORK = 100_000
/** How much longer an exact search may take than a choice of zones, for the sake of never missing a hit: ns, share. */
const MOST_EXCESS = 10_000
const MOST_EXCESS_SHARE = 0.25
// Costs of plans, in nanoseconds: the call, a row and a zone that is scanned, a row whose distance is computed twice,
// and candidates as a multiple of those above, as it is on data without structure.
const START = 3000
const ROW = 5.5
const ZONE = 50
const CONFIRMED = 50
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
  return rowsCost(count, dim) + zoneCount * ZONE + confirmedCost(count, k)
}

/** Rows of so many zones of average size, and of all deltas. */
function rowsIn({ count, zoneCount, deltaRows }: PlannedIndex, zones: number): number {
  return zoneCount === 0 ? deltaRows : deltaRows + (count - deltaRows) * (Math.min(zones, zoneCount) / zoneCount)
}

/** Cost of probing and searching some zones, by codes or by rows, without the call. */
function zonesCost(index: PlannedIndex, of: { readonly zones: number; readonly k: number }): number {
  const { count, dim, bits, zoneCount } = index
  const zones = Math.min(of.zones, zoneCount)
  const rows = rowsIn(index, zones)
  const byRows = rowsCost(rows, dim) + confirmedCost(count, of.k)
  const candidates = Math.min(rows, of.k + SPARE_CANDIDATES) * CANDIDATES_FACTOR
  const byCodes = codesCost(dim, rows, candidates)
  return zones * ZONE + probeCost(index) + (bits === 0 ? byRows : byCodes)
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
function mayScanRows(index: { readonly count: number; readonly dim: number }): boolean {
  return index.count * index.dim * 4 <= MOST_ROW_BYTES
}

/** Cost of scanning `rows` rows. */
function rowsCost(rows: number, dim: number): number {
  return rows * (dim * ROW_VALUE + ROW)
}

/** Tables, codes of `rows` rows, and candidates. */
function codesCost(dim: number, rows: number, candidates: number): number {
  const scan = CODES_START + CODES_START_VALUE * dim + rows * (CODE + dim * CODE_VALUE)
  return scan + candidates * (CANDIDATE + CANDIDATE_VALUE * dim)
}

/** Distances of all centroids. */
function probeCost({ zoneCount, dim, bits }: PlannedIndex): number {
  return zoneCount * dim * (bits > 0 && dim >= LEAST_PACKED_DIMS ? PACKED_VALUE : CENTROID_VALUE)
}

/** Computes the microseconds that a search with everything in memory is likely to take, by the same constants. */
export function estimateMicros(
  index: PlannedIndex,
  request: { readonly k: number; readonly probe: ProbeWish; readonly isExact: boolean; readonly rerank: number }
): number {
  const { count, dim, bits } = index
  const candidates = Math.max(request.rerank, Math.min(count, request.k + SPARE_CANDIDATES))
  const rows = rowsIn(index, zonesMeant(request.probe))
  const scan = bits === 0 || request.isExact ? rowsCost(rows, dim) : codesCost(dim, rows, candidates)
  return (probeCost(index) + scan + request.k * HIT) / 1000
}

function zonesMeant(probe: ProbeWish): number {
  return 'nprobe' in probe ? probe.nprobe : Math.ceil(probe.zones)
}

/** Facts of an index that a plan follows from. */
export interface PlannedIndex {
  readonly count: number
  readonly dim: number
  readonly bits: number
  /** Built zones. */
  readonly zoneCount: number
  /** Rows of deltas: of all rows those that every search looks at. */
  readonly deltaRows: number
}

/** The facts of an index that a plan follows from. */
export function plannedIndex({ meta, segments }: Pick<Snapshot, 'meta' | 'segments'>): PlannedIndex {
  const { count, dim, bits, zoneCount } = meta
  return { count, dim, bits, zoneCount, deltaRows: segments.rowsFrom(zoneCount) }
}
