// optimize() in a process of its own: time, what it says it did, bytes written, peak memory, and how long the event
// loop was held up.

import { monitorEventLoopDelay } from 'node:perf_hooks'

import { stepInput, stepResult } from './child.ts'
import { loadZgq } from './packages.ts'
import { ownDeviceWrites, ownMemory } from './process-memory.ts'

export interface FoldInput {
  readonly folder: string
}

export interface FoldResult {
  readonly seconds: number
  readonly steps: number
  /** As the fold counts them. */
  readonly rows: number
  readonly zones: number
  readonly bytesWritten: number
  /** As the system counts them. */
  readonly writtenBytes: number
  readonly rssBefore: number
  readonly peakRss: number
  readonly loopP99Ms: number
  readonly loopMaxMs: number
}

const LOOP_MS = 1

const { folder } = stepInput<FoldInput>()
const { ZgqIndex: Index } = await loadZgq()
const index = Index.open(folder, { mode: 'write', autoOptimize: false })
const rssBefore = ownMemory().rss
const before = ownDeviceWrites()
const loop = monitorEventLoopDelay({ resolution: LOOP_MS })
loop.enable()
const startedAt = performance.now()
const { steps, rows, zones, bytesWritten } = await index.optimize()
const seconds = (performance.now() - startedAt) / 1000
loop.disable()
const result: FoldResult = {
  seconds,
  steps,
  rows,
  zones,
  bytesWritten,
  writtenBytes: ownDeviceWrites() - before,
  rssBefore,
  peakRss: ownMemory().peakRss,
  loopP99Ms: Math.max(0, loop.percentile(99) / 1e6 - LOOP_MS),
  loopMaxMs: Math.max(0, loop.max / 1e6 - LOOP_MS)
}
stepResult(result)
index.close()
