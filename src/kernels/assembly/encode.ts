// RaBitQ codes of rotated residuals. Gao et al., Practical and asymptotically optimal quantization of high-dimensional
// vectors in Euclidean space for approximate nearest neighbor search (2025), section 3; Gao and Long, RaBitQ (2024),
// section 3. A residual r gets levels u_i = code_i - (2^bits - 1) / 2; its factors make an estimate of a distance
// linear in <u, q'>. Blocks and rows are laid out as in format-spec/README.md, section 8.

import {
  BLOCK_MULTIPLY_AT,
  BLOCK_ROWS,
  BLOCK_SPREAD_AT,
  FACTOR_ADD_AT,
  FACTOR_ERROR_AT,
  FACTOR_MULTIPLY_AT,
  METRIC_COSINE,
  METRIC_IP,
  REFINED_FACTOR_BYTES
} from '../layouts'
import { halves } from './constants'
import { sumLanes } from './distances'

/** Scales that are tried for the levels, as multiples of the best one for normal values. */
const SCALES: u32 = 12
const SCALE_FIRST: f32 = 0.64
const SCALE_RATIO: f32 = 1.08
/** Keeps scales of the smallest residuals finite: 0 times infinity is no magnitude. */
const LARGEST_SCALE: f32 = 1e38

/** Number of a value's magnitude among the levels of one sign: min(2^(bits-1) - 1, floor(|r| * scale)). */
@inline
function magnitudes(r: v128, scale: v128, last: v128): v128 {
  return f32x4.pmin(f32x4.floor(f32x4.mul(f32x4.abs(r), scale)), last)
}

/** Returns a scale whose levels have about the smallest angle to the residual. */
function chooseScale(residual: usize, width: u32, bits: u32, norm2: f32): f32 {
  return bits == 8 ? scaleOfLargest(residual, width) : bestScale(residual, width, bits, norm2)
}

/**
 * Returns the scale that gives the largest value the last of 128 levels of one sign. With so many, none of the values
 * is better cut off: the error is 1 % above the least at 1,536 dimensions, 5 % at 128.
 */
function scaleOfLargest(residual: usize, width: u32): f32 {
  const end = residual + ((<usize>width) << 2)
  let largest = f32x4.splat(0)
  for (let at = residual; at < end; at += 16) largest = f32x4.max(largest, f32x4.abs(v128.load(at)))
  const a = max<f32>(f32x4.extract_lane(largest, 0), f32x4.extract_lane(largest, 1)),
    b = max<f32>(f32x4.extract_lane(largest, 2), f32x4.extract_lane(largest, 3))
  return min<f32>(128 / max<f32>(a, b), LARGEST_SCALE)
}

/** Returns that of some scales whose levels have the smallest angle to the residual. */
function bestScale(residual: usize, width: u32, bits: u32, norm2: f32): f32 {
  const end = residual + ((<usize>width) << 2)
  const last = f32x4.splat(<f32>((1 << (bits - 1)) - 1))
  const half = halves()
  let scale = (bits == 2 ? <f32>1 : <f32>2.98) * SCALE_FIRST * <f32>Math.sqrt(<f64>width / <f64>norm2)
  scale = min<f32>(scale, LARGEST_SCALE)
  let best = scale
  let bestFit: f32 = -1
  for (let i: u32 = 0; i < SCALES; i++, scale *= SCALE_RATIO) {
    const factor = f32x4.splat(scale)
    let dot = f32x4.splat(0),
      squares = dot
    for (let at = residual; at < end; at += 16) {
      const r = v128.load(at)
      const level = f32x4.add(magnitudes(r, factor, last), half)
      dot = f32x4.add(dot, f32x4.mul(level, f32x4.abs(r)))
      squares = f32x4.add(squares, f32x4.mul(level, level))
    }
    const product = sumLanes(dot)
    const fit = (product * product) / sumLanes(squares)
    if (fit > bestFit) {
      bestFit = fit
      best = scale
    }
  }
  return best
}

/**
 * Writes the codes of one residual, one u8 a dimension, with its factors {add, multiply, error} as three float32.
 * residual, centroid: float32, width, rotated; cross: <r, c> before rotation (ip).
 */
function encodeRow(
  residual: usize,
  centroid: usize,
  width: u32,
  bits: u32,
  metric: u32,
  cross: f32,
  codes: usize,
  factors: usize
): void {
  let norm2: f64 = 0
  for (let i: u32 = 0; i < width; i++) {
    const r = <f64>load<f32>(residual + ((<usize>i) << 2))
    norm2 += r * r
  }
  const scale = bits == 1 || norm2 == 0 ? <f32>1 : chooseScale(residual, width, bits, <f32>norm2)
  const levels: f32 = <f32>(1 << (bits - 1))
  let product: f64 = 0,
    squares: f64 = 0,
    withCentroid: f64 = 0
  for (let i: u32 = 0; i < width; i++) {
    const r = load<f32>(residual + ((<usize>i) << 2))
    const magnitude = min<f32>(Mathf.floor(Mathf.abs(r) * scale), levels - 1)
    const code = r < 0 ? levels - 1 - magnitude : levels + magnitude
    const u = <f64>code - (<f64>levels - 0.5)
    product += u * <f64>r
    squares += u * u
    withCentroid += u * <f64>load<f32>(centroid + ((<usize>i) << 2))
    store<u8>(codes + i, <u8>code)
  }
  let add: f64 = 0,
    multiply: f64 = 0,
    error: f64 = 0
  if (norm2 > 0) {
    const w = norm2 / product
    const spread = Math.sqrt(max<f64>(0, squares - (product * product) / norm2) / <f64>(width - 1))
    add = metric == METRIC_IP ? w * withCentroid : norm2 + 2 * w * withCentroid
    multiply = metric == METRIC_IP ? w : 2 * w
    if (metric == METRIC_COSINE) {
      add /= 2
      multiply /= 2
    }
    error = multiply * spread
  }
  if (metric == METRIC_IP) add -= <f64>cross
  // Too large for float32: as a place without a row. Not NaN, whose bits differ between processors.
  const isFinite32 = Mathf.abs(<f32>add) < Infinity && <f32>multiply < Infinity && <f32>error < Infinity
  store<f32>(factors, isFinite32 ? <f32>add : <f32>Infinity, FACTOR_ADD_AT)
  store<f32>(factors, isFinite32 ? <f32>multiply : <f32>0, FACTOR_MULTIPLY_AT)
  store<f32>(factors, isFinite32 ? <f32>error : <f32>0, FACTOR_ERROR_AT)
}

/**
 * Packs the top bit of 32 rows of codes into a plane: for each group of 4 dimensions 16 bytes, row i in the low half of
 * byte i, row 16 + i in the high.
 */
function packPlane(codes: usize, count: u32, width: u32, plane: usize): void {
  memory.fill(plane, 0, (<usize>width) << 2)
  for (let row: u32 = 0; row < count; row++) {
    const from = codes + <usize>row * width
    const to = plane + (row & 15)
    const shift = row & 16 ? 4 : 0
    for (let i: u32 = 0; i < width; i += 4) {
      const bits =
        (<u32>load<u8>(from + i)) |
        ((<u32>load<u8>(from + i, 1)) << 1) |
        ((<u32>load<u8>(from + i, 2)) << 2) |
        ((<u32>load<u8>(from + i, 3)) << 3)
      const at = to + ((<usize>i) << 2)
      store<u8>(at, <u8>(load<u8>(at) | (bits << shift)))
    }
  }
}

/** Packs codes of `bits` bits: byte i holds dimensions i, i + width * bits / 8, ..., lowest bits first. */
function packRow(codes: usize, width: u32, bits: u32, target: usize): void {
  const step = (width * bits) >>> 3
  for (let i: u32 = 0; i < step; i++) {
    let byte: u32 = 0
    for (let part: u32 = 0, at = i; part < 8; part += bits, at += step) byte |= (<u32>load<u8>(codes + at)) << part
    store<u8>(target + i, <u8>byte)
  }
}

/**
 * Encodes the up to 32 rows of a block. residuals: float32, count * width, rotated; crosses: float32, count (ip);
 * block: written, sign planes with their factors; refined: written if bits > 1, one row after the other; codes:
 * scratch, 32 * width bytes.
 */
export function encodeBlock(
  residuals: usize,
  crosses: usize,
  centroid: usize,
  count: u32,
  width: u32,
  bits: u32,
  metric: u32,
  block: usize,
  refined: usize,
  codes: usize
): void {
  const plane = (<usize>width) << 2
  const adds = block + plane,
    multiplies = adds + BLOCK_MULTIPLY_AT,
    spreadAt = adds + BLOCK_SPREAD_AT
  let spread: f32 = 0
  const factors = block // the plane's place serves as scratch until the rows are done
  for (let row: u32 = 0; row < <u32>BLOCK_ROWS; row++) {
    const at = (<usize>row) << 2
    if (row >= count) {
      store<f32>(adds + at, Infinity)
      store<f32>(multiplies + at, 0)
      continue
    }
    const cross = metric == METRIC_IP ? load<f32>(crosses + at) : <f32>0
    encodeRow(residuals + <usize>row * plane, centroid, width, 1, metric, cross, codes + <usize>row * width, factors)
    const multiply = load<f32>(factors, FACTOR_MULTIPLY_AT)
    store<f32>(adds + at, load<f32>(factors, FACTOR_ADD_AT))
    store<f32>(multiplies + at, multiply)
    if (multiply > 0) spread = max<f32>(spread, load<f32>(factors, FACTOR_ERROR_AT) / multiply)
  }
  v128.store(spreadAt, f32x4(spread, 0, 0, 0))
  packPlane(codes, count, width, block)
  if (bits == 1) return
  const rowBytes = <usize>((width * bits) >>> 3) + REFINED_FACTOR_BYTES
  for (let row: u32 = 0; row < count; row++, refined += rowBytes) {
    const cross = metric == METRIC_IP ? load<f32>(crosses + ((<usize>row) << 2)) : <f32>0
    encodeRow(residuals + <usize>row * plane, centroid, width, bits, metric, cross, codes, refined)
    packRow(codes, width, bits, refined + REFINED_FACTOR_BYTES)
  }
}
