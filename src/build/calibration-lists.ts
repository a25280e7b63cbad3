// Lists of neighbours, as the steps of a calibration hand them on.

import { CALIBRATED_KS } from '../format/calibration.ts'

/** Neighbours that are wanted of every query. */
export const NEIGHBOURS = CALIBRATED_KS[CALIBRATED_KS.length - 1]

/** Neighbours of a query, nearest first. */
export interface Neighbours {
  /** See format/ordinals.ts. */
  readonly ordinals: Float64Array
  readonly distances: Float64Array
}

/** Takes up to `count` items, evenly spread. */
export function evenly<T>(items: readonly T[], count: number): T[] {
  const taken = Math.min(items.length, count)
  return Array.from({ length: taken }, (_, i) => items[Math.floor((i * items.length) / taken)])
}
