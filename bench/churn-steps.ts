// What the benchmarks of folds do with an index, each in a fresh process: build it, churn it, fold it, search it.

import { rmSync } from 'node:fs'
import { join } from 'node:path'

import { runStep } from './child.ts'
import type { ChurnSpec } from './churn-rows.ts'
import { metricOf } from './living-rows.ts'
import type { ChurnBuildInput, ChurnBuildResult } from './step-churn-build.ts'
import type { ChurnRowsInput } from './step-churn-rows.ts'
import type { ChurnSearchInput, ChurnSearchRow } from './step-churn-search.ts'
import type { ChurnTruthInput, ChurnTruthResult } from './step-churn-truth.ts'
import type { ChurnWriteInput, ChurnWriteResult } from './step-churn-write.ts'
import type { FoldInput, FoldResult } from './step-fold.ts'

export interface StepSettings {
  readonly spec: ChurnSpec
  /** Folder for files; kept. */
  readonly work: string
  readonly queries: number
  readonly passes: number
  readonly recalls: readonly number[]
  /** Rows a call. */
  readonly batch: number
}

/** Settings but for `spec` and `work`; `--quick`: seconds rather than minutes. */
export function stepDefaults(isQuick: boolean): Omit<StepSettings, 'spec' | 'work'> {
  return { queries: isQuick ? 50 : 500, passes: isQuick ? 3 : 7, recalls: [0.9, 0.95, 0.99], batch: 1000 }
}

/** Builds an index of the rows that are live after a round. */
export async function buildRound(
  { spec, work }: StepSettings,
  round: number,
  output: string
): Promise<ChurnBuildResult> {
  const [vectors, ids] = [join(work, 'churn-rows.fbin'), join(work, 'churn-rows.txt')]
  const rows: ChurnRowsInput = { spec, round, vectors, ids }
  await runStep('step-churn-rows.ts', rows)
  const input: ChurnBuildInput = { vectors, ids, metric: metricOf(spec.dim), output }
  const { value } = await runStep<ChurnBuildResult>('step-churn-build.ts', input)
  for (const path of [vectors, ids]) rmSync(path)
  return value
}

/** Deletes and adds the rows of a round. */
export async function writeRound(
  { spec, batch }: StepSettings,
  round: number,
  of: Pick<ChurnWriteInput, 'folder' | 'autoOptimize'>
): Promise<ChurnWriteResult> {
  const input: ChurnWriteInput = { spec, round, batch, ...of }
  return (await runStep<ChurnWriteResult>('step-churn-write.ts', input)).value
}

export async function fold(folder: string): Promise<FoldResult> {
  const input: FoldInput = { folder }
  return (await runStep<FoldResult>('step-fold.ts', input)).value
}

/** Writes the exact neighbours that an index finds. */
export async function findTruth(
  { spec, queries }: StepSettings,
  round: number,
  of: Pick<ChurnTruthInput, 'folder' | 'to'>
): Promise<ChurnTruthResult> {
  const input: ChurnTruthInput = { spec, round, queries, ...of }
  return (await runStep<ChurnTruthResult>('step-churn-truth.ts', input)).value
}

/** Searches indexes in one process, in turn. */
export async function searchRound(
  { spec, queries, passes, recalls }: StepSettings,
  round: number,
  of: Pick<ChurnSearchInput, 'folders' | 'truth'>
): Promise<ChurnSearchRow[]> {
  const input: ChurnSearchInput = { spec, round, queries, passes, recalls, ...of }
  return (await runStep<ChurnSearchRow[]>('step-churn-search.ts', input)).value
}
