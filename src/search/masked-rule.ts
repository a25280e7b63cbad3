// How far a search with a filter probes. A row x of a zone with centroid c is nearer to the query q than a distance d
// where the cosine of the angle at c between q and x is above a bound that follows from |q - c|, |x - c| and d. Over
// the rows of zones near a query that cosine is about normal, with mean 0 and a deviation that depends on the vectors
// (their intrinsic dimension): `alignment`, which a calibration measures. So a zone with m rows that match is expected
// to hold m * P(cosine > bound) rows nearer than the hits found so far, whatever the filter has to do with the vectors.
// Zones are scanned, nearest first, until none is expected to bring a share of the k hits that is worth it: to stop at
// one marginal gain for all queries gives the best mean recall for the zones scanned (docs/decisions.md).

import type { Metric } from '../types.ts'

/** Where there is no calibration: larger than it was for any vectors seen, so that more zones are scanned. */
export const UNKNOWN_ALIGNMENT = 0.2

/**
 * Returns the share of the k hits that a zone must be expected to hold to be scanned, for a recall: measured over
 * filters that pass 100 to .1 % of the rows, random, near the query and far from it (bench/README.md, "Filters").
 */
export function leastGain(recall: number): number {
  return 0.14 * (1 - recall)
}

/** Rows of a zone, and those that match. */
export interface ZoneMatches {
  readonly rows: number
  readonly matches: number
}

/** What the rule knows of a search. */
export interface MaskedSearch {
  readonly metric: Metric
  readonly queryNorm: number
  readonly alignment: number
  /** Distance of the k-th of the hits found so far, in the metric of the index; infinite where there are fewer. */
  readonly limit: number
}

/**
 * Estimates the part of a zone's rows that are nearer than the hits. distance: of the centroid, as the probe computes
 * it (squared Euclidean, or for ip minus the product); spread: root mean square of the distances of the rows to it.
 */
export function chanceOfHit(search: MaskedSearch, distance: number, spread: number): number {
  const { metric, queryNorm, alignment, limit } = search
  if (limit === Infinity) return 1
  if (metric === 'ip') return upperTail((distance - limit) / (queryNorm * spread * alignment))
  // Under cosine vectors have length 1, and 1 - cos is half of the squared distance.
  const limit2 = metric === 'cosine' ? 2 * limit : limit
  const gap = distance + spread * spread - limit2
  return upperTail(gap / (2 * Math.sqrt(distance) * spread * alignment))
}

/** What the zones that were scanned tell about those to come. */
export interface ScannedZones extends ZoneMatches {
  /** Sum of the chances of the rows that match: the hits that were to be expected in these zones. */
  readonly expected: number
  /** Hits that there were: all of them. */
  readonly hits: number
}

/** How the matches of a zone are weighed. */
export interface Weights {
  /** Share of the rows that match, in the zones scanned. */
  readonly density: number
  readonly factor: number
}

/**
 * Weighs matches by the zones that were scanned. They count for more where few match: the hits of a query are spread
 * over many zones then, each with a small part of them. They count for less where these zones held fewer hits than was
 * to be expected: far from the query chances are overestimated.
 */
export function weigh({ rows, matches, expected, hits }: ScannedZones): Weights {
  const density = matches / rows
  const truth = Math.min(1, (MOST_OVERESTIMATE * (hits + 1)) / (expected + 1))
  return { density, factor: truth * density ** -FEW_MATCHES_EXPONENT }
}

/**
 * Returns how many rows a zone is expected to hold that match and are nearer than the hits. Where fewer match than in
 * the zones before, those that do lie on the side of these zones, and so of the query: they count as if there were as
 * many.
 */
export function expectedHits(chance: number, { matches, rows }: ZoneMatches, { density, factor }: Weights): number {
  return Math.min(matches, Math.max(matches, rows * density) * chance * factor)
}

/** How many times too high estimates may be before they are corrected: those of few hits are as uncertain. */
const MOST_OVERESTIMATE = 4
/** Measured (bench/README.md, "Filters"): a tenth of the matches, twice as many zones for the same recall. */
const FEW_MATCHES_EXPONENT = 0.3

/**
 * Upper tail of the normal distribution. Abramowitz and Stegun, Handbook of Mathematical Functions, 26.2.17; the
 * error is below 7.5e-8.
 */
function upperTail(x: number): number {
  if (!(x > -6)) return 1 // NaN too: a zone without extent at the query
  if (x < 0) return 1 - upperTail(-x)
  const t = 1 / (1 + 0.2316419 * x)
  const series = t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
  return 0.3989422804014327 * Math.exp((-x * x) / 2) * series
}
