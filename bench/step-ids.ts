// Look-ups by id, and searches without a filter of indexes of the same vectors in turn, in one process.

import { stepInput, stepResult } from './child.ts'
import { readTruth } from './filter-sets.ts'
import { pathOf } from './labels.ts'
import type * as Entry from '../src/index.ts'
import { loadLazyModules, loadZgq } from './packages.ts'
import { warmFolder } from './page-cache.ts'
import { uniform } from './random.ts'
import { mean, pairedRatio, type Spread } from './report.ts'

export interface IdsInput {
  readonly truth: string
  readonly indexes: readonly { readonly name: string; readonly folder: string; readonly ids: 'integer' | 'string' }[]
  readonly rounds: number
}

export type IdsResult = readonly {
  readonly name: string
  readonly hasUs: number
  readonly getUs: number
  readonly documentUs: number
  /** Of an index that was opened a moment ago; the files are in the page cache. */
  readonly firstUs: readonly number[]
  /** Of each query its fastest, then the mean. */
  readonly searchUs: number
  /** To the first index: the mean of all queries, round by round. */
  readonly ratio: Spread
  readonly recall: number
}[]

interface Side {
  readonly name: string
  readonly index: Entry.ZgqIndex<number | string>
  readonly idOf: (row: number) => number | string
  readonly firstUs: readonly number[]
  readonly fastest: Float64Array
  readonly rounds: number[]
}

const LOOKUPS = 20_000
const FIRST = 3
const K = 10

const { truth: truthPath, indexes, rounds } = stepInput<IdsInput>()
const all = readTruth(truthPath)
const found = all.cases.find(({ name }) => name === 'random 100 %')
const queries = all.queries.map((query) => Float32Array.from(query))
const { ZgqIndex } = await loadZgq()
loadLazyModules()
const next = uniform(5)
const asked = Array.from({ length: LOOKUPS }, () => Math.floor(next() * all.count))
const sides = indexes.map(openSide)
for (let round = 0; round < rounds; round++)
  for (const side of round % 2 === 0 ? sides : sides.toReversed()) searchRound(side)
const result: IdsResult = sides.map((side) => ({
  name: side.name,
  ...lookUp(side),
  firstUs: side.firstUs,
  searchUs: mean(side.fastest),
  ratio: pairedRatio(side.rounds.slice(1), sides[0].rounds.slice(1)),
  recall: recallIn(side)
}))
for (const { index } of sides) index.close()
stepResult(result)

function openSide({ name, folder, ids }: IdsInput['indexes'][number]): Side {
  warmFolder(folder)
  const idOf = ids === 'string' ? pathOf : (row: number) => row
  const index = ZgqIndex.open<number | string>(folder)
  const firstUs = asked.slice(0, FIRST).map((row) => microsOf(() => index.get(idOf(row))))
  return { name, index, idOf, firstUs, fastest: new Float64Array(queries.length).fill(Infinity), rounds: [] }
}

function searchRound({ index, fastest, rounds: means }: Side): void {
  let sum = 0
  for (const [i, query] of queries.entries()) {
    const micros = microsOf(() => index.search(query, { k: K }))
    fastest[i] = Math.min(fastest[i], micros)
    sum += micros
  }
  means.push(sum / queries.length)
}

/** The second of two passes over the same ids. */
function lookUp({ index, idOf }: Side): { hasUs: number; getUs: number; documentUs: number } {
  const ids = asked.map(idOf)
  const pass = (look: (id: number | string) => unknown): number => {
    for (const id of ids) look(id)
    return (
      microsOf(() => {
        for (const id of ids) look(id)
      }) / LOOKUPS
    )
  }
  return {
    hasUs: pass((id) => index.has(id)),
    getUs: pass((id) => index.get(id)),
    documentUs: pass((id) => index.document(id))
  }
}

function recallIn({ index, idOf }: Side): number {
  return mean(
    queries.map((query, i) => {
      const truth = new Set((found?.truth[i] ?? []).slice(0, K).map(idOf))
      return index.search(query, { k: K }).filter(({ id }) => truth.has(id)).length / K
    })
  )
}

function microsOf(work: () => unknown): number {
  const startedAt = performance.now()
  work()
  return (performance.now() - startedAt) * 1000
}
