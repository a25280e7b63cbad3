// How far the estimates of codes are trusted: in standard deviations of their error.

import type { Confidence } from '../quantizer/query-codes.ts'

/** For searches that are told how many zones to probe. */
export const CONFIDENCE: Confidence = { planes: 2.5, refined: 3.2, slack: 0.5, planesSlack: 0.2 }

/**
 * Share of the hits that a search for a recall may miss at which a hit may be ruled out by its codes: the rest is for
 * zones that are not probed.
 */
const SHARE_OF_CODES = 1 / 8

/**
 * Trusts estimates less the more recall is wanted: by what was measured (`trust`), or so that a hit at the very edge is
 * lost with a probability of (1 - recall) / 8.
 */
export function confidenceFor(recall: number, trust?: number): Confidence {
  return { ...CONFIDENCE, planes: trust ?? trustFor(recall) }
}

/** Standard deviations that an error exceeds, in one direction, with a probability of (1 - recall) / 8. */
export function trustFor(recall: number): number {
  return normalQuantile((1 - recall) * SHARE_OF_CODES)
}

/** The share of hits that codes may lose on the way to a recall. */
export function lossAllowed(recall: number): number {
  return ((1 - recall) * SHARE_OF_CODES) / 2
}

/**
 * Finds what zones must reach, so that with what codes lose a recall is reached; most hits are not at the edge, so half
 * of what is lost there is enough.
 */
export function recallOfZones(recall: number): number {
  return recall / (1 - lossAllowed(recall))
}

/**
 * Upper quantile of the normal distribution for a tail of `p` below 1/2. Abramowitz and Stegun, Handbook of
 * Mathematical Functions, 26.2.23.
 */
export function normalQuantile(p: number): number {
  const t = Math.sqrt(-2 * Math.log(p))
  return t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)))
}
