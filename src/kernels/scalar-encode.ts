// Making codes in the scalar kernel: twins of assembly/rotate.ts and assembly/encode.ts, whose comments say what is
// computed and why. float32 is rounded at each step, as there; sums over dimensions are in double precision, one
// dimension after the other, unless said otherwise.

import type { EncodeRun } from './kernel.ts'
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
} from './layouts.ts'
import type { ScalarViews } from './scalar-views.ts'

const round = Math.fround
const SQRT_HALF = round(Math.SQRT1_2)
const SCALES = 12
const SCALE_FIRST = round(0.64)
const SCALE_RATIO = round(1.08)
const LARGEST_SCALE = round(1e38)
const SCALE_TWO_BITS = 1
const SCALE_FOUR_BITS = round(2.98)

/** Hadamard transform of `length` values from index `first` on, scaled. */
function hadamard(floats: Float32Array, first: number, length: number, scale: number): void {
  for (let half = 1; half < length; half *= 2) {
    for (let block = first; block < first + length; block += half * 2) {
      for (let at = block; at < block + half; at++) {
        const a = floats[at],
          b = floats[at + half]
        floats[at] = a + b
        floats[at + half] = a - b
      }
    }
  }
  for (let at = first; at < first + length; at++) floats[at] *= scale
}

function joinHalves(floats: Float32Array, first: number, length: number): void {
  const half = length / 2
  for (let at = first; at < first + half; at++) {
    const a = floats[at],
      b = floats[at + half]
    floats[at] = round(a + b) * SQRT_HALF
    floats[at + half] = round(a - b) * SQRT_HALF
  }
}

/** How rows are rotated: see assembly/rotate.ts. */
export interface Rotation {
  readonly width: number
  readonly flips: number
  readonly rounds: number
  readonly window: number
  readonly scale: number
}

/** Rotates `count` rows in place. */
export function rotateRows({ words, floats }: ScalarViews, rows: number, count: number, rotation: Rotation): void {
  const { width, flips, rounds, window } = rotation
  const scale = round(rotation.scale)
  for (let row = 0; row < count; row++) {
    const first = rows / 4 + row * width
    for (let number = 0; number < rounds; number++) {
      const flip = flips / 4 + number * width
      for (let i = 0; i < width; i++) words[first + i] ^= words[flip + i]
      hadamard(floats, number % 2 === 1 ? first + width - window : first, window, scale)
      if (window !== width) joinHalves(floats, first, width)
    }
  }
}

/** Number of a value's magnitude among the levels of one sign. */
function magnitudeOf(r: number, scale: number, last: number): number {
  return Math.min(Math.floor(round(Math.abs(r) * scale)), last)
}

function chooseScale(
  floats: Float32Array,
  residual: number,
  run: { width: number; bits: number; norm2: number }
): number {
  return run.bits === 8 ? scaleOfLargest(floats, residual, run.width) : bestScale(floats, residual, run)
}

function scaleOfLargest(floats: Float32Array, residual: number, width: number): number {
  let largest = 0
  for (let i = residual; i < residual + width; i++) largest = Math.max(largest, Math.abs(floats[i]))
  return Math.min(round(128 / largest), LARGEST_SCALE)
}

/** Sums are in float32 over 4 lanes, joined as (0 + 1) + (2 + 3). `residual` is an index into floats. */
function bestScale(
  floats: Float32Array,
  residual: number,
  run: { width: number; bits: number; norm2: number }
): number {
  const { width, bits, norm2 } = run
  const last = 2 ** (bits - 1) - 1
  const dots = new Float32Array(4),
    squares = new Float32Array(4)
  let scale = round(
    round((bits === 2 ? SCALE_TWO_BITS : SCALE_FOUR_BITS) * SCALE_FIRST) * round(Math.sqrt(width / norm2))
  )
  scale = Math.min(scale, LARGEST_SCALE)
  let best = scale
  let bestFit = -1
  for (let i = 0; i < SCALES; i++, scale = round(scale * SCALE_RATIO)) {
    dots.fill(0)
    squares.fill(0)
    for (let j = 0; j < width; j++) {
      const r = floats[residual + j]
      const level = magnitudeOf(r, scale, last) + 0.5
      dots[j & 3] += round(level * Math.abs(r))
      squares[j & 3] += level * level
    }
    const product = sumLanes(dots)
    const fit = round(round(product * product) / sumLanes(squares))
    if (fit > bestFit) {
      bestFit = fit
      best = scale
    }
  }
  return best
}

function sumLanes(lanes: Float32Array): number {
  return round(round(lanes[0] + lanes[1]) + round(lanes[2] + lanes[3]))
}

/** One row to encode; pointers as in EncodeRun. */
interface RowRun {
  readonly residual: number
  readonly centroid: number
  readonly width: number
  readonly bits: number
  readonly metric: number
  readonly cross: number
  /** u8, width: written */
  readonly codes: number
  /** Three float32: written. */
  readonly factors: number
}

function encodeRow({ bytes, floats }: ScalarViews, run: RowRun): void {
  const { width, bits, metric, codes } = run
  const residual = run.residual / 4,
    centroid = run.centroid / 4
  let norm2 = 0
  for (let i = 0; i < width; i++) norm2 += floats[residual + i] * floats[residual + i]
  const scale = bits === 1 || norm2 === 0 ? 1 : chooseScale(floats, residual, { width, bits, norm2: round(norm2) })
  const levels = 2 ** (bits - 1)
  let product = 0,
    squares = 0,
    withCentroid = 0
  for (let i = 0; i < width; i++) {
    const r = floats[residual + i]
    const magnitude = magnitudeOf(r, scale, levels - 1)
    const code = r < 0 ? levels - 1 - magnitude : levels + magnitude
    const u = code - (levels - 0.5)
    product += u * r
    squares += u * u
    withCentroid += u * floats[centroid + i]
    bytes[codes + i] = code
  }
  let add = 0,
    multiply = 0,
    error = 0
  if (norm2 > 0) {
    const w = norm2 / product
    const spread = Math.sqrt(Math.max(0, squares - (product * product) / norm2) / (width - 1))
    add = metric === METRIC_IP ? w * withCentroid : norm2 + 2 * w * withCentroid
    multiply = metric === METRIC_IP ? w : 2 * w
    if (metric === METRIC_COSINE) {
      add /= 2
      multiply /= 2
    }
    error = multiply * spread
  }
  if (metric === METRIC_IP) add -= run.cross
  const isFinite32 = [add, multiply, error].every((factor) => Number.isFinite(round(factor)))
  floats[(run.factors + FACTOR_ADD_AT) / 4] = isFinite32 ? add : Infinity
  floats[(run.factors + FACTOR_MULTIPLY_AT) / 4] = isFinite32 ? multiply : 0
  floats[(run.factors + FACTOR_ERROR_AT) / 4] = isFinite32 ? error : 0
}

function packPlane(bytes: Uint8Array, run: EncodeRun): void {
  const { codes, count, width, block } = run
  bytes.fill(0, block, block + width * 4)
  for (let row = 0; row < count; row++) {
    const from = codes + row * width
    const shift = row >= 16 ? 4 : 0
    for (let i = 0; i < width; i += 4) {
      const bits =
        bytes[from + i] | (bytes[from + i + 1] << 1) | (bytes[from + i + 2] << 2) | (bytes[from + i + 3] << 3)
      bytes[block + (row & 15) + i * 4] |= bits << shift
    }
  }
}

function packRow(bytes: Uint8Array, codes: number, target: number, shape: { width: number; bits: number }): void {
  const step = (shape.width * shape.bits) / 8
  for (let i = 0; i < step; i++) {
    let byte = 0
    for (let part = 0, at = codes + i; part < 8; part += shape.bits, at += step) byte |= bytes[at] << part
    bytes[target + i] = byte
  }
}

/** Encodes the up to 32 rows of a block. */
export function encodeBlock(views: ScalarViews, run: EncodeRun): void {
  const { count, width, bits, metric, centroid, block, codes } = run
  const { bytes, floats } = views
  const adds = block / 4 + width,
    multiplies = adds + BLOCK_MULTIPLY_AT / 4,
    spreadAt = adds + BLOCK_SPREAD_AT / 4
  const rowOf = (row: number): { residual: number; cross: number } => ({
    residual: run.residuals + row * width * 4,
    cross: metric === METRIC_IP ? floats[run.crosses / 4 + row] : 0
  })
  floats.fill(0, spreadAt, spreadAt + 4)
  for (let row = 0; row < BLOCK_ROWS; row++) {
    if (row >= count) {
      floats[adds + row] = Infinity
      floats[multiplies + row] = 0
      continue
    }
    encodeRow(views, { ...rowOf(row), centroid, width, bits: 1, metric, codes: codes + row * width, factors: block })
    const multiply = floats[(block + FACTOR_MULTIPLY_AT) / 4]
    floats[adds + row] = floats[(block + FACTOR_ADD_AT) / 4]
    floats[multiplies + row] = multiply
    if (multiply > 0)
      floats[spreadAt] = Math.max(floats[spreadAt], round(floats[(block + FACTOR_ERROR_AT) / 4] / multiply))
  }
  packPlane(bytes, run)
  if (bits === 1) return
  const rowBytes = REFINED_FACTOR_BYTES + (width * bits) / 8
  for (let row = 0; row < count; row++) {
    const refined = run.refined + row * rowBytes
    encodeRow(views, { ...rowOf(row), centroid, width, bits, metric, codes, factors: refined })
    packRow(bytes, codes, refined + REFINED_FACTOR_BYTES, { width, bits })
  }
}
