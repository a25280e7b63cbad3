// The exact scan of a run of rows: float32 distances rule rows out, double precision decides about the rest.

import { l2Exact, l2Four, l2One, productExact, productFour, productOne } from './distances'
import { heapLimit, heapOffer } from './select'

const L2: u32 = 1
const COSINE: u32 = 2

/** Distance in double precision under `metric`; queryNorm2 is <q,q>. */
function exactDistance(metric: u32, row: usize, rowBytes: usize, query: usize, queryNorm2: f64): f64 {
  if (metric == L2) return l2Exact(row, rowBytes, query)
  const product = productExact(row, rowBytes, query)
  if (metric != COSINE) return 0 - product // never -0
  const distance = 1 - product / Math.sqrt(queryNorm2 * productExact(row, rowBytes, row))
  return distance > 0 ? distance : 0
}

// @ts-ignore: decorator
@inline
function approximate(metric: u32, value: f32, inverseNorms: usize, i: u32, inverseQueryNorm: f32): f32 {
  if (metric == L2) return value
  if (metric == COSINE) return 1 - value * load<f32>(inverseNorms + (<usize>i << 2)) * inverseQueryNorm
  return -value
}

/**
 * Offers every live row to the heap and returns how many needed double precision.
 * rows: float32, count * dim; ids: u64, count; inverseNorms: float32, count (cosine); mask: u32 a block of 32 rows, or 0 for all live.
 * A row is ruled out if its float32 distance is above `worst kept * (1 + relative) + absolute`; scratch takes 16 bytes.
 */
export function scan(
  metric: u32, rows: usize, ids: usize, inverseNorms: usize, mask: usize, count: u32, dim: u32,
  query: usize, queryNorm2: f64, relative: f64, absolute: f64, heap: usize, scratch: usize
): u32 {
  const rowBytes = <usize>dim << 2
  const inverseQueryNorm = <f32>(1 / Math.sqrt(queryNorm2))
  let limit = heapLimit(heap) * (1 + relative) + absolute
  let confirmed: u32 = 0
  for (let i: u32 = 0; i < count; i += 4) {
    const row = rows + <usize>i * rowBytes
    const inBlock = min<u32>(4, count - i)
    if (inBlock == 4) {
      if (metric == L2) l2Four(row, rowBytes, query, scratch)
      else productFour(row, rowBytes, query, scratch)
    } else {
      for (let j: u32 = 0; j < inBlock; j++) {
        const at = row + <usize>j * rowBytes
        store<f32>(scratch + (<usize>j << 2), metric == L2 ? l2One(at, rowBytes, query) : productOne(at, rowBytes, query))
      }
    }
    for (let j: u32 = 0; j < inBlock; j++) {
      const at = i + j
      const value = approximate(metric, load<f32>(scratch + (<usize>j << 2)), inverseNorms, at, inverseQueryNorm)
      // An overflow to infinity or NaN says nothing: double precision decides.
      if (<f64>value > limit && value < f32.MAX_VALUE) continue
      if (mask != 0 && !(load<u32>(mask + (<usize>(at >>> 5) << 2)) & (1 << (at & 31)))) continue
      confirmed++
      heapOffer(heap, exactDistance(metric, row + <usize>j * rowBytes, rowBytes, query, queryNorm2), load<u64>(ids + (<usize>at << 3)))
      limit = heapLimit(heap) * (1 + relative) + absolute
    }
  }
  return confirmed
}
