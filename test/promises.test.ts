// Promises of recall where they are easily broken: near copies of rows that queries have or lack, and codes that say
// little of a row. `bench` has the long form: npm run promises.

import { beforeAll, describe, expect, it } from 'vitest'

import { buildIndex, calibrateIndex } from '../src/build.ts'
import type { Metric } from '../src/types.ts'
import { ZgqIndex } from '../src/zgq-index.ts'
import { rowOf } from './support/brute-force.ts'
import { normal } from './support/datasets.ts'
import { randomFrom } from './support/random.ts'
import { exactIds, meanRecall } from './support/recall.ts'
import { IN_MEMORY, useTempFolder } from './support/temp-folder.ts'

const temp = useTempFolder('promises', IN_MEMORY)
const SEED = 91
const DIM = 32
const COUNT = 6000
const NOISE = 0.02
const QUERIES = 300
/** What 300 queries may lie below the mean of all. */
const TOLERANCE = 0.03
/** Codes are scanned, whatever rows would cost. */
const BY_CODES = { rerank: 1 }

const gaussian = (count: number, random: () => number): Float32Array =>
  Float32Array.from({ length: count * DIM }, () => normal(random))

/** Makes near copies of the originals, one after the other. */
const copiesOf = (originals: Float32Array, count: number, random: () => number): Float32Array =>
  Float32Array.from({ length: count * DIM }, (_, i) => originals[i % originals.length] + NOISE * normal(random))

const listOf = (vectors: Float32Array): Float32Array[] =>
  Array.from({ length: vectors.length / DIM }, (_, i) => rowOf(vectors, DIM, i))

async function build(rows: Float32Array, options: { metric: Metric; bits: number }): Promise<string> {
  const output = temp.fresh('index')
  await buildIndex({ input: rows, dim: DIM, output, ...options })
  return output
}

describe.each([
  { metric: 'l2', copies: 2, bits: 4 },
  { metric: 'l2', copies: 50, bits: 4 },
  { metric: 'l2', copies: 10, bits: 8 },
  { metric: 'cosine', copies: 10, bits: 4 },
  { metric: 'ip', copies: 2, bits: 4 },
  { metric: 'ip', copies: 2, bits: 8 }
] as const)(
  `where every row has $copies near copies ($metric, $bits bits, seed ${SEED})`,
  ({ metric, copies, bits }) => {
    const random = randomFrom(SEED)
    const originals = gaussian(COUNT / copies, random)
    const rows = copiesOf(originals, COUNT, random)
    const kinds = {
      'have none of their own': listOf(gaussian(QUERIES, random)),
      'have them too': listOf(copiesOf(originals, QUERIES, random))
    }
    let index: ZgqIndex
    beforeAll(async () => {
      index = ZgqIndex.open(await build(rows, { metric, bits }))
      return () => {
        index.close()
      }
    })

    it.each(['have none of their own', 'have them too'] as const)('queries that %s reach their recall', (kind) => {
      const queries = kinds[kind]
      const truth = exactIds(index, queries, 10)
      for (const k of [1, 10])
        for (const recall of [0.9, 0.99])
          expect
            .soft(meanRecall(index, queries, truth, { ...BY_CODES, k, recall }), `recall@${k} of ${recall}`)
            .toBeGreaterThan(recall - TOLERANCE)
    })
  }
)

describe(`codes of one bit (seed ${SEED})`, () => {
  const random = randomFrom(SEED)
  const rows = gaussian(5 * COUNT, random)
  const queries = listOf(gaussian(60, random))
  let path = ''
  beforeAll(async () => {
    path = await build(rows, { metric: 'l2', bits: 1 })
  })

  it('lose no hits for want of room, though nearly every row is a candidate', () => {
    using index = ZgqIndex.open(path)
    const truth = exactIds(index, queries, 100)
    expect(meanRecall(index, queries, truth, { ...BY_CODES, k: 100, nprobe: 1e6 })).toBeGreaterThan(0.97)
  })

  it.each(['rows', 'queries'])('give more the more recall is asked for, calibrated by %s', async (source) => {
    if (source === 'queries') await calibrateIndex(path, { queries: gaussian(500, random) })
    using index = ZgqIndex.open(path)
    const truth = exactIds(index, queries, 100)
    const reached = [0.9, 0.95, 0.99].map((recall) =>
      meanRecall(index, queries, truth, { ...BY_CODES, k: 100, recall })
    )
    expect(reached).toEqual([...reached].sort((a, b) => a - b))
    expect(reached[2]).toBeGreaterThan(0.98)
    for (const { points } of index.info().calibration?.curves ?? []) {
      for (const values of [points.map((point) => point.threshold), points.map((point) => point.trust ?? 0)])
        expect(values).toEqual([...values].sort((a, b) => a - b))
    }
  })
})
