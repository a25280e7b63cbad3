// Stage 3: from candidates to hits, by the exact distances of their float32 rows. Stops where the next candidate cannot
// be nearer than the hits there are, as far as the bound of its estimate says.

import { candidateAddress, heapDistances } from '../kernels/addresses.ts'
import {
  CANDIDATE_BYTES,
  CANDIDATE_LOW_AT,
  CANDIDATE_ROW_AT,
  CANDIDATE_SEGMENT_AT,
  HEAP_CAPACITY_AT,
  HEAP_SIZE_AT
} from '../kernels/layouts.ts'
import type { CodesCache } from '../cache/codes-cache.ts'
import type { Ordinal, SegmentFiles } from '../storage/segment-files.ts'
import { RERANK_ROWS, type CodeWorkspace } from './code-workspace.ts'
import { setRerankTolerance } from './scan.ts'
import type { Workspace } from './workspace.ts'

const CANDIDATE_WORDS = CANDIDATE_BYTES / 4
const LOW = CANDIDATE_LOW_AT / 4
const SEGMENT = CANDIDATE_SEGMENT_AT / 4
const ROW = CANDIDATE_ROW_AT / 4

export interface RerankContext {
  readonly workspace: Workspace
  readonly codes: CodeWorkspace
  readonly files: SegmentFiles
  readonly cache: CodesCache
}

/** Counts of stage 3, for explain. */
export interface Reranked {
  readonly rows: number
  /** 1 if rows had to be asked for, else 0. */
  readonly ioRounds: number
}

/**
 * Reranks at least `least` candidates, then as many as could still be hits; the hits are left in the workspace's heap.
 */
export function rerank(context: RerankContext, least: number): Reranked {
  const { workspace, codes } = context
  const { memory, scanQuery } = workspace
  const { candidates } = codes.scan
  const count = memory.kernel.sortCandidates(candidates, codes.limit)
  const first = candidateAddress(candidates, 0) / 4
  // Views that stay good: nothing is allocated from here on.
  const { words, floats, doubles } = memory
  const [size, capacity] = [(scanQuery.heap + HEAP_SIZE_AT) / 4, (scanQuery.heap + HEAP_CAPACITY_AT) / 4]
  const worst = heapDistances(scanQuery.heap) / 8
  const run = { rows: codes.rows, ids: codes.ids, inverseNorms: 0, mask: 0, count: 0 }
  setRerankTolerance(workspace)
  let rows = 0
  let ioRounds = 0
  for (let isDone = false; !isDone;) {
    run.count = 0
    while (run.count < RERANK_ROWS) {
      isDone =
        rows === count ||
        (rows >= least &&
          words[size] === words[capacity] &&
          floats[first + rows * CANDIDATE_WORDS + LOW] > doubles[worst])
      if (isDone) break
      const at = first + rows++ * CANDIDATE_WORDS
      if (ioRounds === 0 && isMissing(context, at)) {
        prefetchMissing(context, at, first + count * CANDIDATE_WORDS)
        ioRounds = 1
      }
      copyCandidate(context, at, run.count++)
    }
    if (run.count > 0) memory.kernel.scan(scanQuery, run)
  }
  return { rows, ioRounds }
}

/** Copies the row and the id of the candidate at word `at` to slot `slot`. */
function copyCandidate(context: RerankContext, at: number, slot: number): void {
  const { workspace, codes, files, cache } = context
  const { memory, segments } = workspace
  const { words } = memory
  const segment = segments.inSlot(words[at + SEGMENT])
  const row = words[at + ROW]
  files.copyRow(segment, row, codes.rowSlot(slot))
  const id = codes.ids / 4 + slot * 2
  const ids = cache.idsOf(segment)
  if (ids === 0) {
    files.copyId(segment, row, memory.bytesAt(id * 4, 8)) // the segment had to leave the cache since it was scanned
  } else {
    words[id] = words[ids / 4 + row * 2]
    words[id + 1] = words[ids / 4 + row * 2 + 1]
  }
}

/** Tells whether the row of the candidate at word `at` was never read. */
function isMissing(context: RerankContext, at: number): boolean {
  const { memory, segments } = context.workspace
  return !context.files.isRowVerified(segments.inSlot(memory.words[at + SEGMENT]), memory.words[at + ROW])
}

/**
 * Asks for all rows of candidates, from word `at` to before `end`, that were never read: some more than will be needed,
 * but in one round.
 */
function prefetchMissing(context: RerankContext, at: number, end: number): void {
  const { memory, segments } = context.workspace
  const { words } = memory
  const missing: Ordinal[] = []
  for (; at < end; at += CANDIDATE_WORDS) {
    if (isMissing(context, at)) missing.push({ segment: segments.inSlot(words[at + SEGMENT]), row: words[at + ROW] })
  }
  context.files.prefetchRows(missing)
}
