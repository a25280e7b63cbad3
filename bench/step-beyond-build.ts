// One large build in its own process, with the time of each stage.

import { stepInput, stepResult } from './child.ts'
import { loadZgqBuild } from './packages.ts'

export interface BeyondBuildInput {
  readonly input: string
  readonly output: string
  readonly memoryBytes: number
}

export interface BeyondBuild {
  readonly zones: number
  readonly elapsedMs: number
  readonly stages: readonly { readonly stage: string; readonly seconds: number }[]
}

const { buildIndex } = await loadZgqBuild()
const stages: { stage: string; seconds: number }[] = []
const startedAt = performance.now()
let since = startedAt
let last = ''
const report = await buildIndex({
  ...stepInput<BeyondBuildInput>(),
  force: true,
  onProgress({ stage }) {
    if (stage === last) return
    const now = performance.now()
    if (last !== '') stages.push({ stage: last, seconds: (now - since) / 1000 })
    last = stage
    since = now
  }
})
const result: BeyondBuild = { zones: report.zones, elapsedMs: performance.now() - startedAt, stages }
stepResult(result)
