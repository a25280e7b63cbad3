// The promise under a filter: k hits where k rows match, at the recall asked for, whatever the filter has to do with
// the vectors. `bench` has the long form, on real vectors: npm run filters.

import { beforeAll, describe, expect, it } from 'vitest'

import { buildIndex } from '../src/build.ts'
import type { Filter, Metric } from '../src/types.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { distance, product, rowOf, squaredDistance } from './support/brute-force.ts'
import { normal } from './support/datasets.ts'
import { randomFrom } from './support/random.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('filtered-recall', IN_MEMORY)
const SEED = 733
const COUNT = 9000
const QUERIES = 60
const LABELS = 30
/** What 60 queries may lie below the mean of all. */
const TOLERANCE = 0.035

type MakeRow = () => Float32Array

/** Rows without structure; in groups of unequal size; and in few directions, with a common mean. */
const KINDS: Readonly<Record<string, { readonly dim: number; readonly make: (random: () => number) => MakeRow }>> = {
  gaussian: {
    dim: 20,
    make: (random) => () => Float32Array.from({ length: 20 }, () => normal(random))
  },
  groups: {
    dim: 40,
    make: (random) => {
      const centres = Array.from({ length: 40 }, () => Float32Array.from({ length: 40 }, () => 3 * normal(random)))
      return () => centres[Math.floor(random() ** 2 * 40)].map((value) => value + normal(random))
    }
  },
  'low rank': {
    dim: 96,
    make: (random) => {
      const axes = Array.from({ length: 10 }, () => Float32Array.from({ length: 96 }, () => normal(random)))
      return () => {
        const row = Float32Array.from({ length: 96 }, () => 1 + 0.2 * normal(random))
        for (const axis of axes) {
          const amount = normal(random)
          for (let i = 0; i < row.length; i++) row[i] += amount * axis[i]
        }
        return row
      }
    }
  }
}

/** Labels by the nearest of some rows. */
function labelsOf(rows: Float32Array, dim: number): Uint8Array {
  const centres = Array.from({ length: LABELS }, (_, i) => rowOf(rows, dim, Math.floor((i * COUNT) / LABELS)))
  return Uint8Array.from({ length: COUNT }, (_, row) => {
    const distances = centres.map((centre) => squaredDistance(centre, rowOf(rows, dim, row)))
    return distances.indexOf(Math.min(...distances))
  })
}

interface Family {
  readonly name: string
  /** What a query asks for: by its distances to all rows. */
  readonly filterFor: (distances: readonly number[]) => { filter: Filter; matches: (row: number) => boolean }
}

function familiesOf(labels: Uint8Array, shares: Float64Array): Family[] {
  const byShare = (share: number): Family => ({
    name: `${share * 100} % of the rows, by chance`,
    filterFor: () => ({ filter: { share: { $lt: share } }, matches: (row) => shares[row] < share })
  })
  /** Some labels, in the order of the mean distance of their rows. */
  const byLabels = (name: string, pick: (ordered: number[]) => number[]): Family => ({
    name,
    filterFor: (distances) => {
      const [sums, counts] = [new Float64Array(LABELS), new Float64Array(LABELS)]
      distances.forEach((value, row) => {
        sums[labels[row]] += value
        counts[labels[row]]++
      })
      const ordered = [...sums.keys()].filter((label) => counts[label] > 0)
      ordered.sort((a, b) => sums[a] / counts[a] - sums[b] / counts[b])
      const picked = pick(ordered)
      return { filter: { label: { $in: picked } }, matches: (row) => picked.includes(labels[row]) }
    }
  })
  return [
    byShare(1),
    byShare(0.3),
    byShare(0.1),
    byLabels('labels near the query', (ordered) => ordered.slice(0, 6)),
    byLabels('labels between', (ordered) => ordered.slice(10, 16)),
    byLabels('labels far from the query', (ordered) => ordered.slice(-6))
  ]
}

describe.each([
  { kind: 'gaussian', metric: 'l2', bits: 4 },
  { kind: 'gaussian', metric: 'l2', bits: 1 },
  { kind: 'gaussian', metric: 'ip', bits: 4 },
  { kind: 'groups', metric: 'cosine', bits: 4 },
  { kind: 'groups', metric: 'l2', bits: 0 },
  { kind: 'low rank', metric: 'l2', bits: 4 },
  { kind: 'low rank', metric: 'cosine', bits: 2 }
] as const)(`$kind, $metric, $bits bits (seed ${SEED})`, ({ kind, metric, bits }) => {
  const random = randomFrom(SEED)
  const { dim, make } = KINDS[kind]
  const makeRow = make(random)
  const rows = new Float32Array(COUNT * dim)
  for (let row = 0; row < COUNT; row++) rows.set(makeRow(), row * dim)
  const queries = Array.from({ length: QUERIES }, makeRow)
  const shares = Float64Array.from({ length: COUNT }, random)
  const labels = labelsOf(rows, dim)
  const distances = queries.map((query) => distancesOf(metric, rows, query))
  let index: ZgqIndex

  beforeAll(async () => {
    const output = temp.fresh('index')
    const payloads = Array.from({ length: COUNT }, (_, row) => ({ share: shares[row], label: labels[row] }))
    const fields = { share: 'number', label: 'number' } as const
    await buildIndex({ input: rows, dim, output, metric, bits, payloads, fields })
    index = ZgqIndex.open(output)
    return () => {
      index.close()
    }
  })

  it.each(familiesOf(labels, shares))('keeps the recall with $name', ({ filterFor }) => {
    for (const recall of [0.9, 0.95, 0.99]) {
      for (const k of [1, 10, 100]) {
        let found = 0
        let wanted = 0
        for (const [i, query] of queries.entries()) {
          const { filter, matches } = filterFor(distances[i])
          const nearest = distances[i].filter((_, row) => matches(row)).sort((a, b) => a - b)
          const most = Math.min(k, nearest.length)
          const hits = index.search(query, { k, recall, filter })
          expect(hits).toHaveLength(most)
          found += hits.filter((hit) => hit.distance <= nearest[most - 1]).length
          wanted += most
        }
        expect(found / wanted, `recall ${recall}, k ${k}`).toBeGreaterThanOrEqual(recall - TOLERANCE)
      }
    }
  })
})

function distancesOf(metric: Metric, rows: Float32Array, query: Float32Array): number[] {
  const norm2 = product(query, query)
  return Array.from({ length: COUNT }, (_, row) => distance(metric, query, norm2, rowOf(rows, query.length, row)))
}
