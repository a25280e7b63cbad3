// One build in its own process: wall time and memory.

import { stepInput, stepResult } from './child.ts'
import { loadZgqBuild } from './packages.ts'
import { ownMemory, type ProcessMemory } from './process-memory.ts'

export interface BuildStepInput {
  readonly input: string
  readonly output: string
  readonly metric: 'l2' | 'cosine'
}

export interface BuildStepResult {
  readonly count: number
  readonly dim: number
  readonly zones: number
  readonly bytes: number
  readonly elapsedMs: number
  /** With the modules loaded, before the build. */
  readonly before: ProcessMemory
  readonly peakRss: number
  readonly maxRss: number
}

const { buildIndex } = await loadZgqBuild()
const before = ownMemory()
const startedAt = performance.now()
const report = await buildIndex({ ...stepInput<BuildStepInput>(), force: true })
const elapsedMs = performance.now() - startedAt
const result: BuildStepResult = {
  count: report.count,
  dim: report.dim,
  zones: report.zones,
  bytes: report.bytes,
  elapsedMs,
  before,
  peakRss: ownMemory().peakRss,
  maxRss: process.resourceUsage().maxRSS * 1024
}
stepResult(result)
