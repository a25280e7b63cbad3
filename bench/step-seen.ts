// Adds rows one by one, and says when each was seen by another process: from the call, and from its promise.

import { mkdirSync, rmSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'

import { runStep, stepInput, stepResult } from './child.ts'
import { findLiving } from './engines/living.ts'
import { livingRows } from './living-rows.ts'
import type { Looking, SeenReaderInput } from './step-seen-reader.ts'

export interface SeenInput {
  readonly folder: string
  readonly data: string | undefined
  readonly looking: Looking
  readonly count: number
}

export interface SeenResult {
  /** Milliseconds from calling `add` until another process saw the row. */
  readonly fromCallMs: readonly number[]
  /** From its promise: below 0 where the other process was first. */
  readonly fromDoneMs: readonly number[]
}

const DIM = 128
const BASE_ROWS = 10_000
/** Between two rows; longer than the reader's start takes for the first. */
const PAUSE_MS = 5
const START_MS = 3000

const { folder, data, looking, count } = stepInput<SeenInput>()
const zgq = findLiving('zgq')
const of = { folder, dim: DIM, metric: 'l2', hasTags: false } as const
rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })
const vectors = await livingRows({ dim: DIM, from: 0, count: BASE_ROWS, data })
await zgq.build(of, { ids: Array.from({ length: BASE_ROWS }, (_, i) => i), vectors })
const open = await zgq.open(of)
const rows = await livingRows({ dim: DIM, from: BASE_ROWS, count: count + 1, data })
const reader: SeenReaderInput = { folder, looking, from: BASE_ROWS + 1, count, dim: DIM, data }
const reading = runStep<string[]>('step-seen-reader.ts', reader, { timeoutMs: 60_000 })
reading.catch(() => undefined) // awaited below
await add(BASE_ROWS)
await wait(START_MS)
const calledAt: bigint[] = []
const doneAt: bigint[] = []
for (let i = 0; i < count; i++) {
  calledAt.push(process.hrtime.bigint())
  await add(reader.from + i)
  doneAt.push(process.hrtime.bigint())
  await wait(PAUSE_MS)
}
const { value: seenAt } = await reading
const since = (times: readonly bigint[]): number[] => times.map((time, i) => Number(BigInt(seenAt[i]) - time) / 1e6)
const result: SeenResult = { fromCallMs: since(calledAt), fromDoneMs: since(doneAt) }
stepResult(result)
await open.close()

async function add(id: number): Promise<void> {
  const at = (id - BASE_ROWS) * DIM
  await open.add({ ids: [id], vectors: rows.subarray(at, at + DIM) })
}
