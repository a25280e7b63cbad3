// Stage 3: from candidates to hits, by the exact distances of their float32 rows. The kernel stops where the next
// candidate cannot be nearer than the hits there are, as far as the bound of its estimate says, and where rows are
// missing.

import type { CandidateRows } from '../cache/candidate-rows.ts'
import type { CodesCache } from '../cache/codes-cache.ts'
import { fillOrdinals } from '../format/ordinals.ts'
import type { Segment } from '../format/segment-table.ts'
import { candidateAddress } from '../kernels/addresses.ts'
import type { RerankRun } from '../kernels/kernel.ts'
import { CANDIDATE_ROW_AT, CANDIDATE_SEGMENT_AT, RERANK_DONE, RERANK_PAUSED } from '../kernels/layouts.ts'
import type { Ordinal } from '../storage/segment-reads.ts'
import type { CodeState } from './code-state.ts'
import { isTurnOver } from './scan.ts'
import type { SearchState } from './search-state.ts'

/** Batches between two looks at the clock, where there is a deadline, and where there is none. */
const BATCHES_PER_LOOK = 16
const NO_PAUSE = 0xffff_ffff

/** Where ids and rows of candidates come from. */
export interface RerankContext {
  readonly cache: CodesCache
  readonly candidates: CandidateRows
}

/** Sorts the candidates that the scan left. */
export function startRerank(state: SearchState, codes: CodeState): void {
  state.candidateCount = state.memory.kernel.sortCandidates(codes.scan.candidates, codes.limit)
  codes.startBatches()
}

/**
 * Reranks as many candidates as the request wants at least, then as many as could still be hits; the hits are left in
 * the state's heap. Goes on until it has all of them (undefined), rows of a batch are lacking, or its turn is over.
 */
export function rerank(
  context: RerankContext,
  state: SearchState,
  codes: CodeState
): 'candidates' | 'turn' | undefined {
  const { memory, scanQuery, request } = state
  const most = state.deadline === Infinity ? NO_PAUSE : BATCHES_PER_LOOK
  for (;;) {
    const { cache, candidates } = context
    const run: RerankRun = {
      wanted: request.rerank,
      candidates: codes.scan.candidates,
      segments: cache.table,
      kept: candidates.table,
      keptBits: candidates.bits,
      batch: codes.batch,
      slots: codes.slots
    }
    const status = memory.kernel.rerank(scanQuery, run, most)
    if (status === RERANK_DONE) return undefined
    if (status === RERANK_PAUSED) {
      if (isTurnOver(state)) return 'turn'
    } else if (!takeMissing(context, state, codes)) return 'candidates'
  }
}

/** Takes what the batch is missing as far as that takes no read; tells whether it has all. */
export function takeMissing(context: RerankContext, state: SearchState, codes: CodeState): boolean {
  let hasAll = true
  for (let slot = 0; slot < codes.batchCount; slot++) {
    if (!codes.isMissing(slot)) continue
    const { segment, row } = candidateOf(state, codes, slot)
    if (hasId(context, segment) && context.candidates.copy(segment, row, codes.rowSlot(slot)))
      setId(context, state, { codes, slot, segment, row })
    else hasAll = false
  }
  return hasAll
}

/** Tells whether the id of a row is at hand: ordinals are, and ids where the codes are in kernel memory. */
function hasId({ cache, candidates }: RerankContext, segment: Segment): boolean {
  return candidates.usesOrdinals || cache.idsOf(segment) !== 0
}

/** Takes the id of a candidate whose row is in its slot, where it is at hand. */
function setId(
  { cache, candidates }: RerankContext,
  { memory }: SearchState,
  of: Ordinal & { readonly codes: CodeState; readonly slot: number }
): void {
  if (candidates.usesOrdinals) {
    fillOrdinals(memory.bytesAt(of.codes.idSlot(of.slot), 8), of.segment.slot, of.row)
    of.codes.found(of.slot)
    return
  }
  const [to, from] = [of.codes.idSlot(of.slot) / 4, cache.idsOf(of.segment) / 4 + of.row * 2]
  const { words } = memory
  words[to] = words[from]
  words[to + 1] = words[from + 1]
  of.codes.found(of.slot)
}

/** The candidate whose row is to go to a slot of the batch at hand. */
export function candidateOf(state: SearchState, codes: CodeState, slot: number): Ordinal {
  return candidateAt(state, codes, codes.reranked - codes.batchCount + slot)
}

/**
 * The candidates of the batch that lacks rows, and all behind it: some more than will be needed, so that what they lack
 * can be asked for in one round.
 */
export function remainingCandidates(state: SearchState, codes: CodeState): Ordinal[] {
  const remaining: Ordinal[] = []
  for (let i = codes.reranked - codes.batchCount; i < state.candidateCount; i++)
    remaining.push(candidateAt(state, codes, i))
  return remaining
}

function candidateAt({ memory, workspace }: SearchState, { scan }: CodeState, position: number): Ordinal {
  const at = candidateAddress(scan.candidates, position)
  const { words } = memory
  const segment = workspace.segments.inSlot(words[(at + CANDIDATE_SEGMENT_AT) / 4])
  return { segment, row: words[(at + CANDIDATE_ROW_AT) / 4] }
}

/** Reads the rows and ids that the batch at hand is missing. */
export function readMissing(context: RerankContext, state: SearchState, codes: CodeState): void {
  for (let slot = 0; slot < codes.batchCount; slot++) {
    if (!codes.isMissing(slot)) continue
    const { segment, row } = candidateOf(state, codes, slot)
    context.candidates.read(segment, row, codes.rowSlot(slot))
    if (hasId(context, segment)) setId(context, state, { codes, slot, segment, row })
    else {
      // It had to leave the cache since it was scanned.
      context.candidates.readId(segment, row, state.memory.bytesAt(codes.idSlot(slot), 8))
      codes.found(slot)
    }
  }
}
