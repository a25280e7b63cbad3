// Made-up sets on which a promised recall is easily missed: near copies, tight clusters, heavy tails; and ordinary ones
// beside them, so that nothing is tuned to one. float32 rows, from a seed.

import { normalRows, uniform } from './random.ts'

/** Distance of a near copy from its original, in each dimension, where values have a deviation of 1. */
const COPY_NOISE = 0.02

export interface PromiseSet {
  readonly dim: number
  /** float32, count * dim */
  readonly rows: Float32Array
  /** By kind: float32, queryCount * dim. None of them is a row. */
  readonly queries: Readonly<Record<string, Float32Array>>
}

export interface PromiseShape {
  readonly count: number
  readonly queryCount: number
  readonly seed: number
}

type MakeSet = (shape: PromiseShape) => PromiseSet

/** Takes the first `queryCount` rows as queries. */
function holdOut(dim: number, make: (count: number, seed: number) => Float32Array): MakeSet {
  return ({ count, queryCount, seed }) => {
    const all = make(count + queryCount, seed)
    return { dim, rows: all.slice(queryCount * dim), queries: { like: all.slice(0, queryCount * dim) } }
  }
}

/**
 * Gaussian originals, of which every `each`-th has `copies` near copies in the place of one; queries `alone` are
 * Gaussian, queries `copied` near copies of those that have copies.
 */
function copied(copies: number, each: number): MakeSet {
  return ({ count, queryCount, seed }) => {
    const dim = 32
    const perGroup = copies + each - 1
    const originals = normalRows(seed, Math.ceil(count / perGroup) * each * dim)
    const noise = normalRows(seed + 1, count * dim)
    const rows = new Float32Array(count * dim)
    for (let row = 0; row < count; row++) {
      const inGroup = row % perGroup
      const original = Math.floor(row / perGroup) * each + Math.max(0, inGroup - copies + 1)
      for (let i = 0; i < dim; i++)
        rows[row * dim + i] = originals[original * dim + i] + COPY_NOISE * noise[row * dim + i]
    }
    const near = normalRows(seed + 2, queryCount * dim)
    const next = uniform(seed + 3)
    for (let query = 0; query < queryCount; query++) {
      const original = Math.floor((next() * count) / perGroup) * each
      for (let i = 0; i < dim; i++)
        near[query * dim + i] = originals[original * dim + i] + COPY_NOISE * near[query * dim + i]
    }
    return { dim, rows, queries: { alone: normalRows(seed + 4, queryCount * dim), copied: near } }
  }
}

/** Gaussian rows around Gaussian centres. */
function clusters(shape: { dim: number; centres: number; noise: number; strangers?: boolean }): MakeSet {
  const { dim, centres, noise } = shape
  const made = holdOut(dim, (count, seed) => {
    const points = normalRows(seed, centres * dim)
    const rows = normalRows(seed + 1, count * dim)
    const next = uniform(seed + 2)
    for (let row = 0; row < count; row++) {
      const centre = Math.floor(next() * centres)
      for (let i = 0; i < dim; i++) rows[row * dim + i] = points[centre * dim + i] + noise * rows[row * dim + i]
    }
    return rows
  })
  if (shape.strangers !== true) return made
  return (wanted) => {
    const set = made(wanted)
    return { ...set, queries: { ...set.queries, unlike: normalRows(wanted.seed + 3, wanted.queryCount * dim) } }
  }
}

/** Gaussian rows of lengths exp(spread * g). */
const manyNorms = (dim: number, spread: number): MakeSet =>
  holdOut(dim, (count, seed) => {
    const rows = normalRows(seed, count * dim)
    const lengths = normalRows(seed + 1, count)
    return rows.map((value, i) => value * Math.exp(spread * lengths[Math.floor(i / dim)]))
  })

/** Gaussian rows of a subspace, with some noise around it, far from the origin. */
const lowRank = (dim: number, rank: number, mean: number): MakeSet =>
  holdOut(dim, (count, seed) => {
    const axes = normalRows(seed, rank * dim)
    const places = normalRows(seed + 1, count * rank)
    const rows = normalRows(seed + 2, count * dim)
    for (let row = 0; row < count; row++) {
      for (let i = 0; i < dim; i++) {
        let value = mean + 0.1 * rows[row * dim + i]
        for (let j = 0; j < rank; j++) value += (places[row * rank + j] * axes[j * dim + i]) / Math.sqrt(rank)
        rows[row * dim + i] = value
      }
    }
    return rows
  })

export const PROMISE_SETS: Readonly<Record<string, MakeSet>> = {
  gaussian: holdOut(32, (count, seed) => normalRows(seed, count * 32)),
  'gaussian-64': holdOut(64, (count, seed) => normalRows(seed, count * 64)),
  'copies-2': copied(2, 1),
  'copies-10': copied(10, 1),
  'copies-50': copied(50, 1),
  'third-2': copied(2, 3),
  'third-10': copied(10, 3),
  'third-50': copied(50, 3),
  'tight-clusters': clusters({ dim: 32, centres: 2000, noise: COPY_NOISE, strangers: true }),
  'heavy-tails': manyNorms(32, 1.5),
  mixture: clusters({ dim: 48, centres: 100, noise: 0.7 }),
  'low-rank': lowRank(64, 8, 3),
  'clusters-500': clusters({ dim: 32, centres: 500, noise: 0.2, strangers: true })
}
