// How the sample of a build is cut into blocks, each read and summed up by one task. It depends on the input and the
// options alone: sums of floats depend on where they are cut.

import { sampleCount, type Recipe } from './site.ts'

/** Rounds over the early sample, then over all of it: most movement is in the first rounds, which need fewer rows. */
const EARLY_ROUNDS = 5
const FULL_ROUNDS = 3

/** One row in so many of the sample is in the early sample. */
export const EARLY_STEP = 4
/** Below this many rows a zone, the early sample is the whole sample. */
const EARLY_ROWS_PER_ZONE = 16

/** A block has so many bytes, where the sample is small enough for that. */
const SMALL_BLOCK_BYTES = 2 ** 23
/** Many blocks are for many machines; each leaves sums as large as two times the centroids. */
const SMALL_BLOCKS = 16
const LARGE_BLOCK_BYTES = 2 ** 25
const MOST_BLOCKS = 64

/** The blocks of a sample. */
export interface SamplePlan {
  /** Rows of the sample. */
  readonly count: number
  /** Rows of each block but the last: a multiple of EARLY_STEP. */
  readonly blockRows: number
  readonly blocks: number
  /** Early rounds see a part of the rows. */
  readonly hasEarly: boolean
}

type PlannedRecipe = Pick<Recipe, 'count' | 'zones' | 'dim' | 'rowsPerBlock'>

export function planSample(recipe: PlannedRecipe): SamplePlan {
  const { dim, zones, rowsPerBlock } = recipe
  const count = sampleCount(recipe)
  const bytes = count * dim * 4
  const wanted = Math.max(Math.min(SMALL_BLOCKS, bytes / SMALL_BLOCK_BYTES), bytes / LARGE_BLOCK_BYTES)
  const unit = rowsPerBlock * EARLY_STEP // so that the early rows of a block fill calls of the kernel
  const blockRows = unit * Math.max(1, Math.ceil(count / Math.min(MOST_BLOCKS, Math.max(1, wanted)) / unit))
  return {
    count,
    blockRows,
    blocks: Math.ceil(count / blockRows),
    hasEarly: Math.ceil(count / EARLY_STEP) >= zones * EARLY_ROWS_PER_ZONE
  }
}

/** First row of a block in the sample, and its rows. */
export function blockRange(plan: SamplePlan, block: number): { readonly first: number; readonly count: number } {
  const first = block * plan.blockRows
  return { first, count: Math.min(plan.blockRows, plan.count - first) }
}

/** Rounds of training. */
export function roundCount({ zones }: Pick<Recipe, 'zones'>): number {
  return zones === 1 ? 1 : EARLY_ROUNDS + FULL_ROUNDS
}

/** Whether a round sees the early sample, where there is one. */
export function isEarlyRound(round: number): boolean {
  return round < EARLY_ROUNDS
}
