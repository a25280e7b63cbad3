// Seeded random numbers for tests. Every test that uses them names its seed in what it prints.

/** Creates a generator of numbers in [0, 1): mulberry32. */
export function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Makes one value of a vector from a random number in [0, 1). */
export type MakeValue = (random: () => number) => number

/** Fills `count` vectors of `dim` values; none of them is all zeros, so that cosine takes them. */
export function randomVectors(
  shape: { count: number; dim: number },
  random: () => number,
  value: MakeValue
): Float32Array {
  const vectors = Float32Array.from({ length: shape.count * shape.dim }, () => value(random))
  for (let i = 0; i < shape.count; i++) {
    const vector = vectors.subarray(i * shape.dim, (i + 1) * shape.dim)
    if (vector.every((x) => x === 0)) vector[0] = 1
  }
  return vectors
}

/** Values that sums of 4,096 products hold exactly, in float32 too. */
export const smallInteger: MakeValue = (random) => Math.floor(random() * 17) - 8

/** Values of both signs from 1e-3 to 1e3. */
export const anyFloat: MakeValue = (random) => Math.fround((random() < 0.5 ? -1 : 1) * 10 ** (random() * 6 - 3))
