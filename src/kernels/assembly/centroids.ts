// Centroids in one byte a dimension, for the probe of vectors of many dimensions: a quarter of the memory to read, and
// products of integers. They are rotated around the mean as a query is, so that no dimension is larger than the others.

import {
  METRIC_IP,
  PACKED_CROSS_AT,
  PACKED_FACTOR_BYTES,
  PACKED_NORM2_AT,
  PACKED_STEP_AT,
  SCALAR_INTEGER_STEP_AT,
  SCALAR_MEAN_DISTANCE2_AT,
  SCALAR_MEAN_PRODUCT_AT
} from '../layouts'
import { l2One, productExact, productOne } from './distances'

/** Largest byte of a centroid. */
const LARGEST: f32 = 127
/**
 * Part of |q|^2 + |c|^2, around the mean, below which a distance is computed from the centroid itself: of what is left
 * there by the subtraction, the error of bytes would be too large a part.
 */
const LEAST_PART: f32 = 0.25

/**
 * Packs a centroid. rotated: float32, width, around the mean; packed: i8, width; factors: its step and |c|^2 around the
 * mean are written.
 */
export function packCentroid(rotated: usize, width: u32, packed: usize, factors: usize): void {
  const widthBytes = (<usize>width) << 2
  let largests = f32x4.splat(0)
  for (let i: usize = 0; i < widthBytes; i += 16) largests = f32x4.max(largests, f32x4.abs(v128.load(rotated + i)))
  const largest = max<f32>(
    max<f32>(f32x4.extract_lane(largests, 0), f32x4.extract_lane(largests, 1)),
    max<f32>(f32x4.extract_lane(largests, 2), f32x4.extract_lane(largests, 3))
  )
  const step: f32 = largest > 0 ? largest / LARGEST : 1
  const inverse = f32x4.splat(1 / step)
  for (let i: usize = 0; i < widthBytes; i += 16) {
    const four = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(rotated + i), inverse)))
    const eight = i16x8.narrow_i32x4_s(four, four)
    v128.store32_lane(packed + (i >> 2), i8x16.narrow_i16x8_s(eight, eight), 0)
  }
  store<f32>(factors, step, PACKED_STEP_AT)
  store<f32>(factors, <f32>productExact(rotated, widthBytes, rotated), PACKED_NORM2_AT)
}

/**
 * Sum of byte * integer over all dimensions; width: a multiple of 16. Each lane fits: integers times the width are
 * below 2^26.
 */
@inline
function productPacked(packed: usize, width: u32, integers: usize): f64 {
  let a = i32x4.splat(0),
    b = a
  for (let i: usize = 0; i < <usize>width; i += 16) {
    const line = v128.load(packed + i)
    const at = integers + (i << 1)
    a = i32x4.add(a, i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_s(line), v128.load(at)))
    b = i32x4.add(b, i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_s(line), v128.load(at, 16)))
  }
  const sum = i32x4.add(a, b)
  return (
    <f64>i32x4.extract_lane(sum, 0) +
    <f64>i32x4.extract_lane(sum, 1) +
    (<f64>i32x4.extract_lane(sum, 2) + <f64>i32x4.extract_lane(sum, 3))
  )
}

/**
 * Writes the distances by which zones are ordered (minus the product for ip) of `count` centroids: those at `positions`
 * (u32), or the first where that is 0. packed: i8, zones * width; factors: PACKED_FACTOR_BYTES a zone; integers,
 * scalars: of the query, see tables.ts; centroids: float32, zones * dim; query: as the probe sees it, float32, dim;
 * out: float32, count.
 */
export function packedDistances(
  metric: u32,
  packed: usize,
  factors: usize,
  positions: usize,
  count: u32,
  width: u32,
  integers: usize,
  scalars: usize,
  centroids: usize,
  dim: u32,
  query: usize,
  out: usize
): void {
  const rowBytes = (<usize>dim) << 2
  const integerStep = load<f32>(scalars, SCALAR_INTEGER_STEP_AT)
  const meanDistance2 = load<f32>(scalars, SCALAR_MEAN_DISTANCE2_AT)
  const meanProduct = load<f32>(scalars, SCALAR_MEAN_PRODUCT_AT)
  for (let i: u32 = 0; i < count; i++, out += 4) {
    const zone: usize = positions == 0 ? i : load<u32>(positions + ((<usize>i) << 2))
    const own = factors + zone * PACKED_FACTOR_BYTES
    const sum = productPacked(packed + zone * width, width, integers)
    const product = <f32>sum * (load<f32>(own, PACKED_STEP_AT) * integerStep)
    const both = meanDistance2 + load<f32>(own, PACKED_NORM2_AT)
    const distance2 = both - 2 * product
    if (!(distance2 >= LEAST_PART * both)) {
      const centroid = centroids + zone * rowBytes
      // The query of ip is negated already.
      store<f32>(out, metric == METRIC_IP ? productOne(centroid, rowBytes, query) : l2One(centroid, rowBytes, query))
    } else {
      store<f32>(out, metric == METRIC_IP ? -(product + (meanProduct + load<f32>(own, PACKED_CROSS_AT))) : distance2)
    }
  }
}
