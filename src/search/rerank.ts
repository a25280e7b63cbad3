// Stage 3: from candidates to hits, by the exact distances of their float32 rows. Stops where the next candidate cannot
// be nearer than the hits there are, as far as the bound of its estimate says.

import { CANDIDATE_BYTES, CANDIDATES_HEADER_BYTES } from '../kernels/kernel.ts'
import type { CodesCache } from '../cache/codes-cache.ts'
import type { RowPlace, ZoneFiles } from '../storage/zone-files.ts'
import { RERANK_ROWS, type CodeWorkspace } from './code-workspace.ts'
import { setRerankTolerance } from './scan.ts'
import type { Workspace } from './workspace.ts'

const CANDIDATE_WORDS = CANDIDATE_BYTES / 4

export interface RerankContext {
  readonly workspace: Workspace
  readonly codes: CodeWorkspace
  readonly files: ZoneFiles
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
  const first = (candidates + CANDIDATES_HEADER_BYTES) / 4
  // Views that stay good: nothing is allocated from here on.
  const { words, floats, doubles } = memory
  const hits = scanQuery.heap / 4
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
          words[hits] === words[hits + 1] &&
          floats[first + rows * CANDIDATE_WORDS] > doubles[hits / 2 + 1])
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

/** Copies the row and the id of the candidate at word `at` to place `slot`. */
function copyCandidate(context: RerankContext, at: number, slot: number): void {
  const { workspace, codes, files, cache } = context
  const { memory, zones } = workspace
  const { words } = memory
  const zone = zones[words[at + 2]]
  const row = words[at + 3]
  files.copyRow(zone, row, codes.rowSlot(slot))
  const id = codes.ids / 4 + slot * 2
  const ids = cache.idsOf(zone)
  if (ids === 0) {
    files.copyId(zone, row, memory.bytesAt(id * 4, 8)) // the zone had to leave the cache since it was scanned
  } else {
    words[id] = words[ids / 4 + row * 2]
    words[id + 1] = words[ids / 4 + row * 2 + 1]
  }
}

/** Tells whether the row of the candidate at word `at` was never read. */
function isMissing(context: RerankContext, at: number): boolean {
  const { words } = context.workspace.memory
  return !context.files.isRowVerified(context.workspace.zones[words[at + 2]], words[at + 3])
}

/**
 * Asks for all rows of candidates, from word `at` to before `end`, that were never read: some more than will be needed,
 * but in one round.
 */
function prefetchMissing(context: RerankContext, at: number, end: number): void {
  const { words } = context.workspace.memory
  const missing: RowPlace[] = []
  for (; at < end; at += CANDIDATE_WORDS) {
    if (isMissing(context, at)) missing.push({ zone: context.workspace.zones[words[at + 2]], row: words[at + 3] })
  }
  context.files.prefetchRows(missing)
}
