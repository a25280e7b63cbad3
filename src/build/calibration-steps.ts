// The steps of a calibration: what can be done by any thread that has the index open.

import { NEARLY_CERTAIN } from '../search/confidence.ts'
import type { ProbeWish } from '../search/probe-wish.ts'
import type { SearchContext } from '../search/search-context.ts'
import { search } from '../search/search.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import { drawCurves, type Drawn, type Measured } from './calibration-curves.ts'
import { measureLosses, type Losses, type LossQuery } from './calibration-losses.ts'
import { neighboursOf, type Neighbours } from './calibration-lists.ts'
import { scanTogether } from './calibration-scan.ts'
import { sampleQueries, splitQueries, type CalibrationQuery } from './calibration-queries.ts'
import { seededRandom } from './random.ts'

/** Searches between two turns of the event loop. */
const SEARCHES_PER_TURN = 16

export type CalibrationStep =
  | { readonly kind: 'queries'; readonly given: Float32Array | undefined; readonly seed: number }
  | {
      readonly kind: 'search'
      readonly vectors: readonly Float32Array[]
      readonly k: number
      readonly probe: ProbeWish
      readonly bounds: readonly number[] | undefined
    }
  | { readonly kind: 'scan'; readonly vectors: readonly Float32Array[]; readonly k: number }
  | { readonly kind: 'curves'; readonly measured: Measured }
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
    case 'search':
      return { neighbours: await searchAll(context, step, turn) }
    case 'scan':
      return { neighbours: await scanTogether(context, step, turn) }
    case 'curves':
      return { drawn: drawCurves(context, step.measured) }
    case 'losses':
      return { losses: await measureLosses(context, step, turn) }
  }
}

async function searchAll(
  context: SearchContext,
  step: Extract<CalibrationStep, { kind: 'search' }>,
  turn: () => Promise<void>
): Promise<Neighbours[]> {
  const { k, probe } = step
  const shared = { k, probe, isExact: false, explain: false, rerank: 0, confidence: NEARLY_CERTAIN }
  const all: Neighbours[] = []
  for (const [i, vector] of step.vectors.entries()) {
    const { hits } = search(context, vector, { ...shared, bound: step.bounds?.[i] })
    all.push(neighboursOf(hits))
    if (i % SEARCHES_PER_TURN === SEARCHES_PER_TURN - 1) await turn()
  }
  return all
}
