// The random rotation of the quantizer: sign flips and fast Hadamard transforms over two overlapping windows of a power
// of two. After the structured rotations of Ailon and Chazelle, The fast Johnson-Lindenstrauss transform, section 2;
// the step that joins the halves is needed where the windows overlap in few dimensions only.
// A transform takes two to four stages at each pass over memory. Stages are in ascending order for each value, so that
// results are those of one stage after the other.

import { sqrtHalves } from './constants'

@inline
function evens(a: v128, b: v128): v128 {
  return f32x4.shuffle(a, b, 0, 2, 4, 6)
}

@inline
function odds(a: v128, b: v128): v128 {
  return f32x4.shuffle(a, b, 1, 3, 5, 7)
}

/**
 * Flips signs, then stages 1, 2, 4 and 8 for each 16 values; times `factor`. For eight values, each of the first three
 * takes even and odd places to sums and differences (Pease, An adaptation of the fast Fourier transform for parallel
 * processing, 1968): after three times they are back in order.
 */
function transformSixteens(values: usize, end: usize, flips: usize, factor: v128): void {
  for (; values < end; values += 64, flips += 64) {
    const a = v128.xor(v128.load(values), v128.load(flips)),
      b = v128.xor(v128.load(values, 16), v128.load(flips, 16)),
      c = v128.xor(v128.load(values, 32), v128.load(flips, 32)),
      d = v128.xor(v128.load(values, 48), v128.load(flips, 48))
    const ae = evens(a, b),
      ao = odds(a, b),
      ce = evens(c, d),
      co = odds(c, d)
    const a1 = f32x4.add(ae, ao),
      b1 = f32x4.sub(ae, ao),
      c1 = f32x4.add(ce, co),
      d1 = f32x4.sub(ce, co)
    const ae1 = evens(a1, b1),
      ao1 = odds(a1, b1),
      ce1 = evens(c1, d1),
      co1 = odds(c1, d1)
    const a2 = f32x4.add(ae1, ao1),
      b2 = f32x4.sub(ae1, ao1),
      c2 = f32x4.add(ce1, co1),
      d2 = f32x4.sub(ce1, co1)
    const ae2 = evens(a2, b2),
      ao2 = odds(a2, b2),
      ce2 = evens(c2, d2),
      co2 = odds(c2, d2)
    const a3 = f32x4.add(ae2, ao2),
      b3 = f32x4.sub(ae2, ao2),
      c3 = f32x4.add(ce2, co2),
      d3 = f32x4.sub(ce2, co2)
    v128.store(values, f32x4.mul(f32x4.add(a3, c3), factor))
    v128.store(values, f32x4.mul(f32x4.add(b3, d3), factor), 16)
    v128.store(values, f32x4.mul(f32x4.sub(a3, c3), factor), 32)
    v128.store(values, f32x4.mul(f32x4.sub(b3, d3), factor), 48)
  }
}

/** One stage between values `half` bytes apart, times `factor`. */
function oneStage(values: usize, end: usize, half: usize, factor: v128): void {
  for (; values < end; values += half) {
    for (const blockEnd = values + half; values < blockEnd; values += 16) {
      const a = v128.load(values),
        b = v128.load(values + half)
      v128.store(values, f32x4.mul(f32x4.add(a, b), factor))
      v128.store(values + half, f32x4.mul(f32x4.sub(a, b), factor))
    }
  }
}

/** Two stages: between values `half` bytes apart, then twice that. */
function twoStages(values: usize, end: usize, half: usize, factor: v128): void {
  for (; values < end; values += half * 3) {
    for (const blockEnd = values + half; values < blockEnd; values += 16) {
      const atB = values + half,
        atC = atB + half,
        atD = atC + half
      const a = v128.load(values),
        b = v128.load(atB),
        c = v128.load(atC),
        d = v128.load(atD)
      const a1 = f32x4.add(a, b),
        b1 = f32x4.sub(a, b),
        c1 = f32x4.add(c, d),
        d1 = f32x4.sub(c, d)
      v128.store(values, f32x4.mul(f32x4.add(a1, c1), factor))
      v128.store(atB, f32x4.mul(f32x4.add(b1, d1), factor))
      v128.store(atC, f32x4.mul(f32x4.sub(a1, c1), factor))
      v128.store(atD, f32x4.mul(f32x4.sub(b1, d1), factor))
    }
  }
}

/** Three stages: between values `half` bytes apart, then twice and four times that. */
function threeStages(values: usize, end: usize, half: usize, factor: v128): void {
  for (; values < end; values += half * 7) {
    for (const blockEnd = values + half; values < blockEnd; values += 16) {
      const atB = values + half,
        atC = atB + half,
        atD = atC + half,
        atE = atD + half,
        atF = atE + half,
        atG = atF + half,
        atH = atG + half
      const a = v128.load(values),
        b = v128.load(atB),
        c = v128.load(atC),
        d = v128.load(atD),
        e = v128.load(atE),
        f = v128.load(atF),
        g = v128.load(atG),
        h = v128.load(atH)
      const a1 = f32x4.add(a, b),
        b1 = f32x4.sub(a, b),
        c1 = f32x4.add(c, d),
        d1 = f32x4.sub(c, d),
        e1 = f32x4.add(e, f),
        f1 = f32x4.sub(e, f),
        g1 = f32x4.add(g, h),
        h1 = f32x4.sub(g, h)
      const a2 = f32x4.add(a1, c1),
        b2 = f32x4.add(b1, d1),
        c2 = f32x4.sub(a1, c1),
        d2 = f32x4.sub(b1, d1),
        e2 = f32x4.add(e1, g1),
        f2 = f32x4.add(f1, h1),
        g2 = f32x4.sub(e1, g1),
        h2 = f32x4.sub(f1, h1)
      v128.store(values, f32x4.mul(f32x4.add(a2, e2), factor))
      v128.store(atB, f32x4.mul(f32x4.add(b2, f2), factor))
      v128.store(atC, f32x4.mul(f32x4.add(c2, g2), factor))
      v128.store(atD, f32x4.mul(f32x4.add(d2, h2), factor))
      v128.store(atE, f32x4.mul(f32x4.sub(a2, e2), factor))
      v128.store(atF, f32x4.mul(f32x4.sub(b2, f2), factor))
      v128.store(atG, f32x4.mul(f32x4.sub(c2, g2), factor))
      v128.store(atH, f32x4.mul(f32x4.sub(d2, h2), factor))
    }
  }
}

/**
 * Flips signs of `length` float32 values, a power of two from 16 on, and takes their Hadamard transform, scaled to keep
 * lengths.
 */
function hadamard(values: usize, length: u32, flips: usize, scale: f32): void {
  const end = values + ((<usize>length) << 2)
  // Only the last pass scales; times 1 changes nothing.
  let factor = f32x4.splat(length == 16 ? scale : 1)
  transformSixteens(values, end, flips, factor)
  let half: usize = 64
  for (let left = length >>> 4; left > 1;) {
    const stages = left == 2 ? 1 : left == 4 || left == 16 ? 2 : 3
    left >>>= stages
    if (left == 1) factor = f32x4.splat(scale)
    if (stages == 3) threeStages(values, end, half, factor)
    else if (stages == 2) twoStages(values, end, half, factor)
    else oneStage(values, end, half, factor)
    half <<= stages
  }
}

/**
 * Joins each value from `values` to `end` with its fellow half a row further: a rotation by 45 degrees. Before that it
 * flips those of them that the window of this round left out.
 */
@inline
function joinHalves(values: usize, end: usize, half: usize, flips: usize, flipLow: bool, flipHigh: bool): void {
  const factor = sqrtHalves()
  for (; values < end; values += 16, flips += 16) {
    let a = v128.load(values),
      b = v128.load(values + half)
    if (flipLow) a = v128.xor(a, v128.load(flips))
    if (flipHigh) b = v128.xor(b, v128.load(flips + half))
    v128.store(values, f32x4.mul(f32x4.add(a, b), factor))
    v128.store(values + half, f32x4.mul(f32x4.sub(a, b), factor))
  }
}

/**
 * Rotates `count` rows in place. values: float32, count * width, width a multiple of 16; flips: u32, rounds * width, 0
 * or 0x80000000; window: the largest power of two that is not above width; scale: 1 / sqrt(window).
 */
export function rotateRows(
  values: usize,
  count: u32,
  width: u32,
  flips: usize,
  rounds: u32,
  window: u32,
  scale: f32
): void {
  const rowBytes = (<usize>width) << 2,
    outside = (<usize>(width - window)) << 2,
    half = rowBytes >>> 1
  for (let i: u32 = 0; i < count; i++, values += rowBytes) {
    const middle = values + half
    let flip = flips
    for (let round: u32 = 0; round < rounds; round++, flip += rowBytes) {
      if ((round & 1) == 0) {
        hadamard(values, window, flip, scale)
        if (outside == 0) continue
        const inside = half - outside
        joinHalves(values, values + inside, half, flip, false, false)
        joinHalves(values + inside, middle, half, flip + inside, false, true)
      } else {
        hadamard(values + outside, window, flip + outside, scale)
        if (outside == 0) continue
        joinHalves(values, values + outside, half, flip, true, false)
        joinHalves(values + outside, middle, half, flip, false, false)
      }
    }
  }
}
