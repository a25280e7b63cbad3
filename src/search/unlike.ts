// Queries unlike those of the calibration (spec, section 7.6): what the calibration promises does not hold for them.
// They are known by how far the nearest zone and the nearest hit are, and search on until further zones bring nothing
// new.

import type { Hit, UsualQueries } from '../types.ts'
import { trustFor } from './confidence.ts'
import { ruleDistance, type RuleGeometry } from './recall-rule.ts'
import type { SearchRequest } from './request.ts'
import type { RecallProbe } from './probe-wish.ts'
import { isAllCheaper, isExactCheaper, type PlannedIndex } from './strategy.ts'

/** Zones that such a query probes first, at least. */
const FEWEST_ZONES = 8
/** Times as many zones are probed each time that hits were still coming. */
const GROWTH = 3
/** Hits that are looked at, at least: of fewer, none may be new by chance. */
const FEWEST_HITS = 32
/** Part of the misses allowed that may be new hits, for the search to end. */
const NEW_SHARE = 1 / 2

/** One pass of a search: what it found, and how many zones it probed of an index. */
export interface Pass {
  /** Undefined where the zones' distances told enough, so that nothing was scanned. */
  readonly hits: readonly Hit[] | undefined
  readonly probed: number
  readonly of: PlannedIndex
}

/** Tells whether a query whose nearest zone is so far away is unlike those of the calibration. */
export function isZoneUnlike(usual: UsualQueries, geometry: RuleGeometry, distance: number): boolean {
  const zone = ruleDistance(geometry, distance)
  return zone < usual.nearestZone || zone > usual.farthestZone
}

/** Tells whether a query whose nearest hit is so far away is unlike those of the calibration. */
export function isHitUnlike(usual: UsualQueries, geometry: RuleGeometry, hits: readonly Hit[] = []): boolean {
  return hits.length > 0 && ruleDistance(geometry, hits[0].distance) > usual.farthestHit
}

/**
 * Returns how a query that is unlike searches on after what it `found`, last pass last; undefined once further zones
 * brought nothing new, or none are left. Where all zones cost no more than searching on, it ends with them.
 */
export function widen(request: SearchRequest, probe: RecallProbe, found: readonly Pass[]): SearchRequest | undefined {
  const last = found[found.length - 1]
  const { zoneCount } = last.of
  if (last.hits !== undefined && last.probed >= zoneCount) return undefined
  const isFirst = found.length === 1
  const k = Math.min(last.of.count, Math.max(request.k, FEWEST_HITS))
  if (found.length > 2 && freshHits(found) <= k * (1 - probe.recall) * NEW_SHARE) return undefined
  // What was measured of codes was measured with other queries.
  const planes = Math.max(request.confidence.planes, trustFor(probe.recall))
  const wider = { ...request, confidence: { ...request.confidence, planes } }
  const nprobe = isFirst ? Math.max(last.probed, FEWEST_ZONES) : Math.ceil(last.probed * GROWTH)
  // The first of wider passes only shows what a second finds anew.
  const passes = isFirst ? [nprobe, nprobe * GROWTH] : [nprobe]
  if (!isAllCheaper(last.of, passes, k)) return { ...wider, k, probe: { nprobe } }
  return { ...wider, isExact: isExactCheaper(last.of, request.k), probe: { nprobe: zoneCount } }
}

/** Counts the hits of the last pass that the pass before did not have. */
function freshHits(found: readonly Pass[]): number {
  const [before, last] = found.slice(-2).map(({ hits = [] }) => hits)
  const known = new Set(before.map((hit) => hit.id))
  return last.reduce((count, hit) => count + (known.has(hit.id) ? 0 : 1), 0)
}
