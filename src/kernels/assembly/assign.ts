// Assignment of rows to their nearest centroid, for the build: many rows against many centroids.
// Uses |x - c|^2 = |x|^2 - 2 (<x,c> - |c|^2 / 2): the largest <x,c> - |c|^2 / 2 is nearest, at one product a value.
// Rows and centroids are 16-bit integers times a unit of their own, which is as small as products allow: sums of
// products stay below 2^31, since they are not above the product of the norms. Integer sums are exact, in any order.
// Rows and centroids should be centred by their common mean, or the difference of large numbers loses its digits.

/** Bytes of centroids that are held against all rows before the next ones are: a part of the L2 cache. */
const TILE_BYTES: usize = 256 * 1024
/** Largest value, and largest norm of a row, in its units: the square of the norm is below 2^31 with room to round. */
const MOST_VALUE: f32 = 32767
const MOST_NORM: f32 = 46000
/** Rows whose largest value is not above this count as zero. */
const LEAST_VALUE: f32 = 1e-33

/** Largest absolute value of a row. */
function largest(row: usize, rowBytes: usize): f32 {
  const bulk = rowBytes & ~15
  let lanes = f32x4.splat(0)
  for (let i: usize = 0; i < bulk; i += 16) lanes = f32x4.max(lanes, f32x4.abs(v128.load(row + i)))
  let most = max(
    max(f32x4.extract_lane(lanes, 0), f32x4.extract_lane(lanes, 1)),
    max(f32x4.extract_lane(lanes, 2), f32x4.extract_lane(lanes, 3))
  )
  for (let i = bulk; i < rowBytes; i += 4) most = max(most, abs(load<f32>(row + i)))
  return most
}

/** Euclidean norm of a row times `scale`: lanes as in distances.ts, with one accumulator. */
function scaledNorm(row: usize, rowBytes: usize, scale: f32): f32 {
  const bulk = rowBytes & ~15
  const scales = f32x4.splat(scale)
  let lanes = f32x4.splat(0)
  for (let i: usize = 0; i < bulk; i += 16) {
    const x = f32x4.mul(v128.load(row + i), scales)
    lanes = f32x4.add(lanes, f32x4.mul(x, x))
  }
  let sum =
    f32x4.extract_lane(lanes, 0) +
    f32x4.extract_lane(lanes, 1) +
    (f32x4.extract_lane(lanes, 2) + f32x4.extract_lane(lanes, 3))
  for (let i = bulk; i < rowBytes; i += 4) {
    const x = load<f32>(row + i) * scale
    sum += x * x
  }
  return sqrt<f32>(sum)
}

/**
 * Writes rows as integers (i16, count * width, zeros behind dim) and their units (float32, count; 0 for a row of
 * zeros). rows: float32, count * dim; width: dim rounded up to 8.
 */
export function quantizeRows(rows: usize, count: u32, dim: u32, out: usize, units: usize): void {
  const rowBytes = (<usize>dim) << 2
  const outBytes = ((<usize>dim + 7) & ~7) << 1
  const bulk = rowBytes & ~15
  for (let i: u32 = 0; i < count; i++, rows += rowBytes, out += outBytes, units += 4) {
    const most = largest(rows, rowBytes)
    if (!(most > LEAST_VALUE)) {
      memory.fill(out, 0, outBytes)
      store<f32>(units, 0)
      continue
    }
    const scale = min(MOST_VALUE, MOST_NORM / scaledNorm(rows, rowBytes, 1 / most)) / most
    store<f32>(units, 1 / scale)
    const scales = f32x4.splat(scale)
    let at: usize = 0
    for (; at < bulk; at += 16) {
      const nearest = f32x4.nearest(f32x4.mul(v128.load(rows + at), scales))
      const words = i32x4.trunc_sat_f32x4_s(nearest)
      v128.store64_lane(out + (at >> 1), i16x8.narrow_i32x4_s(words, words), 0)
    }
    for (; at < rowBytes; at += 4) store<i16>(out + (at >> 1), <i16>nearest<f32>(load<f32>(rows + at) * scale))
    for (let end = rowBytes >> 1; end < outBytes; end += 2) store<i16>(out + end, 0)
  }
}

@inline
function step(sum: v128, x: v128, c: v128): v128 {
  return i32x4.add(sum, i32x4.dot_i16x8_s(x, c))
}

@inline
function sumPairs(a: v128, b: v128): v128 {
  return i32x4.add(v128.shuffle<i32>(a, b, 0, 2, 4, 6), v128.shuffle<i32>(a, b, 1, 3, 5, 7))
}

/** Keeps a centroid for those of four rows that are nearest to it; products: of the rows, integers. */
@inline
function keepFour(
  products: v128,
  units: usize,
  unit: f32,
  halfNorm: f32,
  zone: u32,
  zones: usize,
  scores: usize
): void {
  const values = f32x4.mul(f32x4.mul(f32x4.convert_i32x4_s(products), f32x4.splat(unit)), v128.load(units))
  const found = f32x4.sub(values, f32x4.splat(halfNorm))
  const best = v128.load(scores)
  const isNearer = f32x4.gt(found, best)
  if (!v128.any_true(isNearer)) return
  v128.store(scores, v128.bitselect(found, best, isNearer))
  v128.store(zones, v128.bitselect(i32x4.splat(zone), v128.load(zones), isNearer))
}

/** Four rows against two centroids: eight sums share six loads. */
function fourByTwo(
  row: usize,
  units: usize,
  centroid: usize,
  rowBytes: usize,
  centroidUnits: usize,
  halfNorms: usize,
  zone: u32,
  zones: usize,
  scores: usize
): void {
  const r1 = row + rowBytes,
    r2 = r1 + rowBytes,
    r3 = r2 + rowBytes,
    c1 = centroid + rowBytes
  let s00 = i32x4.splat(0),
    s10 = i32x4.splat(0),
    s20 = i32x4.splat(0),
    s30 = i32x4.splat(0)
  let s01 = i32x4.splat(0),
    s11 = i32x4.splat(0),
    s21 = i32x4.splat(0),
    s31 = i32x4.splat(0)
  for (let i: usize = 0; i < rowBytes; i += 16) {
    const c = v128.load(centroid + i),
      d = v128.load(c1 + i)
    const x0 = v128.load(row + i)
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
  const at = (<usize>zone) << 2
  const first = sumPairs(sumPairs(s00, s10), sumPairs(s20, s30))
  const second = sumPairs(sumPairs(s01, s11), sumPairs(s21, s31))
  keepFour(first, units, load<f32>(centroidUnits + at), load<f32>(halfNorms + at), zone, zones, scores)
  keepFour(second, units, load<f32>(centroidUnits + at, 4), load<f32>(halfNorms + at, 4), zone + 1, zones, scores)
}

/** The product of one row and one centroid. */
function oneByOne(row: usize, centroid: usize, rowBytes: usize): i32 {
  let sum = i32x4.splat(0)
  for (let i: usize = 0; i < rowBytes; i += 16) sum = step(sum, v128.load(row + i), v128.load(centroid + i))
  const pairs = sumPairs(sum, sum)
  return i32x4.extract_lane(pairs, 0) + i32x4.extract_lane(pairs, 1)
}

/**
 * Writes the nearest centroid of each row (u32, count) and its score (float32, count); equal scores: the lower
 * centroid. rows: i16, count * width, with their units (float32, count); centroids: the same, zoneCount; halfNorms:
 * float32, zoneCount, |c|^2 / 2. width: a multiple of 8.
 */
export function assign(
  rows: usize,
  units: usize,
  count: u32,
  width: u32,
  centroids: usize,
  centroidUnits: usize,
  halfNorms: usize,
  zoneCount: u32,
  zones: usize,
  scores: usize
): void {
  const rowBytes = (<usize>width) << 1
  for (let i: u32 = 0; i < count; i++) {
    store<f32>(scores + ((<usize>i) << 2), -Infinity)
    store<u32>(zones + ((<usize>i) << 2), 0)
  }
  const tile = max<u32>(2, (<u32>(TILE_BYTES / rowBytes)) & ~1)
  for (let first: u32 = 0; first < zoneCount; first += tile) {
    const end = min<u32>(first + tile, zoneCount)
    const pairsEnd = first + ((end - first) & ~1)
    const fours = count & ~3
    for (let i: u32 = 0; i < fours; i += 4) {
      const row = rows + <usize>i * rowBytes
      const at = (<usize>i) << 2
      for (let z = first; z < pairsEnd; z += 2)
        fourByTwo(
          row,
          units + at,
          centroids + <usize>z * rowBytes,
          rowBytes,
          centroidUnits,
          halfNorms,
          z,
          zones + at,
          scores + at
        )
    }
    for (let i: u32 = 0; i < count; i++) {
      const at = (<usize>i) << 2
      for (let z = i < fours ? pairsEnd : first; z < end; z++) {
        const product = <f32>oneByOne(rows + <usize>i * rowBytes, centroids + <usize>z * rowBytes, rowBytes)
        const zoneAt = (<usize>z) << 2
        const score =
          product * load<f32>(centroidUnits + zoneAt) * load<f32>(units + at) - load<f32>(halfNorms + zoneAt)
        if (score > load<f32>(scores + at)) {
          store<f32>(scores + at, score)
          store<u32>(zones + at, z)
        }
      }
    }
  }
}
