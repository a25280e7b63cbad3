// Which zones a search probes, as the caller wishes or a calibration says.

import type { UsualQueries } from '../types.ts'
import type { RecallRule } from './recall-rule.ts'

/** Zones by a threshold that was calibrated for a recall. */
export interface RecallProbe extends RecallRule {
  readonly recall: number
  /** Zones in the mean. */
  readonly zones: number
  readonly trust?: number | undefined
  /** Undefined: the calibration does not say. */
  readonly usual?: UsualQueries | undefined
}

/** How many zones are probed: a number of them, or as many as the query needs. */
export type ProbeWish = { readonly nprobe: number } | RecallProbe
