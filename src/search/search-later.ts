// The asynchronous driver of a search: what it lacks is fetched, all segments of a probe at once, then all rows of a
// rerank at once, while other searches go on. The stages are those of search.ts, and so are the hits.

import type { Pin } from '../cache/codes-cache.ts'
import { ELEMENT_BYTES } from '../format/layout.ts'
import type { Segment } from '../format/segment-table.ts'
import { FetchedBytes, type FetchedRange } from '../storage/fetched-bytes.ts'
import type { TableWants } from '../storage/document-files.ts'
import type { FileRange } from '../storage/reader.ts'
import type { Ordinal } from '../storage/segment-reads.ts'
import { begin } from './begin.ts'
import { WINDOW_BYTES } from './blocking-reads.ts'
import type { CodeState } from './code-state.ts'
import type { Fetched, Fetcher, Wanted } from './fetcher.ts'
import type { SearchRequest } from './request.ts'
import { candidateOf, readMissing, remainingCandidates } from './rerank.ts'
import type { CodesContext, Lack, SearchContext, SearchResult } from './search-context.ts'
import { resultOf, resume } from './search.ts'
import { isTurnOver } from './scan.ts'
import type { SearchState } from './search-state.ts'

/** Bytes of rows that are fetched at a time: more would hold up the caller's thread when they come. */
const ROWS_WINDOW_BYTES = 8 * 2 ** 20

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
  /** Waits for time for a search; rejects with ZGQ_CLOSED once there will be none. */
  next(state: SearchState): Promise<void>
}

/** What asynchronous searches of an open index share. */
export interface LaterContext {
  /** Another context may take its place between searches. */
  readonly index: { readonly context: SearchContext }
  readonly fetcher: Pick<Fetcher, 'fetch'>
  readonly turns: Turns
}

/**
 * Searches as `search` does, and neither reads on the caller's thread nor holds it up: returns the result where it is
 * there within this turn, else a promise of it. Throws and rejects as `search` throws, and as `Fetcher.fetch` rejects.
 */
export function searchLater(later: LaterContext, of: LaterSearch): SearchResult | Promise<SearchResult> {
  const { turns } = later
  const { context } = later.index
  const state = context.states.take()
  let isWaiting = false
  try {
    begin(context, state, of)
    const lack = turns.run(state, () => {
      context.files.counters = state.counters
      return resume(context, state)
    })
    if (lack === undefined) return resultOf(state)
    isWaiting = true
    return goOn({ ...later, context, state, signal: of.signal }, lack)
  } finally {
    if (!isWaiting) context.states.giveBack(state)
  }
}

interface Waiting extends LaterContext {
  readonly context: SearchContext
  readonly state: SearchState
  readonly signal: AbortSignal | undefined
}

/** What a search lacks, and what it waits for. */
interface Round {
  readonly lack: Lack
  /** Undefined where it has all that it lacks, but its turn is over. */
  readonly wanted: Wanted | undefined
  readonly pin: Pin | undefined
}

async function goOn(waiting: Waiting, firstLack: Lack): Promise<SearchResult> {
  const { context, fetcher, turns, state, signal } = waiting
  let round: Round | undefined
  let fetched: Fetched | undefined
  const nothing = new FetchedBytes([])
  try {
    round = startRound(waiting, firstLack, nothing)
    while (round !== undefined) {
      if (round.wanted !== undefined) {
        fetched?.release()
        fetched = undefined
        fetched = await fetcher.fetch(round.wanted, signal)
        state.ioRounds++
      }
      await turns.next(state)
      signal?.throwIfAborted()
      const before: Round = round
      round = resumeWith(waiting, before, fetched?.bytes ?? nothing)
      if (round?.pin !== before.pin) before.pin?.end()
    }
    return resultOf(state)
  } finally {
    fetched?.release()
    round?.pin?.end()
    context.states.giveBack(state)
  }
}

/**
 * Says what is wanted, at the moment that it is lacking: a turn later another search may have brought the first of it
 * into memory, from where it may go again.
 */
function startRound(waiting: Waiting, lack: Lack, fetched: FetchedBytes): Round {
  const { context, state } = waiting
  // What others read meanwhile is not counted here.
  context.files.counters = { bytesRead: 0, pagesVerified: 0 }
  const isAtHand = lack === 'turn' || (lack === 'rows' && isPartMapped(context, state))
  const wanted = isAtHand ? undefined : wantedBy(waiting, lack, fetched)
  // What is in memory already must still be there when the rest has come.
  const pin = state.stage === 'scan codes' ? context.codes?.cache.pin(state.segments) : undefined
  return { lack, wanted, pin }
}

/** Goes on with bytes that were fetched, until others are lacking or its turn is over. */
function resumeWith(waiting: Waiting, round: Round, fetched: FetchedBytes): Round | undefined {
  const { context, state, turns } = waiting
  return turns.run(state, () => {
    context.files.counters = state.counters
    return context.files.withFetched(fetched, () => {
      let lack: Lack | undefined = round.lack
      for (;;) {
        if (lack !== 'turn') takeLacking(context, state, { lack, fetched })
        lack = resume(context, state)
        if (lack === undefined) return undefined
        if (lack === 'codes') addCopy(round, state, fetched)
        if (lack !== 'turn' && !isFetched(waiting, lack, fetched)) return startRound(waiting, lack, fetched)
        if (lack === 'turn' || isTurnOver(state)) return { lack, wanted: undefined, pin: round.pin }
      }
    })
  })
}

/** Adds the codes that the scan has reached, where they were in memory when the round began and had to go since. */
function addCopy({ pin }: Round, state: SearchState, fetched: FetchedBytes): void {
  const segment = state.segments[state.reached]
  const { file, offset, byteLength } = segment.codes
  const bytes = pin?.copyOf(segment)
  if (bytes !== undefined) fetched.add({ file, offset, byteLength, bytes })
}

/** Brings what is lacking, which was fetched, into memory. */
function takeLacking(
  context: SearchContext,
  state: SearchState,
  { lack, fetched }: { readonly lack: Exclude<Lack, 'turn'>; readonly fetched: FetchedBytes }
): void {
  if (lack === 'centroids')
    context.workspace.partial?.take(({ file, offset }, target) => fetched.copy(file, offset, target))
  else if (lack === 'candidates') {
    const likely = likelyHits(context, state)
    readMissing(...codesOf(context, state))
    const isServed = (range: FileRange): boolean => fetched.has(range)
    context.documents.files.loadTables(likely, { wants: tablesWanted(state), isServed })
  } else if (lack === 'codes') context.codes?.cache.load(state.segments[state.reached])
  else context.cache.load(state.segments[state.reached], state.part)
}

function isFetched({ context, state }: Waiting, lack: Exclude<Lack, 'turn'>, fetched: FetchedBytes): boolean {
  if (lack === 'centroids') return rangesOfCentroids(state).every((range) => fetched.has(range))
  if (lack === 'candidates') return areCandidatesFetched(context, state, fetched)
  const segment = state.segments[state.reached]
  if (lack === 'codes') return fetched.has(segment.codes)
  const { part } = state
  if (isPartMapped(context, state)) return true
  return rangesOfPart(context, segment, { first: part, end: part + 1 }).every((range) => fetched.has(range))
}

/** Tells whether the rows that the scan has reached can be copied from a mapping. */
function isPartMapped(context: SearchContext, { segments, reached, part }: SearchState): boolean {
  return context.files.isMapped && areRowsMapped(context, segments[reached], { first: part, end: part + 1 })
}

function areCandidatesFetched(context: SearchContext, state: SearchState, fetched: FetchedBytes): boolean {
  const [{ cache }, , codes] = codesOf(context, state)
  for (let slot = 0; slot < codes.batchCount; slot++) {
    if (!codes.isMissing(slot)) continue
    const { segment, row } = candidateOf(state, codes, slot)
    const { row: bytes, id } = context.files.rangesOfCandidate({ segment, row }, cache.holds(segment))
    const hasId = id === undefined || cache.idsOf(segment) !== 0 || fetched.has(id)
    if (!hasId || !(isMapped(context, segment, row) || fetched.has(bytes))) return false
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

function wantedBy({ context, state }: Waiting, lack: Exclude<Lack, 'turn'>, fetched: FetchedBytes): Wanted {
  if (lack === 'candidates') return wantedOfCandidates(context, state)
  if (lack === 'rows') return { ranges: rangesOfParts(context, state), held: [] }
  if (lack === 'codes') {
    const end = Math.min(state.segments.length, state.scanEnd)
    return wantedOfCodes(context, state.segments.slice(state.reached, end), fetched)
  }
  const { segments } = state.workspace
  const likely: Segment[] = []
  // A round later these would be lacking, nearly all of them.
  for (const zone of state.likely) segments.ofZone(zone, (segment) => likely.push(segment))
  const { ranges, held } = wantedOfCodes(context, likely, fetched)
  return { ranges: [...rangesOfCentroids(state), ...ranges], held }
}

function rangesOfCentroids({ workspace, lacking }: SearchState): FileRange[] {
  return workspace.partial?.rangesOf(lacking) ?? []
}

/** The codes of segments that are not in memory; those that were fetched already are held. */
function wantedOfCodes({ codes }: SearchContext, segments: readonly Segment[], fetched: FetchedBytes): Wanted {
  const ranges: FileRange[] = []
  const held: FetchedRange[] = []
  let bytes = 0
  for (const segment of segments) {
    if (bytes >= WINDOW_BYTES) break
    if (codes?.cache.holds(segment) === true) continue
    const { file, offset, byteLength } = segment.codes
    const found = fetched.bytesOf(segment.codes)
    if (found === undefined) ranges.push(segment.codes)
    else held.push({ file, offset, byteLength, bytes: found })
    bytes += byteLength
  }
  return { ranges, held }
}

/**
 * The rows that are not in memory, from the part that the scan has reached on. All of them where there is no room for
 * so many: what is there now has to go before the scan comes to it.
 */
function rangesOfParts({ cache, files }: SearchContext, state: SearchState): FileRange[] {
  const ranges: FileRange[] = []
  let left = -state.part
  const end = Math.min(state.segments.length, state.scanEnd)
  for (let i = state.reached; i < end; i++) left += cache.partCount(state.segments[i])
  const isLacking = (segment: Segment, part: number): boolean =>
    (left > cache.capacity || cache.find(segment, part) === undefined) &&
    !(files.isMapped && areRowsMapped({ cache, files }, segment, { first: part, end: part + 1 }))
  let bytes = 0
  for (let i = state.reached, first = state.part; i < end && bytes < ROWS_WINDOW_BYTES; i++, first = 0) {
    const segment = state.segments[i]
    const parts = cache.partCount(segment)
    for (let last = first; first < parts && bytes < ROWS_WINDOW_BYTES; first = last + 1) {
      for (last = first; last < parts && bytes < ROWS_WINDOW_BYTES && isLacking(segment, last); last++)
        bytes += cache.rowsPerPart * state.dim * ELEMENT_BYTES
      if (last > first) ranges.push(...rangesOfPart({ cache, files }, segment, { first, end: last }))
    }
  }
  return ranges
}

/** Parts of a segment: from `first` to before `end`. */
interface Parts {
  readonly first: number
  readonly end: number
}

function rangesOfPart(
  { cache, files }: Pick<SearchContext, 'cache' | 'files'>,
  segment: Segment,
  { first, end }: Parts
): FileRange[] {
  const firstRow = first * cache.rowsPerPart
  return files.rangesOfRows(segment, firstRow, Math.min(end * cache.rowsPerPart, segment.rowCount) - firstRow)
}

function areRowsMapped(
  { cache, files }: Pick<SearchContext, 'cache' | 'files'>,
  segment: Segment,
  { first, end }: Parts
): boolean {
  const firstRow = first * cache.rowsPerPart
  return files.areMapped(segment, firstRow, Math.min(end * cache.rowsPerPart, segment.rowCount) - firstRow)
}

/**
 * The candidates that will probably be hits, where these are to be completed from afar: what tells their ids and where
 * their payloads are comes with their rows, and saves a round.
 */
function likelyHits({ documents, files }: SearchContext, state: SearchState): Ordinal[] {
  const { isForDocuments = false, k, wanted = k } = state.asked
  if (!isForDocuments || !files.comesAnew || !documents.usesOrdinals || state.codes === undefined) return []
  return remainingCandidates(state, state.codes).slice(0, wanted)
}

function tablesWanted({ asked }: SearchState): TableWants {
  return { ids: true, payloads: asked.readsPayloads === true }
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
    const ofCandidate = context.files.rangesOfCandidate({ segment, row }, codes.cache.holds(segment))
    const { row: bytes, pages, crcs, id, firstPage } = ofCandidate
    const [ids, pageCrcs] = [codes.cache.idsOf(segment), codes.cache.pageCrcsOf(segment)]
    if (id !== undefined && (ids === 0 || !codes.cache.keepsAll)) hold(id, ids === 0 ? 0 : ids + row * 8)
    if (codes.candidates.isAtHand(segment, row)) {
      const address = codes.candidates.addressOf(segment, row)
      if (address !== 0) hold(bytes, address)
      continue
    }
    ranges.push(pages)
    hold(crcs, pageCrcs === 0 ? 0 : pageCrcs + firstPage * 4)
  }
  ranges.push(...context.documents.files.rangesOfTables(likelyHits(context, state), tablesWanted(state)))
  return { ranges, held }
}
