// Engines with filters in one process, in turn, files in the page cache. For each filter and engine the settings are
// tried by rising effort until the recall is reached; the fastest of those takes its turns with those of the others.

import { stepInput, stepResult } from './child.ts'
import { findFilteredEngine, type OpenFiltered } from './engines/filtered.ts'
import { readTruth } from './filter-sets.ts'
import { warmFolder } from './page-cache.ts'
import { recallOf } from './queries.ts'
import { mean } from './report.ts'

export interface PeersInput {
  readonly engines: readonly { readonly name: string; readonly folder: string }[]
  readonly metric: 'l2' | 'cosine'
  readonly truth: string
  readonly queryLimit: number
  readonly cases: readonly string[]
  readonly recall: number
  readonly rounds: number
}

export interface PeerRow {
  readonly name: string
  /** Share of rows that pass. */
  readonly passing: number
  readonly engine: string
  readonly knob: string
  readonly recall: number
  readonly meanUs: number
}

interface Tried {
  readonly knob: number
  readonly recall: number
  readonly micros: number
}

interface Side extends Tried {
  readonly engine: string
  readonly open: OpenFiltered
  /** Slow engines are asked fewer queries. */
  readonly fastest: Float64Array
}

const K = 10
const SLOW_MICROS = 5000
const SLOW_QUERIES = 20

const input = stepInput<PeersInput>()
const all = readTruth(input.truth)
const queries = all.queries.slice(0, input.queryLimit).map((query) => Float32Array.from(query))
const opened: { engine: string; open: OpenFiltered }[] = []
for (const { name, folder } of input.engines) {
  warmFolder(folder)
  const { metric } = input
  const open = await findFilteredEngine(name).open({ folder, metric, count: all.count, queries, k: K })
  opened.push({ engine: name, open })
}
const rows: PeerRow[] = []
for (const name of input.cases) rows.push(...(await measure(name)))
stepResult(rows)
process.exit(0) // some engines leave threads that keep the process alive

async function measure(name: string): Promise<PeerRow[]> {
  const found = all.cases.find((candidate) => candidate.name === name)
  if (found === undefined) throw new Error(`${input.truth} knows no filter ${name}`)
  const sides: Side[] = []
  for (const { engine, open } of opened) {
    if (!open.take(found.conditions.slice(0, queries.length))) continue
    const best = await bestOf(open, found.truth)
    if (best === undefined) continue
    open.select(best.knob)
    const count = best.micros > SLOW_MICROS ? SLOW_QUERIES : queries.length
    sides.push({ ...best, engine, open, fastest: new Float64Array(count).fill(Infinity) })
  }
  for (let round = 0; round < input.rounds; round++)
    for (const side of round % 2 === 0 ? sides : sides.toReversed()) await timeRound(side)
  return sides.map(({ engine, open, knob, recall, fastest }) => ({
    name,
    passing: found.matches / all.count,
    engine,
    knob: open.knobs[knob].label,
    recall,
    meanUs: mean(fastest)
  }))
}

/** The fastest setting that reaches the recall, else the one that comes nearest. */
async function bestOf(open: OpenFiltered, truth: readonly (readonly number[])[]): Promise<Tried | undefined> {
  const tried: Tried[] = []
  for (const sweep of new Set(open.knobs.map((knob) => knob.sweep))) {
    for (const [knob, { sweep: own }] of open.knobs.entries()) {
      if (own !== sweep) continue
      const found = await tryKnob(open, knob, truth).catch(showFailure)
      if (found === undefined) break
      tried.push(found)
      if (found.recall >= input.recall) break
    }
  }
  const reaching = tried.filter(({ recall }) => recall >= input.recall)
  if (reaching.length > 0) return reaching.reduce((a, b) => (b.micros < a.micros ? b : a))
  return tried.reduce<Tried | undefined>((a, b) => (a === undefined || b.recall > a.recall ? b : a), undefined)
}

/** An engine that cannot answer one filter is measured with the others. */
function showFailure(error: unknown): undefined {
  console.error(error)
}

async function tryKnob(open: OpenFiltered, knob: number, truth: readonly (readonly number[])[]): Promise<Tried> {
  open.select(knob)
  const recalls: number[] = []
  const micros: number[] = []
  for (let query = 0; query < queries.length; query++) {
    const startedAt = performance.now()
    await open.search(query)
    micros.push((performance.now() - startedAt) * 1000)
    const wanted = Math.min(K, truth[query].length)
    recalls.push(wanted === 0 ? 1 : recallOf(open.found(), truth[query], wanted))
  }
  return { knob, recall: mean(recalls), micros: micros.sort((a, b) => a - b)[Math.floor(micros.length / 2)] }
}

async function timeRound({ open, fastest }: Side): Promise<void> {
  for (let query = 0; query < fastest.length; query++) {
    const startedAt = performance.now()
    const pending = open.search(query)
    if (pending !== undefined) await pending // an engine that answers at once is not made to wait
    fastest[query] = Math.min(fastest[query], (performance.now() - startedAt) * 1000)
  }
}
