// Several engines on one data set in one process, files in the page cache. Of each engine the two settings around the
// recall asked for are looked up; then all take turns, a round over the queries each, every second round backwards.

import type { OpenEngine, OpenInput, PeerMetric } from './engines/engine.ts'
import { findEngine } from './engines/index.ts'
import { stepInput, stepResult } from './child.ts'
import { warmFolder } from './page-cache.ts'
import { readQueries, recallOf } from './queries.ts'
import { mean } from './report.ts'

const K = 10

export interface TurnsInput {
  readonly engines: readonly { readonly name: string; readonly folder: string }[]
  readonly metric: PeerMetric
  readonly count: number
  readonly queries: string
  readonly truth: string
  readonly queryLimit: number
  readonly recalls: readonly number[]
  readonly rounds: number
}

export interface TurnsRow {
  readonly engine: string
  readonly knob: string
  readonly recall: number
  /** Over the queries, of the fastest time of each. */
  readonly meanUs: number
}

export interface TurnsResult {
  readonly recalls: readonly { readonly recall: number; readonly rows: readonly TurnsRow[] }[]
}

/** An engine at one setting. */
interface Side {
  readonly engine: string
  readonly knob: string
  readonly recall: number
  readonly open: OpenEngine
  readonly fastest: Float64Array
}

const input = stepInput<TurnsInput>()
const all = await readQueries(input.queries, input.truth, input.queryLimit)
const recalls: { recall: number; rows: TurnsRow[] }[] = []
for (const recall of input.recalls) recalls.push({ recall, rows: await measure(recall) })
const result: TurnsResult = { recalls }
stepResult(result)
process.exit(0) // some engines leave threads that keep the process alive

async function measure(recall: number): Promise<TurnsRow[]> {
  const sides: Side[] = []
  for (const engine of input.engines) sides.push(...(await sidesOf(engine, recall)))
  for (let round = 0; round < input.rounds; round++)
    for (const side of round % 2 === 0 ? sides : sides.toReversed()) await timeRound(side)
  for (const { open } of sides) await open.close()
  return sides.map(({ engine, knob, recall: reached, fastest }) => ({
    engine,
    knob,
    recall: reached,
    meanUs: mean(fastest)
  }))
}

/** The settings around a recall, of each sweep that reaches it, each open by itself: a setting may need a load. */
async function sidesOf({ name, folder }: TurnsInput['engines'][number], recall: number): Promise<Side[]> {
  warmFolder(folder)
  const { metric, count } = input
  const queries = all.vectors
  const of: OpenInput = { folder, metric, count, dim: queries[0].length, queries, k: K, isCold: false }
  const finder = await findEngine(name).open(of)
  const sides: Side[] = []
  for (const knobs of sweepsOf(finder)) {
    let below: { knob: number; reached: number } | undefined
    for (const knob of knobs) {
      const found = { knob, reached: await recallAt(finder, knob) }
      if (found.reached >= recall) {
        for (const side of below === undefined ? [found] : [below, found]) {
          const open = await findEngine(name).open(of)
          await open.select(side.knob)
          sides.push({
            engine: name,
            knob: finder.knobs[side.knob].label,
            recall: side.reached,
            open,
            fastest: new Float64Array(queries.length).fill(Infinity)
          })
        }
        break
      }
      below = found
    }
  }
  await finder.close()
  return sides
}

/** Numbers of knobs, each list by rising effort. Where a recall can be asked for, nothing else is. */
function sweepsOf({ knobs }: OpenEngine): number[][] {
  const asked = knobs.flatMap(({ label }, knob) => (label.startsWith('recall ') ? [knob] : []))
  if (asked.length > 0) return [asked]
  const names = [...new Set(knobs.map(({ sweep }) => sweep))]
  return names.map((name) => knobs.flatMap(({ sweep }, knob) => (sweep === name ? [knob] : [])))
}

async function recallAt(engine: OpenEngine, knob: number): Promise<number> {
  await engine.select(knob)
  const reached: number[] = []
  for (const [query, truth] of all.truth.entries()) {
    await engine.search(query)
    reached.push(recallOf(engine.found(), truth, K))
  }
  return mean(reached)
}

async function timeRound({ open, fastest }: Side): Promise<void> {
  for (let query = 0; query < fastest.length; query++) {
    const startedAt = performance.now()
    const pending = open.search(query)
    if (pending !== undefined) await pending // an engine that answers at once is not made to wait
    fastest[query] = Math.min(fastest[query], (performance.now() - startedAt) * 1000)
  }
}
