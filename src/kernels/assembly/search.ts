// A whole search of codes in one call, where all that it needs is in kernel memory: the stages of src/search/search.ts
// one after the other, with the same arithmetic. Where something is missing, it stops between two
// stages and says where; the caller goes on from there.

import {
  BATCH_COUNT_AT,
  BATCH_MISSING_AT,
  BATCH_RERANKED_AT,
  CANDIDATES_AMPLE,
  CANDIDATES_CAPACITY_AT,
  CANDIDATES_SIZE_AT,
  LEAST_SURPLUS,
  LIST_MASK_AT,
  LOOK_GROWTH,
  MASK_OF_NONE,
  METRIC_COSINE,
  METRIC_IP,
  RERANK_DONE,
  SCALAR_MEAN_DISTANCE2_AT,
  SCALAR_MEAN_PRODUCT_AT,
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
  SEARCH_DONE,
  SEARCH_ESTIMATE_COUNT_AT,
  SEARCH_ESTIMATES_AT,
  SEARCH_FACTORS_AT,
  SEARCH_FAR,
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
  SEARCH_NO_QUERY,
  SEARCH_NORM2_AT,
  SEARCH_NPROBE_AT,
  SEARCH_PACKED_AT,
  SEARCH_PLANES_AT,
  SEARCH_POSITIONS_AT,
  SEARCH_PROBE,
  SEARCH_PROBE_QUERY_AT,
  SEARCH_PROBED_AT,
  SEARCH_QUERY_AT,
  SEARCH_REFINED_AT,
  SEARCH_RERANK,
  SEARCH_RERANK_AT,
  SEARCH_ROTATED_AT,
  SEARCH_ROTATION_SCALE_AT,
  SEARCH_ROUNDS_AT,
  SEARCH_RULE_NORM_AT,
  SEARCH_SCALARS_AT,
  SEARCH_SCAN,
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
  SEARCH_ZONE_STARTS_AT,
  SEGMENT_ENTRY_BYTES,
  SEGMENT_PLANES_AT,
  SEGMENT_ROW_COUNT_AT,
  SEGMENT_USED_AT
} from '../layouts'
import { packedDistances } from './centroids'
import { innerProducts, innerProductsAt, l2Distances, l2DistancesAt } from './distances'
import { encodeQuery, scaleQuery } from './query'
import { rerank } from './rerank'
import { scanCodes, sortCandidates } from './scan-codes'
import { distances, heapInit, heapLimit, heapSort, ids, selectNearest, selectSmallest } from './select'
import { estimateBlocks } from './sign-blocks'

@inline
function word(search: usize, at: usize): u32 {
  return load<u32>(search + at)
}

/**
 * Searches; search: see layouts.ts. Returns SEARCH_DONE with the hits sorted; SEARCH_NO_QUERY, if the query has no
 * distances; SEARCH_PROBE, before the probe; SEARCH_FAR, if the nearest zone is too near or too far; SEARCH_SCAN,
 * before the scan; SEARCH_RERANK, where rows of a batch are missing.
 */
export function searchCodes(search: usize): u32 {
  const metric = word(search, SEARCH_METRIC_AT),
    dim = word(search, SEARCH_DIM_AT),
    query: usize = word(search, SEARCH_QUERY_AT),
    probeQuery: usize = word(search, SEARCH_PROBE_QUERY_AT)
  const norm2 = scaleQuery(metric, dim, query, probeQuery)
  store<f64>(search, norm2, SEARCH_NORM2_AT)
  if (!(norm2 < Infinity) || (norm2 == 0 && metric == METRIC_COSINE)) return SEARCH_NO_QUERY
  if (metric != METRIC_COSINE) {
    const norm = Math.sqrt(norm2) + load<f64>(search, SEARCH_MAX_NORM_AT)
    const square = norm * norm
    if (!(square > load<f64>(search, SEARCH_SMALLEST_NORM2_AT) && square < load<f64>(search, SEARCH_LARGEST_NORM2_AT)))
      return SEARCH_PROBE
  }
  encode(search, metric == METRIC_COSINE ? probeQuery : query, dim, norm2)
  const zones: usize = word(search, SEARCH_ZONE_LIST_AT)
  const hasZones = word(search, SEARCH_ZONE_COUNT_AT) != 0
  const probed = hasZones ? probeZones(search, Math.sqrt(norm2)) : 0
  store<u32>(search, probed, SEARCH_PROBED_AT)
  if (hasZones) {
    const nearest = ruleDistance(search, load<f64>(distances(zones)), Math.sqrt(norm2))
    if (nearest < load<f64>(search, SEARCH_NEAREST_AT) || nearest > load<f64>(search, SEARCH_FARTHEST_AT))
      return SEARCH_FAR
  }
  const own: usize = word(search, SEARCH_LIST_AT)
  const list = own == 0 ? zones : own
  const count = own == 0 ? probed : listSegments(search, zones, probed)
  if (!startScan(search, list, count)) return SEARCH_SCAN
  return scanAndRerank(search, list, count, norm2)
}

/** Lists the segments of the zones, then those of deltas, with their masks; returns how many have rows to be found. */
function listSegments(search: usize, zones: usize, probed: u32): u32 {
  const zoneDistances = distances(zones),
    zoneIds = ids(zones)
  let listed: u32 = 0
  for (let i: u32 = 0; i < probed; i++) {
    const at = (<usize>i) << 3
    listed = listZone(search, listed, load<u32>(zoneIds + at), load<f64>(zoneDistances + at))
  }
  const count = word(search, SEARCH_DELTA_COUNT_AT)
  if (count == 0) return listed
  const centroids: usize = word(search, SEARCH_DELTA_CENTROIDS_AT),
    dim = word(search, SEARCH_DIM_AT),
    query: usize = word(search, SEARCH_PROBE_QUERY_AT),
    out: usize = word(search, SEARCH_DELTA_DISTANCES_AT)
  if (word(search, SEARCH_METRIC_AT) == METRIC_IP) innerProducts(centroids, count, dim, query, out)
  else l2Distances(centroids, count, dim, query, out)
  const first = word(search, SEARCH_ZONE_COUNT_AT)
  for (let i: u32 = 0; i < count; i++)
    listed = listZone(search, listed, first + i, <f64>load<f32>(out + ((<usize>i) << 2)))
  return listed
}

/** Lists the segments of a zone; returns how many are listed then. */
@inline
function listZone(search: usize, listed: u32, zone: u32, distance: f64): u32 {
  const starts: usize = word(search, SEARCH_ZONE_STARTS_AT)
  if (starts == 0) return listSegment(search, listed, zone, distance)
  const slots: usize = word(search, SEARCH_ZONE_SLOTS_AT)
  const at = starts + ((<usize>zone) << 2)
  const end = load<u32>(at, 4)
  let all = listed
  for (let i = load<u32>(at); i < end; i++) {
    const slot = load<u32>(slots + ((<usize>i) << 2))
    all = listSegment(search, all, slot, distance)
  }
  return all
}

/** Lists a segment, unless none of its rows may be found; returns how many are listed then. */
@inline
function listSegment(search: usize, listed: u32, segment: u32, distance: f64): u32 {
  const masks: usize = word(search, SEARCH_MASKS_AT)
  const mask = masks == 0 ? 0 : load<u32>(masks + ((<usize>segment) << 2))
  if (mask == MASK_OF_NONE) return listed
  const list: usize = word(search, SEARCH_LIST_AT)
  const at = (<usize>listed) << 3
  store<f64>(distances(list) + at, distance)
  store<u32>(ids(list) + at, segment)
  store<u32>(ids(list) + at, mask, LIST_MASK_AT)
  return listed + 1
}

function encode(search: usize, query: usize, dim: u32, norm2: f64): void {
  encodeQuery(
    query,
    dim,
    word(search, SEARCH_MEAN_AT),
    word(search, SEARCH_ROTATED_AT),
    word(search, SEARCH_WIDTH_AT),
    word(search, SEARCH_FLIPS_AT),
    word(search, SEARCH_ROUNDS_AT),
    word(search, SEARCH_WINDOW_AT),
    load<f32>(search, SEARCH_ROTATION_SCALE_AT),
    word(search, SEARCH_TABLES_AT),
    word(search, SEARCH_INTEGERS_AT),
    word(search, SEARCH_SCALARS_AT),
    <f32>norm2,
    load<f32>(search, SEARCH_PLANES_AT),
    load<f32>(search, SEARCH_REFINED_AT),
    load<f32>(search, SEARCH_SLACK_AT)
  )
}

/** Lists the nearest zones; returns how many of them are probed: src/search/probe.ts. */
function probeZones(search: usize, queryNorm: f64): u32 {
  const zoneCount = word(search, SEARCH_ZONE_COUNT_AT),
    nprobe = word(search, SEARCH_NPROBE_AT)
  if (nprobe != 0) {
    const wanted = min<u32>(nprobe, zoneCount)
    listNearest(search, wanted, false)
    return wanted
  }
  let look = load<f64>(search, SEARCH_FIRST_LOOK_AT)
  let hasDistances = false
  while (true) {
    const listed = <u32>Math.min(Math.ceil(look), <f64>zoneCount)
    hasDistances = listNearest(search, listed, hasDistances)
    const count = countZones(search, listed, queryNorm)
    if (count < listed || listed == zoneCount) return count
    look *= LOOK_GROWTH
  }
}

/** Counts the zones of the list below the threshold: src/search/recall-rule.ts. */
function countZones(search: usize, listed: u32, queryNorm: f64): u32 {
  const zones = distances(<usize>word(search, SEARCH_ZONE_LIST_AT))
  const threshold = load<f64>(search, SEARCH_THRESHOLD_AT)
  const nearest = ruleDistance(search, load<f64>(zones), queryNorm)
  const unit = nearest + load<f64>(search, SEARCH_FLOOR_AT)
  let count: u32 = 1
  for (; count < listed; count++) {
    const distance = ruleDistance(search, load<f64>(zones + ((<usize>count) << 3)), queryNorm)
    const score = unit > 0 ? ((distance - nearest) / unit) * Math.sqrt(<f64>(count + 1) / unit) : 0
    if (!(score <= threshold)) break
  }
  return count
}

@inline
function ruleDistance(search: usize, distance: f64, queryNorm: f64): f64 {
  if (word(search, SEARCH_METRIC_AT) != METRIC_IP) return distance
  return load<f64>(search, SEARCH_RULE_NORM_AT) + (queryNorm > 0 ? distance / queryNorm : 0)
}

/**
 * Lists the `wanted` nearest zones; hasDistances: those of all zones are there from the look before. Returns whether
 * they are now.
 */
function listNearest(search: usize, wanted: u32, hasDistances: bool): bool {
  const zoneCount = word(search, SEARCH_ZONE_COUNT_AT),
    out: usize = word(search, SEARCH_ZONE_DISTANCES_AT),
    list: usize = word(search, SEARCH_ZONE_LIST_AT),
    scratch: usize = word(search, SEARCH_SELECT_SCRATCH_AT),
    signs: usize = word(search, SEARCH_SIGNS_AT)
  const surplus = <f64>wanted * load<f64>(search, SEARCH_SURPLUS_AT)
  if (hasDistances || signs == 0 || surplus >= <f64>zoneCount) {
    if (!hasDistances) zoneDistances(search, 0, zoneCount, out)
    selectNearest(out, zoneCount, wanted, 0, list, scratch)
    return true
  }
  const estimates: usize = word(search, SEARCH_ESTIMATES_AT),
    positions: usize = word(search, SEARCH_POSITIONS_AT),
    scalars: usize = word(search, SEARCH_SCALARS_AT)
  const isProduct = word(search, SEARCH_METRIC_AT) == METRIC_IP
  const base: f32 = isProduct
    ? -load<f32>(scalars, SCALAR_MEAN_PRODUCT_AT)
    : load<f32>(scalars, SCALAR_MEAN_DISTANCE2_AT)
  const looked = <u32>Math.min(<f64>zoneCount, Math.ceil(surplus) + LEAST_SURPLUS)
  const width = word(search, SEARCH_WIDTH_AT)
  estimateBlocks(signs, zoneCount, width, word(search, SEARCH_TABLES_AT), scalars, base, estimates)
  const count = selectSmallest(estimates, zoneCount, looked, positions, scratch)
  zoneDistances(search, positions, count, out)
  selectNearest(out, count, wanted, positions, list, scratch)
  return false
}

function zoneDistances(search: usize, positions: usize, count: u32, out: usize): void {
  const metric = word(search, SEARCH_METRIC_AT),
    dim = word(search, SEARCH_DIM_AT),
    centroids: usize = word(search, SEARCH_CENTROIDS_AT),
    query: usize = word(search, SEARCH_PROBE_QUERY_AT),
    packed: usize = word(search, SEARCH_PACKED_AT)
  if (packed != 0)
    packedDistances(
      metric,
      packed,
      word(search, SEARCH_FACTORS_AT),
      positions,
      count,
      word(search, SEARCH_WIDTH_AT),
      word(search, SEARCH_INTEGERS_AT),
      word(search, SEARCH_SCALARS_AT),
      centroids,
      dim,
      query,
      out
    )
  else if (positions != 0) {
    if (metric == METRIC_IP) innerProductsAt(centroids, positions, count, dim, query, out)
    else l2DistancesAt(centroids, positions, count, dim, query, out)
  } else if (metric == METRIC_IP) innerProducts(centroids, count, dim, query, out)
  else l2Distances(centroids, count, dim, query, out)
}

/**
 * Makes ready for the scan of the first `count` segments of a list; tells whether all their codes are here, with room
 * for candidates.
 */
function startScan(search: usize, list: usize, count: u32): bool {
  const segments: usize = word(search, SEARCH_SEGMENTS_AT)
  const listed = ids(list)
  let rows: u32 = 0
  for (let i: u32 = 0; i < count; i++) {
    const entry = segments + <usize>load<u32>(listed + ((<usize>i) << 3)) * SEGMENT_ENTRY_BYTES
    if (load<u32>(entry, SEGMENT_PLANES_AT) == 0) return false
    store<u32>(entry, 1, SEGMENT_USED_AT)
    rows += load<u32>(entry, SEGMENT_ROW_COUNT_AT)
  }
  const room = max<u32>(word(search, SEARCH_CANDIDATES_LEAST_AT), min<u32>(rows, CANDIDATES_AMPLE))
  if (room > word(search, SEARCH_CANDIDATES_ROOM_AT)) return false
  const candidates: usize = word(search, SEARCH_CANDIDATES_AT)
  store<u32>(candidates, 0, CANDIDATES_SIZE_AT)
  store<u32>(candidates, room, CANDIDATES_CAPACITY_AT)
  heapInit(word(search, SEARCH_SCAN_HEAP_AT), word(search, SEARCH_ESTIMATE_COUNT_AT))
  heapInit(word(search, SEARCH_HEAP_AT), word(search, SEARCH_K_AT))
  return true
}

function scanAndRerank(search: usize, list: usize, count: u32, norm2: f64): u32 {
  const metric = word(search, SEARCH_METRIC_AT),
    segments: usize = word(search, SEARCH_SEGMENTS_AT),
    scanHeap: usize = word(search, SEARCH_SCAN_HEAP_AT),
    candidates: usize = word(search, SEARCH_CANDIDATES_AT),
    batch: usize = word(search, SEARCH_BATCH_AT),
    heap: usize = word(search, SEARCH_HEAP_AT)
  scanCodes(
    metric,
    word(search, SEARCH_BITS_AT),
    word(search, SEARCH_WIDTH_AT),
    word(search, SEARCH_TABLES_AT),
    word(search, SEARCH_INTEGERS_AT),
    word(search, SEARCH_SCALARS_AT),
    segments,
    list,
    0,
    count,
    scanHeap,
    candidates
  )
  sortCandidates(candidates, <f32>heapLimit(scanHeap))
  store<u32>(batch, 0, BATCH_RERANKED_AT)
  store<u32>(batch, 0, BATCH_COUNT_AT)
  store<u32>(batch, 0, BATCH_MISSING_AT)
  const status = rerank(
    metric,
    word(search, SEARCH_DIM_AT),
    word(search, SEARCH_QUERY_AT),
    norm2,
    heap,
    candidates,
    word(search, SEARCH_RERANK_AT),
    segments,
    word(search, SEARCH_KEPT_AT),
    word(search, SEARCH_KEPT_BITS_AT),
    batch,
    word(search, SEARCH_SLOTS_AT),
    u32.MAX_VALUE
  )
  if (status != RERANK_DONE) return SEARCH_RERANK
  store<u32>(search, heapSort(heap), SEARCH_HITS_AT)
  return SEARCH_DONE
}
