// The steps of a calibration: what can be done by any thread that has the index open.

import type { ProbeWish } from '../search/probe-wish.ts'
import type { SearchContext } from '../search/search-context.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import { measureAlignment } from './calibration-alignment.ts'
import type { Calibration } from '../types.ts'
import { measureGain } from './calibration-gain.ts'
import { drawCurves, type Drawn, type Measured } from './calibration-curves.ts'
import { measureLosses, type Losses, type LossQuery } from './calibration-losses.ts'
import type { Neighbours } from './calibration-lists.ts'
import { rowsOfIndex, type SegmentRange } from './calibration-ranges.ts'
import { scanTogether } from './calibration-scan.ts'
import { sampleQueries, splitQueries, type CalibrationQuery } from './calibration-queries.ts'
import { seededRandom } from '../quantizer/random.ts'

/** Finds the k nearest of some rows for each query. */
export interface ScanStep {
  readonly kind: 'scan'
  readonly vectors: readonly Float32Array[]
  readonly k: number
  readonly range: SegmentRange
}

export type CalibrationStep =
  | { readonly kind: 'queries'; readonly given: Float32Array | undefined; readonly seed: number }
  | ScanStep
  | { readonly kind: 'alignment'; readonly queries: readonly CalibrationQuery[] }
  | { readonly kind: 'curves'; readonly measured: Measured }
  | {
      readonly kind: 'gain'
      readonly queries: readonly LossQuery[]
      readonly calibration: Calibration
      readonly alignment: number
    }
  | {
      readonly kind: 'losses'
      readonly queries: readonly LossQuery[]
      readonly k: number
      readonly probe: ProbeWish
    }

/** The answer to a step has what its kind is about. */
export interface CalibrationAnswer {
  readonly queries?: readonly CalibrationQuery[]
  readonly neighbours?: readonly Neighbours[]
  readonly alignment?: number | undefined
  readonly gain?: number
  readonly drawn?: Drawn
  readonly losses?: Losses
}

/** Does steps, some at a time, and hands out their answers in their order. */
export type StepRunner = (
  steps: readonly CalibrationStep[],
  onAnswer: (answer: CalibrationAnswer, step: number) => void
) => Promise<void>

/** An index that is open for calibration. */
export interface OpenedIndex {
  readonly context: SearchContext
  readonly snapshot: Snapshot
}

/** Does a step; calls `turn` often, which may throw to stop. */
export async function runStep(
  opened: OpenedIndex,
  step: CalibrationStep,
  turn: () => Promise<void>
): Promise<CalibrationAnswer> {
  const { context, snapshot } = opened
  switch (step.kind) {
    case 'queries':
      return {
        queries:
          step.given === undefined
            ? sampleQueries(context, snapshot, seededRandom(step.seed))
            : splitQueries(step.given, snapshot.meta)
      }
    case 'scan':
      return { neighbours: await scanTogether(rowsOfIndex(context, step.range), step, turn) }
    case 'alignment':
      return { alignment: await measureAlignment(context, step.queries, turn) }
    case 'gain':
      return { gain: await measureGain(context, step, turn) }
    case 'curves':
      return { drawn: drawCurves(context, step.measured) }
    case 'losses':
      return { losses: await measureLosses(context, step, turn) }
  }
}
