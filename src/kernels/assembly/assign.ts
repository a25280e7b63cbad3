// Assignment of rows to their nearest centroid, for the build: many rows against many centroids.
// Uses |x - c|^2 = |x|^2 - 2 (<x,c> - |c|^2 / 2): the largest <x,c> - |c|^2 / 2 is nearest, at one product a value.
// Rows and centroids should be centred by their common mean, or the difference of large numbers loses its digits.
// Order of summation: one accumulator of four lanes, lanes as (0 + 1) + (2 + 3), then the last 0 to 3 values.

import { sumLanes } from './distances'

/** Bytes of centroids that are held against all rows before the next ones are: a part of the L2 cache. */
const TILE_BYTES: usize = 256 * 1024

@inline
function step(sum: v128, x: v128, c: v128): v128 {
  return f32x4.add(sum, f32x4.mul(x, c))
}

@inline
function tail(sum: f32, row: usize, centroid: usize, bulk: usize, rowBytes: usize): f32 {
  for (let i = bulk; i < rowBytes; i += 4) sum += load<f32>(row + i) * load<f32>(centroid + i)
  return sum
}

@inline
function keep(row: u32, score: f32, zone: u32, zones: usize, scores: usize): void {
  const at = (<usize>row) << 2
  if (score > load<f32>(scores + at)) {
    store<f32>(scores + at, score)
    store<u32>(zones + at, zone)
  }
}

/** Four rows against two centroids: eight sums share six loads. */
function fourByTwo(
  rows: usize,
  rowBytes: usize,
  centroid: usize,
  halfNorms: usize,
  row: u32,
  zone: u32,
  zones: usize,
  scores: usize
): void {
  const r1 = rows + rowBytes,
    r2 = r1 + rowBytes,
    r3 = r2 + rowBytes,
    c1 = centroid + rowBytes
  const bulk = rowBytes & ~15
  let s00 = f32x4.splat(0),
    s10 = f32x4.splat(0),
    s20 = f32x4.splat(0),
    s30 = f32x4.splat(0)
  let s01 = f32x4.splat(0),
    s11 = f32x4.splat(0),
    s21 = f32x4.splat(0),
    s31 = f32x4.splat(0)
  for (let i: usize = 0; i < bulk; i += 16) {
    const c = v128.load(centroid + i),
      d = v128.load(c1 + i)
    const x0 = v128.load(rows + i)
    s00 = step(s00, x0, c)
    s01 = step(s01, x0, d)
    const x1 = v128.load(r1 + i)
    s10 = step(s10, x1, c)
    s11 = step(s11, x1, d)
    const x2 = v128.load(r2 + i)
    s20 = step(s20, x2, c)
    s21 = step(s21, x2, d)
    const x3 = v128.load(r3 + i)
    s30 = step(s30, x3, c)
    s31 = step(s31, x3, d)
  }
  const h0 = load<f32>(halfNorms + ((<usize>zone) << 2)),
    h1 = load<f32>(halfNorms + ((<usize>zone) << 2), 4)
  keep(row, tail(sumLanes(s00), rows, centroid, bulk, rowBytes) - h0, zone, zones, scores)
  keep(row, tail(sumLanes(s01), rows, c1, bulk, rowBytes) - h1, zone + 1, zones, scores)
  keep(row + 1, tail(sumLanes(s10), r1, centroid, bulk, rowBytes) - h0, zone, zones, scores)
  keep(row + 1, tail(sumLanes(s11), r1, c1, bulk, rowBytes) - h1, zone + 1, zones, scores)
  keep(row + 2, tail(sumLanes(s20), r2, centroid, bulk, rowBytes) - h0, zone, zones, scores)
  keep(row + 2, tail(sumLanes(s21), r2, c1, bulk, rowBytes) - h1, zone + 1, zones, scores)
  keep(row + 3, tail(sumLanes(s30), r3, centroid, bulk, rowBytes) - h0, zone, zones, scores)
  keep(row + 3, tail(sumLanes(s31), r3, c1, bulk, rowBytes) - h1, zone + 1, zones, scores)
}

/** One row against one centroid. */
function oneByOne(row: usize, rowBytes: usize, centroid: usize): f32 {
  const bulk = rowBytes & ~15
  let sum = f32x4.splat(0)
  for (let i: usize = 0; i < bulk; i += 16) sum = step(sum, v128.load(row + i), v128.load(centroid + i))
  return tail(sumLanes(sum), row, centroid, bulk, rowBytes)
}

/**
 * Writes the nearest centroid of each row (u32, count) and its score (float32, count); equal scores: the lower
 * centroid. rows: float32, count * dim; centroids: float32, zoneCount * dim; halfNorms: float32, zoneCount, |c|^2 / 2.
 */
export function assign(
  rows: usize,
  count: u32,
  dim: u32,
  centroids: usize,
  halfNorms: usize,
  zoneCount: u32,
  zones: usize,
  scores: usize
): void {
  const rowBytes = (<usize>dim) << 2
  for (let i: u32 = 0; i < count; i++) {
    store<f32>(scores + ((<usize>i) << 2), -Infinity)
    store<u32>(zones + ((<usize>i) << 2), 0)
  }
  const tile = max<u32>(2, (<u32>(TILE_BYTES / rowBytes)) & ~1)
  for (let first: u32 = 0; first < zoneCount; first += tile) {
    const end = min<u32>(first + tile, zoneCount)
    const pairsEnd = first + ((end - first) & ~1)
    const fours = count & ~3
    let i: u32 = 0
    for (; i < fours; i += 4) {
      const row = rows + <usize>i * rowBytes
      for (let z = first; z < pairsEnd; z += 2)
        fourByTwo(row, rowBytes, centroids + <usize>z * rowBytes, halfNorms, i, z, zones, scores)
    }
    for (i = 0; i < count; i++) {
      for (let z = i < fours ? pairsEnd : first; z < end; z++) {
        const score =
          oneByOne(rows + <usize>i * rowBytes, rowBytes, centroids + <usize>z * rowBytes) -
          load<f32>(halfNorms + ((<usize>z) << 2))
        keep(i, score, z, zones, scores)
      }
    }
  }
}
