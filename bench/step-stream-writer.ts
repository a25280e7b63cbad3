// Adds rows at a steady rate: in calls of so many rows, each at its time.

import { setTimeout as wait } from 'node:timers/promises'

import { stepInput, stepResult } from './child.ts'
import { findLiving } from './engines/living.ts'
import { livingRows, metricOf } from './living-rows.ts'
import { quantile } from './report.ts'

export interface StreamWriterInput {
  readonly dim: number
  readonly data: string | undefined
  readonly folder: string
  /** Id of the first row. */
  readonly from: number
  readonly batch: number
  readonly rowsPerSecond: number
  readonly seconds: number
}

export interface StreamWritten {
  readonly rows: number
  /** It was late where this is above what was asked for. */
  readonly seconds: number
  readonly callP50Ms: number
  readonly callP99Ms: number
}

const input = stepInput<StreamWriterInput>()
const { dim, batch, rowsPerSecond, from } = input
const count = rowsPerSecond * input.seconds
const vectors = await livingRows({ dim, from, count, data: input.data })
const open = await findLiving('zgq').open({ folder: input.folder, dim, metric: metricOf(dim), hasTags: false })
const calls: number[] = []
const startedAt = performance.now()
for (let at = 0; at < count; at += batch) {
  const early = startedAt + (at / rowsPerSecond) * 1000 - performance.now()
  if (early > 0) await wait(early)
  const calledAt = performance.now()
  const ids = Array.from({ length: batch }, (_, i) => from + at + i)
  await open.add({ ids, vectors: vectors.subarray(at * dim, (at + batch) * dim) })
  calls.push(performance.now() - calledAt)
}
const written: StreamWritten = {
  rows: count,
  seconds: (performance.now() - startedAt) / 1000,
  callP50Ms: quantile(calls, 0.5),
  callP99Ms: quantile(calls, 0.99)
}
stepResult(written)
await open.close()
