// How many of the nearest zones a search for a recall probes: a rule on each query's own distances, with one calibrated
// threshold.

import type { Metric } from '../types.ts'

/** The part of the unit that every query has, however near its nearest centroid is. */
export const FLOOR = 0.03

/** Threshold and unit of the rule, for one search. */
export interface RecallRule {
  readonly threshold: number
  /**
   * From the calibration: typical squared distance of a row to its centroid; ip: typical lack of product of the nearest
   * centroid.
   */
  readonly scale: number
}

/**
 * Turns the list's distances into those of the rule: squared Euclidean ones, or for ip what the product lacks to
 * the largest possible.
 */
export interface RuleGeometry {
  readonly metric: Metric
  /** Largest norm of a row when the calibration was measured; ip only. */
  readonly ruleNorm: number
  readonly queryNorm: number
}

/** Returns distance number i, in order of the list, as the rule counts it. */
export function ruleDistance(geometry: RuleGeometry, distance: number): number {
  if (geometry.metric !== 'ip') return distance
  return geometry.ruleNorm + (geometry.queryNorm > 0 ? distance / geometry.queryNorm : 0)
}

/**
 * Scores the zone of rank `rank` (from 1): rises with rank and distance. `nearest` and `distance` as `ruleDistance`
 * returns them.
 */
export function scoreZone(nearest: number, distance: number, at: { rank: number; scale: number }): number {
  const unit = nearest + FLOOR * at.scale
  if (!(unit > 0)) return 0
  return ((distance - nearest) / unit) * Math.sqrt(at.rank / unit)
}

/**
 * Counts the zones to probe, from distances in ascending order; equals their number where none is above the threshold.
 */
export function countZones(distances: ArrayLike<number>, rule: RecallRule, geometry: RuleGeometry): number {
  const nearest = ruleDistance(geometry, distances[0])
  let count = 1
  while (
    count < distances.length &&
    scoreZone(nearest, ruleDistance(geometry, distances[count]), { rank: count + 1, scale: rule.scale }) <=
      rule.threshold
  )
    count++
  return count
}
