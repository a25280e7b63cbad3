// One engine, cold, in its own process. Before every query the index is opened anew, so that no mapping and no cache of
// an earlier query is left, and then its files are dropped from the page cache; only the search itself is timed. The
// code is warm: queries before have run it.

import { setImmediate } from 'node:timers/promises'

import type { EngineStepInput } from './engines/engine.ts'
import { findEngine } from './engines/index.ts'
import { stepInput, stepResult } from './child.ts'
import { dropPages } from './page-cache.ts'
import { ownDeviceReads } from './process-memory.ts'
import { readQueries, recallOf, thinQueries } from './queries.ts'

const K = 10
/** Run first, the whole procedure, and not counted. */
const UNCOUNTED = 3

export interface EngineColdInput extends EngineStepInput {
  readonly coldQueries: number
  readonly knob: string
}

/** One value a query. */
export interface EngineColdResult {
  readonly recalls: number[]
  readonly searchMs: number[]
  /** Opening (and mapping), files cold, too; not part of searchMs. */
  readonly openMs: number[]
  readonly deviceBytes: number[]
  /** Pages that could not be dropped: opening had mapped and touched them. */
  readonly residentPages: number[]
  /** Dependent rounds of input, where the engine tells. */
  readonly ioRounds: number[]
}

const input = stepInput<EngineColdInput>()
const { folder, metric, count } = input
const { vectors, truth } = thinQueries(
  await readQueries(input.queries, input.truth, input.queryLimit),
  input.coldQueries + UNCOUNTED
)
const result: EngineColdResult = {
  recalls: [],
  searchMs: [],
  openMs: [],
  deviceBytes: [],
  residentPages: [],
  ioRounds: []
}
for (let query = 0; query < vectors.length; query++) {
  dropPages(folder)
  const openedAt = performance.now()
  const engine = await findEngine(input.engine).open({
    folder,
    metric,
    count,
    dim: vectors[0].length,
    queries: vectors,
    k: K,
    isCold: true
  })
  const knob = engine.knobs.findIndex(({ label }) => label === input.knob)
  if (knob === -1) throw new Error(`${input.engine} has no setting "${input.knob}" any more; run npm run bench again`)
  await engine.select(knob)
  const openMs = performance.now() - openedAt
  const residentPages = dropPages(folder)
  const readsBefore = ownDeviceReads()
  const startedAt = performance.now()
  const pending = engine.search(query)
  if (pending !== undefined) await pending
  const searchMs = performance.now() - startedAt
  const deviceBytes = ownDeviceReads() - readsBefore
  if (query >= UNCOUNTED) {
    result.recalls.push(recallOf(engine.found(), truth[query], K))
    result.searchMs.push(searchMs)
    result.openMs.push(openMs)
    result.deviceBytes.push(deviceBytes)
    result.residentPages.push(residentPages)
    if (engine.ioRounds !== undefined) result.ioRounds.push(engine.ioRounds())
  }
  await engine.close()
  await setImmediate() // native objects that a garbage collection freed are finalised in a turn of their own
}
stepResult(result)
process.exit(0) // some engines leave threads that keep the process alive
