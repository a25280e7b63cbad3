// The calibration of an index (spec, section 7): how far a search must probe for a recall. Encode, decode, and look-up
// by interpolation. No I/O.

import { describe } from '../describe.ts'
import { ZgqError } from '../errors.ts'
import type { Calibration, CalibrationPoint, UsualQueries } from '../types.ts'

/** Recalls for which thresholds are stored. */
export const CALIBRATED_RECALLS: readonly number[] = [
  0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98, 0.99, 0.995
]
/** Numbers of hits for which thresholds are stored. */
export const CALIBRATED_KS: readonly number[] = [1, 10, 100]

/**
 * Slope beyond the last k, as a multiple of the last slope: what k = 1,000 needed on six data sets was 1.3 to 2.1
 * times.
 */
const SLOPE_BEYOND = 2

export interface CalibratedProbe {
  readonly threshold: number
  readonly zones: number
  /** Undefined where it was not measured on both sides. */
  readonly trust: number | undefined
}

/**
 * Interpolates threshold and zones: linear in -ln(1 - recall), and in logarithms of thresholds over ln k. Of trusts the
 * larger holds between two.
 */
export function thresholdFor(calibration: Calibration, recall: number, k: number): CalibratedProbe {
  const points = calibration.curves.map((curve) => ({ k: curve.k, ...alongRecall(curve.points, recall) }))
  if (points.length === 1 || k <= points[0].k) return points[0]
  const at = Math.max(
    1,
    points.findIndex((point) => point.k >= k)
  )
  const isBeyond = points[points.length - 1].k < k
  const [low, high] = isBeyond ? [points[points.length - 2], points[points.length - 1]] : [points[at - 1], points[at]]
  const share = Math.log(k / low.k) / Math.log(high.k / low.k)
  const steps = isBeyond ? 1 + (share - 1) * SLOPE_BEYOND : share
  // More hits never need less: where the last step fell, what is beyond stays at its end.
  const between = (a: number, b: number): number => (a > 0 ? a * (b / a) ** (isBeyond && b < a ? 1 : steps) : b)
  const trust = isBeyond || high.k === k ? high.trust : larger(low.trust, high.trust)
  return { threshold: between(low.threshold, high.threshold), zones: between(low.zones, high.zones), trust }
}

function alongRecall(points: readonly CalibrationPoint[], recall: number): CalibratedProbe {
  const next = points.findIndex((point) => point.recall >= recall)
  if (next === -1) return { ...points[points.length - 1], trust: points[points.length - 1].trust }
  const high = points[next]
  const low = next === 0 ? { recall: 0, threshold: 0, zones: 1, trust: high.trust } : points[next - 1]
  const share = Math.log((1 - recall) / (1 - low.recall)) / Math.log((1 - high.recall) / (1 - low.recall))
  return {
    threshold: low.threshold + (high.threshold - low.threshold) * share,
    zones: low.zones + (high.zones - low.zones) * share,
    trust: larger(low.trust, high.trust)
  }
}

function larger(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : Math.max(a, b)
}

/** Curves and points that a calibration may have; a writer needs 3 and 13. */
const MOST_CURVES = 64
const MOST_POINTS = 256
/** Below it, logarithms of what a recall misses are lost in rounding. */
const LEAST_RECALL = 0.001
/** Standard deviations. */
const MOST_TRUST = 100

/** A number's range; both ends belong to it. */
interface Range {
  readonly least: number
  readonly most: number
}

const RECALLS: Range = { least: LEAST_RECALL, most: 1 - Number.EPSILON }
const FINITE: Range = { least: 0, most: Number.MAX_VALUE }

/** Checks the decoded value under `meta` key `calibration` of an index of `zoneCount` zones; throws ZGQ_CORRUPT. */
export function decodeCalibration(value: unknown, zoneCount: number, path: string): Calibration {
  const damage = (what: string): ZgqError => new ZgqError('ZGQ_CORRUPT', `meta value "calibration": ${what}`, { path })
  const number = (of: Map<string, unknown>, key: string, { least, most }: Range): number => {
    const found = of.get(key)
    if (typeof found !== 'number' || !(found >= least && found <= most))
      throw damage(`${key} is ${describe(found)}, expected a number from ${least} to ${most}`)
    return found
  }
  const whole = (of: Map<string, unknown>, key: string): number => {
    const found = number(of, key, { least: 1, most: Number.MAX_SAFE_INTEGER })
    if (!Number.isInteger(found)) throw damage(`${key} is ${found}, expected a whole number`)
    return found
  }
  const list = (of: Map<string, unknown>, key: string, most: number): Map<string, unknown>[] => {
    const found = of.get(key)
    if (!Array.isArray(found) || found.length === 0 || found.length > most)
      throw damage(`${key} is not a list of 1 to ${most}`)
    return found.map((item) => entriesOf(item) ?? fail(damage(`${key} holds what is not a map`)))
  }
  const map = entriesOf(value) ?? fail(damage('not a map'))
  const source = map.get('source')
  if (source !== 'base' && source !== 'queries') throw damage('source is neither base nor queries')
  const curves = list(map, 'curves', MOST_CURVES).map((curve) => ({
    k: whole(curve, 'k'),
    points: list(curve, 'points', MOST_POINTS).map((point) => ({
      recall: number(point, 'recall', RECALLS),
      threshold: number(point, 'threshold', FINITE),
      mean: number(point, 'mean', { least: 0, most: 1 }),
      zones: number(point, 'zones', { least: 1, most: zoneCount }),
      ...(point.has('trust') ? { trust: number(point, 'trust', { least: 0, most: MOST_TRUST }) } : {})
    }))
  }))
  const decodeUsual = (): UsualQueries => {
    const usual = entriesOf(map.get('usual')) ?? fail(damage('usual is not a map'))
    return {
      nearestZone: number(usual, 'nearestZone', FINITE),
      farthestZone: number(usual, 'farthestZone', FINITE),
      farthestHit: number(usual, 'farthestHit', FINITE)
    }
  }
  if (!isAscending(curves.map((curve) => curve.k))) throw damage('curves are not in order of k')
  if (curves.some(({ points }) => !isAscending(points.map((point) => point.recall))))
    throw damage('points are not in order of recall')
  if (curves.some(({ points }) => points.some(({ threshold }, i) => i > 0 && threshold < points[i - 1].threshold)))
    throw damage('a threshold falls where the recall rises')
  return {
    source,
    curves,
    queries: whole(map, 'queries'),
    confidence: number(map, 'confidence', { least: 0, most: 1 }),
    highestRecall: number(map, 'highestRecall', RECALLS),
    scale: number(map, 'scale', FINITE),
    ...(map.has('usual') ? { usual: decodeUsual() } : {}),
    ...(map.has('copies') ? { copies: number(map, 'copies', FINITE) } : {})
  }
}

function isAscending(values: readonly number[]): boolean {
  return values.every((item, i) => i === 0 || item > values[i - 1])
}

function entriesOf(value: unknown): Map<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? new Map<string, unknown>(Object.entries(value))
    : undefined
}

function fail(error: ZgqError): never {
  throw error
}
