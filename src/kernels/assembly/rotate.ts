// The random rotation of the quantizer: sign flips and fast Hadamard transforms over two overlapping windows of a power
// of two. After the structured rotations of Ailon and Chazelle, The fast Johnson-Lindenstrauss transform, section 2;
// the step that joins the halves is needed where the windows overlap in few dimensions only.

const SQRT_HALF: f32 = 0.7071067811865475244

/** One butterfly stage of distance 1 and 2 within four values: (a+b, a-b, c+d, c-d), then (a+c, b+d, a-c, b-d). */
@inline
function hadamardFour(v: v128): v128 {
  const swapped = i8x16.shuffle(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11)
  const first = f32x4.add(f32x4.mul(v, f32x4(1, -1, 1, -1)), swapped)
  const crossed = i8x16.shuffle(first, first, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7)
  return f32x4.add(f32x4.mul(first, f32x4(1, 1, -1, -1)), crossed)
}

/** Hadamard transform of `length` float32 values, a power of two from 16 on, scaled to keep lengths. */
function hadamard(values: usize, length: u32, scale: f32): void {
  const end = values + ((<usize>length) << 2)
  for (let at = values; at < end; at += 16) v128.store(at, hadamardFour(v128.load(at)))
  const factor = f32x4.splat(scale)
  for (let half: usize = 16; half < (<usize>length) << 2; half <<= 1) {
    for (let block = values; block < end; block += half << 1) {
      for (let at = block; at < block + half; at += 16) {
        const a = v128.load(at),
          b = v128.load(at + half)
        v128.store(at, f32x4.add(a, b))
        v128.store(at + half, f32x4.sub(a, b))
      }
    }
  }
  for (let at = values; at < end; at += 16) v128.store(at, f32x4.mul(v128.load(at), factor))
}

/** Joins each value of the first half with its fellow in the second: a rotation by 45 degrees. */
function joinHalves(values: usize, length: u32): void {
  const half = (<usize>length) << 1
  const factor = f32x4.splat(SQRT_HALF)
  for (let at = values; at < values + half; at += 16) {
    const a = v128.load(at),
      b = v128.load(at + half)
    v128.store(at, f32x4.mul(f32x4.add(a, b), factor))
    v128.store(at + half, f32x4.mul(f32x4.sub(a, b), factor))
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
  const rowBytes = (<usize>width) << 2
  for (let i: u32 = 0; i < count; i++, values += rowBytes) {
    let flip = flips
    for (let round: u32 = 0; round < rounds; round++) {
      for (let at = values; at < values + rowBytes; at += 16, flip += 16)
        v128.store(at, v128.xor(v128.load(at), v128.load(flip)))
      hadamard(round & 1 ? values + ((<usize>(width - window)) << 2) : values, window, scale)
      if (window != width) joinHalves(values, width)
    }
  }
}
