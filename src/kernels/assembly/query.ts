// A query on its way to the probe and to the scan of codes: its length and scale, then around the mean, rotated, in
// tables.

import {
  METRIC_COSINE,
  METRIC_IP,
  SCALAR_MEAN_DISTANCE2_AT,
  SCALAR_MEAN_PRODUCT_AT,
  SCALAR_PLANES_CONFIDENCE_AT,
  SCALAR_QUERY_NORM2_AT,
  SCALAR_REFINED_CONFIDENCE_AT,
  SCALAR_SLACK_AT
} from '../layouts'
import { productExact } from './distances'
import { rotateRows } from './rotate'
import { buildTables } from './tables'

/**
 * Writes the query as the probe sees it: of unit length for cosine, negated for ip. Returns <q, q>, which is not finite
 * if a value is not. query, probeQuery: float32, dim.
 */
export function scaleQuery(metric: u32, dim: u32, query: usize, probeQuery: usize): f64 {
  const rowBytes = (<usize>dim) << 2
  const bulk = rowBytes & ~15
  const norm2 = productExact(query, rowBytes, query)
  const scale: f64 = metric == METRIC_COSINE ? 1 / Math.sqrt(norm2) : metric == METRIC_IP ? -1 : 1
  const scales = f64x2.splat(scale)
  let i: usize = 0
  for (; i < bulk; i += 16) {
    const four = v128.load(query + i)
    const low = f64x2.mul(f64x2.promote_low_f32x4(four), scales)
    const high = f64x2.mul(
      f64x2.promote_low_f32x4(
        i8x16.shuffle(four, four, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15)
      ),
      scales
    )
    const lows = f32x4.demote_f64x2_zero(low),
      highs = f32x4.demote_f64x2_zero(high)
    v128.store(
      probeQuery + i,
      i8x16.shuffle(lows, highs, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23)
    )
  }
  for (; i < rowBytes; i += 4) store<f32>(probeQuery + i, <f32>(<f64>load<f32>(query + i) * scale))
  return norm2
}

/**
 * Rotates a query around the mean, builds its tables and writes its scalars. query, mean: float32, dim; rotated:
 * float32, width: written; norm2: <q, q>; planes, refined, slack: how far estimates are trusted.
 */
export function encodeQuery(
  query: usize,
  dim: u32,
  mean: usize,
  rotated: usize,
  width: u32,
  flips: usize,
  rounds: u32,
  window: u32,
  scale: f32,
  tables: usize,
  integers: usize,
  scalars: usize,
  norm2: f32,
  planes: f32,
  refined: f32,
  slack: f32
): void {
  const rowBytes = (<usize>dim) << 2,
    widthBytes = (<usize>width) << 2
  const bulk = rowBytes & ~15
  let i: usize = 0
  for (; i < bulk; i += 16) v128.store(rotated + i, f32x4.sub(v128.load(query + i), v128.load(mean + i)))
  for (; i < rowBytes; i += 4) store<f32>(rotated + i, load<f32>(query + i) - load<f32>(mean + i))
  for (; i < widthBytes; i += 4) store<f32>(rotated + i, 0)
  store<f32>(scalars, <f32>productExact(rotated, widthBytes, rotated), SCALAR_MEAN_DISTANCE2_AT)
  store<f32>(scalars, <f32>productExact(query, rowBytes, mean), SCALAR_MEAN_PRODUCT_AT)
  rotateRows(rotated, 1, width, flips, rounds, window, scale)
  buildTables(rotated, width, tables, integers, scalars)
  store<f32>(scalars, planes, SCALAR_PLANES_CONFIDENCE_AT)
  store<f32>(scalars, refined, SCALAR_REFINED_CONFIDENCE_AT)
  store<f32>(scalars, norm2, SCALAR_QUERY_NORM2_AT)
  store<f32>(scalars, slack, SCALAR_SLACK_AT)
}
