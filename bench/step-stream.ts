// Searches an index that nobody writes, then the same while another process, or this one, adds rows: one query a turn
// of the event loop, one after the other.

import { setImmediate as turn } from 'node:timers/promises'

import { runStep, stepInput, stepResult } from './child.ts'
import type { LivingRows } from './engines/living.ts'
import { batchOf, pathOf } from './engines/living-zgq.ts'
import { livingQueries } from './living-rows.ts'
import { loadZgq, type ZgqIndex } from './packages.ts'
import { ownMemory } from './process-memory.ts'
import { quantile } from './report.ts'
import { streamRows, writeSteadily, type StreamWriterInput, type StreamWritten } from './steady-writes.ts'

export interface StreamInput {
  readonly writer: StreamWriterInput
  readonly stillSeconds: number
  /** This process writes, not another. */
  readonly isOwn: boolean
}

export interface StreamTimes {
  readonly searches: number
  readonly p50Us: number
  readonly p99Us: number
  readonly maxUs: number
}

export interface StreamResult {
  readonly still: StreamTimes
  readonly meanwhile: StreamTimes
  /** Of each half of the time: rows that are not folded grow. */
  readonly halves: readonly StreamTimes[]
  /** Nobody writes any more, and all rows are there. */
  readonly after: StreamTimes
  readonly written: StreamWritten
  readonly rowsSeen: number
  readonly rss: number
}

const K = 10

const input = stepInput<StreamInput>()
const { dim, data, folder } = input.writer
const { ZgqIndex: Index } = await loadZgq()
const queries = await livingQueries(dim, 500, data)
const index: ZgqIndex = Index.open(pathOf({ folder }), input.isOwn ? { mode: 'write', autoOptimize: false } : {})
const vectors = input.isOwn ? await streamRows(input.writer) : new Float32Array()
await searchFor(2)
const still = await searchFor(input.stillSeconds)
const before = index.count()
let isWriting = true
const writing = write().finally(() => {
  isWriting = false
})
while (isWriting && index.count() === before) await turn()
const [first, second] = [
  await searchFor(input.writer.seconds / 2),
  await searchFor(input.writer.seconds, () => isWriting)
]
const written = await writing
const after = await searchFor(input.stillSeconds)
const result: StreamResult = {
  still: summarize(still),
  meanwhile: summarize([...first, ...second]),
  halves: [summarize(first), summarize(second)],
  after: summarize(after),
  written,
  rowsSeen: index.count() - before,
  rss: ownMemory().rss
}
stepResult(result)
index.close()

async function write(): Promise<StreamWritten> {
  if (!input.isOwn) return (await runStep<StreamWritten>('step-stream-writer.ts', input.writer)).value
  const add = async (rows: LivingRows): Promise<void> => {
    await index.add(batchOf(rows))
  }
  return await writeSteadily({ add }, vectors, input.writer)
}

async function searchFor(seconds: number, goesOn = (): boolean => true): Promise<number[]> {
  const times: number[] = []
  const endsAt = performance.now() + seconds * 1000
  for (let i = 0; performance.now() < endsAt && goesOn(); i++) {
    const startedAt = performance.now()
    index.search(queries[i % queries.length], { k: K })
    times.push((performance.now() - startedAt) * 1000)
    await turn()
  }
  return times
}

function summarize(times: readonly number[]): StreamTimes {
  const maxUs = times.reduce((most, time) => Math.max(most, time), 0)
  return { searches: times.length, p50Us: quantile(times, 0.5), p99Us: quantile(times, 0.99), maxUs }
}
