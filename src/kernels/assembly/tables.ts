// What a query brings to a scan of codes: lookup tables for the sign planes and the query in 16-bit integers for
// refined codes. FastScan: Andre, Kermarrec and Le Scouarnec, Cache locality is not enough (2015), section 4.
// Four groups of 4 dimensions are worked on at a time, one in each lane.

import {
  SCALAR_INTEGER_STEP_AT,
  SCALAR_INTEGER_SUM_AT,
  SCALAR_OFFSET_AT,
  SCALAR_STEP_AT,
  SCALAR_VARIANCE_AT
} from '../layouts'
import { byteNibbles, rounding } from './constants'

/** Largest entry of a table. Two entries fit one byte, so that a scan adds two look-ups before it widens. */
const LARGEST: f32 = 127
/** Largest integer of the query. */
const LARGEST_INTEGER: u32 = 8191
/** Largest integer times width: codes of 4 bits sum up to 15 times that, a lane of 8 to 255 / 8 times, below 2^31. */
const LARGEST_SUM: u32 = 1 << 26

/**
 * Writes tables (u8, width / 4 * 16), integers (i16, width) and scalars (float32):
 * step of the tables, their offset -sum |q_i| / 2, variance of <u, q'> by rounding, step of the integers, sum of the
 * integers. query: float32, width, rotated. With u the levels of one bit, <u, q'> = step * sum of
 * entries + offset.
 */
export function buildTables(query: usize, width: u32, tables: usize, integers: usize, scalars: usize): void {
  const end = query + ((<usize>width) << 2)
  const nibbles = byteNibbles()
  const magnitude = i32x4.shr_u(i8x16.eq(nibbles, nibbles), 1)
  let largestGroups = f32x4.splat(0),
    totals = largestGroups,
    largestA = largestGroups,
    largestB = largestGroups
  for (let at = query; at < end; at += 64) {
    const a = v128.and(v128.load(at), magnitude),
      b = v128.and(v128.load(at, 16), magnitude),
      c = v128.and(v128.load(at, 32), magnitude),
      d = v128.and(v128.load(at, 48), magnitude)
    const ab = f32x4.add(f32x4.shuffle(a, b, 0, 2, 4, 6), f32x4.shuffle(a, b, 1, 3, 5, 7)),
      cd = f32x4.add(f32x4.shuffle(c, d, 0, 2, 4, 6), f32x4.shuffle(c, d, 1, 3, 5, 7))
    const sums = f32x4.add(f32x4.shuffle(ab, cd, 0, 2, 4, 6), f32x4.shuffle(ab, cd, 1, 3, 5, 7))
    totals = f32x4.add(totals, sums)
    largestGroups = f32x4.pmax(largestGroups, sums)
    largestA = f32x4.pmax(f32x4.pmax(largestA, a), c)
    largestB = f32x4.pmax(f32x4.pmax(largestB, b), d)
  }
  const total =
    f32x4.extract_lane(totals, 0) +
    f32x4.extract_lane(totals, 1) +
    (f32x4.extract_lane(totals, 2) + f32x4.extract_lane(totals, 3))
  const largestGroup = largestLane(largestGroups),
    largest = largestLane(f32x4.pmax(largestA, largestB))
  const step: f32 = largestGroup > 0 ? largestGroup / LARGEST : 1
  const integerStep: f32 = largest > 0 ? largest / <f32>min<u32>(LARGEST_INTEGER, LARGEST_SUM / width) : 1
  const integerSum = writeIntegers(query, end, integers, inverseOf(integerStep))
  writeTables(query, end, tables, inverseOf(step))
  store<f32>(scalars, step, SCALAR_STEP_AT)
  store<f32>(scalars, <f32>-0.5 * total, SCALAR_OFFSET_AT)
  // A rounding is uniform in one step: variance 1 / 12, for each group.
  store<f32>(scalars, (step * step * <f32>(width >>> 2)) / 12, SCALAR_VARIANCE_AT)
  store<f32>(scalars, integerStep, SCALAR_INTEGER_STEP_AT)
  store<f32>(scalars, <f32>integerSum, SCALAR_INTEGER_SUM_AT)
}

/** Finite, or entries of 0 would be infinity times 0 where steps are tiny. */
@inline
function inverseOf(step: f32): f32 {
  return min<f32>(1 / step, f32.MAX_VALUE)
}

/** The largest of four values none of which is NaN. */
@inline
function largestLane(v: v128): f32 {
  return max<f32>(
    max<f32>(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1)),
    max<f32>(f32x4.extract_lane(v, 2), f32x4.extract_lane(v, 3))
  )
}

/** Rounds the query, times `inverse`, to 16 bits; returns the sum. */
@inline
function writeIntegers(query: usize, end: usize, integers: usize, inverse: f32): i32 {
  const factor = f32x4.splat(inverse)
  const whole = rounding()
  let sum = i32x4.splat(0)
  for (; query < end; query += 32, integers += 16) {
    const a = lowShorts(f32x4.add(f32x4.mul(v128.load(query), factor), whole)),
      b = lowShorts(f32x4.add(f32x4.mul(v128.load(query, 16), factor), whole))
    sum = i32x4.add(sum, i32x4.add(a, b))
    v128.store(integers, i16x8.narrow_i32x4_s(a, b))
  }
  return (
    i32x4.extract_lane(sum, 0) + i32x4.extract_lane(sum, 1) + i32x4.extract_lane(sum, 2) + i32x4.extract_lane(sum, 3)
  )
}

/** The low 16 bits of each lane, as integers with a sign. */
@inline
function lowShorts(v: v128): v128 {
  return i32x4.shr_s(i32x4.shl(v, 16), 16)
}

/** Entry n of a table: the sum of |q_i| over those of the 4 dimensions where bit i of n is the sign of q_i, rounded. */
@inline
function writeTables(query: usize, end: usize, tables: usize, inverse: f32): void {
  const factor = f32x4.splat(inverse)
  const whole = rounding()
  const zero = v128.xor(whole, whole)
  for (; query < end; query += 64, tables += 64) {
    const a = f32x4.mul(v128.load(query), factor),
      b = f32x4.mul(v128.load(query, 16), factor),
      c = f32x4.mul(v128.load(query, 32), factor),
      d = f32x4.mul(v128.load(query, 48), factor)
    // Lane g of q_i: dimension i of group g.
    const ab01 = f32x4.shuffle(a, b, 0, 1, 4, 5),
      cd01 = f32x4.shuffle(c, d, 0, 1, 4, 5),
      ab23 = f32x4.shuffle(a, b, 2, 3, 6, 7),
      cd23 = f32x4.shuffle(c, d, 2, 3, 6, 7)
    const q0 = f32x4.shuffle(ab01, cd01, 0, 2, 4, 6),
      q1 = f32x4.shuffle(ab01, cd01, 1, 3, 5, 7),
      q2 = f32x4.shuffle(ab23, cd23, 0, 2, 4, 6),
      q3 = f32x4.shuffle(ab23, cd23, 1, 3, 5, 7)
    // What is not a number stays so.
    const s0 = f32x4.pmax(q0, zero),
      c0 = f32x4.sub(s0, q0),
      s1 = f32x4.pmax(q1, zero),
      c1 = f32x4.sub(s1, q1),
      s2 = f32x4.pmax(q2, zero),
      c2 = f32x4.sub(s2, q2),
      s3 = f32x4.pmax(q3, zero),
      c3 = f32x4.sub(s3, q3)
    const low0 = f32x4.add(c0, c1),
      low1 = f32x4.add(s0, c1),
      low2 = f32x4.add(c0, s1),
      low3 = f32x4.add(s0, s1)
    const high0 = f32x4.add(c2, c3),
      high1 = f32x4.add(s2, c3),
      high2 = f32x4.add(c2, s3),
      high3 = f32x4.add(s2, s3)
    // Two entries of each group, by eight: then the eight of a group side by side.
    const e0 = entries(low0, low1, high0, whole),
      e2 = entries(low2, low3, high0, whole),
      e4 = entries(low0, low1, high1, whole),
      e6 = entries(low2, low3, high1, whole)
    const e04 = i8x16.narrow_i16x8_u(e0, e4),
      e26 = i8x16.narrow_i16x8_u(e2, e6)
    const e02 = interleaveLow(e04, e26),
      e46 = interleaveHigh(e04, e26)
    const e8 = entries(low0, low1, high2, whole),
      e10 = entries(low2, low3, high2, whole),
      e12 = entries(low0, low1, high3, whole),
      e14 = entries(low2, low3, high3, whole)
    const e8c = i8x16.narrow_i16x8_u(e8, e12),
      eae = i8x16.narrow_i16x8_u(e10, e14)
    const e8a = interleaveLow(e8c, eae),
      ece = interleaveHigh(e8c, eae)
    const first01 = i32x4.shuffle(e02, e46, 0, 4, 1, 5),
      first23 = i32x4.shuffle(e02, e46, 2, 6, 3, 7),
      last01 = i32x4.shuffle(e8a, ece, 0, 4, 1, 5),
      last23 = i32x4.shuffle(e8a, ece, 2, 6, 3, 7)
    v128.store(tables, i64x2.shuffle(first01, last01, 0, 2))
    v128.store(tables, i64x2.shuffle(first01, last01, 1, 3), 16)
    v128.store(tables, i64x2.shuffle(first23, last23, 0, 2), 32)
    v128.store(tables, i64x2.shuffle(first23, last23, 1, 3), 48)
  }
}

/** Two rounded entries in the 16-bit halves of each lane. */
@inline
function entries(lowA: v128, lowB: v128, high: v128, whole: v128): v128 {
  const a = f32x4.add(f32x4.add(lowA, high), whole),
    b = f32x4.add(f32x4.add(lowB, high), whole)
  return i16x8.shuffle(a, i32x4.shl(b, 16), 0, 9, 2, 11, 4, 13, 6, 15)
}

@inline
function interleaveLow(a: v128, b: v128): v128 {
  return i16x8.shuffle(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
}

@inline
function interleaveHigh(a: v128, b: v128): v128 {
  return i16x8.shuffle(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
}
