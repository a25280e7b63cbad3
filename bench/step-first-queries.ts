// The first 50 queries of a fresh process, one engine: JIT and WebAssembly tier-up are in these times.

import { stepInput, stepResult } from './child.ts'
import { createHnsw, loadZgq } from './packages.ts'
import { makeSeedQueries, SEED_DIM, SEED_EF, SEED_NPROBE } from './seed-data.ts'
import { searchHnsw, searchZgq, type Search } from './seed-engines.ts'

export interface FirstQueriesInput {
  readonly engine: 'zgq' | 'hnswlib'
  readonly path: string
}

export interface FirstQueriesResult {
  /** Loading modules and opening; for hnswlib reading the whole index. */
  readonly openMs: number
  /** micros[i]: of query i + 1 */
  readonly micros: readonly number[]
}

const { engine, path } = stepInput<FirstQueriesInput>()
const vectors = makeSeedQueries().slice(0, 50)
const startedAt = performance.now()
const search = engine === 'zgq' ? await openZgq() : openHnsw()
const openMs = performance.now() - startedAt
const effort = engine === 'zgq' ? SEED_NPROBE : SEED_EF
const micros = vectors.map((_, row) => {
  const queriedAt = performance.now()
  search(row, effort)
  return (performance.now() - queriedAt) * 1000
})
const result: FirstQueriesResult = { openMs, micros }
stepResult(result)

async function openZgq(): Promise<Search> {
  const { ZgqIndex } = await loadZgq()
  return searchZgq(ZgqIndex.open(path), vectors)
}

function openHnsw(): Search {
  const index = createHnsw('l2', SEED_DIM)
  index.readIndexSync(path)
  return searchHnsw(index, vectors)
}
