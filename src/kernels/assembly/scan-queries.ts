// Rows against many queries at once, for the calibration of a build: every row that is read meets all queries while it
// is in the processor's caches. Float32, by direct differences (l2) or products (ip): the errors are relative to the
// distances, wherever the data lie. Order of summation: one accumulator of four lanes, lanes as (0 + 1) + (2 + 3), then
// the last 0 to 3 values.

import { l2Exact, productExact, sumLanes } from './distances'
import { heapLimit, heapOffer } from './select'

/** Squares of distances below this have lost digits to underflow. */
const SMALL_SQUARE: f32 = 1e-30

@inline
function square(sum: v128, x: v128, q: v128): v128 {
  const d = f32x4.sub(x, q)
  return f32x4.add(sum, f32x4.mul(d, d))
}

@inline
function product(sum: v128, x: v128, q: v128): v128 {
  return f32x4.add(sum, f32x4.mul(x, q))
}

/** Sums of two vectors' neighbouring lanes. */
@inline
function sumPairs(a: v128, b: v128): v128 {
  return f32x4.add(v128.shuffle<f32>(a, b, 0, 2, 4, 6), v128.shuffle<f32>(a, b, 1, 3, 5, 7))
}

/** The sums of the lanes of four vectors. */
@inline
function sumFour(a: v128, b: v128, c: v128, d: v128): v128 {
  return sumPairs(sumPairs(a, b), sumPairs(c, d))
}

/** A value of each of four queries. */
@inline
function ofFour(query: usize, rowBytes: usize): v128 {
  const two = f32x4.replace_lane(v128.load32_zero(query), 1, load<f32>(query + rowBytes))
  const three = f32x4.replace_lane(two, 2, load<f32>(query + 2 * rowBytes))
  return f32x4.replace_lane(three, 3, load<f32>(query + 3 * rowBytes))
}

/**
 * Keeps a row if it is near enough; what float32 does not hold is computed again in double precision. The limit never
 * rules out a distance that is computed again: so a heap has the nearest rows in whatever order they come.
 */
function offer(
  isProduct: bool,
  value: f32,
  row: usize,
  query: usize,
  rowBytes: usize,
  limit: usize,
  heap: usize,
  id: u64
): void {
  if (!(value <= load<f32>(limit) || !(value < f32.MAX_VALUE))) return
  let distance = <f64>value
  if (isProduct) {
    if (!(abs(value) < f32.MAX_VALUE)) distance = 0 - productExact(row, rowBytes, query)
  } else if (!(value > SMALL_SQUARE && value < f32.MAX_VALUE)) distance = l2Exact(row, rowBytes, query)
  heapOffer(heap, distance, id)
  const most = <f32>heapLimit(heap)
  store<f32>(limit, isProduct ? most : max(most, SMALL_SQUARE))
}

/** Offers a row to four queries: values are their distances. */
@inline
function offerFour(
  isProduct: bool,
  values: v128,
  row: usize,
  query: usize,
  rowBytes: usize,
  limits: usize,
  heaps: usize,
  heapBytes: usize,
  id: u64
): void {
  const isRuledOut = v128.and(
    f32x4.gt(values, v128.load(limits)),
    f32x4.lt(values, f32x4.splat(f32.MAX_VALUE))
  )
  if (i32x4.all_true(isRuledOut)) return
  offer(isProduct, f32x4.extract_lane(values, 0), row, query, rowBytes, limits, heaps, id)
  query += rowBytes
  heaps += heapBytes
  offer(isProduct, f32x4.extract_lane(values, 1), row, query, rowBytes, limits + 4, heaps, id)
  query += rowBytes
  heaps += heapBytes
  offer(isProduct, f32x4.extract_lane(values, 2), row, query, rowBytes, limits + 8, heaps, id)
  query += rowBytes
  heaps += heapBytes
  offer(isProduct, f32x4.extract_lane(values, 3), row, query, rowBytes, limits + 12, heaps, id)
}

/** Adds the terms of four values of a row and a query. */
@inline
function addTerms(isProduct: bool, sum: v128, x: v128, q: v128): v128 {
  return isProduct ? product(sum, x, q) : square(sum, x, q)
}

/** Two rows against four queries, by squares of differences or minus products: eight sums share six loads. */
@inline
function twoByFour(
  isProduct: bool,
  row: usize,
  query: usize,
  rowBytes: usize,
  limits: usize,
  heaps: usize,
  heapBytes: usize,
  id: u64
): void {
  const x1 = row + rowBytes,
    q1 = query + rowBytes,
    q2 = q1 + rowBytes,
    q3 = q2 + rowBytes
  const bulk = rowBytes & ~15
  let s00 = f32x4.splat(0),
    s01 = f32x4.splat(0),
    s02 = f32x4.splat(0),
    s03 = f32x4.splat(0)
  let s10 = f32x4.splat(0),
    s11 = f32x4.splat(0),
    s12 = f32x4.splat(0),
    s13 = f32x4.splat(0)
  for (let i: usize = 0; i < bulk; i += 16) {
    const a = v128.load(row + i),
      b = v128.load(x1 + i)
    const c0 = v128.load(query + i)
    s00 = addTerms(isProduct, s00, a, c0)
    s10 = addTerms(isProduct, s10, b, c0)
    const c1 = v128.load(q1 + i)
    s01 = addTerms(isProduct, s01, a, c1)
    s11 = addTerms(isProduct, s11, b, c1)
    const c2 = v128.load(q2 + i)
    s02 = addTerms(isProduct, s02, a, c2)
    s12 = addTerms(isProduct, s12, b, c2)
    const c3 = v128.load(q3 + i)
    s03 = addTerms(isProduct, s03, a, c3)
    s13 = addTerms(isProduct, s13, b, c3)
  }
  let first = sumFour(s00, s01, s02, s03)
  let second = sumFour(s10, s11, s12, s13)
  for (let i = bulk; i < rowBytes; i += 4) {
    const q = ofFour(query + i, rowBytes)
    first = addTerms(isProduct, first, f32x4.splat(load<f32>(row + i)), q)
    second = addTerms(isProduct, second, f32x4.splat(load<f32>(x1 + i)), q)
  }
  if (isProduct) {
    first = f32x4.sub(f32x4.splat(0), first)
    second = f32x4.sub(f32x4.splat(0), second)
  }
  offerFour(isProduct, first, row, query, rowBytes, limits, heaps, heapBytes, id)
  offerFour(isProduct, second, x1, query, rowBytes, limits, heaps, heapBytes, id + 1)
}

/** A function of its own: inlined into the loops over rows it took three times as long. */
function squaresOfTwo(
  row: usize,
  query: usize,
  rowBytes: usize,
  limits: usize,
  heaps: usize,
  heapBytes: usize,
  id: u64
): void {
  twoByFour(false, row, query, rowBytes, limits, heaps, heapBytes, id)
}

/** The same by minus products. */
function productsOfTwo(
  row: usize,
  query: usize,
  rowBytes: usize,
  limits: usize,
  heaps: usize,
  heapBytes: usize,
  id: u64
): void {
  twoByFour(true, row, query, rowBytes, limits, heaps, heapBytes, id)
}

/** The distance of one row to one query. */
function oneByOne(isProduct: bool, row: usize, query: usize, rowBytes: usize): f32 {
  const bulk = rowBytes & ~15
  let lanes = f32x4.splat(0)
  for (let i: usize = 0; i < bulk; i += 16) {
    const x = v128.load(row + i),
      q = v128.load(query + i)
    lanes = addTerms(isProduct, lanes, x, q)
  }
  let sum = sumLanes(lanes)
  for (let i = bulk; i < rowBytes; i += 4) {
    const x = load<f32>(row + i),
      q = load<f32>(query + i)
    sum += isProduct ? x * q : (x - q) * (x - q)
  }
  return isProduct ? 0 - sum : sum
}

/**
 * Offers every row to the heap of every query, with squared Euclidean distances, or minus inner products.
 * rows: float32, count * dim, with the ids high * 2^32 + low and those that follow; queries: float32, queryCount * dim;
 * limits: float32, queryCount, what a value may be at most to enter each heap, kept up to date; heaps: heapBytes apart.
 */
export function scanQueries(
  isProduct: bool,
  rows: usize,
  count: u32,
  dim: u32,
  queries: usize,
  queryCount: u32,
  limits: usize,
  heaps: usize,
  heapBytes: u32,
  low: u32,
  high: u32
): void {
  const rowBytes = (<usize>dim) << 2
  const firstId = ((<u64>high) << 32) | <u64>low
  const fours = queryCount & ~3
  const pairs = count & ~1
  for (let q: u32 = 0; q < fours; q += 4) {
    const query = queries + <usize>q * rowBytes
    const limit = limits + ((<usize>q) << 2)
    const heap = heaps + <usize>q * heapBytes
    for (let i: u32 = 0; i < pairs; i += 2) {
      const row = rows + <usize>i * rowBytes
      if (isProduct) productsOfTwo(row, query, rowBytes, limit, heap, heapBytes, firstId + i)
      else squaresOfTwo(row, query, rowBytes, limit, heap, heapBytes, firstId + i)
    }
  }
  for (let q: u32 = 0; q < queryCount; q++) {
    const query = queries + <usize>q * rowBytes
    for (let i: u32 = q < fours ? pairs : 0; i < count; i++) {
      const row = rows + <usize>i * rowBytes
      const value = oneByOne(isProduct, row, query, rowBytes)
      const limit = limits + ((<usize>q) << 2)
      offer(isProduct, value, row, query, rowBytes, limit, heaps + <usize>q * heapBytes, firstId + i)
    }
  }
}
