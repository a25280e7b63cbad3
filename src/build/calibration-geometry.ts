// Distances of queries to zones, and the scores (search/recall-rule.ts) of the zones of their neighbours. A query that
// is a row is taken out of its zone first, as if the zone's centroid had been made without it.

import { countZones, ruleDistance, scoreZone, type RuleGeometry } from '../search/recall-rule.ts'
import type { SearchContext } from '../search/search-context.ts'
import type { SearchState } from '../search/search-state.ts'
import { slotOf } from '../format/ordinals.ts'
import type { CalibrationQuery } from './calibration-queries.ts'

/** The copies of a query, which are left out as the query itself is, and the neighbours that remain. */
export interface Surroundings {
  /** Ordinals of rows that are equal to the query, or nearly. */
  readonly copies: readonly number[]
  /** Ordinals of the neighbours that are left, nearest first. */
  readonly neighbours: Float64Array
}

/** The zones of the neighbours of a query: their distances and ranks, and the distance of the nearest of all. */
export interface ZonesOfNeighbours {
  readonly nearest: number
  readonly distances: Float64Array
  readonly ranks: Uint32Array
}

/** Returns the zone that a row is in. */
function zoneOf({ workspace }: SearchContext, ordinal: number): number {
  return workspace.segments.inSlot(slotOf(ordinal)).zone
}

/** Computes the distances of all zones, as the rule counts them, without the query and its copies. */
export function zoneDistances(
  context: SearchContext,
  query: CalibrationQuery,
  copies: readonly number[]
): Float64Array {
  return context.states.use((state) => distancesWithout(state, context, { query, copies }))
}

function distancesWithout(
  state: SearchState,
  context: SearchContext,
  { query, copies }: { query: CalibrationQuery; copies: readonly number[] }
): Float64Array {
  const { workspace, probeQuery } = state
  const { memory, zoneCount, segments, dim, metric } = workspace
  state.setQuery(query.vector)
  if (metric === 'ip')
    memory.kernel.innerProducts(workspace.centroids, zoneCount, dim, probeQuery, workspace.zoneDistances)
  else memory.kernel.l2Distances(workspace.centroids, zoneCount, dim, probeQuery, workspace.zoneDistances)
  const distances = Float64Array.from(memory.float32At(workspace.zoneDistances, zoneCount))
  if (query.row !== undefined) {
    const norm2 = metric === 'ip' ? state.scanQuery.queryNorm2 : undefined
    const without = new Map<number, number>()
    for (const ordinal of [query.row, ...copies])
      without.set(zoneOf(context, ordinal), (without.get(zoneOf(context, ordinal)) ?? 0) + 1)
    for (const [zone, count] of without)
      distances[zone] = leaveOut(distances[zone], { rowCount: segments.rowsOfZone(zone), without: count, norm2 })
  }
  return metric === 'ip' ? distances.map((distance) => ruleDistance(state, distance)) : distances
}

/**
 * The distance of a zone to one of its rows x, as if `without` rows equal to x were not in it; norm2: <x, x>, with
 * minus the product for distance.
 */
function leaveOut(distance: number, of: { rowCount: number; without: number; norm2: number | undefined }): number {
  const { rowCount, without, norm2 } = of
  const left = rowCount - without
  if (left < 1) return Infinity
  return norm2 === undefined ? distance * (rowCount / left) ** 2 : (rowCount * distance + without * norm2) / left
}

/** Looks up the zones of neighbours among all of them. */
export function zonesOfNeighbours(
  context: SearchContext,
  distances: Float64Array,
  ordinals: Float64Array
): ZonesOfNeighbours {
  const sorted = distances.slice().sort()
  const found = {
    nearest: sorted[0],
    distances: new Float64Array(ordinals.length),
    ranks: new Uint32Array(ordinals.length)
  }
  const rankOfZone = new Uint32Array(distances.length)
  for (let i = 0; i < ordinals.length; i++) {
    const zone = zoneOf(context, ordinals[i])
    if (rankOfZone[zone] === 0) rankOfZone[zone] = rankOf(sorted, distances[zone])
    found.distances[i] = distances[zone]
    found.ranks[i] = rankOfZone[zone]
  }
  return found
}

/** Scores the zones of neighbours. */
export function scoresOf({ nearest, distances, ranks }: ZonesOfNeighbours, scale: number): Float64Array {
  return distances.map((distance, i) => (ranks[i] === 1 ? 0 : scoreZone(nearest, distance, { rank: ranks[i], scale })))
}

/** One more than the number of sorted values below `value`. */
function rankOf(sorted: Float64Array, value: number): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (sorted[middle] < value) low = middle + 1
    else high = middle
  }
  return low + 1
}

/** Distances as `zoneDistances` returns them are those of the rule already. */
const AS_THEY_ARE: RuleGeometry = { metric: 'l2', ruleNorm: 0, queryNorm: 0 }

/** Counts the zones that a threshold probes: the mean over queries, of each of which the distances are sorted. */
export function meanZones(queries: readonly Float64Array[], rule: { threshold: number; scale: number }): number {
  const zones = queries.reduce((sum, sorted) => sum + countZones(sorted, rule, AS_THEY_ARE), 0)
  return zones / Math.max(1, queries.length)
}
