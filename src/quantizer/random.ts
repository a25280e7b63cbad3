// The seeded generator of a build: the only randomness there is.

import { highWord } from '../format/u64.ts'

/**
 * Returns a function that yields uniform numbers in [0, 1): splitmix32, after Steele, Lea, Flood, "Fast splittable
 * pseudorandom number generators" (2014).
 * `drawn`: numbers to leave out, as if they had been drawn.
 */
export function seededRandom(seed: number, drawn = 0): () => number {
  let state = ((seed ^ highWord(seed)) + Math.imul(0x9e3779b9, drawn)) >>> 0
  return () => {
    state = (state + 0x9e3779b9) >>> 0
    let z = state
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32
  }
}

/** Picks `wanted` of `count` row numbers, ascending and distinct: one at random from each of `wanted` equal strata. */
export function sampleRows(count: number, wanted: number, random: () => number): number[] {
  return sampleSome({ count, wanted }, { first: 0, end: wanted }, random)
}

/** Picks those from `first` to `end`; `random` must have drawn `first` numbers before. */
export function sampleSome(
  of: { readonly count: number; readonly wanted: number },
  range: { readonly first: number; readonly end: number },
  random: () => number
): number[] {
  const { count, wanted } = of
  const rows: number[] = []
  for (let i = range.first; i < range.end; i++) {
    const start = Math.floor((i * count) / wanted)
    const end = Math.floor(((i + 1) * count) / wanted)
    rows.push(start + Math.floor(random() * (end - start)))
  }
  return rows
}
