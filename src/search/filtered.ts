// Searches with a filter. Where few rows match, all of them are candidates and ranked exactly; else zones with rows
// that match are scanned, nearest first, as far as masked-rule.ts says, after the deltas, all of which are scanned. The
// stages are those of search.ts.

import { candidateAddress, heapDistances } from '../kernels/addresses.ts'
import {
  CANDIDATE_ESTIMATE_AT,
  CANDIDATE_LOW_AT,
  CANDIDATE_ROW_AT,
  CANDIDATE_SEGMENT_AT,
  CANDIDATES_SIZE_AT,
  HEAP_CAPACITY_AT,
  HEAP_SIZE_AT
} from '../kernels/layouts.ts'
import type { CodeState } from './code-state.ts'
import { chanceOfHit, expectedHits, weigh } from './masked-rule.ts'
import { listMatching } from './probe.ts'
import type { RequestFilter } from './request-filter.ts'
import type { CodesContext } from './search-context.ts'
import type { SearchState } from './search-state.ts'

/**
 * Values of all rows that match up to which all are ranked: reading that many rows takes no longer than choosing zones
 * (bench/README.md, "Filters"). A row costs as much as so many values besides its own.
 */
const MOST_RANKED_VALUES = 2 ** 18
const ROW_COST = 128
/** Rows that are ranked so where many hits are wanted, at most: fewer than there is room for candidates. */
const MOST_RANKED = 2 ** 16
/** Zones that are listed at first, at least; then times as many. */
const FEWEST_LISTED = 32
const LIST_GROWTH = 4
/** Zones that are listed at first, as a multiple of those that are likely to be scanned. */
const LISTED_SHARE = 2.5
/** Rows that match to be scanned before the rule is asked, as a multiple of k. */
const FIRST_MATCHES = 2
/** The same as a part of the zones that searches without a filter probe. */
const FIRST_SHARE = 0.4
/** Part of the zones scanned so far that is scanned between two looks at the rule. */
const LOOK_SHARE = 1

/** Tells whether all rows that match are ranked, by their vectors. */
export function areFew({ masks }: RequestFilter, of: { readonly dim: number; readonly k: number }): boolean {
  const { matchCount } = masks
  return matchCount <= Math.min(2 * of.k, MOST_RANKED) || matchCount * (of.dim + ROW_COST) <= MOST_RANKED_VALUES
}

/** Makes every row that matches a candidate, to be ranked whatever its distance. */
export function takeMatches(state: SearchState, codes: CodeState, { masks }: RequestFilter): void {
  codes.start(1, masks.matchCount)
  const { candidates } = codes.scan
  const { words, floats } = state.memory
  let count = 0
  masks.eachMatch((slot, row) => {
    const at = candidateAddress(candidates, count++) / 4
    floats[at + CANDIDATE_LOW_AT / 4] = -Infinity
    floats[at + CANDIDATE_ESTIMATE_AT / 4] = -Infinity
    words[at + CANDIDATE_SEGMENT_AT / 4] = slot
    words[at + CANDIDATE_ROW_AT / 4] = row
  })
  words[(candidates + CANDIDATES_SIZE_AT) / 4] = count
  state.candidateCount = count
  state.takeSegments(0, masks)
  state.filterPlan = 'matches'
  state.stopped = 'all matches ranked'
  codes.startBatches()
}

/** Lists the first zones with rows that match, and says how far they are scanned at first. */
export function listFirst(state: SearchState, filter: RequestFilter, codes: CodesContext | undefined): void {
  const { masks, nprobe, meanZones } = filter
  const { isExact, k } = state.request
  const { zones, matchCount } = masks
  const meant = nprobe ?? Math.ceil((FIRST_MATCHES * k * zones.count) / matchCount)
  const likely = Math.max(FEWEST_LISTED, Math.ceil(LISTED_SHARE * Math.max(meant, meanZones)))
  state.hasDistances = false
  state.filterPlan = isExact ? 'exact' : 'zones'
  state.stopped = 'no zone left'
  listSome(state, filter, { wanted: isExact ? zones.count : likely, codes })
  const { length } = state.segments
  const first = Math.max(
    endOfMatches(state, filter, FIRST_MATCHES * k),
    state.deltasFirst + Math.ceil(meanZones * FIRST_SHARE)
  )
  state.scanEnd = isExact ? length : Math.min(length, first)
}

/**
 * Takes the segments of deltas with rows that match, then those of the `wanted` nearest zones; those that were scanned
 * stay in place.
 */
function listSome(
  state: SearchState,
  { masks }: RequestFilter,
  of: { readonly wanted: number; readonly codes: CodesContext | undefined }
): void {
  state.zoneCount = listMatching(state, { wanted: of.wanted, zones: masks.zones, packed: of.codes?.packed })
  state.takeSegments(state.zoneCount, masks, 'first')
}

/**
 * Returns the position in the list up to which there are so many rows that match besides those of deltas, in `nprobe`
 * zones or more, or all. Segments of a zone follow each other.
 */
function endOfMatches(state: SearchState, { masks, nprobe = 0 }: RequestFilter, wanted: number): number {
  const { segments, deltasFirst } = state
  let [found, zones, last] = [0, 0, -1]
  let end = deltasFirst
  for (; end < segments.length; end++) {
    const { slot, zone } = segments[end]
    if (zone !== last) {
      if (found >= wanted && zones >= nprobe) break
      zones++
      last = zone
    }
    found += masks.countOf(slot)
  }
  return end
}

/** Lets the scan go on where further zones are worth it; tells whether it does. */
export function scansOn(state: SearchState, filter: RequestFilter, codes: CodesContext | undefined): boolean {
  for (;;) {
    const { length } = state.segments
    const wanted = worthScanning(state, filter)
    if (wanted > state.scanEnd) {
      state.scanEnd = Math.min(wanted, Math.ceil(state.scanEnd * (1 + LOOK_SHARE)) + 1)
      return true
    }
    if (wanted < length) return false
    if (state.zoneCount >= filter.masks.zones.count) {
      state.stopped = 'no zone left'
      return false
    }
    listSome(state, filter, { wanted: state.zoneCount * LIST_GROWTH, codes })
  }
}

/** Returns the position up to which segments of the list are worth scanning: its length where all are. */
function worthScanning(state: SearchState, filter: RequestFilter): number {
  const { segments, scanEnd } = state
  const limit = limitOf(state)
  if (limit === Infinity) return segments.length
  if (filter.nprobe !== undefined) {
    state.stopped = 'nprobe reached'
    return scanEnd < segments.length ? scanEnd : segments.length
  }
  state.stopped = 'no gain expected'
  return endOfGain(state, filter, limit)
}

/** Returns the position behind the last segment that is expected to hold hits enough. */
function endOfGain(state: SearchState, { masks, leastGain, alignment }: RequestFilter, limit: number): number {
  const { segments, scanEnd, request } = state
  const { spreads, rowCounts, mostSpread } = state.workspace.segments.shapes
  const { mostRows } = state.workspace.segments.totals
  const k = Math.min(request.k, masks.matchCount)
  const search = { metric: state.metric, queryNorm: state.queryNorm, alignment, limit }
  const scanned = { rows: 0, matches: 0, expected: 0, hits: k }
  // Deltas, whose rows are of everywhere, tell nothing about zones.
  for (let i = state.deltasFirst; i < scanEnd; i++) {
    const slot = state.slotAt(i)
    const matches = masks.countOf(slot)
    scanned.rows += rowCounts[slot]
    scanned.matches += matches
    scanned.expected += matches * chanceOfHit(search, state.distanceAt(i), spreads[slot])
  }
  const weights = weigh(scanned)
  const least = leastGain * k
  let end = scanEnd
  for (let i = scanEnd; i < segments.length; i++) {
    const distance = state.distanceAt(i)
    const slot = state.slotAt(i)
    const chance = chanceOfHit(search, distance, spreads[slot])
    if (expectedHits(chance, { rows: rowCounts[slot], matches: masks.countOf(slot) }, weights) >= least) end = i + 1
    // No zone that is as far can, whatever it is like.
    else if (
      expectedHits(chanceOfHit(search, distance, mostSpread), { rows: mostRows, matches: mostRows }, weights) < least
    )
      return end
  }
  return end
}

/** Distance of the k-th hit so far, or its estimate; infinite as long as there are fewer. */
function limitOf(state: SearchState): number {
  const { codes, memory, scanQuery, byRows } = state
  if (!byRows && codes !== undefined) return codes.limit
  const { words, doubles } = memory
  const { heap } = scanQuery
  const isFull = words[(heap + HEAP_SIZE_AT) / 4] === words[(heap + HEAP_CAPACITY_AT) / 4]
  return isFull ? doubles[heapDistances(heap) / 8] : Infinity
}
