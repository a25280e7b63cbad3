// The exact neighbours of the queries of a round among the rows that are live, by an exact search of an index.

import { writeFileSync } from 'node:fs'

import { stepInput, stepResult } from './child.ts'
import { churnQueries, type ChurnSpec } from './churn-rows.ts'
import { loadZgq } from './packages.ts'

export interface ChurnTruthInput {
  readonly spec: ChurnSpec
  readonly round: number
  readonly folder: string
  readonly queries: number
  /** Gets the ids, a list for each query, as JSON. */
  readonly to: string
}

export interface ChurnTruthResult {
  /** Rows of the index. */
  readonly count: number
  readonly exactP50Us: number
}

const K = 10

const { spec, round, folder, queries: count, to } = stepInput<ChurnTruthInput>()
const { ZgqIndex: Index } = await loadZgq()
const queries = await churnQueries(spec, round, count)
const index = Index.open(folder)
const micros: number[] = []
const ids = queries.map((query) => {
  const startedAt = performance.now()
  const hits = index.search(query, { k: K, exact: true })
  micros.push((performance.now() - startedAt) * 1000)
  return hits.map(({ id }) => id)
})
writeFileSync(to, JSON.stringify(ids))
micros.sort((a, b) => a - b)
const result: ChurnTruthResult = { count: index.count(), exactP50Us: micros[micros.length >> 1] }
stepResult(result)
index.close()
