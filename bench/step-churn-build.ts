// Builds an index of the rows in files, in a process of its own: time, peak memory, bytes written.

import { rmSync } from 'node:fs'

import { stepInput, stepResult } from './child.ts'
import { folderBytes } from './folder-bytes.ts'
import { loadZgqBuild } from './packages.ts'
import { ownDeviceWrites, ownMemory } from './process-memory.ts'

export interface ChurnBuildInput {
  readonly vectors: string
  readonly ids: string
  readonly metric: 'l2' | 'cosine'
  readonly output: string
}

export interface ChurnBuildResult {
  readonly seconds: number
  readonly zones: number
  readonly bytes: number
  readonly writtenBytes: number
  readonly peakRss: number
}

const { vectors, ids, metric, output } = stepInput<ChurnBuildInput>()
const { buildIndex } = await loadZgqBuild()
rmSync(output, { recursive: true, force: true })
const startedAt = performance.now()
const { zones } = await buildIndex({ input: vectors, ids, metric, output })
const result: ChurnBuildResult = {
  seconds: (performance.now() - startedAt) / 1000,
  zones,
  bytes: folderBytes(output),
  writtenBytes: ownDeviceWrites(),
  peakRss: ownMemory().peakRss
}
stepResult(result)
