// A search in one call of the kernel, from the raw query to sorted hits, where all is in kernel memory. What the kernel
// leaves, the stages of search.ts go on with; the hits are the same. Where each number lies is in kernels/layouts.ts.

import {
  SEARCH_BATCH_AT,
  SEARCH_BITS_AT,
  SEARCH_CANDIDATES_AT,
  SEARCH_CANDIDATES_LEAST_AT,
  SEARCH_CANDIDATES_ROOM_AT,
  SEARCH_CENTROIDS_AT,
  SEARCH_DELTA_CENTROIDS_AT,
  SEARCH_DELTA_COUNT_AT,
  SEARCH_DELTA_DISTANCES_AT,
  SEARCH_DIM_AT,
  SEARCH_ESTIMATE_COUNT_AT,
  SEARCH_ESTIMATES_AT,
  SEARCH_FACTORS_AT,
  SEARCH_FARTHEST_AT,
  SEARCH_FIRST_LOOK_AT,
  SEARCH_FLIPS_AT,
  SEARCH_FLOOR_AT,
  SEARCH_HEAP_AT,
  SEARCH_HITS_AT,
  SEARCH_INTEGERS_AT,
  SEARCH_K_AT,
  SEARCH_KEPT_AT,
  SEARCH_KEPT_BITS_AT,
  SEARCH_LARGEST_NORM2_AT,
  SEARCH_LIST_AT,
  SEARCH_MASKS_AT,
  SEARCH_MAX_NORM_AT,
  SEARCH_MEAN_AT,
  SEARCH_METRIC_AT,
  SEARCH_NEAREST_AT,
  SEARCH_NORM2_AT,
  SEARCH_NPROBE_AT,
  SEARCH_PACKED_AT,
  SEARCH_PLANES_AT,
  SEARCH_POSITIONS_AT,
  SEARCH_PROBE_QUERY_AT,
  SEARCH_PROBED_AT,
  SEARCH_QUERY_AT,
  SEARCH_REFINED_AT,
  SEARCH_RERANK_AT,
  SEARCH_ROTATED_AT,
  SEARCH_ROTATION_SCALE_AT,
  SEARCH_ROUNDS_AT,
  SEARCH_RULE_NORM_AT,
  SEARCH_SCALARS_AT,
  SEARCH_SCAN_HEAP_AT,
  SEARCH_SEGMENTS_AT,
  SEARCH_SELECT_SCRATCH_AT,
  SEARCH_SIGNS_AT,
  SEARCH_SLACK_AT,
  SEARCH_SLOTS_AT,
  SEARCH_SMALLEST_NORM2_AT,
  SEARCH_SURPLUS_AT,
  SEARCH_TABLES_AT,
  SEARCH_THRESHOLD_AT,
  SEARCH_WIDTH_AT,
  SEARCH_WINDOW_AT,
  SEARCH_ZONE_COUNT_AT,
  SEARCH_ZONE_DISTANCES_AT,
  SEARCH_ZONE_LIST_AT,
  SEARCH_ZONE_SLOTS_AT,
  SEARCH_ZONE_STARTS_AT
} from '../kernels/layouts.ts'
import { slackOf } from '../quantizer/query-codes.ts'
import type { CodeState } from './code-state.ts'
import { LARGEST_ESTIMATE, SMALLEST_ESTIMATE } from './estimate-range.ts'
import { FIRST_ZONES, LOOK_FACTOR, SURPLUS } from './probe.ts'
import { FLOOR } from './recall-rule.ts'
import type { SearchRequest } from './request.ts'
import { countEstimates } from './scan.ts'
import type { CodesContext, SearchContext } from './search-context.ts'
import type { SearchState } from './search-state.ts'
import { estimateMicros } from './strategy.ts'

/** What a call may be expected to take where others wait for the thread: a part of a slice. */
const MOST_MICROS = 500
const WORD = 4
const DOUBLE = 8

/** Tells whether a pass can be tried in one call: for all that is rare the stages are there. */
export function isForOneCall(
  context: SearchContext,
  { request, deadline, passes, workspace, masks }: SearchState
): boolean {
  const { k, isExact, explain, filter } = request
  return (
    context.codes !== undefined &&
    workspace.memory.kernel.kind === 'wasm' &&
    workspace.segments.count > 0 &&
    workspace.partial === undefined &&
    passes.length === 0 &&
    k > 0 &&
    !isExact &&
    !explain &&
    (masks === undefined || masks.table !== undefined) &&
    filter === undefined &&
    (deadline === Infinity || estimateMicros(workspace.planned, request) <= MOST_MICROS)
  )
}

/**
 * Searches as far as the kernel can go in one call; returns one of SEARCH_DONE and so on. The query was copied into
 * kernel memory.
 */
export function searchAtOnce(codes: CodesContext, state: SearchState, codeState: CodeState): number {
  const { request, memory } = state
  state.roomForHits(request.k)
  codeState.roomForEstimates(countEstimates(request, codeState.scan.bits))
  const at = codeState.search
  layOut(codes, state, codeState)
  state.workspace.distancesOf = undefined
  const status = memory.kernel.searchCodes(at)
  state.scanQuery.queryNorm2 = memory.doubles[(at + SEARCH_NORM2_AT) / DOUBLE]
  state.zoneCount = memory.words[(at + SEARCH_PROBED_AT) / WORD]
  state.sortedHits = memory.words[(at + SEARCH_HITS_AT) / WORD]
  return status
}

/** Lays out what the kernel works with. */
function layOut(codes: CodesContext, state: SearchState, codeState: CodeState): void {
  const { workspace, request, scanQuery, memory } = state
  const { scan } = codeState
  const { cache, candidates, centroids, packed } = codes
  const { encoding } = codeState.queryCodes
  const at = codeState.search
  const { words, floats } = memory
  const put = (offset: number, value: number): void => {
    words[(at + offset) / WORD] = value
  }
  put(SEARCH_METRIC_AT, scanQuery.metric)
  put(SEARCH_DIM_AT, state.dim)
  put(SEARCH_WIDTH_AT, scan.width)
  put(SEARCH_BITS_AT, scan.bits)
  put(SEARCH_QUERY_AT, scanQuery.query)
  put(SEARCH_PROBE_QUERY_AT, state.probeQuery)
  put(SEARCH_MEAN_AT, encoding.mean)
  put(SEARCH_ROTATED_AT, encoding.rotated)
  put(SEARCH_FLIPS_AT, encoding.flips)
  put(SEARCH_ROUNDS_AT, encoding.rounds)
  put(SEARCH_WINDOW_AT, encoding.window)
  floats[(at + SEARCH_ROTATION_SCALE_AT) / WORD] = encoding.scale
  put(SEARCH_TABLES_AT, scan.tables)
  put(SEARCH_INTEGERS_AT, scan.integers)
  put(SEARCH_SCALARS_AT, scan.scalars)
  put(SEARCH_ZONE_COUNT_AT, workspace.zoneCount)
  put(SEARCH_CENTROIDS_AT, workspace.centroids)
  put(SEARCH_ZONE_DISTANCES_AT, workspace.zoneDistances)
  put(SEARCH_ZONE_LIST_AT, workspace.zoneList)
  put(SEARCH_SELECT_SCRATCH_AT, workspace.selectScratch)
  put(SEARCH_SIGNS_AT, centroids?.blocks ?? 0)
  put(SEARCH_ESTIMATES_AT, centroids?.estimates ?? 0)
  put(SEARCH_POSITIONS_AT, centroids?.positions ?? 0)
  put(SEARCH_PACKED_AT, packed?.bytes ?? 0)
  put(SEARCH_FACTORS_AT, packed?.factors ?? 0)
  put(SEARCH_SEGMENTS_AT, cache.table)
  layOutList(state, at)
  put(SEARCH_HEAP_AT, scanQuery.heap)
  put(SEARCH_K_AT, request.k)
  put(SEARCH_SCAN_HEAP_AT, scan.heap)
  const estimates = countEstimates(request, scan.bits)
  put(SEARCH_ESTIMATE_COUNT_AT, estimates)
  put(SEARCH_CANDIDATES_AT, scan.candidates)
  put(SEARCH_CANDIDATES_LEAST_AT, codeState.leastCandidates(estimates))
  put(SEARCH_CANDIDATES_ROOM_AT, codeState.candidatesRoom)
  put(SEARCH_RERANK_AT, request.rerank)
  put(SEARCH_KEPT_AT, candidates.table)
  put(SEARCH_KEPT_BITS_AT, candidates.bits)
  put(SEARCH_BATCH_AT, codeState.batch)
  put(SEARCH_SLOTS_AT, codeState.slots)
  const { confidence } = request
  floats[(at + SEARCH_PLANES_AT) / WORD] = confidence.planes
  floats[(at + SEARCH_REFINED_AT) / WORD] = confidence.refined
  floats[(at + SEARCH_SLACK_AT) / WORD] = slackOf(confidence, scan.bits)
  layOutRule(state, at, request)
}

/** Lays out what is scanned besides the zones that are probed, and which rows. */
function layOutList({ workspace, masks: ofState, memory, deltaZoneCount }: SearchState, at: number): void {
  const { words } = memory
  const masks = ofState?.table ?? 0
  const { starts, slots } = workspace.zoneSlots()
  const isZones = deltaZoneCount === 0 && masks === 0 && starts === 0
  words[(at + SEARCH_LIST_AT) / WORD] = isZones ? 0 : workspace.segmentList()
  words[(at + SEARCH_ZONE_STARTS_AT) / WORD] = starts
  words[(at + SEARCH_ZONE_SLOTS_AT) / WORD] = slots
  words[(at + SEARCH_DELTA_COUNT_AT) / WORD] = deltaZoneCount
  words[(at + SEARCH_DELTA_CENTROIDS_AT) / WORD] = workspace.deltas.centroids
  words[(at + SEARCH_DELTA_DISTANCES_AT) / WORD] = workspace.deltas.distances
  words[(at + SEARCH_MASKS_AT) / WORD] = masks
}

/** Lays out which zones to probe. */
function layOutRule(state: SearchState, at: number, { probe }: SearchRequest): void {
  const { words, doubles } = state.memory
  const put = (offset: number, value: number): void => {
    doubles[(at + offset) / DOUBLE] = value
  }
  const isRule = 'threshold' in probe
  words[(at + SEARCH_NPROBE_AT) / WORD] = 'nprobe' in probe ? Math.min(probe.nprobe, state.workspace.zoneCount) : 0
  put(SEARCH_THRESHOLD_AT, isRule ? probe.threshold : 0)
  put(SEARCH_FLOOR_AT, isRule ? FLOOR * probe.scale : 0)
  put(SEARCH_RULE_NORM_AT, state.ruleNorm)
  put(SEARCH_FIRST_LOOK_AT, isRule ? probe.zones * LOOK_FACTOR + FIRST_ZONES : 0)
  put(SEARCH_SURPLUS_AT, SURPLUS)
  const usual = isRule ? probe.usual : undefined
  put(SEARCH_NEAREST_AT, usual?.nearestZone ?? -Infinity)
  put(SEARCH_FARTHEST_AT, usual?.farthestZone ?? Infinity)
  put(SEARCH_MAX_NORM_AT, state.workspace.maxNorm)
  put(SEARCH_SMALLEST_NORM2_AT, SMALLEST_ESTIMATE)
  put(SEARCH_LARGEST_NORM2_AT, LARGEST_ESTIMATE)
}
