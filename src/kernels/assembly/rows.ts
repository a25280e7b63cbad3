// Changes rows in place before they are assigned: scaling to unit length (cosine) and centring. Sums rows up by zone.

import { productExact } from './distances'

/** Scales each row to unit length; rows: float32, count * dim, none of length zero. */
export function normalizeRows(rows: usize, count: u32, dim: u32): void {
  const rowBytes = (<usize>dim) << 2
  for (let i: u32 = 0; i < count; i++, rows += rowBytes) {
    const scale = 1 / Math.sqrt(productExact(rows, rowBytes, rows))
    const scales = f64x2.splat(scale)
    const end = rows + rowBytes
    let at = rows
    for (; at < rows + (rowBytes & ~7); at += 8) {
      const scaled = f64x2.mul(f64x2.promote_low_f32x4(v128.load64_zero(at)), scales)
      v128.store64_lane(at, f32x4.demote_f64x2_zero(scaled), 0)
    }
    for (; at < end; at += 4) store<f32>(at, <f32>(<f64>load<f32>(at) * scale))
  }
}

/** Subtracts one row from each of `count` rows. */
export function subtractRow(rows: usize, count: u32, dim: u32, row: usize): void {
  const rowBytes = (<usize>dim) << 2
  const bulk = rowBytes & ~15
  for (let i: u32 = 0; i < count; i++, rows += rowBytes) {
    let at: usize = 0
    for (; at < bulk; at += 16) v128.store(rows + at, f32x4.sub(v128.load(rows + at), v128.load(row + at)))
    for (; at < rowBytes; at += 4) store<f32>(rows + at, load<f32>(rows + at) - load<f32>(row + at))
  }
}

/**
 * Adds each of `count` rows (float32, dim) to the sum of its zone, in their order; zones: u32, count; sums: float64,
 * dim for each zone.
 */
export function addRows(rows: usize, count: u32, dim: u32, zones: usize, sums: usize): void {
  const rowBytes = (<usize>dim) << 2
  const bulk = rowBytes & ~7
  for (let i: u32 = 0; i < count; i++, rows += rowBytes, zones += 4) {
    const sum = sums + <usize>load<u32>(zones) * (rowBytes << 1)
    let at: usize = 0
    for (; at < bulk; at += 8) {
      const wide = f64x2.promote_low_f32x4(v128.load64_zero(rows + at))
      v128.store(sum + (at << 1), f64x2.add(v128.load(sum + (at << 1)), wide))
    }
    for (; at < rowBytes; at += 4)
      store<f64>(sum + (at << 1), load<f64>(sum + (at << 1)) + <f64>load<f32>(rows + at))
  }
}
