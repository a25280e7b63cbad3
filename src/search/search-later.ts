// The asynchronous driver of a search: what it lacks is fetched, all segments of a probe at once, then all rows of a
// rerank at once, while other searches go on. The stages are those of search.ts, and so are the hits.

import { ELEMENT_BYTES } from '../format/layout.ts'
import type { Segment } from '../format/segment-table.ts'
import { FetchedBytes, type FetchedRange } from '../storage/fetched-bytes.ts'
import type { FileRange } from '../storage/reader.ts'
import { WINDOW_BYTES } from './blocking-reads.ts'
import type { CodeState } from './code-state.ts'
import type { Fetched, Fetcher, Wanted } from './fetcher.ts'
import type { SearchRequest } from './request.ts'
import { candidateOf, readMissing, remainingCandidates } from './rerank.ts'
import { resultOf, resume, type CodesContext, type Lack, type SearchContext, type SearchResult } from './search.ts'
import { isTurnOver } from './scan.ts'
import type { SearchState } from './search-state.ts'

const NOTHING_FETCHED = new FetchedBytes([])

/** A search with a checked query and request. */
export interface LaterSearch {
  /** Copied at once. float32, dim */
  readonly query: Float32Array
  readonly request: SearchRequest
  readonly signal?: AbortSignal | undefined
}

/** The time of the caller's thread, which searches share with all that it has to do. */
export interface Turns {
  /** Runs work of a search that should end by its deadline, and counts what it took. */
  run<Result>(state: SearchState, work: () => Result): Result
  /** Waits for time; rejects with ZGQ_CLOSED once there will be none. */
  next(): Promise<void>
}

/** What asynchronous searches of an open index share. */
export interface LaterContext {
  readonly context: SearchContext
  readonly fetcher: Fetcher
  readonly turns: Turns
}

/**
 * Searches as `search` does, and neither reads on the caller's thread nor holds it up: returns the result where it is
 * there within this turn, else a promise of it. Throws and rejects as `search` throws, and as `Fetcher.fetch` rejects.
 */
export function searchLater(later: LaterContext, of: LaterSearch): SearchResult | Promise<SearchResult> {
  const { context, turns } = later
  const state = context.states.take()
  let isWaiting = false
  try {
    state.start(of.query, of.request)
    const lack = turns.run(state, () => {
      context.files.counters = state.counters
      return resume(context, state)
    })
    if (lack === undefined) return resultOf(state)
    isWaiting = true
    return goOn({ ...later, state, signal: of.signal }, lack)
  } finally {
    if (!isWaiting) context.states.giveBack(state)
  }
}

interface Waiting extends LaterContext {
  readonly state: SearchState
  readonly signal: AbortSignal | undefined
}

async function goOn(waiting: Waiting, firstLack: Lack): Promise<SearchResult> {
  const { context, fetcher, turns, state, signal } = waiting
  let fetched: Fetched | undefined
  let unpin: (() => void) | undefined
  try {
    for (let lack: Lack | undefined = firstLack; lack !== undefined;) {
      if (lack !== 'turn' && !isFetched(waiting, lack, fetched?.bytes)) {
        fetched?.release()
        fetched = undefined
        // What is in memory already must still be there when the rest has come.
        unpin?.()
        unpin = context.codes?.cache.pin(lack === 'codes' ? state.segments : [])
        fetched = await fetcher.fetch(wantedBy(waiting, lack), signal)
        state.ioRounds++
      }
      await turns.next()
      signal?.throwIfAborted()
      lack = resumeWith(waiting, lack, fetched?.bytes)
    }
    return resultOf(state)
  } finally {
    fetched?.release()
    unpin?.()
    context.states.giveBack(state)
  }
}

/** Goes on with bytes that were fetched, until others are lacking or its turn is over. */
function resumeWith(waiting: Waiting, first: Lack, fetched = NOTHING_FETCHED): Lack | undefined {
  const { context, state, turns } = waiting
  return turns.run(state, () => {
    context.files.counters = state.counters
    return context.files.withFetched(fetched, () => {
      let lack: Lack | undefined = first
      do {
        if (lack !== 'turn') takeLacking(context, state, lack)
        lack = resume(context, state)
      } while (lack !== undefined && lack !== 'turn' && !isTurnOver(state) && isFetched(waiting, lack, fetched))
      return lack
    })
  })
}

/** Brings what is lacking, which was fetched, into memory. */
function takeLacking(context: SearchContext, state: SearchState, lack: Exclude<Lack, 'turn'>): void {
  if (lack === 'candidates') readMissing(...codesOf(context, state))
  else if (lack === 'codes') context.codes?.cache.load(state.segments[state.reached])
  else context.cache.load(state.segments[state.reached], state.part)
}

function isFetched({ context, state }: Waiting, lack: Exclude<Lack, 'turn'>, fetched = NOTHING_FETCHED): boolean {
  if (lack === 'candidates') return areCandidatesFetched(context, state, fetched)
  const segment = state.segments[state.reached]
  if (lack === 'codes') return fetched.has(segment.codes)
  const { part } = state
  return rangesOfPart(context, segment, { first: part, end: part + 1 }).every((range) => fetched.has(range))
}

function areCandidatesFetched(context: SearchContext, state: SearchState, fetched: FetchedBytes): boolean {
  const [, , codes] = codesOf(context, state)
  for (let slot = 0; slot < state.batch; slot++) {
    if (state.missing[slot] === 0) continue
    const { segment, row } = candidateOf(state, codes, slot)
    const { row: bytes, id } = context.files.rangesOfCandidate(segment, row)
    const hasId = context.codes?.cache.idsOf(segment) !== 0 || fetched.has(id)
    if (!hasId || !fetched.has(bytes)) return false
  }
  return true
}

function codesOf(context: SearchContext, state: SearchState): [CodesContext, SearchState, CodeState] {
  if (context.codes === undefined || state.codes === undefined) throw new TypeError('there are no codes')
  return [context.codes, state, state.codes]
}

function wantedBy({ context, state }: Waiting, lack: Exclude<Lack, 'turn'>): Wanted {
  if (lack === 'candidates') return wantedOfCandidates(context, state)
  return { ranges: lack === 'codes' ? rangesOfCodes(context, state) : rangesOfParts(context, state), held: [] }
}

/** The codes that are not in memory, from the segment that the scan has reached on. */
function rangesOfCodes({ codes }: SearchContext, state: SearchState): FileRange[] {
  const ranges: FileRange[] = []
  for (let i = state.reached, bytes = 0; i < state.segments.length && bytes < WINDOW_BYTES; i++) {
    const segment = state.segments[i]
    if (codes?.cache.holds(segment) === true) continue
    ranges.push(segment.codes)
    bytes += segment.codes.byteLength
  }
  return ranges
}

/** The rows that are not in memory, from the part that the scan has reached on. */
function rangesOfParts(context: SearchContext, state: SearchState): FileRange[] {
  const ranges: FileRange[] = []
  const { cache } = context
  let bytes = 0
  for (let i = state.reached, first = state.part; i < state.segments.length; i++, first = 0) {
    const segment = state.segments[i]
    const parts = cache.partCount(segment)
    for (let end = first; first < parts && bytes < WINDOW_BYTES; first = end + 1) {
      for (end = first; end < parts && bytes < WINDOW_BYTES && cache.find(segment, end) === undefined; end++)
        bytes += cache.rowsPerPart * state.dim * ELEMENT_BYTES
      if (end > first) ranges.push(...rangesOfPart(context, segment, { first, end }))
    }
    if (bytes >= WINDOW_BYTES) break
  }
  return ranges
}

function rangesOfPart(
  { cache, files }: SearchContext,
  segment: Segment,
  { first, end }: { first: number; end: number }
): FileRange[] {
  const firstRow = first * cache.rowsPerPart
  return files.rangesOfRows(segment, firstRow, Math.min(end * cache.rowsPerPart, segment.rowCount) - firstRow)
}

/**
 * The pages of all candidates' rows that were not read. Ids and checksums that are in memory, and rows, are held: they
 * may have left it when the pages come.
 */
function wantedOfCandidates(context: SearchContext, state: SearchState): Wanted {
  const [codes, , codeState] = codesOf(context, state)
  const { memory } = state
  const ranges: FileRange[] = []
  const held: FetchedRange[] = []
  /** Holds bytes at an address in kernel memory; 0: they have to be read. */
  const hold = (range: FileRange, address: number): void => {
    if (address === 0) ranges.push(range)
    else held.push({ ...range, bytes: memory.bytesAt(address, range.byteLength).slice() })
  }
  for (const { segment, row } of remainingCandidates(state, codeState)) {
    const { row: bytes, pages, crcs, id, firstPage } = context.files.rangesOfCandidate(segment, row)
    const [ids, pageCrcs] = [codes.cache.idsOf(segment), codes.cache.pageCrcsOf(segment)]
    if (ids === 0 || !codes.cache.keepsAll) hold(id, ids === 0 ? 0 : ids + row * 8)
    if (codes.candidates.isAtHand(segment, row)) {
      const address = codes.candidates.addressOf(segment, row)
      if (address !== 0) hold(bytes, address)
      continue
    }
    ranges.push(pages)
    hold(crcs, pageCrcs === 0 ? 0 : pageCrcs + firstPage * 4)
  }
  return { ranges, held }
}
