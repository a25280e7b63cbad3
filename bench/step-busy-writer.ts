// Adds rows at a steady rate from a process of its own, with or without folds.

import { setTimeout as wait } from 'node:timers/promises'

import { stepInput, stepResult } from './child.ts'
import { churnRows, type ChurnSpec } from './churn-rows.ts'
import { loadZgq } from './packages.ts'
import { writeSteadily, type StreamWritten } from './steady-writes.ts'

/** `writing`: nothing folds; `automatic`: what folds by itself; `folding`: one optimize() after the other. */
export type BusyKind = 'writing' | 'automatic' | 'folding'

export interface BusyWriterInput {
  readonly spec: ChurnSpec
  readonly folder: string
  readonly kind: BusyKind
  /** Id of the first row. */
  readonly from: number
  readonly batch: number
  readonly rowsPerSecond: number
  readonly seconds: number
}

export interface BusyWritten extends StreamWritten {
  /** Calls of optimize() that were through, and the seconds that they took together. */
  readonly folds: number
  readonly foldSeconds: number
  /** Generations that were published meanwhile, deltas among them. */
  readonly generations: number
}

const PAUSE_MS = 200

const { spec, folder, kind, from, batch, rowsPerSecond, seconds } = stepInput<BusyWriterInput>()
const { dim, data } = spec
const { ZgqIndex: Index } = await loadZgq()
const vectors = await churnRows(
  spec,
  Int32Array.from({ length: rowsPerSecond * seconds }, (_, i) => from + i)
)
const index = Index.open(folder, { mode: 'write', autoOptimize: kind === 'automatic' })
const { generation } = index.info()
let folds = 0
let foldSeconds = 0
let isWriting = true
const folding = kind === 'folding' ? foldOn() : undefined
const written = await writeSteadily({ add: addRows }, vectors, {
  dim,
  data,
  folder,
  from,
  batch,
  rowsPerSecond,
  seconds
})
isWriting = false
await folding
const generations = index.info().generation - generation
index.close()
const result: BusyWritten = { ...written, folds, foldSeconds, generations }
process.once('beforeExit', () => {
  stepResult(result)
})

async function addRows(rows: { readonly ids: readonly number[]; readonly vectors: Float32Array }): Promise<void> {
  await index.add(rows)
}

async function foldOn(): Promise<void> {
  while (isWriting) {
    const startedAt = performance.now()
    await index.optimize()
    foldSeconds += (performance.now() - startedAt) / 1000
    folds++
    await wait(PAUSE_MS)
  }
}
