// Queries unlike those of the calibration (spec, section 7.1): what the calibration promises does not hold for them. They
// are known by how far the nearest zone and the nearest hit are, and search on until further zones bring nothing new.

import type { Hit, UsualQueries } from '../types.ts'
import { trustFor } from './confidence.ts'
import { ruleDistance, type RuleGeometry } from './recall-rule.ts'
import type { SearchRequest } from './request.ts'
import type { RecallProbe } from './probe-wish.ts'

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
  readonly hits: readonly Hit[]
  readonly probed: number
  readonly of: { readonly zones: number; readonly count: number }
}

/** Tells whether a query whose nearest zone and nearest hit are so far away is unlike those of the calibration. */
export function isUnlike(
  usual: UsualQueries,
  geometry: RuleGeometry,
  found: { readonly nearestZone: number; readonly hits: readonly Hit[] }
): boolean {
  const zone = ruleDistance(geometry, found.nearestZone)
  if (zone < usual.nearestZone || zone > usual.farthestZone) return true
  return found.hits.length > 0 && ruleDistance(geometry, found.hits[0].distance) > usual.farthestHit
}

/**
 * Returns how a query that is unlike searches on after what it `found`, last pass last; undefined once further zones
 * brought nothing new, or none are left.
 */
export function widen(request: SearchRequest, probe: RecallProbe, found: readonly Pass[]): SearchRequest | undefined {
  const last = found[found.length - 1]
  if (last.probed >= last.of.zones) return undefined
  const k = Math.min(last.of.count, Math.max(request.k, FEWEST_HITS))
  const wider = (nprobe: number): SearchRequest => ({
    ...request,
    k,
    probe: { nprobe: Math.min(last.of.zones, nprobe) },
    // What was measured of codes was measured with other queries.
    confidence: { ...request.confidence, signs: Math.max(request.confidence.signs, trustFor(probe.recall)) }
  })
  if (found.length === 1) return wider(Math.max(last.probed, FEWEST_ZONES))
  if (found.length > 2) {
    const before = new Set(found[found.length - 2].hits.map((hit) => hit.id))
    const fresh = last.hits.reduce((count, hit) => count + (before.has(hit.id) ? 0 : 1), 0)
    if (fresh <= k * (1 - probe.recall) * NEW_SHARE) return undefined
  }
  return wider(Math.ceil(last.probed * GROWTH))
}
