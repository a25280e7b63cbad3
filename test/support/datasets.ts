// Seeded data sets: ordinary ones, and those on which k-means leaves zones empty or far too large.

import { randomFrom } from './random.ts'

export interface Shape {
  readonly count: number
  readonly dim: number
}

/** Makes float32 vectors, count * dim, from random numbers in [0, 1). */
export type MakeVectors = (shape: Shape, random: () => number) => Float32Array

/** One number of the standard normal distribution (Box and Muller 1958). */
export function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}

const each =
  (value: (random: () => number) => number): MakeVectors =>
  ({ count, dim }, random) =>
    Float32Array.from({ length: count * dim }, () => value(random))

/** Repeats `distinct` different vectors in random order. */
const repeated =
  (distinct: number): MakeVectors =>
  ({ count, dim }, random) => {
    const some = each(normal)({ count: distinct, dim }, random)
    return fromRows({ count, dim }, () => {
      const at = Math.floor(random() * distinct) * dim
      return some.subarray(at, at + dim)
    })
  }

/** Vectors around `centres` points, the share of each chosen by `pick`. */
const around =
  (centres: number, pick: (random: () => number) => number): MakeVectors =>
  ({ count, dim }, random) => {
    const points = each((next) => normal(next) * 10)({ count: centres, dim }, random)
    return fromRows({ count, dim }, () => {
      const at = Math.min(centres - 1, Math.floor(pick(random) * centres)) * dim
      return Float32Array.from({ length: dim }, (_, i) => points[at + i] + normal(random))
    })
  }

function fromRows({ count, dim }: Shape, row: (i: number) => Float32Array): Float32Array {
  const vectors = new Float32Array(count * dim)
  for (let i = 0; i < count; i++) vectors.set(row(i), i * dim)
  return vectors
}

export const DATASETS = {
  uniform: each((random) => random() * 2 - 1),
  normal: each(normal),
  clustered: around(20, (random) => random()),
  /** A few clusters hold nearly everything. */
  'power-law clusters': around(40, (random) => random() ** 6),
  /** Distances and products are exact, and many are equal. */
  'small integers': each((random) => Math.floor(random() * 5) - 2),
  'few distinct vectors': repeated(12),
  'one vector repeated': repeated(1),
  '90 % one vector': (shape, random) => {
    const [same, other] = [repeated(1)(shape, random), each(normal)(shape, random)]
    return same.map((value, i) => (Math.floor(i / shape.dim) % 10 === 0 ? other[i] : value))
  },
  'one huge outlier': (shape, random) => {
    const vectors = each(normal)(shape, random)
    vectors.fill(3e38, 0, shape.dim)
    return vectors
  },
  'a line': (shape, random) => fromRows(shape, () => new Float32Array(shape.dim).fill(random() * 1000)),
  'a lattice': (shape, random) =>
    fromRows(shape, () => Float32Array.from({ length: shape.dim }, (_, i) => (i < 3 ? Math.floor(random() * 4) : 1)))
} satisfies Record<string, MakeVectors>

export type DataSetName = keyof typeof DATASETS

/** Makes a data set from its name; no vector is all zeros, so that cosine takes them. */
export function makeVectors(name: DataSetName, shape: Shape, seed: number): Float32Array {
  const vectors = DATASETS[name](shape, randomFrom(seed))
  for (let start = 0; start < vectors.length; start += shape.dim) {
    if (vectors.subarray(start, start + shape.dim).every((value) => value === 0)) vectors[start] = 1
  }
  return vectors
}

/** Makes distinct ids in random order, small ones and ones above 2^32. */
export function makeIds(count: number, seed: number): number[] {
  const random = randomFrom(seed)
  const ids = new Set<number>([0, Number.MAX_SAFE_INTEGER].slice(0, count))
  while (ids.size < count) ids.add(Math.floor(random() * (random() < 0.3 ? 1000 * count : 2 ** 53)))
  return shuffled([...ids], random)
}

/** Returns the items in random order. */
export function shuffled<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item)
}
