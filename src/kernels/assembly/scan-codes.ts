// The scan of codes: sign planes of 32 rows at a time by table look-ups (FastScan), then the refined codes of the rows
// that could still be hits. It leaves candidates: rows whose smallest likely distance is below the k-th smallest
// estimate. Nothing here is exact; rerank decides.

import {
  BLOCK_FACTOR_BYTES,
  BLOCK_MULTIPLY_AT,
  BLOCK_ROWS,
  CANDIDATE_BYTES,
  CANDIDATE_ESTIMATE_AT,
  CANDIDATE_LOW_AT,
  CANDIDATE_ROW_AT,
  CANDIDATE_SEGMENT_AT,
  CANDIDATES_CAPACITY_AT,
  CANDIDATES_HEADER_BYTES,
  CANDIDATES_SIZE_AT,
  CHUNK_ROWS,
  FACTOR_ADD_AT,
  FACTOR_ERROR_AT,
  FACTOR_MULTIPLY_AT,
  LEFT_BYTES,
  LEFT_LOW_AT,
  LEFT_ROW_AT,
  LIST_MASK_AT,
  METRIC_COSINE,
  METRIC_IP,
  REFINED_FACTOR_BYTES,
  SCALAR_INTEGER_STEP_AT,
  SCALAR_INTEGER_SUM_AT,
  SCALAR_OFFSET_AT,
  SCALAR_PLANES_CONFIDENCE_AT,
  SCALAR_QUERY_NORM2_AT,
  SCALAR_REFINED_CONFIDENCE_AT,
  SCALAR_SLACK_AT,
  SCALAR_STEP_AT,
  SCALAR_TOUCHED_AT,
  SCALAR_VARIANCE_AT,
  SCRATCH_LEFT_AT,
  SCRATCH_LOWS_AT,
  SEGMENT_CENTROID_NORM2_AT,
  SEGMENT_ENTRY_BYTES,
  SEGMENT_PLANES_AT,
  SEGMENT_REFINED_AT,
  SEGMENT_ROW_COUNT_AT
} from '../layouts'
import { shortNibbles, shortPairs } from './constants'
import { distances, heapLimit, heapOffer, ids } from './select'
import { boundBlock, marginOf } from './sign-blocks'

/** Sum over dimensions of code * integer, for a refined row of 4 bits. */
@inline
function productFour(codes: usize, width: u32, integers: usize): i32 {
  const bytes = width >>> 1
  let highIntegers = integers + ((<usize>bytes) << 1)
  const nibble = shortNibbles()
  let sum = i32x4.splat(0),
    sum2 = sum
  const end = codes + bytes
  if (bytes & 8) {
    const pairs = v128.load8x8_u(codes)
    sum = i32x4.dot_i16x8_s(v128.and(pairs, nibble), v128.load(integers))
    sum2 = i32x4.dot_i16x8_s(i16x8.shr_u(pairs, 4), v128.load(highIntegers))
    codes += 8
    integers += 16
    highIntegers += 16
  }
  for (; codes < end; codes += 16, integers += 32, highIntegers += 32) {
    const pairs = v128.load8x8_u(codes),
      pairs2 = v128.load8x8_u(codes, 8)
    sum = i32x4.add(sum, i32x4.dot_i16x8_s(v128.and(pairs, nibble), v128.load(integers)))
    sum2 = i32x4.add(sum2, i32x4.dot_i16x8_s(i16x8.shr_u(pairs, 4), v128.load(highIntegers)))
    sum = i32x4.add(sum, i32x4.dot_i16x8_s(v128.and(pairs2, nibble), v128.load(integers, 16)))
    sum2 = i32x4.add(sum2, i32x4.dot_i16x8_s(i16x8.shr_u(pairs2, 4), v128.load(highIntegers, 16)))
  }
  return sumIntegers(i32x4.add(sum, sum2))
}

@inline
function sumIntegers(sum: v128): i32 {
  return (
    i32x4.extract_lane(sum, 0) + i32x4.extract_lane(sum, 1) + (i32x4.extract_lane(sum, 2) + i32x4.extract_lane(sum, 3))
  )
}

/** The same for a row of 2 bits. */
@inline
function productTwo(codes: usize, width: u32, integers: usize): i32 {
  const bytes = width >>> 2
  const quarter = (<usize>bytes) << 1
  const pair = shortPairs()
  const end = codes + bytes
  let sum = i32x4.splat(0),
    sum2 = sum
  if (bytes & 4) {
    const quads = i16x8.extend_low_i8x16_u(v128.load32_zero(codes))
    let at = integers
    for (let shift = 0; shift < 8; shift += 2, at += quarter) {
      const part = v128.and(i16x8.shr_u(quads, shift), pair)
      sum = i32x4.add(sum, i32x4.dot_i16x8_s(part, v128.load64_zero(at)))
    }
    codes += 4
    integers += 8
  }
  for (; codes < end; codes += 8, integers += 16) {
    const quads = v128.load8x8_u(codes)
    const second = integers + quarter,
      third = second + quarter
    sum = i32x4.add(sum, i32x4.dot_i16x8_s(v128.and(quads, pair), v128.load(integers)))
    sum2 = i32x4.add(sum2, i32x4.dot_i16x8_s(v128.and(i16x8.shr_u(quads, 2), pair), v128.load(second)))
    sum = i32x4.add(sum, i32x4.dot_i16x8_s(v128.and(i16x8.shr_u(quads, 4), pair), v128.load(third)))
    sum2 = i32x4.add(sum2, i32x4.dot_i16x8_s(i16x8.shr_u(quads, 6), v128.load(third + quarter)))
  }
  return sumIntegers(i32x4.add(sum, sum2))
}

/** The same for a row of 8 bits. 255 * 2^26 / 8 fits a lane (tables.ts), but not the sum of all lanes. */
@inline
function productEight(codes: usize, width: u32, integers: usize): f64 {
  let sum = i32x4.splat(0),
    sum2 = sum
  for (let i: u32 = 0; i < width; i += 16) {
    const line = v128.load(codes + i)
    const at = integers + ((<usize>i) << 1)
    sum = i32x4.add(sum, i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_u(line), v128.load(at)))
    sum2 = i32x4.add(sum2, i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_u(line), v128.load(at, 16)))
  }
  const wide = i64x2.add(
    i64x2.add(i64x2.extend_low_i32x4_s(sum), i64x2.extend_high_i32x4_s(sum)),
    i64x2.add(i64x2.extend_low_i32x4_s(sum2), i64x2.extend_high_i32x4_s(sum2))
  )
  return <f64>(i64x2.extract_lane(wide, 0) + i64x2.extract_lane(wide, 1))
}

/**
 * Variance of <u, q'> by the rounding of the query to integers: a step's variance of 1 / 12 for each dimension, times
 * the mean of u_i^2 over normal values (8 bits: over 128 of them, whose largest has the last level).
 */
@inline
export function roundingVariance(integerStep: f32, width: u32, bits: u32): f64 {
  const square: f64 = bits == 8 ? 2100.0 : bits == 4 ? 9.0 : 1.0
  return (<f64>integerStep * <f64>integerStep * <f64>width * square) / 12
}

/** Squared distance of the query to the centroid of the segment at `entry`; shared: its distance under the metric. */
@inline
export function centroidDistance2(metric: u32, queryNorm2: f32, shared: f32, entry: usize): f32 {
  return metric == METRIC_IP
    ? max<f32>(0, queryNorm2 + 2 * shared + load<f32>(entry, SEGMENT_CENTROID_NORM2_AT))
    : max<f32>(0, shared)
}

/** Touches the refined codes of the rows that are left, all at once: memory answers for many as it does for one. */
@inline
export function touchCodes(left: usize, leftEnd: usize, refined: usize, rowBytes: usize): u32 {
  let touched: u32 = 0
  for (let at = left; at < leftEnd; at += LEFT_BYTES) {
    const code = refined + <usize>load<u32>(at, LEFT_ROW_AT) * rowBytes
    touched += load<u32>(code) + load<u32>(code + rowBytes - 4)
  }
  return touched
}

/** Estimate of the distance of the row whose refined code is at `code`. */
@inline
export function refinedEstimate(
  code: usize,
  shared: f32,
  bits: u32,
  width: u32,
  integers: usize,
  codeMiddle: f64,
  integerStep: f32
): f32 {
  const levels = code + REFINED_FACTOR_BYTES
  const sum =
    bits == 8
      ? productEight(levels, width, integers)
      : <f64>(bits == 4 ? productFour(levels, width, integers) : productTwo(levels, width, integers))
  const product = <f32>((sum - codeMiddle) * <f64>integerStep)
  return shared + load<f32>(code, FACTOR_ADD_AT) - load<f32>(code, FACTOR_MULTIPLY_AT) * product
}

/** Standard deviation of the estimate from the refined code at `code`. */
@inline
export function refinedDeviation(code: usize, distance2: f32, integerVariance: f64): f32 {
  // products of two squares leave float32
  const multiply = <f64>load<f32>(code, FACTOR_MULTIPLY_AT),
    error = <f64>load<f32>(code, FACTOR_ERROR_AT)
  return <f32>Math.sqrt(error * error * <f64>distance2 + multiply * multiply * integerVariance)
}

/**
 * Scans the segments at positions first to end - 1 of `list` (places in the table `segments` with their masks, nearest
 * zone first); returns the position of the first that is not in kernel memory, or end. heap: the k smallest estimates,
 * each made larger by slack times its distance from the row's bound: the smallest of many estimates are too small.
 * candidates: what could still be a hit.
 */
export function scanCodes(
  metric: u32,
  bits: u32,
  width: u32,
  tables: usize,
  integers: usize,
  scalars: usize,
  segments: usize,
  list: usize,
  first: u32,
  end: u32,
  heap: usize,
  candidates: usize
): u32 {
  const step = load<f32>(scalars, SCALAR_STEP_AT),
    offset = load<f32>(scalars, SCALAR_OFFSET_AT),
    variance = load<f32>(scalars, SCALAR_VARIANCE_AT)
  const integerStep = load<f32>(scalars, SCALAR_INTEGER_STEP_AT)
  const integerVariance = roundingVariance(integerStep, width, bits)
  const codeMiddle = ((<f64>(1 << bits) - 1) / 2) * <f64>load<f32>(scalars, SCALAR_INTEGER_SUM_AT)
  const confidence = load<f32>(scalars, SCALAR_PLANES_CONFIDENCE_AT),
    refinedConfidence = load<f32>(scalars, SCALAR_REFINED_CONFIDENCE_AT),
    queryNorm2 = load<f32>(scalars, SCALAR_QUERY_NORM2_AT),
    slack = load<f32>(scalars, SCALAR_SLACK_AT)
  const listDistances = distances(list),
    listSegments = ids(list)
  const plane = (<usize>width) << 2
  const blockBytes = plane + BLOCK_FACTOR_BYTES
  const rowBytes = <usize>((width * bits) >>> 3) + REFINED_FACTOR_BYTES
  const lows = scalars + SCRATCH_LOWS_AT,
    left = scalars + SCRATCH_LEFT_AT
  let limit = <f32>heapLimit(heap)
  let touched: u32 = 0
  for (let position = first; position < end; position++) {
    const listed = listSegments + ((<usize>position) << 3)
    const segment = load<u32>(listed)
    const entry = segments + <usize>segment * SEGMENT_ENTRY_BYTES
    let block: usize = load<u32>(entry, SEGMENT_PLANES_AT)
    if (block == 0) return position
    const refined: usize = load<u32>(entry, SEGMENT_REFINED_AT)
    let mask: usize = load<u32>(listed, LIST_MASK_AT)
    const rowCount = load<u32>(entry, SEGMENT_ROW_COUNT_AT)
    let shared = <f32>load<f64>(listDistances + ((<usize>position) << 3))
    const distance2 = centroidDistance2(metric, queryNorm2, shared, entry)
    if (metric == METRIC_COSINE) shared *= 0.5
    for (let row: u32 = 0; row < rowCount;) {
      // Rows that sign planes leave are listed first and looked at later, one after the other: their codes then come
      // from memory several at a time.
      let leftEnd = left
      const chunkEnd = min<u32>(rowCount, row + CHUNK_ROWS)
      for (; row < chunkEnd; row += BLOCK_ROWS, block += blockBytes) {
        let live: u32 = 0xffff_ffff
        if (mask != 0) {
          live = load<u32>(mask)
          mask += 4
          if (live == 0) continue
        }
        const factors = block + plane
        let survivors =
          live &
          boundBlock(
            block,
            width,
            tables,
            scalars,
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
          const low = load<f32>(lows + ((<usize>i) << 2)) + shared
          if (bits != 1) {
            store<u32>(leftEnd, row + i, LEFT_ROW_AT)
            store<f32>(leftEnd, low, LEFT_LOW_AT)
            leftEnd += LEFT_BYTES
          } else if (low < limit) {
            const margin = marginOf(factors, confidence, distance2, variance)
            limit = offer(
              heap,
              candidates,
              low,
              low + load<f32>(factors + BLOCK_MULTIPLY_AT + ((<usize>i) << 2)) * margin,
              slack,
              segment,
              row + i
            )
          }
        }
      }
      touched += touchCodes(left, leftEnd, refined, rowBytes)
      for (let at = left; at < leftEnd; at += LEFT_BYTES) {
        if (load<f32>(at, LEFT_LOW_AT) >= limit) continue
        const i = load<u32>(at, LEFT_ROW_AT)
        const code = refined + <usize>i * rowBytes
        const estimate = refinedEstimate(code, shared, bits, width, integers, codeMiddle, integerStep)
        const low = estimate - refinedConfidence * refinedDeviation(code, distance2, integerVariance)
        if (low < limit) limit = offer(heap, candidates, low, estimate, slack, segment, i)
      }
    }
  }
  store<u32>(scalars, touched, SCALAR_TOUCHED_AT) // or the loads would be left out
  return end
}

/** Takes a row among the candidates; returns the new limit. */
@inline
export function offer(
  heap: usize,
  candidates: usize,
  low: f32,
  estimate: f32,
  slack: f32,
  segment: u32,
  row: u32
): f32 {
  heapOffer(heap, <f64>(estimate + slack * (estimate - low)), ((<u64>segment) << 32) | row)
  const limit = <f32>heapLimit(heap)
  addCandidate(candidates, low, estimate, segment, row, limit)
  return limit
}

function addCandidate(candidates: usize, low: f32, estimate: f32, segment: u32, row: u32, limit: f32): void {
  let size = load<u32>(candidates, CANDIDATES_SIZE_AT)
  if (size == load<u32>(candidates, CANDIDATES_CAPACITY_AT)) size = thin(candidates, limit)
  const at = candidates + CANDIDATES_HEADER_BYTES + <usize>size * CANDIDATE_BYTES
  store<f32>(at, low, CANDIDATE_LOW_AT)
  store<f32>(at, estimate, CANDIDATE_ESTIMATE_AT)
  store<u32>(at, segment, CANDIDATE_SEGMENT_AT)
  store<u32>(at, row, CANDIDATE_ROW_AT)
  store<u32>(candidates, size + 1, CANDIDATES_SIZE_AT)
}

/**
 * Makes room among the candidates: drops those that the limit now rules out, and if that is not half of them, those
 * with the largest bounds.
 */
function thin(candidates: usize, limit: f32): u32 {
  const size = sortCandidates(candidates, limit)
  const half = load<u32>(candidates, CANDIDATES_CAPACITY_AT) >>> 1
  store<u32>(candidates, min<u32>(size, half), CANDIDATES_SIZE_AT)
  return min<u32>(size, half)
}

/**
 * Drops candidates whose lowest likely distance is not below `limit` or equal to it, sorts the others by it and returns
 * how many there are.
 */
export function sortCandidates(candidates: usize, limit: f32): u32 {
  const first = candidates + CANDIDATES_HEADER_BYTES
  const size = load<u32>(candidates, CANDIDATES_SIZE_AT)
  let kept: u32 = 0
  for (let i: u32 = 0; i < size; i++) {
    const from = first + <usize>i * CANDIDATE_BYTES
    if (load<f32>(from, CANDIDATE_LOW_AT) > limit) continue
    v128.store(first + <usize>kept * CANDIDATE_BYTES, v128.load(from))
    kept++
  }
  for (let root = kept >>> 1; root > 0;) sinkCandidate(first, --root, kept)
  for (let end = kept; end > 1;) {
    end--
    const last = first + <usize>end * CANDIDATE_BYTES
    const v = v128.load(last)
    v128.store(last, v128.load(first))
    v128.store(first, v)
    sinkCandidate(first, 0, end)
  }
  store<u32>(candidates, kept, CANDIDATES_SIZE_AT)
  return kept
}

function sinkCandidate(first: usize, root: u32, size: u32): void {
  const value = v128.load(first + <usize>root * CANDIDATE_BYTES)
  const low = f32x4.extract_lane(value, <u8>(CANDIDATE_LOW_AT >> 2))
  let at = root
  while (true) {
    let child = (at << 1) + 1
    if (child >= size) break
    let from = first + <usize>child * CANDIDATE_BYTES
    if (child + 1 < size && load<f32>(from + CANDIDATE_BYTES, CANDIDATE_LOW_AT) > load<f32>(from, CANDIDATE_LOW_AT)) {
      child++
      from += CANDIDATE_BYTES
    }
    if (load<f32>(from, CANDIDATE_LOW_AT) <= low) break
    v128.store(first + <usize>at * CANDIDATE_BYTES, v128.load(from))
    at = child
  }
  v128.store(first + <usize>at * CANDIDATE_BYTES, value)
}
