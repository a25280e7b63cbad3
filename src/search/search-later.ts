// The asynchronous driver of a search: what it lacks is fetched, all segments of a probe at once, then all rows of a
// rerank at once, while other searches go on. The stages are those of search.ts, and so are the hits.

import type { Pin } from '../cache/codes-cache.ts'
import type { Segment } from '../format/segment-table.ts'
import type { FetchedBytes, FetchedRange } from '../storage/fetched-bytes.ts'
import type { FileRange } from '../storage/reader.ts'
import { WINDOW_BYTES } from './blocking-reads.ts'
import type { CodeState } from './code-state.ts'
import type { Fetcher, Wanted } from './fetcher.ts'
import type { SearchRequest } from './request.ts'
import { candidateOf, readMissing, remainingCandidates } from './rerank.ts'
import { resultOf, resume, type CodesContext, type Lack, type SearchContext, type SearchResult } from './search.ts'
import type { SearchState } from './search-state.ts'

/** A search with a checked query and request. */
export interface LaterSearch {
  /** Copied at once. float32, dim */
  readonly query: Float32Array
  readonly request: SearchRequest
  readonly signal?: AbortSignal | undefined
}

/**
 * Searches as `search` does, and reads nothing on the caller's thread: returns the result where all that it takes is in
 * memory, else a promise of it. Throws and rejects as `search` throws, and as `Fetcher.fetch` rejects.
 */
export function searchLater(
  context: SearchContext,
  fetcher: Fetcher,
  of: LaterSearch
): SearchResult | Promise<SearchResult> {
  const state = context.states.take()
  let isWaiting = false
  try {
    context.files.counters = state.counters
    state.start(of.query, of.request)
    const lack = resume(context, state)
    if (lack === undefined) return resultOf(state)
    isWaiting = true
    return goOn({ context, fetcher, state, signal: of.signal }, lack)
  } finally {
    if (!isWaiting) context.states.giveBack(state)
  }
}

interface Waiting {
  readonly context: SearchContext
  readonly fetcher: Fetcher
  readonly state: SearchState
  readonly signal: AbortSignal | undefined
}

/** What a search waits for. */
interface Round {
  readonly lack: Exclude<Lack, undefined>
  readonly wanted: Wanted
  readonly pin: Pin | undefined
}

async function goOn(waiting: Waiting, firstLack: Exclude<Lack, undefined>): Promise<SearchResult> {
  const { context, fetcher, state, signal } = waiting
  try {
    let next: Round | undefined = startRound(waiting, firstLack)
    while (next !== undefined) {
      const round: Round = next
      try {
        next = await fetcher.fetch(round.wanted, signal, (fetched) => resumeWith(waiting, round, fetched))
      } finally {
        round.pin?.end()
      }
    }
    return resultOf(state)
  } finally {
    context.states.giveBack(state)
  }
}

/**
 * Says what is wanted, at the moment that it is lacking: a turn later another search may have brought the first of it
 * into memory, from where it may go again.
 */
function startRound(waiting: Waiting, lack: Exclude<Lack, undefined>): Round {
  const { context, state } = waiting
  // What is in memory already must still be there when the rest has come.
  const pin = lack === 'codes' ? context.codes?.cache.pin(state.segments) : undefined
  // What others read meanwhile is not counted here.
  context.files.counters = { bytesRead: 0, pagesVerified: 0 }
  return { lack, wanted: wantedBy(waiting, lack), pin }
}

/** Goes on with bytes that were fetched, until others are lacking. */
function resumeWith(waiting: Waiting, round: Round, fetched: FetchedBytes): Round | undefined {
  const { context, state } = waiting
  context.files.counters = state.counters
  state.ioRounds++
  return context.files.withFetched(fetched, () => {
    let lack: Lack = round.lack
    // The first is always there.
    do {
      takeLacking(context, state, lack)
      lack = resume(context, state)
      if (lack === 'codes') addCopy(round, state, fetched)
    } while (lack !== undefined && isFetched(context, state, { lack, fetched }))
    return lack === undefined ? undefined : startRound(waiting, lack)
  })
}

/** Adds the codes that the scan has reached, where they were in memory when the round began and had to go since. */
function addCopy({ pin }: Round, state: SearchState, fetched: FetchedBytes): void {
  const segment = state.segments[state.reached]
  const { file, offset, byteLength } = segment.codes
  const bytes = pin?.copyOf(segment)
  if (bytes !== undefined) fetched.add({ file, offset, byteLength, bytes })
}

function takeLacking(context: SearchContext, state: SearchState, lack: Exclude<Lack, undefined>): void {
  const segment = state.segments[state.reached] as Segment | undefined
  if (lack === 'candidates') readMissing(...codesOf(context, state))
  else if (segment === undefined) throw new TypeError('a search that is done lacks nothing')
  else if (lack === 'codes') context.codes?.cache.load(segment)
  else context.cache.load(segment, state.part)
}

function isFetched(
  context: SearchContext,
  state: SearchState,
  of: { readonly lack: Exclude<Lack, undefined>; readonly fetched: FetchedBytes }
): boolean {
  const segment = state.segments[state.reached] as Segment | undefined
  if (of.lack === 'candidates') return areCandidatesFetched(context, state, of.fetched)
  if (segment === undefined) return false
  if (of.lack === 'codes') return of.fetched.has(segment.codes)
  return rangesOfPart(context, segment, state.part).every((range) => of.fetched.has(range))
}

function areCandidatesFetched(context: SearchContext, state: SearchState, fetched: FetchedBytes): boolean {
  const [, , codes] = codesOf(context, state)
  for (let slot = 0; slot < state.batch; slot++) {
    if (state.missing[slot] === 0) continue
    const { segment, row } = candidateOf(state, codes, slot)
    const { row: bytes, id } = context.files.rangesOfCandidate(segment, row)
    if (!fetched.has(id) || !(isMapped(context, segment, row) || fetched.has(bytes))) return false
  }
  return true
}

/** Tells whether a row can be copied from a mapping. */
function isMapped({ files }: SearchContext, segment: Segment, row: number): boolean {
  return files.isMapped && files.isRowVerified(segment, row)
}

function codesOf(context: SearchContext, state: SearchState): [CodesContext, SearchState, CodeState] {
  if (context.codes === undefined || state.codes === undefined) throw new TypeError('there are no codes')
  return [context.codes, state, state.codes]
}

function wantedBy({ context, state }: Waiting, lack: Exclude<Lack, undefined>): Wanted {
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

/**
 * The parts of rows that are not in memory, from the one that the scan has reached on. All of them where there is no room
 * for so many: what is there now has to go before the scan comes to it.
 */
function rangesOfParts(context: SearchContext, state: SearchState): FileRange[] {
  const ranges: FileRange[] = []
  const { cache } = context
  let parts = -state.part
  for (let i = state.reached; i < state.segments.length; i++) parts += cache.partCount(state.segments[i])
  const mayStay = parts <= cache.capacity
  let bytes = 0
  for (let i = state.reached, part = state.part; i < state.segments.length; i++, part = 0) {
    const segment = state.segments[i]
    for (const end = cache.partCount(segment); part < end; part++) {
      if (bytes >= WINDOW_BYTES) return ranges
      if (mayStay && cache.find(segment, part) !== undefined) continue
      for (const range of rangesOfPart(context, segment, part)) {
        ranges.push(range)
        bytes += range.byteLength
      }
    }
  }
  return ranges
}

function rangesOfPart({ cache, files }: SearchContext, segment: Segment, part: number): FileRange[] {
  const firstRow = part * cache.rowsPerPart
  return files.rangesOfRows(segment, firstRow, Math.min(cache.rowsPerPart, segment.rowCount - firstRow))
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
    hold(id, ids === 0 ? 0 : ids + row * 8)
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
