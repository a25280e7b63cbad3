// Recall and latency over nprobe in its own process: one thread, one query at a time, each row after an unmeasured
// round.

import { stepInput, stepResult } from './child.ts'
import { loadZgq } from './packages.ts'
import { ownMemory, type ProcessMemory } from './process-memory.ts'
import { measureSearch, readQueries, summarize, thinQueries, type Summary } from './queries.ts'
import { mean } from './report.ts'

const K = 10
const EXACT_QUERIES = 200

export interface RecallStepInput {
  readonly folder: string
  readonly queries: string
  readonly truth: string
  readonly queryLimit: number
  readonly splitAt: number | undefined
}

export interface RecallRow extends Summary {
  /** 'exact' scans all zones; 'default' is what a search does that is told nothing. */
  readonly nprobe: number | 'exact' | 'default'
  readonly queries: number
  /** Recall before and from `splitAt` on. */
  readonly recallApart: readonly [number, number] | undefined
}

export interface RecallStepResult {
  readonly rows: readonly RecallRow[]
  readonly zones: number
  readonly cacheBytes: number
  readonly before: ProcessMemory
  readonly after: ProcessMemory
}

const input = stepInput<RecallStepInput>()
const all = await readQueries(input.queries, input.truth, input.queryLimit)
const { ZgqIndex } = await loadZgq()
const before = ownMemory()
const index = ZgqIndex.open(input.folder)
const { zones, cacheBytes } = index.info()
const rows = [measureRow('default'), ...listNprobes().map((nprobe) => measureRow(nprobe)), measureRow('exact')]
const result: RecallStepResult = { rows, zones, cacheBytes, before, after: ownMemory() }
index.close()
stepResult(result)

/** Powers of two below the zone count. */
function listNprobes(): number[] {
  const nprobes: number[] = []
  for (let nprobe = 1; nprobe < zones; nprobe *= 2) nprobes.push(nprobe)
  return nprobes
}

function measureRow(nprobe: RecallRow['nprobe']): RecallRow {
  const queries = nprobe === 'exact' ? thinQueries(all, EXACT_QUERIES) : all
  const options = nprobe === 'exact' ? { k: K, exact: true } : nprobe === 'default' ? { k: K } : { k: K, nprobe }
  measureSearch(index, queries, options) // unmeasured
  const measured = measureSearch(index, queries, options)
  // Thinned queries keep their order, so the split moves in proportion.
  const split =
    input.splitAt === undefined ? undefined : Math.round((input.splitAt * queries.vectors.length) / all.vectors.length)
  const recallApart =
    split === undefined
      ? undefined
      : ([mean(measured.recalls.subarray(0, split)), mean(measured.recalls.subarray(split))] as const)
  return { nprobe, queries: queries.vectors.length, ...summarize(measured), recallApart }
}
