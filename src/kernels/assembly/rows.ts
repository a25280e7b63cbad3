// Changes rows in place before they are assigned: scaling to unit length (cosine) and centring.

import { productExact } from './distances'

/** Scales each row to unit length; rows: float32, count * dim, none of length zero. */
export function normalizeRows(rows: usize, count: u32, dim: u32): void {
  const rowBytes = (<usize>dim) << 2
  for (let i: u32 = 0; i < count; i++, rows += rowBytes) {
    const scale = 1 / Math.sqrt(productExact(rows, rowBytes, rows))
    for (let at = rows, end = rows + rowBytes; at < end; at += 4) store<f32>(at, <f32>(<f64>load<f32>(at) * scale))
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
