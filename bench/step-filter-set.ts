// Labels of a set, and for each filter and query the exact neighbours among the rows that pass, by brute force in
// double precision. Written to a folder; minutes for a million rows.

import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { stepInput, stepResult } from './child.ts'
import { CASES, matcherOf, type Condition, type QueryPlace } from './filter-cases.ts'
import { FINE, findClusters, meansOf, randomNumbers, type Labels, type RowBlock } from './labels.ts'
import { loadZgqBuild } from './packages.ts'

export interface FilterSetInput {
  readonly base: string
  readonly queries: string
  readonly metric: 'l2' | 'cosine'
  /** Queries to take. */
  readonly from: number
  readonly count: number
  readonly folder: string
}

export interface FilterTruth {
  readonly dim: number
  readonly count: number
  readonly queries: readonly (readonly number[])[]
  readonly cases: readonly {
    readonly name: string
    /** One a query. */
    readonly conditions: readonly Condition[]
    /** Nearest first, up to 100 a query. */
    readonly truth: readonly (readonly number[])[]
    /** Rows that pass, mean over the queries. */
    readonly matches: number
  }[]
}

interface FoundCase {
  readonly name: string
  readonly conditions: Condition[]
  readonly truth: number[][]
  matches: number
}

const MOST = 100
const input = stepInput<FilterSetInput>()
const rows = await readBlock(input.base)
const asked = await readBlock(input.queries)
const labels: Labels = { random: randomNumbers(rows.count), fine: findClusters(rows) }
const { means, sizes } = meansOf(rows, labels.fine)
const queries = Array.from({ length: Math.min(input.count, asked.count - input.from) }, (_, i) =>
  asked.values.subarray((input.from + i) * asked.dim, (input.from + i + 1) * asked.dim)
)
const found = CASES.map(({ name }): FoundCase => ({ name, conditions: [], truth: [], matches: 0 }))
const passing = new Map<string, Uint8Array>()
for (const query of queries) {
  const distances = distancesTo(query, rows.values, rows.count)
  const place = placeOf(query)
  for (const [i, { of }] of CASES.entries()) {
    const condition = of(place, labels)
    const { nearest, matches } = nearestAmong(distances, matcherFor(condition))
    found[i].conditions.push(condition)
    found[i].truth.push(nearest)
    found[i].matches += matches / queries.length
  }
}
const result: FilterTruth = {
  dim: rows.dim,
  count: rows.count,
  queries: queries.map((query) => Array.from(query)),
  cases: found
}
writeFileSync(join(input.folder, 'fine.u16'), labels.fine)
writeFileSync(join(input.folder, 'truth.json.new'), JSON.stringify(result))
renameSync(join(input.folder, 'truth.json.new'), join(input.folder, 'truth.json'))
stepResult({})

/** Rows of a file; scaled to length 1 for cosine, which leaves the order of neighbours as it is. */
async function readBlock(path: string): Promise<RowBlock> {
  const { openVectorFile } = await loadZgqBuild()
  const source = openVectorFile(path)
  const { count, dim } = source
  const values = new Float32Array(count * dim)
  source.readRows(0, values)
  source.close()
  if (input.metric === 'cosine')
    for (let row = 0; row < count; row++) {
      const vector = values.subarray(row * dim, (row + 1) * dim)
      const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0))
      for (let j = 0; j < dim; j++) vector[j] /= length
    }
  return { values, count, dim }
}

function distancesTo(query: Float32Array, values: ArrayLike<number>, count: number): Float64Array {
  const dim = query.length
  const distances = new Float64Array(count)
  for (let row = 0; row < count; row++) {
    let sum = 0
    for (let j = 0; j < dim; j++) {
      const difference = values[row * dim + j] - query[j]
      sum += difference * difference
    }
    distances[row] = sum
  }
  return distances
}

/** Paths are compared once for all queries. */
function matcherFor(condition: Condition): (row: number) => boolean {
  const matches = matcherOf(condition, labels)
  if (condition.prefix === undefined && condition.paths === undefined) return matches
  const key = JSON.stringify(condition)
  const known = passing.get(key) ?? Uint8Array.from({ length: rows.count }, (_, row) => Number(matches(row)))
  passing.set(key, known)
  return (row) => known[row] === 1
}

function placeOf(query: Float32Array): QueryPlace {
  const distances = distancesTo(query, means, FINE)
  const clusters = sizes
    .map((size, cluster) => ({ size, cluster }))
    .filter(({ size }) => size > 0)
    .map(({ cluster }) => cluster)
    .sort((a, b) => distances[a] - distances[b])
  return { clusters, sizes }
}

/** The nearest rows that pass, ties to the lower row. */
function nearestAmong(
  distances: Float64Array,
  passes: (row: number) => boolean
): { nearest: number[]; matches: number } {
  let kept: number[] = []
  let limit = Infinity
  let matches = 0
  const sort = (): void => {
    kept = kept.sort((a, b) => distances[a] - distances[b] || a - b).slice(0, MOST)
  }
  for (let row = 0; row < distances.length; row++) {
    if (!passes(row)) continue
    matches++
    if (distances[row] >= limit) continue
    kept.push(row)
    if (kept.length < 8 * MOST) continue
    sort()
    limit = distances[kept[MOST - 1]]
  }
  sort()
  return { nearest: kept, matches }
}
