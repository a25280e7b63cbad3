// One round of churn in a process of its own: rows are deleted, others added, in calls of so many rows; then, where
// folds are automatic, it waits until they are through.

import { stepInput, stepResult } from './child.ts'
import { addedIds, churnedIds, churnRows, type ChurnSpec } from './churn-rows.ts'
import { untilIdle } from './idle.ts'
import { loadZgq } from './packages.ts'
import { ownDeviceWrites, ownMemory } from './process-memory.ts'

export interface ChurnWriteInput {
  readonly spec: ChurnSpec
  readonly round: number
  readonly folder: string
  readonly batch: number
  readonly autoOptimize: boolean
}

export interface ChurnWriteResult {
  readonly deleteSeconds: number
  readonly addSeconds: number
  /** Until automatic folds were through, after the last call. */
  readonly idleSeconds: number
  readonly writtenBytes: number
  readonly peakRss: number
}

const { spec, round, folder, batch, autoOptimize } = stepInput<ChurnWriteInput>()
const { dim } = spec
const { ZgqIndex: Index } = await loadZgq()
const deleted = Array.from(churnedIds(spec, round).deleted)
const ids = Array.from(addedIds(spec, round))
const vectors = await churnRows(spec, Int32Array.from(ids))
const index = Index.open(folder, { mode: 'write', autoOptimize })
const deleteSeconds = await timed(async () => {
  for (let at = 0; at < deleted.length; at += batch) await index.delete(deleted.slice(at, at + batch))
})
const addSeconds = await timed(async () => {
  for (let at = 0; at < ids.length; at += batch) {
    const to = Math.min(at + batch, ids.length)
    await index.add({ ids: ids.slice(at, to), vectors: vectors.subarray(at * dim, to * dim) })
  }
})
const idleSeconds = autoOptimize ? await untilIdle() : 0
index.close()
// Sealing is a write, too: the result is handed back once nothing is left to be done.
process.once('beforeExit', () => {
  const result: ChurnWriteResult = {
    deleteSeconds,
    addSeconds,
    idleSeconds,
    writtenBytes: ownDeviceWrites(),
    peakRss: ownMemory().peakRss
  }
  stepResult(result)
})

async function timed(work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return (performance.now() - startedAt) / 1000
}
