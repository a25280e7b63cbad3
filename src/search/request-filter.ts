// What a search knows of its filter. Types only.

import type { CompiledFilter } from '../filter/compile-filter.ts'
import type { ExplainedFilter } from '../types.ts'
import type { CountedMasks } from './row-masks.ts'

/** How a search with a filter goes. */
export interface RequestFilter {
  /** Undefined where only the rows of segments count: for calibrations. */
  readonly compiled?: CompiledFilter | undefined
  readonly masks: CountedMasks
  /** Zones with rows that match to be scanned; undefined: as many as the rule says. */
  readonly nprobe: number | undefined
  /** Zones that the calibration saw searches without a filter probe, in the mean; 0: it does not say. */
  readonly meanZones: number
  /** Share of the k hits that a zone must be expected to hold to be scanned. */
  readonly leastGain: number
  /** Deviation of the cosine that masked-rule.ts explains. */
  readonly alignment: number
}

/** Why a search with a filter ended. */
export type FilterStop = ExplainedFilter['stopped']
