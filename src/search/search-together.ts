// Many queries on one thread: their zones are probed and the nearest few scanned query after query, then all other
// segments are scanned one after the other, each for all queries that chose it while its codes are in the processor's
// caches, then candidates are reranked query after query. The hits are those of `search`, to the bit.

import type { Segment } from '../format/segment-table.ts'
import { memberByteLength } from '../kernels/addresses.ts'
import { BlockingReads, WINDOW_BYTES } from './blocking-reads.ts'
import type { CodeState } from './code-state.ts'
import { QueryGroup, type GroupSize } from './query-group.ts'
import type { SearchRequest } from './request.ts'
import { countEstimates, scanCodes } from './scan.ts'
import {
  finishSearch,
  search,
  startPass,
  startPassAtRerank,
  type CodesContext,
  type SearchContext,
  type SearchResult
} from './search.ts'
import type { SearchState } from './search-state.ts'

/** Segments that each query scans by itself: then its limit is low enough to rule most rows out. */
const OWN_SEGMENTS = 4
/** With fewer queries too few meet in a segment. */
export const FEWEST_TOGETHER = 64
const MOST_MEMBERS = 1024
/** Of the members of a group. */
const MOST_MEMBER_BYTES = 4 * 2 ** 20
const MOST_VISITS = 2 ** 16
const MOST_RECORDS = 2 ** 18
/** Records that there is room for: of each member, and more for each estimate that its limit is taken from. */
const RECORDS_OF_MEMBER = 64
const RECORDS_OF_ESTIMATE = 8
/** Rows of the segments of one query up to which the candidates of its first segments are all there. */
const MOST_ROWS = 2 ** 20

/**
 * Searches checked queries (float32, n * dim) with one checked request; returns what `search` returns for each. Reads
 * what is not in memory. Throws as `search` does, for all of them: who must know for which, searches one by one.
 */
export function searchTogether(context: SearchContext, queries: Float32Array, request: SearchRequest): SearchResult[] {
  const { states, workspace, codes } = context
  const batch = { queries, dim: workspace.dim, request }
  const count = queries.length / workspace.dim
  if (codes === undefined || count < FEWEST_TOGETHER || request.explain || request.isExact || request.k === 0)
    return Array.from({ length: count }, (_, query) => searchOne(context, batch, query))
  return states.use((state) => {
    const size = sizeFor(state.codes, { count, request, mostRows: workspace.segments.totals.mostRows })
    if (state.codes === undefined || size === undefined)
      return Array.from({ length: count }, (_, query) => searchOne(context, batch, query))
    const group = new QueryGroup(workspace.memory, state.codes, { size, slots: workspace.segments.slotCount })
    try {
      return searchInGroups({ context, codes, batch, group }, state)
    } finally {
      group.close()
    }
  })
}

/** Queries and what is asked of all of them. */
interface Batch {
  readonly queries: Float32Array
  readonly dim: number
  readonly request: SearchRequest
}

interface Together {
  readonly context: SearchContext
  readonly codes: CodesContext
  readonly batch: Batch
  readonly group: QueryGroup
}

/** Returns the room that a group needs; undefined where sign planes are all there is, or segments are too large. */
function sizeFor(
  codes: CodeState | undefined,
  of: { readonly count: number; readonly request: SearchRequest; readonly mostRows: number }
): GroupSize | undefined {
  if (codes === undefined || codes.scan.bits === 1) return undefined
  const { bits, width } = codes.scan
  const recordsOfMember = RECORDS_OF_MEMBER + RECORDS_OF_ESTIMATE * countEstimates(of.request, bits)
  const members = Math.min(
    of.count,
    MOST_MEMBERS,
    Math.floor(MOST_MEMBER_BYTES / memberByteLength(width)),
    Math.floor(MOST_RECORDS / recordsOfMember)
  )
  // A segment is scanned for a member only where there is room for all of its rows.
  const records = Math.min(MOST_RECORDS, members * recordsOfMember + of.mostRows)
  if (members < FEWEST_TOGETHER || records < of.mostRows * 2) return undefined
  return { members, visits: MOST_VISITS, records }
}

function queryAt({ queries, dim }: Batch, query: number): Float32Array {
  return queries.subarray(query * dim, (query + 1) * dim)
}

function searchOne(context: SearchContext, batch: Batch, query: number): SearchResult {
  return search(context, queryAt(batch, query), batch.request)
}

function searchInGroups(together: Together, state: SearchState): SearchResult[] {
  const { context, batch, group } = together
  const count = batch.queries.length / batch.dim
  const results = new Array<SearchResult>(count)
  for (let query = 0; query < count; query++) {
    context.files.counters = state.counters
    state.start(queryAt(batch, query), batch.request)
    if (!startTogether(together, state)) {
      results[query] = finishSearch(context, state)
      continue
    }
    const { codes } = state
    if (codes === undefined) throw new TypeError('there are no codes')
    if (!group.hasRoomFor(state, codes)) finishGroup(together, results)
    if (group.hasRoomFor(state, codes)) group.add(query, state, codes)
    else results[query] = finishSearch(context, state)
  }
  finishGroup(together, results)
  return results
}

/** Probes, and scans the nearest segments; tells whether the others can wait for their turns. */
function startTogether({ context, codes: { cache } }: Together, state: SearchState): boolean {
  const { codes, segments } = state
  startPass(context, state)
  if (state.stage !== 'scan codes' || codes === undefined || segments.length <= OWN_SEGMENTS) return false
  const scanned = { cache, end: OWN_SEGMENTS }
  if (!scanCodes(state, codes, scanned)) {
    const reads = new BlockingReads(context, state)
    do reads.read('codes')
    while (!scanCodes(state, codes, scanned))
  }
  // Without a limit all rows would be recorded.
  return codes.limit < Infinity && rowsOf(segments) <= MOST_ROWS
}

function rowsOf(segments: readonly Segment[]): number {
  let rows = 0
  for (const { rowCount } of segments) rows += rowCount
  return rows
}

/** Scans what the members of the group wait for, and searches them to the end. */
function finishGroup(together: Together, results: SearchResult[]): void {
  const { context, group } = together
  if (group.members.length === 0) return
  context.states.use((state) => {
    context.files.counters = state.counters
    scanTurns(together)
    for (let position = 0; position < group.members.length; position++)
      results[group.members[position].query] = finishMember(together, state, position)
  })
  group.clear()
}

function scanTurns({ context, codes: { cache }, group }: Together): void {
  const { codesSource } = context.files
  const segments = group.sortTurns().map((slot) => context.workspace.segments.inSlot(slot))
  let askedBefore = 0
  for (let at = 0; at < segments.length; at++) {
    const segment = segments[at]
    if (!cache.holds(segment)) {
      if (at >= askedBefore) {
        const window: Segment[] = []
        askedBefore = at
        for (let bytes = 0; askedBefore < segments.length && bytes < WINDOW_BYTES; askedBefore++) {
          if (cache.holds(segments[askedBefore])) continue
          window.push(segments[askedBefore])
          bytes += codesSource.byteLength(segments[askedBefore])
        }
        codesSource.prefetch(window)
      }
      cache.load(segment)
    }
    group.scanSlot(segment.slot, cache.table)
  }
}

function finishMember({ context, batch, group }: Together, state: SearchState, position: number): SearchResult {
  const { codes } = state
  const { query, zoneCount, rowCount } = group.members[position]
  if (codes === undefined) throw new TypeError('there are no codes')
  state.start(queryAt(batch, query), batch.request)
  codes.start(countEstimates(batch.request, codes.scan.bits), rowCount)
  if (group.offerTo(codes, position)) startPassAtRerank(state, codes, zoneCount)
  return finishSearch(context, state)
}
