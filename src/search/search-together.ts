// Many queries on one thread: their zones are probed and the nearest few scanned query after query, then all other
// segments are scanned one after the other, each for all queries that chose it while its codes are in the processor's
// caches, then candidates are reranked query after query. The hits are those of `search`, to the bit. All that lasts
// from step to step is in the group, not in states or in what searches share.

import type { Segment } from '../format/segment-table.ts'
import { memberByteLength } from '../kernels/addresses.ts'
import { BlockingReads, prefetchWindow } from './blocking-reads.ts'
import { begin } from './begin.ts'
import type { CodeState } from './code-state.ts'
import { QueryGroup, type GroupSize } from './query-group.ts'
import type { SearchRequest } from './request.ts'
import { countEstimates, scanCodes } from './scan.ts'
import type { CodesContext, SearchContext, SearchResult } from './search-context.ts'
import { finishSearch, search, startPass, startPassAtRerank } from './search.ts'
import type { SearchState } from './search-state.ts'

/** Segments that each query scans by itself: then its limit is low enough to rule most rows out. */
const OWN_SEGMENTS = 4
/** With fewer queries too few meet in a segment. */
export const FEWEST_TOGETHER = 64
/** With fewer it may take longer than one by one. */
const SOONER_FROM = 128
const LEAST_CODES_BYTES = 32 * 2 ** 20
const MOST_MEMBERS = 1024
/** Of the members of a group. */
const MOST_MEMBER_BYTES = 4 * 2 ** 20
const MOST_VISITS = 2 ** 16
/** Visits that there is room for, of each member: more than most have. Groups are smaller where there are more. */
const VISITS_OF_MEMBER = 128
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
  const batch = { queries, dim: workspace.dim, request, count: queries.length / workspace.dim }
  const state = states.take()
  let group: QueryGroup | undefined
  try {
    const size = sizeFor(state.codes, { ...batch, mostRows: workspace.segments.totals.mostRows })
    if (codes === undefined || state.codes === undefined || size === undefined) return searchOneByOne(context, batch)
    group = new QueryGroup(workspace.memory, state.codes, { size, slots: workspace.segments.slotCount })
    return searchInGroups({ context, codes, batch, group }, state)
  } finally {
    group?.close()
    states.giveBack(state)
  }
}

/**
 * Tells whether `count` queries are searched sooner together than one by one: there are enough of them, and codes are
 * more than a processor keeps in its caches anyway (bench/README.md, "Zone by zone").
 */
export function isSoonerTogether({ workspace, codes, documents }: SearchContext, count: number): boolean {
  return (
    documents.live.isUnchanged &&
    codes !== undefined &&
    count >= SOONER_FROM &&
    workspace.segments.totals.codesBytes >= LEAST_CODES_BYTES
  )
}

/** Queries and what is asked of all of them. */
interface Batch {
  readonly queries: Float32Array
  readonly dim: number
  readonly request: SearchRequest
  readonly count: number
}

interface Together {
  readonly context: SearchContext
  readonly codes: CodesContext
  readonly batch: Batch
  readonly group: QueryGroup
}

/**
 * Returns the room that a group needs; undefined where queries are to be searched one by one: they are few, or want
 * what others do not share, or sign planes are all there is, or segments are too large.
 */
function sizeFor(
  codes: CodeState | undefined,
  of: { readonly count: number; readonly request: SearchRequest; readonly mostRows: number }
): GroupSize | undefined {
  const { count, request, mostRows } = of
  if (codes === undefined || codes.scan.bits === 1 || count < FEWEST_TOGETHER) return undefined
  if (request.explain || request.isExact || request.k === 0) return undefined
  const { bits, width } = codes.scan
  const recordsOfMember = RECORDS_OF_MEMBER + RECORDS_OF_ESTIMATE * countEstimates(request, bits)
  const members = Math.min(
    count,
    MOST_MEMBERS,
    Math.floor(MOST_MEMBER_BYTES / memberByteLength(width)),
    Math.floor(MOST_RECORDS / recordsOfMember)
  )
  // A segment is scanned for a member only where there is room for all of its rows.
  const records = Math.min(MOST_RECORDS, members * recordsOfMember + mostRows)
  if (members < FEWEST_TOGETHER || records < mostRows * 2) return undefined
  return { members, visits: Math.min(MOST_VISITS, members * VISITS_OF_MEMBER), records }
}

function queryAt({ queries, dim }: Batch, query: number): Float32Array {
  return queries.subarray(query * dim, (query + 1) * dim)
}

function searchOneByOne(context: SearchContext, batch: Batch): SearchResult[] {
  const results: SearchResult[] = []
  for (let query = 0; query < batch.count; query++) {
    results.push(search(context, queryAt(batch, query), batch.request))
  }
  return results
}

function searchInGroups(together: Together, state: SearchState): SearchResult[] {
  const { context, batch, group } = together
  const results = new Array<SearchResult>(batch.count)
  for (let query = 0; query < batch.count; query++) {
    context.files.counters = state.counters
    begin(context, state, { query: queryAt(batch, query), request: batch.request })
    const { codes } = state
    if (!startTogether(together, state) || codes === undefined) {
      results[query] = finishSearch(context, state)
    } else {
      if (!group.hasRoomFor(state, codes)) finishGroup(together, results)
      if (group.hasRoomFor(state, codes)) group.add(query, state, codes)
      else results[query] = finishSearch(context, state)
    }
  }
  finishGroup(together, results)
  return results
}

/** Probes, and scans the nearest segments; tells whether the others can wait for the group. */
function startTogether({ context, codes: { cache } }: Together, state: SearchState): boolean {
  const { codes, segments } = state
  startPass(context, state)
  if (state.stage !== 'scan codes' || codes === undefined || segments.length <= OWN_SEGMENTS) return false
  const scanned = { cache, end: OWN_SEGMENTS }
  if (scanCodes(state, codes, scanned) !== undefined) {
    const reads = new BlockingReads(context, state)
    do reads.read('codes')
    while (scanCodes(state, codes, scanned) !== undefined)
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
  scanPairs(together)
  for (let position = 0; position < group.members.length; position++) {
    results[group.members[position].query] = context.states.use((state) => finishMember(together, state, position))
  }
  group.clear()
}

function scanPairs({ context, codes: { cache }, group }: Together): void {
  const { codesSource } = context.files
  const segments = group.sortPairs().map((slot) => context.workspace.segments.inSlot(slot))
  let askedBefore = 0
  for (let at = 0; at < segments.length; at++) {
    const segment = segments[at]
    if (!cache.holds(segment)) {
      if (at >= askedBefore)
        askedBefore = prefetchWindow(segments, at, { source: codesSource, holds: (other) => cache.holds(other) })
      cache.load(segment)
    }
    group.scanSlot(segment.slot, cache.table)
  }
}

function finishMember({ context, batch, group }: Together, state: SearchState, position: number): SearchResult {
  const { codes } = state
  const { query, zoneCount, rowCount } = group.members[position]
  if (codes === undefined) throw new TypeError('there are no codes')
  context.files.counters = state.counters
  state.start(queryAt(batch, query), batch.request)
  codes.start(countEstimates(batch.request, codes.scan.bits), rowCount)
  if (group.offerTo(codes, position)) startPassAtRerank(state, codes, zoneCount)
  return finishSearch(context, state)
}
