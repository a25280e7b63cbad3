// Lists of neighbours, as the steps of a calibration hand them on.

import { CALIBRATED_KS } from '../format/calibration.ts'
import type { Hit } from '../types.ts'

/** Neighbours that are wanted of every query. */
export const NEIGHBOURS = CALIBRATED_KS[CALIBRATED_KS.length - 1]

/** Neighbours of a query, nearest first. */
export interface Neighbours {
  readonly ids: Float64Array
  readonly distances: Float64Array
}

export function neighboursOf(hits: readonly Hit[]): Neighbours {
  return {
    ids: Float64Array.from(hits, (hit) => hit.id),
    distances: Float64Array.from(hits, (hit) => hit.distance)
  }
}
