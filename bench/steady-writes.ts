// Rows that come in at a steady rate: in calls of so many rows, each at its time.

import { setTimeout as wait } from 'node:timers/promises'

import type { OpenLiving } from './engines/living.ts'
import { livingRows } from './living-rows.ts'
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

export async function streamRows({
  dim,
  data,
  from,
  rowsPerSecond,
  seconds
}: StreamWriterInput): Promise<Float32Array> {
  return await livingRows({ dim, from, count: rowsPerSecond * seconds, data })
}

export async function writeSteadily(
  open: Pick<OpenLiving, 'add'>,
  vectors: Float32Array,
  { dim, from, batch, rowsPerSecond }: StreamWriterInput
): Promise<StreamWritten> {
  const rows = vectors.length / dim
  const calls: number[] = []
  const startedAt = performance.now()
  for (let at = 0; at < rows; at += batch) {
    const early = startedAt + (at / rowsPerSecond) * 1000 - performance.now()
    if (early > 0) await wait(early)
    const calledAt = performance.now()
    const ids = Array.from({ length: batch }, (_, i) => from + at + i)
    await open.add({ ids, vectors: vectors.subarray(at * dim, (at + batch) * dim) })
    calls.push(performance.now() - calledAt)
  }
  const seconds = (performance.now() - startedAt) / 1000
  return { rows, seconds, callP50Ms: quantile(calls, 0.5), callP99Ms: quantile(calls, 0.99) }
}
