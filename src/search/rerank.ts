// Stage 3: from candidates to hits, by the exact distances of their float32 rows. Stops where the next candidate cannot be nearer than the
// hits there are, as far as the bound of its estimate says.

import { CANDIDATE_BYTES, CANDIDATES_HEADER_BYTES } from '../kernels/kernel.ts'
import type { CodesCache } from '../storage/codes-cache.ts'
import type { RowPlace, ZoneFiles } from '../storage/zone-files.ts'
import { RERANK_ROWS, type CodeWorkspace } from './code-workspace.ts'
import { setRerankTolerance } from './scan.ts'
import type { Workspace } from './workspace.ts'

const CANDIDATE_WORDS = CANDIDATE_BYTES / 4

/** What stage 3 works with. */
export interface RerankContext {
  readonly workspace: Workspace
  readonly codes: CodeWorkspace
  readonly files: ZoneFiles
  readonly cache: CodesCache
}

/** What stage 3 did. */
export interface Reranked {
  readonly rows: number
  /** Times that rows had to be asked for: 0 where all were read before, seldom more than 1. */
  readonly ioRounds: number
}

/** Reranks at least `least` candidates, then as many as could still be hits; the hits are left in the workspace's heap. */
export function rerank(context: RerankContext, least: number): Reranked {
  const { workspace, codes } = context
  const { memory, scanQuery } = workspace
  const { candidates } = codes.scan
  const count = memory.kernel.sortCandidates(candidates, codes.limit)
  const first = (candidates + CANDIDATES_HEADER_BYTES) / 4
  // Views that stay good: nothing is allocated from here on.
  const bounds = memory.float32At(candidates + CANDIDATES_HEADER_BYTES, count * CANDIDATE_WORDS)
  const hits = memory.uint32At(scanQuery.heap, 2)
  const worst = memory.float64At(scanQuery.heap + 8, 1)
  const ahead = new RowPrefetcher(context, { first, count, wanted: Math.max(hits[1], least) })
  const run = { rows: codes.rows, ids: codes.ids, inverseNorms: 0, mask: 0, count: 0 }
  setRerankTolerance(workspace)
  let rows = 0
  for (let isDone = false; !isDone; ) {
    run.count = 0
    while (run.count < RERANK_ROWS) {
      isDone = rows === count || (rows >= least && hits[0] === hits[1] && bounds[rows * CANDIDATE_WORDS] > worst[0])
      if (isDone) break
      ahead.need(rows)
      copyCandidate(context, first + rows++ * CANDIDATE_WORDS, run.count++)
    }
    if (run.count > 0) memory.kernel.scan(scanQuery, run)
  }
  return { rows, ioRounds: ahead.rounds }
}

/** Copies the row and the id of the candidate at word `at` to place `slot`. */
function copyCandidate(context: RerankContext, at: number, slot: number): void {
  const { workspace, codes, files, cache } = context
  const { memory, zones, dim } = workspace
  const { words } = memory
  const zone = zones[words[at + 2]]
  const row = words[at + 3]
  files.copyRow(zone, row, memory.bytesAt(codes.rows + slot * dim * 4, dim * 4))
  const id = codes.ids / 4 + slot * 2
  const ids = cache.idsOf(zone)
  if (ids === 0) {
    files.copyId(zone, row, memory.bytesAt(id * 4, 8)) // the zone had to leave the cache since it was scanned
  } else {
    words[id] = words[ids / 4 + row * 2]
    words[id + 1] = words[ids / 4 + row * 2 + 1]
  }
}

/** Asks for rows that were never read before they are needed, many at once. */
class RowPrefetcher {
  readonly #context: RerankContext
  readonly #first: number
  readonly #count: number
  readonly #wanted: number
  /** Candidates before this one were asked for. */
  #asked = 0
  #rounds = 0

  /** Candidates are at word `first` and behind, `count` of them, of which `wanted` will be hits. */
  constructor(context: RerankContext, place: { first: number; count: number; wanted: number }) {
    this.#context = context
    this.#first = place.first
    this.#count = place.count
    this.#wanted = place.wanted
  }

  /** Dependent rounds of input so far. */
  get rounds(): number {
    return this.#rounds
  }

  /** Candidate `i` is needed: if it was never read, asks for it and for those behind it whose bound is not above the likely distance of the last hit. */
  need(i: number): void {
    if (i < this.#asked || !this.#isMissing(i)) return
    const { workspace, files } = this.#context
    const { words } = workspace.memory
    const bounds = workspace.memory.float32At(this.#first * 4, this.#count * CANDIDATE_WORDS)
    const limit = this.#likelyLast(bounds)
    const missing: RowPlace[] = []
    for (this.#asked = i; this.#asked < this.#count; this.#asked++) {
      const at = this.#asked * CANDIDATE_WORDS
      if (bounds[at] > limit && missing.length > 0) break
      if (this.#isMissing(this.#asked)) missing.push({ zone: workspace.zones[words[this.#first + at + 2]], row: words[this.#first + at + 3] })
    }
    files.prefetchRows(missing)
    this.#rounds++
  }

  #isMissing(i: number): boolean {
    const { workspace, files } = this.#context
    const { words } = workspace.memory
    const at = this.#first + i * CANDIDATE_WORDS
    return !files.isRowVerified(workspace.zones[words[at + 2]], words[at + 3])
  }

  /** The estimate that as many candidates as hits are wanted do not exceed. */
  #likelyLast(bounds: Float32Array): number {
    const estimates = new Float32Array(this.#count)
    for (let i = 0; i < this.#count; i++) estimates[i] = bounds[i * CANDIDATE_WORDS + 1]
    return estimates.sort()[Math.min(this.#count, this.#wanted) - 1]
  }
}
