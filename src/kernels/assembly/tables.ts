// What a query brings to a scan of codes: lookup tables for the sign planes and the query in 16-bit integers for
// refined codes. FastScan: Andre, Kermarrec and Le Scouarnec, Cache locality is not enough (2015), section 4.

import {
  SCALAR_INTEGER_STEP_AT,
  SCALAR_INTEGER_SUM_AT,
  SCALAR_OFFSET_AT,
  SCALAR_STEP_AT,
  SCALAR_VARIANCE_AT
} from '../layouts'

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
  let largestGroup: f32 = 0,
    largest: f32 = 0,
    total: f32 = 0
  for (let i: u32 = 0; i < width; i += 4) {
    const q = f32x4.abs(v128.load(query + ((<usize>i) << 2)))
    const a = f32x4.extract_lane(q, 0),
      b = f32x4.extract_lane(q, 1),
      c = f32x4.extract_lane(q, 2),
      d = f32x4.extract_lane(q, 3)
    const sum = a + b + (c + d)
    total += sum
    largestGroup = max<f32>(largestGroup, sum)
    largest = max<f32>(largest, max<f32>(max<f32>(a, b), max<f32>(c, d)))
  }
  const step: f32 = largestGroup > 0 ? largestGroup / LARGEST : 1
  const inverse: f32 = 1 / step
  const integerStep: f32 = largest > 0 ? largest / <f32>min<u32>(LARGEST_INTEGER, LARGEST_SUM / width) : 1
  const inverseInteger: f32 = 1 / integerStep
  let integerSum: i32 = 0
  for (let i: u32 = 0; i < width; i += 4) {
    const q = v128.load(query + ((<usize>i) << 2))
    const rounded = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(q, f32x4.splat(inverseInteger))))
    v128.store64_lane(integers + ((<usize>i) << 1), i16x8.narrow_i32x4_s(rounded, rounded), 0)
    integerSum +=
      i32x4.extract_lane(rounded, 0) +
      i32x4.extract_lane(rounded, 1) +
      i32x4.extract_lane(rounded, 2) +
      i32x4.extract_lane(rounded, 3)
    storeTable(f32x4.mul(q, f32x4.splat(inverse)), tables + ((<usize>i) << 2))
  }
  store<f32>(scalars, step, SCALAR_STEP_AT)
  store<f32>(scalars, <f32>-0.5 * total, SCALAR_OFFSET_AT)
  // A rounding is uniform in one step: variance 1 / 12, for each group.
  store<f32>(scalars, (step * step * <f32>(width >>> 2)) / 12, SCALAR_VARIANCE_AT)
  store<f32>(scalars, integerStep, SCALAR_INTEGER_STEP_AT)
  store<f32>(scalars, <f32>integerSum, SCALAR_INTEGER_SUM_AT)
}

/** Entry n: the sum of |q_i| over those of the 4 dimensions where bit i of n is the sign of q_i, rounded. */
@inline
function storeTable(q: v128, table: usize): void {
  const zero = f32x4.splat(0)
  const set = f32x4.max(q, zero),
    clear = f32x4.max(f32x4.neg(q), zero)
  const s0 = f32x4.extract_lane(set, 0),
    s1 = f32x4.extract_lane(set, 1),
    c0 = f32x4.extract_lane(clear, 0),
    c1 = f32x4.extract_lane(clear, 1)
  const low = f32x4(c0 + c1, s0 + c1, c0 + s1, s0 + s1)
  const s2 = f32x4.extract_lane(set, 2),
    s3 = f32x4.extract_lane(set, 3),
    c2 = f32x4.extract_lane(clear, 2),
    c3 = f32x4.extract_lane(clear, 3)
  const e0 = roundEntries(f32x4.add(low, f32x4.splat(c2 + c3)))
  const e1 = roundEntries(f32x4.add(low, f32x4.splat(s2 + c3)))
  const e2 = roundEntries(f32x4.add(low, f32x4.splat(c2 + s3)))
  const e3 = roundEntries(f32x4.add(low, f32x4.splat(s2 + s3)))
  v128.store(table, i8x16.narrow_i16x8_u(i16x8.narrow_i32x4_s(e0, e1), i16x8.narrow_i32x4_s(e2, e3)))
}

@inline
function roundEntries(values: v128): v128 {
  return i32x4.trunc_sat_f32x4_s(f32x4.nearest(values))
}
