// Losses by codes: true neighbours in probed zones that the scan of the codes rules out all the same. Their number
// depends on the data, on k and on how far estimates are trusted; near copies share their errors.

import { candidateAddress } from '../kernels/addresses.ts'
import {
  CANDIDATE_BYTES,
  CANDIDATE_LOW_AT,
  CANDIDATE_ROW_AT,
  CANDIDATE_SEGMENT_AT,
  CANDIDATES_SIZE_AT
} from '../kernels/layouts.ts'
import { CONFIDENCE, lossAllowed, normalQuantile, trustFor } from '../search/confidence.ts'
import type { ProbeWish } from '../search/probe-wish.ts'
import { RowMasks } from '../search/row-masks.ts'
import type { SearchState } from '../search/search-state.ts'
import type { CodesContext, SearchContext } from '../search/search-context.ts'
import { findCandidates } from '../search/search.ts'
import { ordinalOf, rowOf, slotOf } from '../format/ordinals.ts'
import { evenly } from './calibration-lists.ts'
import { NORMAL_QUANTILE } from './calibration-thresholds.ts'

/** Trusts that are tried, in standard deviations. */
const TRUSTS = [1.25, 1.5, 2, 2.5, 3, 4, 5, 6.5, 8]
/** Hits that show what is lost: with many of each query, fewer queries will do, but so many at least. */
const HITS = 3000
const FEWEST_QUERIES = 50
/** A loss above this says nothing of the tail. */
const LARGEST_LOSS = 0.4

/** A query with its neighbours, nearest first, and rows that are to be left out: itself and its copies. */
export interface LossQuery {
  readonly vector: Float32Array
  readonly leftOut: readonly number[]
  readonly ordinals: Float64Array
  readonly distances: Float64Array
}

/** Upper bounds of the share of hits that codes lose, for each trust that was tried. */
export type Losses = readonly { readonly trust: number; readonly loss: number }[]

/** Measures upper bounds of the loss at k, for more and more trust, until nothing is lost. */
export async function measureLosses(
  context: SearchContext,
  of: { queries: readonly LossQuery[]; k: number; probe: ProbeWish },
  turn: () => Promise<void>
): Promise<Losses> {
  const { codes } = context
  if (codes === undefined || of.queries.length === 0) return []
  const { k } = of
  const queries = evenly(of.queries, Math.max(FEWEST_QUERIES, Math.ceil(HITS / k)))
  const masks = new RowMasks(context.workspace.memory)
  const losses: { trust: number; loss: number }[] = []
  for (const trust of TRUSTS) {
    let sum = 0
    let squares = 0
    for (const query of queries) {
      hide(masks, context, query.leftOut)
      try {
        const lost = context.states.use(
          (state) => countLost({ ...context, codes, state }, query, { k, probe: of.probe, trust, masks }) / k
        )
        sum += lost
        squares += lost * lost
      } finally {
        masks.clear()
      }
    }
    await turn()
    const mean = sum / queries.length
    const deviation = Math.sqrt(Math.max(0, squares / queries.length - mean * mean) / queries.length)
    // as if one hit more was lost: where none is, that is not to say that none ever will be
    losses.push({ trust, loss: mean + NORMAL_QUANTILE * deviation + 1 / (queries.length * k) })
    if (sum === 0) break
  }
  return losses
}

/**
 * Returns how far estimates may be trusted on the way to a recall. From each trust that was tried it is gone on as far
 * as the tail of the normal distribution says, which those of codes are not above: their errors are bounded.
 */
export function trustOf(losses: Losses, recall: number): number {
  const usable = losses.filter(({ loss }) => loss < LARGEST_LOSS)
  if (losses.length === 0) return trustFor(recall)
  const wanted = normalQuantile(lossAllowed(recall))
  if (usable.length === 0) return TRUSTS[TRUSTS.length - 1] + wanted
  return Math.min(...usable.map(({ trust, loss }) => trust + Math.max(0, wanted - normalQuantile(loss))))
}

/** Counts the k nearest of the query that lie in segments that are probed and are not reranked. */
function countLost(
  context: SearchContext & { codes: CodesContext; state: SearchState },
  { vector, ordinals, distances }: LossQuery,
  { k, probe, trust, masks }: { k: number; probe: ProbeWish; trust: number; masks: RowMasks }
): number {
  const { workspace, state } = context
  const { codes } = state
  const confidence = { ...CONFIDENCE, planes: trust }
  const request = { k, probe, explain: false, isExact: false, rerank: 1, confidence, masks }
  if (codes === undefined || !findCandidates(context, { state, codes }, { query: vector, request })) return 0
  // By slot.
  const isProbed = new Uint8Array(workspace.segments.slotCount)
  for (const { slot } of state.segments) isProbed[slot] = 1
  const wanted = new Set<number>()
  const hasWanted = new Uint8Array(workspace.segments.slotCount)
  // Hits of the search, which are all of the nearest in the segments probed: the last of them ends the rerank.
  let hits = 0
  let farthest = Infinity
  for (let i = 0; i < ordinals.length && hits < k; i++) {
    const slot = slotOf(ordinals[i])
    if (isProbed[slot] === 0) continue
    if (++hits === k) farthest = distances[i]
    if (i >= k) continue
    wanted.add(ordinals[i])
    hasWanted[slot] = 1
  }
  const { words, floats } = workspace.memory
  const limit = Math.min(codes.limit, farthest)
  const { candidates } = codes.scan
  const end = candidateAddress(candidates, words[(candidates + CANDIDATES_SIZE_AT) / 4])
  for (let at = candidateAddress(candidates, 0); at < end; at += CANDIDATE_BYTES) {
    if (floats[(at + CANDIDATE_LOW_AT) / 4] > limit) continue
    const slot = words[(at + CANDIDATE_SEGMENT_AT) / 4]
    if (hasWanted[slot] === 1) wanted.delete(ordinalOf(slot, words[(at + CANDIDATE_ROW_AT) / 4]))
  }
  return wanted.size
}

/** Hides rows: a bit for each row of the segments that hold some of them. */
function hide(masks: RowMasks, { workspace }: SearchContext, ordinals: readonly number[]): void {
  const hidden = new Map<number, Uint32Array>()
  for (const ordinal of ordinals) {
    const slot = slotOf(ordinal)
    const { rowCount } = workspace.segments.inSlot(slot)
    const mask = hidden.get(slot) ?? new Uint32Array(Math.ceil(rowCount / 32)).fill(0xffff_ffff)
    mask[rowOf(ordinal) >>> 5] &= ~(1 << (rowOf(ordinal) & 31))
    hidden.set(slot, mask)
  }
  for (const [slot, mask] of hidden) masks.set(workspace.segments.inSlot(slot), mask)
}
