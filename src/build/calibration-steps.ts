// The steps of a calibration: what can be done by any thread that has the index open.

import { CONFIDENCE, NEARLY_CERTAIN } from '../search/confidence.ts'
import type { ProbeWish } from '../search/request.ts'
import { search, type SearchContext } from '../search/search.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import type { Calibration, Hit } from '../types.ts'
import { drawCurves, type Losses, type Measured } from './calibration-curves.ts'
import { sampleQueries, splitQueries, type CalibrationQuery } from './calibration-queries.ts'
import { seededRandom } from './random.ts'

/** Trusts that are tried, in standard deviations. */
const TRUSTS = [1.25, 1.5, 1.75, 2, 2.5]
/** Zones in which losses are measured: more than searches for a high recall probe. */
const LOSS_ZONES = 1024
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
  | { readonly kind: 'losses'; readonly vectors: readonly Float32Array[]; readonly k: number }
  | { readonly kind: 'curves'; readonly measured: Measured }

/** The answer to a step has what its kind is about. */
export interface CalibrationAnswer {
  readonly queries?: readonly CalibrationQuery[]
  /** Of each query, nearest first. */
  readonly hits?: readonly (readonly Hit[])[]
  readonly losses?: Losses
  readonly calibration?: Calibration
}

/** An index that is open for calibration. */
export interface OpenedIndex {
  readonly context: SearchContext
  readonly snapshot: Snapshot
}

/** Does a step; `turn` lets the event loop turn, and may throw to stop. */
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
      return { hits: await searchAll(context, step, turn) }
    case 'losses':
      return { losses: await measureLosses(context, step, turn) }
    case 'curves':
      return { calibration: drawCurves(context, snapshot, step.measured) }
  }
}

async function searchAll(
  context: SearchContext,
  step: Extract<CalibrationStep, { kind: 'search' }>,
  turn: () => Promise<void>
): Promise<Hit[][]> {
  const all: Hit[][] = []
  for (const [i, vector] of step.vectors.entries()) {
    const request = {
      k: step.k,
      probe: step.probe,
      explain: false,
      isExact: false,
      rerank: 0,
      confidence: NEARLY_CERTAIN,
      bound: step.bounds?.[i]
    }
    all.push(search(context, vector, request).hits)
    if (i % SEARCHES_PER_TURN === SEARCHES_PER_TURN - 1) await turn()
  }
  return all
}

/**
 * Finds what share of the k hits the estimates from signs lose, for each of the trusts that are tried: an upper bound,
 * as if one more was lost. Many zones are searched: where fewer are, the limit for candidates is looser and less is
 * lost.
 */
async function measureLosses(
  context: SearchContext,
  of: { vectors: readonly Float32Array[]; k: number },
  turn: () => Promise<void>
): Promise<Losses> {
  if (context.codes === undefined) return []
  const shared = {
    k: of.k + 1,
    probe: { nprobe: Math.min(LOSS_ZONES, context.workspace.zones.length) },
    explain: false,
    isExact: false,
    rerank: 1
  }
  const sure: Hit[][] = []
  for (const vector of of.vectors) {
    sure.push(search(context, vector, { ...shared, confidence: NEARLY_CERTAIN }).hits)
    await turn()
  }
  const wanted = sure.reduce((sum, hits) => sum + hits.length, 0)
  const losses: { trust: number; loss: number }[] = []
  for (const trust of TRUSTS) {
    let missed = 0
    for (const [i, vector] of of.vectors.entries()) {
      const usual = new Set(
        search(context, vector, { ...shared, confidence: { ...CONFIDENCE, signs: trust } }).hits.map((hit) => hit.id)
      )
      missed += sure[i].filter((hit) => !usual.has(hit.id)).length
      await turn()
    }
    losses.push({ trust, loss: (missed + 1) / wanted })
    if (missed === 0) break
  }
  return losses
}
