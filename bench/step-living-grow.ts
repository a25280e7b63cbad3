// Makes an index of one engine, or adds rows to it, in calls of so many rows.

import { mkdirSync, rmSync } from 'node:fs'

import { stepInput, stepResult } from './child.ts'
import { findLiving, type LivingRows, type OpenLiving } from './engines/living.ts'
import { livingRows, metricOf } from './living-rows.ts'

export interface GrowInput {
  readonly engine: string
  readonly dim: number
  readonly data: string | undefined
  readonly folder: string
  /** Rows that it is made with before: some are built, 0 makes an empty index; undefined: it is there. */
  readonly base: number | undefined
  /** Then rows [from, to) are added. */
  readonly from: number
  readonly to: number
  /** Rows a call. */
  readonly batch: number
}

const ROWS_AT_ONCE = 10_000

const input = stepInput<GrowInput>()
const { dim, data, folder, base, batch } = input
const engine = findLiving(input.engine)
const of = { folder, dim, metric: metricOf(dim), hasTags: false, autoOptimize: false }
const startedAt = performance.now()
if (base !== undefined) {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  if (base > 0) await engine.build(of, await rowsFrom(0, base))
}
let opened: OpenLiving | undefined = base === 0 ? await engine.create(of) : undefined
for (let from = input.from; from < input.to; from += ROWS_AT_ONCE) {
  const count = Math.min(ROWS_AT_ONCE, input.to - from)
  opened ??= await engine.open(of)
  const { ids, vectors } = await rowsFrom(from, count)
  for (let at = 0; at < count; at += batch)
    await opened.add({
      ids: ids.slice(at, at + batch),
      vectors: vectors.subarray(at * dim, Math.min(at + batch, count) * dim)
    })
}
await opened?.close()
stepResult({ seconds: (performance.now() - startedAt) / 1000 })
// An index that is being closed keeps the process until it is sealed; some engines leave threads that never end.
if (engine.name !== 'zgq') process.exit(0)

async function rowsFrom(from: number, count: number): Promise<LivingRows> {
  const vectors = await livingRows({ dim, from, count, data })
  return { ids: Array.from({ length: count }, (_, i) => from + i), vectors }
}
