// The exact scan of a run of rows: float32 distances rule rows out, double precision decides about the rest.

import { METRIC_COSINE, METRIC_L2 } from '../layouts'
import { cosineExact, l2Exact, l2One, productExact, productOne } from './distances'
import { heapLimit, heapOffer } from './select'

/** Distance in double precision under `metric`; queryNorm2 is <q,q>. */
@inline
export function exactDistance(metric: u32, row: usize, rowBytes: usize, query: usize, queryNorm2: f64): f64 {
  if (metric == METRIC_L2) return l2Exact(row, rowBytes, query)
  if (metric == METRIC_COSINE) return cosineExact(row, rowBytes, query, queryNorm2)
  return 0 - productExact(row, rowBytes, query) // never -0
}

/** Distance in float32 under `metric`, for row i of a run. */
@inline
function approximate(
  metric: u32,
  row: usize,
  rowBytes: usize,
  query: usize,
  inverseNorm: usize,
  inverseQueryNorm: f32
): f32 {
  if (metric == METRIC_L2) return l2One(row, rowBytes, query)
  const product = productOne(row, rowBytes, query)
  return metric == METRIC_COSINE ? 1 - product * load<f32>(inverseNorm) * inverseQueryNorm : -product
}

@inline
function isLive(mask: usize, row: u32): bool {
  return (load<u32>(mask + ((<usize>(row >>> 5)) << 2)) & (1 << (row & 31))) != 0
}

/**
 * Offers every live row to the heap and returns how many needed double precision.
 * rows: float32, count * dim; ids: u64, count; inverseNorms: float32, count (cosine); mask: a bit for each row of the
 * segment, u32 words, or 0 for all live; firstRow: the number of the first of these rows in it. A row is ruled out if
 * its float32 distance is above `worst kept * (1 + relative) + absolute`.
 */
export function scan(
  metric: u32,
  rows: usize,
  ids: usize,
  inverseNorms: usize,
  mask: usize,
  firstRow: u32,
  count: u32,
  dim: u32,
  query: usize,
  queryNorm2: f64,
  relative: f64,
  absolute: f64,
  heap: usize
): u32 {
  const rowBytes = (<usize>dim) << 2
  const inverseQueryNorm = <f32>(1 / Math.sqrt(queryNorm2))
  let limit = heapLimit(heap) * (1 + relative) + absolute
  let confirmed: u32 = 0
  for (let i: u32 = 0, row = rows; i < count; i++, row += rowBytes) {
    if (mask != 0 && !isLive(mask, firstRow + i)) continue
    const value = approximate(metric, row, rowBytes, query, inverseNorms + ((<usize>i) << 2), inverseQueryNorm)
    // An overflow to infinity or NaN says nothing: double precision decides.
    if (<f64>value > limit && value < f32.MAX_VALUE) continue
    confirmed++
    heapOffer(heap, exactDistance(metric, row, rowBytes, query, queryNorm2), load<u64>(ids + ((<usize>i) << 3)))
    limit = heapLimit(heap) * (1 + relative) + absolute
  }
  return confirmed
}
