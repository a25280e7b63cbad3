// Usual queries: the bounds of the distances of a calibration's queries to their nearest zone and nearest hit. A query
// beyond them is unlike (search/unlike.ts).

import type { Metric, UsualQueries } from '../types.ts'

/** Fewer queries do not show how far out their like may be. */
const FEWEST_QUERIES = 100
/** Queries of which the one farthest out at each end does not count. */
const QUERIES_PER_OUTLIER = 1000
/**
 * How much wider the bounds are than what was seen, as a share of how far they are from the median. Queries a little
 * too far away still find what they look for; those a little too near do not (bench/README.md, "Queries unlike the
 * base").
 */
const SLACK = { low: 0.1, high: { l2: 0.5, cosine: 0.5, ip: 0.1 } }

/**
 * Finds the bounds from the distances of queries to their nearest zone and their nearest hit, as the rule counts them.
 * Undefined where they are too few.
 */
export function findUsual(metric: Metric, zones: readonly number[], hits: readonly number[]): UsualQueries | undefined {
  if (Math.min(zones.length, hits.length) < FEWEST_QUERIES) return undefined
  const [ofZones, ofHits] = [boundsOf(zones, SLACK.high[metric]), boundsOf(hits, SLACK.high[metric])]
  return { nearestZone: Math.max(0, ofZones.low), farthestZone: ofZones.high, farthestHit: Math.max(0, ofHits.high) }
}

function boundsOf(values: readonly number[], slack: number): { low: number; high: number } {
  const sorted = Float64Array.from(values).sort()
  const outliers = Math.floor(sorted.length / QUERIES_PER_OUTLIER)
  const median = sorted[Math.floor(sorted.length / 2)]
  const [low, high] = [sorted[outliers], sorted[sorted.length - 1 - outliers]]
  return { low: low + (low - median) * SLACK.low, high: high + (high - median) * slack }
}
