// Stage 3: from candidates to hits, by the exact distances of their float32 rows. Stops where the next candidate cannot
// be nearer than the hits there are, as far as the bound of its estimate says.

import type { CandidateRows } from '../cache/candidate-rows.ts'
import type { CodesCache } from '../cache/codes-cache.ts'
import { candidateAddress, heapDistances } from '../kernels/addresses.ts'
import type { ScanRun } from '../kernels/kernel.ts'
import {
  CANDIDATE_BYTES,
  CANDIDATE_LOW_AT,
  CANDIDATE_ROW_AT,
  CANDIDATE_SEGMENT_AT,
  HEAP_CAPACITY_AT,
  HEAP_SIZE_AT
} from '../kernels/layouts.ts'
import type { Ordinal } from '../storage/segment-reads.ts'
import { RERANK_ROWS, type CodeState } from './code-state.ts'
import { isTurnOver, setRerankTolerance } from './scan.ts'
import type { SearchState } from './search-state.ts'

const CANDIDATE_WORDS = CANDIDATE_BYTES / 4
const LOW = CANDIDATE_LOW_AT / 4
const SEGMENT = CANDIDATE_SEGMENT_AT / 4
const ROW = CANDIDATE_ROW_AT / 4

/** Where ids and rows of candidates come from. */
export interface RerankContext {
  readonly cache: CodesCache
  readonly candidates: CandidateRows
}

/** Sorts the candidates that the scan left. */
export function startRerank(state: SearchState, codes: CodeState): void {
  state.candidateCount = state.memory.kernel.sortCandidates(codes.scan.candidates, codes.limit)
  state.rowsReranked = 0
  state.batch = 0
  state.missingCount = 0
  setRerankTolerance(state)
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
  // Views that stay good: nothing is allocated from here on.
  const { words, floats, doubles } = memory
  const first = candidateAddress(codes.scan.candidates, 0) / 4
  const [size, capacity] = [(scanQuery.heap + HEAP_SIZE_AT) / 4, (scanQuery.heap + HEAP_CAPACITY_AT) / 4]
  const worst = heapDistances(scanQuery.heap) / 8
  const run: ScanRun = { rows: codes.rows, ids: codes.ids, inverseNorms: 0, mask: 0, firstRow: 0, count: 0 }
  const of = { state, codes }
  for (let isDone = false; ;) {
    if (state.batch > 0) {
      // What was missing has come.
      run.count = state.batch
      state.batch = 0
      state.missingCount = 0
      memory.kernel.scan(scanQuery, run)
      if (!isDone && isTurnOver(state)) return 'turn'
    }
    if (isDone) return undefined
    while (state.batch < RERANK_ROWS) {
      const { rowsReranked: rows } = state
      isDone =
        rows === state.candidateCount ||
        (rows >= request.rerank &&
          words[size] === words[capacity] &&
          floats[first + rows * CANDIDATE_WORDS + LOW] > doubles[worst])
      if (isDone) break
      state.rowsReranked++
      copyCandidate(context, of, first + rows * CANDIDATE_WORDS)
      state.batch++
    }
    if (state.missingCount > 0) return 'candidates'
  }
}

/** Copies the row and the id of the candidate at word `at` to the next slot, or notes that they are missing. */
function copyCandidate(context: RerankContext, of: { state: SearchState; codes: CodeState }, at: number): void {
  const { state, codes } = of
  const { words } = state.memory
  const slot = state.batch
  const segment = state.workspace.segments.inSlot(words[at + SEGMENT])
  const row = words[at + ROW]
  const ids = context.cache.idsOf(segment) / 4
  const isMissing = ids === 0 || !context.candidates.copy(segment, row, codes.rowSlot(slot))
  state.missing[slot] = isMissing ? 1 : 0
  if (isMissing) {
    state.missingCount++
    return
  }
  const id = codes.ids / 4 + slot * 2
  words[id] = words[ids + row * 2]
  words[id + 1] = words[ids + row * 2 + 1]
}

/** The candidate whose row is to go to a slot of the batch at hand. */
export function candidateOf(state: SearchState, codes: CodeState, slot: number): Ordinal {
  return candidateAt(state, codes, state.rowsReranked - state.batch + slot)
}

/**
 * The candidates of the batch that lacks rows, and all behind it: some more than will be needed, so that what they lack
 * can be asked for in one round.
 */
export function remainingCandidates(state: SearchState, codes: CodeState): Ordinal[] {
  const remaining: Ordinal[] = []
  for (let i = state.rowsReranked - state.batch; i < state.candidateCount; i++)
    remaining.push(candidateAt(state, codes, i))
  return remaining
}

function candidateAt({ memory, workspace }: SearchState, { scan }: CodeState, position: number): Ordinal {
  const at = candidateAddress(scan.candidates, position) / 4
  const { words } = memory
  return { segment: workspace.segments.inSlot(words[at + SEGMENT]), row: words[at + ROW] }
}

/** Reads the rows and ids that the batch at hand is missing. */
export function readMissing(context: RerankContext, state: SearchState, codes: CodeState): void {
  const { memory } = state
  for (let slot = 0; slot < state.batch; slot++) {
    if (state.missing[slot] === 0) continue
    const { segment, row } = candidateOf(state, codes, slot)
    context.candidates.read(segment, row, codes.rowSlot(slot))
    const { words } = memory // taken anew: keeping a row may move them
    const id = codes.ids / 4 + slot * 2
    const ids = context.cache.idsOf(segment) / 4
    if (ids === 0) {
      // It had to leave the cache since it was scanned.
      context.candidates.readId(segment, row, memory.bytesAt(id * 4, 8))
    } else {
      words[id] = words[ids + row * 2]
      words[id + 1] = words[ids + row * 2 + 1]
    }
  }
}
