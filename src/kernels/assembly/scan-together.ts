// The scan of codes for many queries, segment after segment: what scan-codes.ts does for one. Segments come in another
// order than in the list of a query, and its limit is not known yet when they do. So rows that any limit may let
// through are recorded, and offered later in the order of the list: what is offered then is what a search by itself
// offers.

import {
  BLOCK_FACTOR_BYTES,
  BLOCK_ROWS,
  CHUNK_ROWS,
  LEFT_BYTES,
  LEFT_LOW_AT,
  LEFT_ROW_AT,
  MEMBER_DIMENSION_BYTES,
  MEMBER_LIMIT_AT,
  MEMBER_TABLES_AT,
  METRIC_COSINE,
  NOT_VISITED,
  RECORD_BOUND_AT,
  RECORD_BYTES,
  RECORD_ESTIMATE_AT,
  RECORD_LOW_AT,
  RECORD_ROW_AT,
  RECORDS_CAPACITY_AT,
  RECORDS_HEADER_BYTES,
  RECORDS_SIZE_AT,
  REFINED_FACTOR_BYTES,
  SCALAR_INTEGER_STEP_AT,
  SCALAR_INTEGER_SUM_AT,
  SCALAR_OFFSET_AT,
  SCALAR_PLANES_CONFIDENCE_AT,
  SCALAR_QUERY_NORM2_AT,
  SCALAR_REFINED_CONFIDENCE_AT,
  SCALAR_STEP_AT,
  SCALAR_TOUCHED_AT,
  SCALAR_VARIANCE_AT,
  SCRATCH_LEFT_AT,
  SCRATCH_LOWS_AT,
  SEGMENT_ENTRY_BYTES,
  SEGMENT_PLANES_AT,
  SEGMENT_REFINED_AT,
  SEGMENT_ROW_COUNT_AT,
  PAIR_BYTES,
  PAIR_MEMBER_AT,
  PAIR_VISIT_AT,
  VISIT_BYTES,
  VISIT_COUNT_AT,
  VISIT_DISTANCE_AT,
  VISIT_MASK_AT,
  VISIT_SEGMENT_AT,
  VISIT_START_AT
} from '../layouts'
import { centroidDistance2, offer, refinedDeviation, refinedEstimate, roundingVariance, touchCodes } from './scan-codes'
import { heapLimit } from './select'
import { boundBlock } from './sign-blocks'

/**
 * Scans the segment in place `segment` of the table, whose codes are in kernel memory, for the members of `count`
 * pairs; records rows that are below the limits of their members. Returns how many pairs there was room for. bits: 2, 4
 * or 8. scratch: SCALARS_BYTES, of which the scratch is used.
 */
export function scanTogether(
  metric: u32,
  bits: u32,
  width: u32,
  segments: usize,
  members: usize,
  visits: usize,
  records: usize,
  scratch: usize,
  segment: u32,
  pairs: usize,
  count: u32
): u32 {
  const plane = (<usize>width) << 2
  const blockBytes = plane + BLOCK_FACTOR_BYTES
  const rowBytes = <usize>((width * bits) >>> 3) + REFINED_FACTOR_BYTES
  const memberBytes = <usize>(MEMBER_TABLES_AT + width * MEMBER_DIMENSION_BYTES)
  const lows = scratch + SCRATCH_LOWS_AT,
    left = scratch + SCRATCH_LEFT_AT
  const entry = segments + <usize>segment * SEGMENT_ENTRY_BYTES
  const planes: usize = load<u32>(entry, SEGMENT_PLANES_AT)
  const refined: usize = load<u32>(entry, SEGMENT_REFINED_AT)
  const rowCount = load<u32>(entry, SEGMENT_ROW_COUNT_AT)
  const middle = (<f64>(1 << bits) - 1) / 2
  let touched: u32 = 0
  let size = load<u32>(records, RECORDS_SIZE_AT)
  let pair: u32 = 0
  for (; pair < count; pair++, pairs += PAIR_BYTES) {
    if (size + rowCount > load<u32>(records, RECORDS_CAPACITY_AT)) break
    // The next member comes from memory meanwhile.
    if (pair + 1 < count) {
      const next = members + <usize>load<u32>(pairs + PAIR_BYTES, PAIR_MEMBER_AT) * memberBytes
      for (let at: usize = 0; at < memberBytes; at += 64) touched += load<u32>(next + at)
    }
    const scalars = members + <usize>load<u32>(pairs, PAIR_MEMBER_AT) * memberBytes
    const tables = scalars + MEMBER_TABLES_AT
    const integers = tables + plane
    const visit = visits + <usize>load<u32>(pairs, PAIR_VISIT_AT) * VISIT_BYTES
    const limit = load<f32>(scalars, MEMBER_LIMIT_AT)
    const step = load<f32>(scalars, SCALAR_STEP_AT),
      offset = load<f32>(scalars, SCALAR_OFFSET_AT),
      variance = load<f32>(scalars, SCALAR_VARIANCE_AT)
    const integerStep = load<f32>(scalars, SCALAR_INTEGER_STEP_AT)
    const integerVariance = roundingVariance(integerStep, width, bits)
    const codeMiddle = middle * <f64>load<f32>(scalars, SCALAR_INTEGER_SUM_AT)
    const confidence = load<f32>(scalars, SCALAR_PLANES_CONFIDENCE_AT),
      refinedConfidence = load<f32>(scalars, SCALAR_REFINED_CONFIDENCE_AT),
      queryNorm2 = load<f32>(scalars, SCALAR_QUERY_NORM2_AT)
    let mask: usize = load<u32>(visit, VISIT_MASK_AT)
    let shared = load<f32>(visit, VISIT_DISTANCE_AT)
    const distance2 = centroidDistance2(metric, queryNorm2, shared, entry)
    if (metric == METRIC_COSINE) shared *= 0.5
    const first = records + RECORDS_HEADER_BYTES + <usize>size * RECORD_BYTES
    let record = first
    let block = planes
    for (let row: u32 = 0; row < rowCount;) {
      let leftEnd = left
      const chunkEnd = min<u32>(rowCount, row + CHUNK_ROWS)
      for (; row < chunkEnd; row += BLOCK_ROWS, block += blockBytes) {
        let live: u32 = 0xffff_ffff
        if (mask != 0) {
          live = load<u32>(mask)
          mask += 4
          if (live == 0) continue
        }
        let survivors =
          live &
          boundBlock(
            block,
            width,
            tables,
            scratch,
            lows,
            step,
            offset,
            limit - shared,
            true,
            confidence,
            distance2,
            variance
          )
        for (; survivors != 0; survivors &= survivors - 1) {
          const i = <u32>ctz(survivors)
          store<u32>(leftEnd, row + i, LEFT_ROW_AT)
          store<f32>(leftEnd, load<f32>(lows + ((<usize>i) << 2)), LEFT_LOW_AT)
          leftEnd += LEFT_BYTES
        }
      }
      touched += touchCodes(left, leftEnd, refined, rowBytes)
      for (let at = left; at < leftEnd; at += LEFT_BYTES) {
        const bound = load<f32>(at, LEFT_LOW_AT)
        if (bound + shared >= limit) continue
        const i = load<u32>(at, LEFT_ROW_AT)
        const code = refined + <usize>i * rowBytes
        const estimate = refinedEstimate(code, shared, bits, width, integers, codeMiddle, integerStep)
        const low = estimate - refinedConfidence * refinedDeviation(code, distance2, integerVariance)
        if (!(low < limit)) continue
        store<f32>(record, bound, RECORD_BOUND_AT)
        store<f32>(record, low, RECORD_LOW_AT)
        store<f32>(record, estimate, RECORD_ESTIMATE_AT)
        store<u32>(record, i, RECORD_ROW_AT)
        record += RECORD_BYTES
      }
    }
    const recorded = <u32>((record - first) / RECORD_BYTES)
    store<u32>(visit, size, VISIT_START_AT)
    store<u32>(visit, recorded, VISIT_COUNT_AT)
    size += recorded
    store<u32>(records, size, RECORDS_SIZE_AT)
  }
  store<u32>(scratch, touched, SCALAR_TOUCHED_AT) // or the loads would be left out
  return pair
}

/**
 * Offers what was recorded in `count` visits, in their order, to the heap and to the candidates of their member, as
 * far as the limit of that moment allows. Returns how many visits there were before the first that was not made.
 */
export function offerRecorded(
  metric: u32,
  slack: f32,
  visits: usize,
  count: u32,
  records: usize,
  heap: usize,
  candidates: usize
): u32 {
  let limit = <f32>heapLimit(heap)
  for (let i: u32 = 0; i < count; i++, visits += VISIT_BYTES) {
    const recorded = load<u32>(visits, VISIT_COUNT_AT)
    if (recorded == NOT_VISITED) return i
    let shared = load<f32>(visits, VISIT_DISTANCE_AT)
    if (metric == METRIC_COSINE) shared *= 0.5
    const segment = load<u32>(visits, VISIT_SEGMENT_AT)
    let record = records + RECORDS_HEADER_BYTES + <usize>load<u32>(visits, VISIT_START_AT) * RECORD_BYTES
    const end = record + <usize>recorded * RECORD_BYTES
    // Sign planes are held against the limit that there was when their chunk of rows began.
    let chunkEnd: u32 = 0
    let planesLimit: f32 = 0
    for (; record < end; record += RECORD_BYTES) {
      const row = load<u32>(record, RECORD_ROW_AT)
      if (row >= chunkEnd) {
        chunkEnd = (row / CHUNK_ROWS + 1) * CHUNK_ROWS
        planesLimit = limit - shared
      }
      const bound = load<f32>(record, RECORD_BOUND_AT)
      if (!(bound < planesLimit) || bound + shared >= limit) continue
      const low = load<f32>(record, RECORD_LOW_AT)
      if (low < limit)
        limit = offer(heap, candidates, low, load<f32>(record, RECORD_ESTIMATE_AT), slack, segment, row)
    }
  }
  return count
}
