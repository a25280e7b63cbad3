// Searches an index without end, one query a turn of the event loop, while in turn nobody writes, or another process
// adds rows, or adds rows and folds. Between two phases that process, or one after it, folds all that is left.

import { setImmediate as turn } from 'node:timers/promises'

import { runStep, stepInput, stepResult } from './child.ts'
import { churnQueries } from './churn-rows.ts'
import { fold } from './churn-steps.ts'
import { loadZgq } from './packages.ts'
import { ownMemory } from './process-memory.ts'
import { quantile } from './report.ts'
import type { BusyKind, BusyWriterInput, BusyWritten } from './step-busy-writer.ts'

export interface BusySearchInput {
  readonly writer: Omit<BusyWriterInput, 'kind'>
  readonly kinds: readonly BusyKind[]
  readonly rounds: number
}

export interface BusyTimes {
  readonly kind: BusyKind | 'still'
  readonly round: number
  readonly searches: number
  readonly p50Us: number
  readonly p99Us: number
  readonly maxUs: number
  readonly written: BusyWritten | undefined
}

export interface BusySearchResult {
  readonly phases: readonly BusyTimes[]
  readonly rss: number
}

const K = 10
const QUERIES = 500
const WARM_SECONDS = 2

const { writer, kinds, rounds } = stepInput<BusySearchInput>()
const { spec, folder, seconds, rowsPerSecond } = writer
const { ZgqIndex: Index } = await loadZgq()
const queries = await churnQueries(spec, 0, QUERIES)
const index = Index.open(folder)
const phases: BusyTimes[] = []
let next = writer.from
await searchFor(Math.min(WARM_SECONDS, seconds))
for (let round = 0; round < rounds; round++) {
  const turns: (BusyKind | 'still')[] = ['still', ...kinds]
  // Every second round runs backwards, so that nothing always follows the same neighbour.
  for (const kind of round % 2 === 0 ? turns : turns.reverse())
    phases.push({ round, kind, ...(kind === 'still' ? await measureStill() : await measureBusy(kind)) })
}
const result: BusySearchResult = { phases, rss: ownMemory().rss }
stepResult(result)
index.close()

type Phase = Omit<BusyTimes, 'kind' | 'round'>

async function measureStill(): Promise<Phase> {
  return { ...summarize(await searchFor(seconds)), written: undefined }
}

async function measureBusy(kind: BusyKind): Promise<Phase> {
  const before = index.count()
  const input: BusyWriterInput = { ...writer, kind, from: next }
  next += rowsPerSecond * seconds
  const writing = runStep<BusyWritten>('step-busy-writer.ts', input)
  let failed = false
  writing.catch(() => {
    failed = true // awaited below
  })
  while (index.count() === before && !failed) await turn()
  const times = await searchFor(seconds)
  const { value: written } = await writing
  await fold(folder)
  return { ...summarize(times), written }
}

async function searchFor(duration: number): Promise<number[]> {
  const times: number[] = []
  const endsAt = performance.now() + duration * 1000
  for (let i = 0; performance.now() < endsAt; i++) {
    const startedAt = performance.now()
    index.search(queries[i % queries.length], { k: K })
    times.push((performance.now() - startedAt) * 1000)
    await turn()
  }
  return times
}

function summarize(times: readonly number[]): Omit<Phase, 'written'> {
  const maxUs = times.reduce((most, time) => Math.max(most, time), 0)
  return { searches: times.length, p50Us: quantile(times, 0.5), p99Us: quantile(times, 0.99), maxUs }
}
