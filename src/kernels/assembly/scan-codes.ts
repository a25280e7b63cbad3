// The scan of codes: sign planes of 32 rows at a time by table look-ups (FastScan), then the refined codes of the rows
// that could still be hits. It leaves candidates: rows whose smallest likely distance is below the k-th smallest
// estimate. Nothing here is exact; rerank decides.

import { heapLimit, heapOffer } from './select'
import { boundBlock, FACTOR_BYTES, LOWS } from './sign-blocks'

const COSINE: u32 = 2
const IP: u32 = 3
/**
 * An entry of the table of zones: pointers to blocks (0: not in kernel memory), refined codes, ids, mask; rows; float32
 * |c|^2.
 */
const ZONE_ENTRY: usize = 32
/**
 * A candidate: float32 lowest likely distance, float32 estimate, u32 zone, u32 row. Before them u32 size, u32 capacity.
 */
const CANDIDATE: usize = 16
const CANDIDATES_HEADER: usize = 8
/**
 * Rows whose signs are scanned before the refined codes of those that are left; each is listed as u32 row, float32
 * lowest likely distance.
 */
const CHUNK_ROWS: u32 = 1024
const LISTED: usize = 8
const LIST: usize = 320
/** Place among the scalars that nobody reads. */
const TOUCHED: usize = 60

/** Sum over dimensions of code * integer, for a refined row of 4 bits. */
@inline
function productFour(codes: usize, width: u32, integers: usize): i32 {
  const bytes = width >>> 1
  const highIntegers = integers + ((<usize>bytes) << 1)
  const nibble = i8x16.splat(15)
  let sum = i32x4.splat(0),
    sum2 = sum
  let i: u32 = 0
  for (; i + 16 <= bytes; i += 16) {
    const line = v128.load(codes + i)
    const low = v128.and(line, nibble),
      high = i8x16.shr_u(line, 4)
    const at = (<usize>i) << 1
    sum = i32x4.add(sum, i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_u(low), v128.load(integers + at)))
    sum2 = i32x4.add(sum2, i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_u(low), v128.load(integers + at, 16)))
    sum = i32x4.add(sum, i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_u(high), v128.load(highIntegers + at)))
    sum2 = i32x4.add(sum2, i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_u(high), v128.load(highIntegers + at, 16)))
  }
  if (i < bytes) {
    const line = v128.load64_zero(codes + i)
    const at = (<usize>i) << 1
    sum = i32x4.add(sum, i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_u(v128.and(line, nibble)), v128.load(integers + at)))
    sum2 = i32x4.add(
      sum2,
      i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_u(i8x16.shr_u(line, 4)), v128.load(highIntegers + at))
    )
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
  const pair = i8x16.splat(3)
  let sum = i32x4.splat(0),
    sum2 = sum
  let i: u32 = 0
  for (; i + 16 <= bytes; i += 16) {
    const line = v128.load(codes + i)
    let at = integers + ((<usize>i) << 1)
    for (let shift = 0; shift < 8; shift += 2, at += quarter) {
      const part = v128.and(i8x16.shr_u(line, shift), pair)
      sum = i32x4.add(sum, i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_u(part), v128.load(at)))
      sum2 = i32x4.add(sum2, i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_u(part), v128.load(at, 16)))
    }
  }
  for (; i < bytes; i += 4) {
    const line = v128.load32_zero(codes + i)
    let at = integers + ((<usize>i) << 1)
    for (let shift = 0; shift < 8; shift += 2, at += quarter) {
      const part = v128.and(i8x16.shr_u(line, shift), pair)
      sum = i32x4.add(sum, i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_u(part), v128.load64_zero(at)))
    }
  }
  return sumIntegers(i32x4.add(sum, sum2))
}

/**
 * Scans the zones at positions first to end - 1 of `list` (a sorted heap of zones with their distances); returns the
 * position of the first that is not in kernel memory, or end. scalars: float32, those of buildTables, then confidence
 * factors of sign planes and of refined codes, <q,q>, slack; 64 bytes in all, and scratch: 256 bytes, then the list of
 * rows that signs leave, 8 bytes each. heap: the k smallest estimates, each made larger by slack times its distance
 * from the row's bound: the smallest of many estimates are too small. candidates: what could still be a hit.
 */
export function scanCodes(
  metric: u32,
  bits: u32,
  width: u32,
  tables: usize,
  integers: usize,
  scalars: usize,
  zones: usize,
  list: usize,
  first: u32,
  end: u32,
  heap: usize,
  candidates: usize
): u32 {
  const step = load<f32>(scalars),
    offset = load<f32>(scalars, 4),
    variance = load<f32>(scalars, 8)
  const integerStep = load<f32>(scalars, 12)
  // Rounding of the query to integers: a step's variance of 1 / 12 for each dimension, times the mean of u_i^2 over
  // normal values.
  const integerVariance = (<f64>integerStep * <f64>integerStep * <f64>width * (bits == 4 ? 9.0 : 1.0)) / 12
  const codeMiddle = ((<f64>(1 << bits) - 1) / 2) * <f64>load<f32>(scalars, 16)
  const confidence = load<f32>(scalars, 20),
    refinedConfidence = load<f32>(scalars, 24),
    queryNorm2 = load<f32>(scalars, 28),
    slack = load<f32>(scalars, 32)
  const zoneDistances = list + 8,
    zoneNumbers = zoneDistances + ((<usize>load<u32>(list, 4)) << 3)
  const plane = (<usize>width) << 2
  const blockBytes = plane + FACTOR_BYTES
  const rowBytes: usize = 12 + <usize>((width * bits) >>> 3)
  const lows = scalars + LOWS,
    survivorList = scalars + LIST
  let limit = <f32>heapLimit(heap)
  let touched: u32 = 0
  for (let position = first; position < end; position++) {
    const zone = load<u32>(zoneNumbers + ((<usize>position) << 3))
    const entry = zones + <usize>zone * ZONE_ENTRY
    let block: usize = load<u32>(entry)
    if (block == 0) return position
    const refined: usize = load<u32>(entry, 4)
    let mask: usize = load<u32>(entry, 12)
    const rowCount = load<u32>(entry, 16)
    let shared = <f32>load<f64>(zoneDistances + ((<usize>position) << 3))
    const distance2 = metric == IP ? max<f32>(0, queryNorm2 + 2 * shared + load<f32>(entry, 20)) : max<f32>(0, shared)
    if (metric == COSINE) shared *= 0.5
    for (let row: u32 = 0; row < rowCount;) {
      // Rows that signs leave are listed first and looked at later, one after the other: their codes then come from
      // memory several at a time.
      let listEnd = survivorList
      for (const chunkEnd = min<u32>(rowCount, row + CHUNK_ROWS); row < chunkEnd; row += 32, block += blockBytes) {
        const factors = block + plane
        const spread = load<f32>(factors, 256)
        const margin = confidence * Mathf.sqrt(spread * spread * distance2 + variance)
        let survivors = boundBlock(block, width, tables, scalars, lows, step, offset + margin, limit - shared)
        if (mask != 0) {
          survivors &= load<u32>(mask)
          mask += 4
        }
        for (; survivors != 0; survivors &= survivors - 1) {
          const i = <u32>ctz(survivors)
          const low = load<f32>(lows + ((<usize>i) << 2)) + shared
          if (bits != 1) {
            store<u32>(listEnd, row + i)
            store<f32>(listEnd, low, 4)
            listEnd += LISTED
          } else if (low < limit) {
            limit = offer(
              heap,
              candidates,
              low,
              low + load<f32>(factors + 128 + ((<usize>i) << 2)) * margin,
              slack,
              zone,
              row + i
            )
          }
        }
      }
      // Touched all at once, so that memory answers for many while it would answer for one.
      for (let at = survivorList; at < listEnd; at += LISTED) {
        const code = refined + <usize>load<u32>(at) * rowBytes
        touched += load<u32>(code) + load<u32>(code + rowBytes - 4)
      }
      for (let at = survivorList; at < listEnd; at += LISTED) {
        if (load<f32>(at, 4) >= limit) continue
        const i = load<u32>(at)
        const code = refined + <usize>i * rowBytes
        const sum = bits == 4 ? productFour(code + 12, width, integers) : productTwo(code + 12, width, integers)
        const product = <f32>((<f64>sum - codeMiddle) * <f64>integerStep)
        const estimate = shared + load<f32>(code) - load<f32>(code, 4) * product
        // products of two squares leave float32
        const multiply = <f64>load<f32>(code, 4),
          error = <f64>load<f32>(code, 8)
        const low =
          estimate -
          refinedConfidence * <f32>Math.sqrt(error * error * <f64>distance2 + multiply * multiply * integerVariance)
        if (low < limit) limit = offer(heap, candidates, low, estimate, slack, zone, i)
      }
    }
  }
  store<u32>(scalars, touched, TOUCHED) // or the loads would be left out
  return end
}

/** Takes a row among the candidates; returns the new limit. */
@inline
function offer(heap: usize, candidates: usize, low: f32, estimate: f32, slack: f32, zone: u32, row: u32): f32 {
  heapOffer(heap, <f64>(estimate + slack * (estimate - low)), ((<u64>zone) << 32) | row)
  const limit = <f32>heapLimit(heap)
  addCandidate(candidates, low, estimate, zone, row, limit)
  return limit
}

function addCandidate(candidates: usize, low: f32, estimate: f32, zone: u32, row: u32, limit: f32): void {
  let size = load<u32>(candidates)
  if (size == load<u32>(candidates, 4)) size = thin(candidates, limit)
  const at = candidates + CANDIDATES_HEADER + <usize>size * CANDIDATE
  store<f32>(at, low)
  store<f32>(at, estimate, 4)
  store<u32>(at, zone, 8)
  store<u32>(at, row, 12)
  store<u32>(candidates, size + 1)
}

/**
 * Makes room among the candidates: drops those that the limit now rules out, and if that is not half of them, those
 * with the largest bounds.
 */
function thin(candidates: usize, limit: f32): u32 {
  const size = sortCandidates(candidates, limit)
  const half = load<u32>(candidates, 4) >>> 1
  store<u32>(candidates, min<u32>(size, half))
  return min<u32>(size, half)
}

/**
 * Drops candidates whose lowest likely distance is not below `limit` or equal to it, sorts the others by it and returns
 * how many there are.
 */
export function sortCandidates(candidates: usize, limit: f32): u32 {
  const first = candidates + CANDIDATES_HEADER
  const size = load<u32>(candidates)
  let kept: u32 = 0
  for (let i: u32 = 0; i < size; i++) {
    const from = first + <usize>i * CANDIDATE
    if (load<f32>(from) > limit) continue
    v128.store(first + <usize>kept * CANDIDATE, v128.load(from))
    kept++
  }
  for (let root = kept >>> 1; root > 0;) sinkCandidate(first, --root, kept)
  for (let end = kept; end > 1;) {
    end--
    const last = first + <usize>end * CANDIDATE
    const v = v128.load(last)
    v128.store(last, v128.load(first))
    v128.store(first, v)
    sinkCandidate(first, 0, end)
  }
  store<u32>(candidates, kept)
  return kept
}

function sinkCandidate(first: usize, root: u32, size: u32): void {
  const value = v128.load(first + <usize>root * CANDIDATE)
  const low = f32x4.extract_lane(value, 0)
  let at = root
  while (true) {
    let child = (at << 1) + 1
    if (child >= size) break
    let from = first + <usize>child * CANDIDATE
    if (child + 1 < size && load<f32>(from + CANDIDATE) > load<f32>(from)) {
      child++
      from += CANDIDATE
    }
    if (load<f32>(from) <= low) break
    v128.store(first + <usize>at * CANDIDATE, v128.load(from))
    at = child
  }
  v128.store(first + <usize>at * CANDIDATE, value)
}
