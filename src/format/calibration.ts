// Looks up in a calibration (spec, section 7.6) how far a search must probe for a recall, by interpolation.

import type { Calibration, CalibrationPoint } from '../types.ts'

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
