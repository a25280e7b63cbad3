// A search on one page: probe -> scan -> rerank, resumed where it stopped. Its stages read nothing: where bytes are not
// in memory, `resume` returns what is lacking, and a driver reads it and resumes. There are two drivers: `search` below
// reads at once, search-later.ts waits. Exact searches, and indexes without codes, scan float32 rows instead of codes
// and have nothing to rerank.

import { nowMicros } from '../clock.ts'
import { heapDistances } from '../kernels/addresses.ts'
import { SEARCH_DONE, SEARCH_FAR, SEARCH_NO_QUERY, SEARCH_PROBE, SEARCH_RERANK } from '../kernels/layouts.ts'
import type { Hit } from '../types.ts'
import { begin } from './begin.ts'
import type { CodeState } from './code-state.ts'
import { hasEstimates } from './estimate-range.ts'
import { explainPass, sumExplains } from './explain.ts'
import { areFew, listFirst, scansOn, takeMatches } from './filtered.ts'
import { joinHits, withPatches } from './fresh-hits.ts'
import type { RequestFilter } from './request-filter.ts'
import { lacksCentroids, probe } from './probe.ts'
import { BlockingReads } from './blocking-reads.ts'
import type { SearchRequest } from './request.ts'
import type { CodesContext, Lack, SearchContext, SearchResult } from './search-context.ts'
import { rerank, startRerank, takeMissing } from './rerank.ts'
import { scanCodes, scanRows, startCandidates, takeHits } from './scan.ts'
import { isMostlyDeleted, widest } from './deleted-zones.ts'
import { isForOneCall, searchAtOnce } from './search-at-once.ts'
import type { SearchState } from './search-state.ts'
import { isHitUnlike, isZoneUnlike, widen } from './unlike.ts'
import type { Workspace } from './workspace.ts'

/** Searches with a checked query and request, and reads what that takes. */
export function search(context: SearchContext, query: Float32Array, request: SearchRequest): SearchResult {
  const state = context.states.take()
  try {
    context.files.counters = state.counters
    begin(context, state, { query, request })
    return finishSearch(context, state)
  } finally {
    context.states.giveBack(state)
  }
}

/** Goes on with a search to its end, and reads what that takes. */
export function finishSearch(context: SearchContext, state: SearchState): SearchResult {
  let lack = resume(context, state)
  if (lack !== undefined) {
    const reads = new BlockingReads(context, state)
    for (; lack !== undefined; lack = resume(context, state)) reads.read(lack)
  }
  return resultOf(state)
}

/** The result of a search that is done. */
export function resultOf(state: SearchState): SearchResult {
  const { explains, isUnlike, micros } = state
  const hits = hitsOf(state)
  if (explains.length === 0) return { hits, explain: undefined, isUnlike, micros }
  const explain = isUnlike ? { ...sumExplains(explains), unlike: true } : explains[0]
  return { hits, explain, isUnlike, micros }
}

/** The hits of all rows. */
function hitsOf({ hits, freshHits, patches, asked }: SearchState): Hit[] {
  const joined = freshHits.length === 0 ? hits : joinHits(hits, freshHits, asked.wanted ?? asked.k)
  return patches === undefined || patches.areNone ? joined : withPatches(joined, patches)
}

/** Goes on with a search as far as memory and its deadline allow; `undefined`: it is done. */
export function resume(context: SearchContext, state: SearchState): Lack | undefined {
  for (;;) {
    const lack = resumePass(context, state)
    if (lack !== undefined || !startWiderPass(state)) return lack
  }
}

function resumePass(context: SearchContext, state: SearchState): Lack | undefined {
  const { codes } = state
  if (state.stage === 'probe') {
    if (isForOneCall(context, state) && startAtOnce(context, state)) return 'candidates'
    if (state.stage === 'probe' && !startPass(context, state)) return 'centroids'
  }
  if (state.stage === 'scan rows') {
    const lack = scanSome(context, state, () => scanRows(state, context.cache))
    if (lack !== undefined) return lack
    state.stage = 'done'
    state.scannedAt = nowMicros()
  } else if (codes !== undefined && context.codes !== undefined) {
    if (state.stage === 'scan codes') {
      const { codes: inMemory } = context
      const lack = scanSome(context, state, () => scanCodes(state, codes, inMemory))
      if (lack !== undefined) return lack
      state.stage = 'rerank'
      state.scannedAt = nowMicros()
      startRerank(state, codes)
    }
    if (state.stage === 'rerank') {
      const lack = rerank(context.codes, state, codes)
      if (lack !== undefined) return lack
      state.rowsReranked = codes.reranked
      state.rowsConfirmed = codes.reranked
      state.stage = 'done'
    }
  }
  endPass(state)
  return undefined
}

/** Scans as far as memory allows, and with a filter as far as it is worth it. */
function scanSome<What extends Lack>(
  { codes }: SearchContext,
  state: SearchState,
  scan: () => What | undefined
): What | undefined {
  for (;;) {
    const lack = scan()
    const { filter, isExact } = state.request
    if (
      lack !== undefined ||
      filter === undefined ||
      isExact ||
      !scansOn(state, filter, state.listsPacked ? codes : undefined)
    )
      return lack
  }
}

/** Goes as far as one call of the kernel can; tells whether candidates are lacking. */
function startAtOnce({ codes: context }: SearchContext, state: SearchState): boolean {
  const { codes } = state
  if (context === undefined || codes === undefined) return false
  resetPass(state)
  const status = searchAtOnce(context, state, codes)
  if (status === SEARCH_NO_QUERY) state.expectComparable()
  state.isScaled = true
  if (status === SEARCH_DONE) {
    state.rowsReranked = codes.reranked
    state.stage = 'done'
    return false
  }
  state.sortedHits = -1
  if (status === SEARCH_PROBE) return false
  if (status === SEARCH_RERANK) {
    state.candidateCount = codes.candidateCount
    state.stage = 'rerank'
    return !takeMissing(context, state, codes)
  }
  state.isFar = status === SEARCH_FAR
  if (state.isFar) state.stage = 'done'
  else {
    state.startHits(state.request.k)
    state.takeSegments(state.zoneCount, state.masks, 'last')
    state.stage = chooseScan(state, context, true)
  }
  return false
}

/** Probes, and chooses what is scanned; tells whether it could, or centroids are lacking. */
export function startPass(context: SearchContext, state: SearchState): boolean {
  const { request } = state
  state.scaleQuery()
  resetPass(state)
  const codes = hasEstimates(state) ? context.codes : undefined
  if (request.filter !== undefined) {
    if (lacksCentroids(state)) return false
    startFiltered(state, request.filter, codes)
    return true
  }
  const isEncoded = codes !== undefined && !request.isExact && request.k > 0 && hasCodedCentroids(codes)
  // Nobody asked for hits: there is nothing to probe, and a heap holds at least one.
  if (request.k > 0 && !probeZones(state, codes, isEncoded)) return false
  if (request.k === 0) state.takeSegments(0, undefined)
  state.probedAt = nowMicros()
  state.scannedAt = state.probedAt
  state.stage = state.isFar || request.k === 0 ? 'done' : chooseScan(state, codes, isEncoded)
  return true
}

/** The same with a filter. */
function startFiltered(state: SearchState, filter: RequestFilter, codes: CodesContext | undefined): void {
  const { request } = state
  state.startHits(request.k)
  state.probedAt = nowMicros()
  state.scannedAt = state.probedAt
  if (request.k === 0 || filter.masks.matchCount === 0) {
    state.takeSegments(0, filter.masks)
    state.zoneCount = 0
    state.filterPlan = request.isExact ? 'exact' : 'zones'
    state.stopped = request.k === 0 && filter.masks.matchCount > 0 ? 'nothing asked for' : 'no row matches'
    state.stage = 'done'
  } else if (codes !== undefined && state.codes !== undefined && areFew(filter, { dim: state.dim, k: request.k })) {
    takeMatches(state, state.codes, filter)
    state.stage = 'rerank'
  } else {
    const isEncoded = codes !== undefined && !request.isExact
    if (isEncoded) setQueryCodes(state)
    state.listsPacked = isEncoded
    listFirst(state, filter, isEncoded ? codes : undefined)
    state.probedAt = nowMicros()
    state.stage = chooseScan(state, codes, isEncoded)
  }
}

function resetPass(state: SearchState): void {
  state.startedAt = nowMicros()
  state.reached = 0
  state.part = 0
  state.rowsConfirmed = 0
  state.rowsReranked = 0
  state.ioRounds = 0
  state.isFar = false
  state.byRows = false
  state.sortedHits = -1
  state.scanEnd = Infinity
}

/** Starts a pass with the rerank: the candidates come from a scan of `zoneCount` zones elsewhere. */
export function startPassAtRerank(state: SearchState, codes: CodeState, zoneCount: number): void {
  state.scaleQuery()
  resetPass(state)
  state.zoneCount = zoneCount
  state.startHits(state.request.k)
  state.probedAt = state.startedAt
  state.scannedAt = state.startedAt
  state.stage = 'rerank'
  startRerank(state, codes)
}

/** Lists the zones that are probed, by the query's codes or not; tells whether it could, or centroids are lacking. */
function probeZones(state: SearchState, codes: CodesContext | undefined, isCoded: boolean): boolean {
  const { request, workspace } = state
  state.startHits(request.k)
  if (isCoded) setQueryCodes(state)
  if (!probe(state, isCoded ? codes : undefined)) return false
  const usual = 'threshold' in request.probe ? request.probe.usual : undefined
  state.isFar = usual !== undefined && isZoneUnlike(usual, state, nearestZone(workspace))
  return true
}

/** Distance of the nearest zone of the list, as the kernel computed it. */
function nearestZone({ memory, zoneList }: Workspace): number {
  return memory.doubles[heapDistances(zoneList) / 8]
}

/** `isEncoded`: the query's codes are set. */
function chooseScan(
  state: SearchState,
  codes: CodesContext | undefined,
  isEncoded: boolean
): 'scan rows' | 'scan codes' {
  if (codes === undefined || state.codes === undefined || state.request.isExact) {
    state.byRows = true
    return 'scan rows'
  }
  startCandidates(state, state.codes, codes.cache)
  if (!isEncoded) setQueryCodes(state)
  return 'scan codes'
}

/** The probe needs the query's codes, not only the scan. */
function hasCodedCentroids({ centroids, packed }: CodesContext): boolean {
  return centroids !== undefined || packed !== undefined
}

function setQueryCodes({ codes, codesQuery, scanQuery, request }: SearchState): void {
  codes?.queryCodes.set(codesQuery, scanQuery.queryNorm2, { confidence: request.confidence, bits: codes.scan.bits })
}

/** Takes the hits of a pass, and tells what there is to tell of it. */
function endPass(state: SearchState): void {
  const { request, isFar } = state
  state.hits = isFar || request.k === 0 ? [] : takeHits(state, request.k, state.sortedHits)
  const usual = 'threshold' in request.probe ? request.probe.usual : undefined
  if (state.passes.length === 0)
    state.isUnlike = isFar || (usual !== undefined && (isHitUnlike(usual, state, state.hits) || isMostlyDeleted(state)))
  if (request.explain) state.explains.push(explainPass(state, nowMicros()))
}

/** Starts another pass for a query that is unlike those of the calibration; tells whether there is one. */
function startWiderPass(state: SearchState): boolean {
  if (!state.isUnlike) return false
  const { passes, workspace, asked } = state
  passes.push({ hits: state.isFar ? undefined : state.hits, probed: state.zoneCount, of: workspace.planned })
  const isRule = 'threshold' in asked.probe
  const wider = (isRule ? widen(asked, asked.probe, passes) : undefined) ?? widest(state)
  if (wider === undefined) {
    state.hits = state.hits.slice(0, asked.k)
    return false
  }
  state.request = wider
  state.stage = 'probe'
  return true
}

/**
 * Leaves in a state what a scan of codes would rerank; tells whether codes were scanned. For calibration.
 */
export function findCandidates(
  context: SearchContext & { readonly codes: CodesContext },
  of: { readonly state: SearchState; readonly codes: CodeState },
  asked: { readonly query: Float32Array; readonly request: SearchRequest }
): boolean {
  const { state, codes } = of
  state.start(asked.query, asked.request)
  state.scaleQuery()
  if (!hasEstimates(state)) return false
  setQueryCodes(state)
  probe(state, context.codes)
  startCandidates(state, codes, context.codes.cache)
  state.reached = 0
  const reads = new BlockingReads(context, state)
  while (scanCodes(state, codes, context.codes) !== undefined) reads.read('codes')
  return true
}
