// Filtered searches of one set in one process: each filter in turn with the search without a filter, at the recall
// asked for; of each query its fastest round.

import { stepInput, stepResult } from './child.ts'
import { findCase, type Condition, type FilterCase } from './filter-cases.ts'
import { readTruth } from './filter-sets.ts'
import { loadZgq } from './packages.ts'
import { warmFolder } from './page-cache.ts'
import { recallOf } from './queries.ts'
import { mean, spread } from './report.ts'
import { filterOf, type Filter } from './zgq-filters.ts'

export interface FiltersInput {
  readonly index: string
  readonly truth: string
  readonly rounds: number
  readonly cells: readonly { readonly k: number; readonly recall: number; readonly cases: readonly string[] }[]
}

export interface FilterRow {
  readonly name: string
  readonly kind: FilterCase['kind']
  readonly k: number
  readonly asked: number
  /** Share of rows that pass. */
  readonly passing: number
  readonly recall: number
  /** Of the mean over the queries. */
  readonly standardError: number
  /** Of the search without a filter that was asked for the same. */
  readonly plainUs: number
  readonly cachedUs: number
  /** Median of searches whose filter nobody asked before. */
  readonly freshUs: number
  readonly zones: number
  readonly plan: string
  /** Queries that got fewer hits than k, or than rows that match. */
  readonly short: number
}

/** Masks of more filters than these may not be kept side by side where an index has a million rows. */
const TIMED_QUERIES = 100
const FRESH_QUERIES = 40

const { index: folder, truth: truthPath, rounds, cells } = stepInput<FiltersInput>()
const all = readTruth(truthPath)
const queries = all.queries.map((query) => Float32Array.from(query))
const { ZgqIndex } = await loadZgq()
warmFolder(folder)
const index = ZgqIndex.open(folder)
let made = 0
const rows: FilterRow[] = []
for (const { k, recall, cases } of cells) for (const name of cases) rows.push(measure(name, k, recall))
index.close()
stepResult(rows)

function measure(name: string, k: number, recall: number): FilterRow {
  const { kind } = findCase(name)
  const found = all.cases.find((candidate) => candidate.name === name)
  if (found === undefined) throw new Error(`${truthPath} knows no filter ${name}`)
  const filters = found.conditions.map((condition) => filterOf(condition))
  const recalls: number[] = []
  const zones: number[] = []
  const plans = new Map<string, number>()
  let short = 0
  for (const [i, query] of queries.entries()) {
    const { hits, explain } = index.search(query, { k, recall, filter: filters[i], explain: true })
    const wanted = Math.min(k, found.truth[i].length)
    if (hits.length < wanted) short++
    const ids = hits.map(({ id }) => id)
    recalls.push(wanted === 0 ? 1 : recallOf(ids, found.truth[i], wanted))
    zones.push(explain.zones.length)
    const plan = explain.filter?.plan ?? 'none'
    plans.set(plan, (plans.get(plan) ?? 0) + 1)
  }
  const of = { k, recall, filters }
  return {
    name,
    kind,
    k,
    asked: recall,
    passing: found.matches / all.count,
    recall: mean(recalls),
    standardError: standardError(recalls),
    ...timeInTurn(of),
    freshUs: timeFresh(found.conditions, { k, recall }),
    zones: mean(zones),
    plan: [...plans].sort((a, b) => b[1] - a[1])[0][0],
    short
  }
}

function timeInTurn(of: { k: number; recall: number; filters: readonly Filter[] }): {
  plainUs: number
  cachedUs: number
} {
  const { k, recall, filters } = of
  const count = Math.min(TIMED_QUERIES, queries.length)
  const plain = new Float64Array(count).fill(Infinity)
  const cached = new Float64Array(count).fill(Infinity)
  const time = (fastest: Float64Array, options: (query: number) => object): void => {
    for (let i = 0; i < count; i++) {
      const given = options(i)
      const startedAt = performance.now()
      index.search(queries[i], given)
      fastest[i] = Math.min(fastest[i], (performance.now() - startedAt) * 1000)
    }
  }
  for (let i = 0; i < count; i++) index.count(filters[i])
  for (let round = 0; round < rounds; round++) {
    time(plain, () => ({ k, recall }))
    time(cached, (i) => ({ k, recall, filter: filters[i] }))
  }
  return { plainUs: mean(plain), cachedUs: mean(cached) }
}

function timeFresh(conditions: readonly Condition[], of: { k: number; recall: number }): number {
  const micros: number[] = []
  for (let i = 0; i < Math.min(FRESH_QUERIES, queries.length); i++) {
    const filter = filterOf(conditions[i], ++made)
    const startedAt = performance.now()
    index.search(queries[i], { ...of, filter })
    micros.push((performance.now() - startedAt) * 1000)
  }
  return spread(micros).median
}

function standardError(values: readonly number[]): number {
  const middle = mean(values)
  return Math.sqrt(mean(values.map((value) => (value - middle) ** 2)) / (values.length - 1))
}
