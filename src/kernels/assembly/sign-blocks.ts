// Blocks of 32 sign codes: sums of table look-ups (FastScan) and lowest likely distances. Layout as in
// format-spec/README.md, section 8.3.

import {
  BLOCK_FACTOR_BYTES,
  BLOCK_MULTIPLY_AT,
  BLOCK_ROWS,
  BLOCK_SPREAD_AT,
  SCALAR_OFFSET_AT,
  SCALAR_STEP_AT,
  SCRATCH_SUMS_AT
} from '../layouts'
import { byteNibbles } from './constants'

/** Dimensions after which 16-bit sums of look-ups are flushed: 256 pairs of entries, each pair at most 254. */
const FLUSH: u32 = 2048

/** Takes what is common to the sums of even and odd rows apart and returns rows 0 to 7 (of 16) as u16. */
@inline
function firstEight(even: v128, odd: v128): v128 {
  return i8x16.shuffle(i16x8.sub(even, i16x8.shl(odd, 8)), odd, 0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23)
}

/** Rows 8 to 15. */
@inline
function lastEight(even: v128, odd: v128): v128 {
  return i8x16.shuffle(
    i16x8.sub(even, i16x8.shl(odd, 8)),
    odd,
    8,
    9,
    24,
    25,
    10,
    11,
    26,
    27,
    12,
    13,
    28,
    29,
    14,
    15,
    30,
    31
  )
}

/** Adds eight u16 sums to float32 sums at `sums`. */
@inline
function addEight(rows: v128, sums: usize): void {
  v128.store(sums, f32x4.add(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(rows)), v128.load(sums)))
  v128.store(sums + 16, f32x4.add(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_u(rows)), v128.load(sums + 16)))
}

/**
 * Bounds four rows: add - multiply * (sum * step + offset); writes the bounds and returns a bit for each below the
 * limit.
 */
@inline
function testFour(sums: v128, factors: usize, lows: usize, step: v128, offset: v128, limit: v128): u32 {
  const product = f32x4.add(f32x4.mul(step, sums), offset)
  const low = f32x4.sub(v128.load(factors), f32x4.mul(v128.load(factors + BLOCK_MULTIPLY_AT), product))
  v128.store(lows, low)
  return i32x4.bitmask(f32x4.lt(low, limit))
}

/** The same for eight u16 sums. */
@inline
function testEight(rows: v128, factors: usize, lows: usize, step: v128, offset: v128, limit: v128): u32 {
  const first = f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(rows)),
    last = f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_u(rows))
  return (
    testFour(first, factors, lows, step, offset, limit) |
    (testFour(last, factors + 16, lows + 16, step, offset, limit) << 4)
  )
}

/** How far products of the block with these factors may be above their estimates. */
@inline
export function marginOf(factors: usize, confidence: f32, distance2: f32, variance: f32): f32 {
  const spread = load<f32>(factors, BLOCK_SPREAD_AT)
  return confidence * Mathf.sqrt(spread * spread * distance2 + variance)
}

/**
 * Writes the lowest likely distances of a block's 32 rows, less what they share, to `lows` (float32, 32); returns a bit
 * for each below `limit`. scratch: as behind the scalars. Without margin: estimates.
 */
@inline
export function boundBlock(
  block: usize,
  width: u32,
  tables: usize,
  scratch: usize,
  lows: usize,
  step: f32,
  offset: f32,
  limit: f32,
  hasMargin: bool,
  confidence: f32,
  distance2: f32,
  variance: f32
): u32 {
  const factors = block + ((<usize>width) << 2)
  const steps = f32x4.splat(step),
    limits = f32x4.splat(limit)
  const nibble = byteNibbles()
  let line = block,
    table = tables
  let end = block + ((<usize>min<u32>(width, FLUSH)) << 2)
  while (true) {
    let lowEven = i16x8.splat(0),
      lowOdd = lowEven,
      highEven = lowEven,
      highOdd = lowEven
    for (; line < end; line += 32, table += 32) {
      const a = v128.load(line),
        b = v128.load(line, 16)
      const ta = v128.load(table),
        tb = v128.load(table, 16)
      const low = i8x16.add(i8x16.swizzle(ta, v128.and(a, nibble)), i8x16.swizzle(tb, v128.and(b, nibble)))
      const high = i8x16.add(
        i8x16.swizzle(ta, v128.and(i16x8.shr_u(a, 4), nibble)),
        i8x16.swizzle(tb, v128.and(i16x8.shr_u(b, 4), nibble))
      )
      // Rows share 16-bit lanes by twos: whole lanes for the even rows, of which the odd rows' part is taken away in
      // the end.
      lowEven = i16x8.add(lowEven, low)
      lowOdd = i16x8.add(lowOdd, i16x8.shr_u(low, 8))
      highEven = i16x8.add(highEven, high)
      highOdd = i16x8.add(highOdd, i16x8.shr_u(high, 8))
    }
    if (width <= FLUSH) {
      // Factors come last in a block: looking at them sooner would wait for memory.
      const offsets = f32x4.splat(hasMargin ? offset + marginOf(factors, confidence, distance2, variance) : offset)
      return (
        testEight(firstEight(lowEven, lowOdd), factors, lows, steps, offsets, limits) |
        (testEight(lastEight(lowEven, lowOdd), factors + 32, lows + 32, steps, offsets, limits) << 8) |
        (testEight(firstEight(highEven, highOdd), factors + 64, lows + 64, steps, offsets, limits) << 16) |
        (testEight(lastEight(highEven, highOdd), factors + 96, lows + 96, steps, offsets, limits) << 24)
      )
    }
    const sums = scratch + SCRATCH_SUMS_AT
    if (line <= block + ((<usize>FLUSH) << 2)) memory.fill(sums, 0, 128)
    addEight(firstEight(lowEven, lowOdd), sums)
    addEight(lastEight(lowEven, lowOdd), sums + 32)
    addEight(firstEight(highEven, highOdd), sums + 64)
    addEight(lastEight(highEven, highOdd), sums + 96)
    if (line == factors) {
      const offsets = f32x4.splat(hasMargin ? offset + marginOf(factors, confidence, distance2, variance) : offset)
      let mask: u32 = 0
      for (let i: u32 = 0; i < 8; i++) {
        const at = (<usize>i) << 4
        mask |= testFour(v128.load(sums + at), factors + at, lows + at, steps, offsets, limits) << (i << 2)
      }
      return mask
    }
    end = min<usize>(factors, end + ((<usize>FLUSH) << 2))
  }
}

/**
 * Writes estimates of the distances of `count` rows that share one centre, in blocks: out is float32, count rounded up
 * to a multiple of 32. base: distance of the query to the centre under the metric; scalars: as for scanCodes, scratch
 * included.
 */
export function estimateBlocks(
  blocks: usize,
  count: u32,
  width: u32,
  tables: usize,
  scalars: usize,
  base: f32,
  out: usize
): void {
  const step = load<f32>(scalars, SCALAR_STEP_AT),
    offset = load<f32>(scalars, SCALAR_OFFSET_AT)
  const blockBytes = ((<usize>width) << 2) + BLOCK_FACTOR_BYTES
  const shared = f32x4.splat(base)
  for (let row: u32 = 0; row < count; row += BLOCK_ROWS, blocks += blockBytes, out += 128) {
    boundBlock(blocks, width, tables, scalars, out, step, offset, 0, false, 0, 0, 0)
    for (let at = out; at < out + 128; at += 16) v128.store(at, f32x4.add(v128.load(at), shared))
  }
}
