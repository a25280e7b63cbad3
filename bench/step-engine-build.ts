// One build of one engine in its own process: wall time and processor time.

import { eachBatch, type PeerMetric } from './engines/engine.ts'
import { findEngine } from './engines/index.ts'
import { stepInput, stepResult } from './child.ts'
import { loadZgqBuild } from './packages.ts'
import { folderBytes } from './page-cache.ts'

export interface EngineBuildInput {
  readonly engine: string
  readonly path: string
  readonly metric: PeerMetric
  readonly folder: string
  readonly threads?: number | undefined
}

export interface EngineBuildResult {
  readonly count: number
  readonly dim: number
  readonly seconds: number
  /** Processor time over wall time: how many cores the build kept busy. */
  readonly cpuPerWall: number
  readonly bytes: number
}

const { engine, path, metric, folder, threads } = stepInput<EngineBuildInput>()
const { openVectorFile } = await loadZgqBuild()
const rows = openVectorFile(path)
await eachBatch(rows, 8192, () => undefined) // the vectors come from the page cache for every engine
const cpuBefore = process.cpuUsage()
const startedAt = performance.now()
await findEngine(engine).build({ rows, path, metric, folder, threads })
const seconds = (performance.now() - startedAt) / 1000
const cpu = process.cpuUsage(cpuBefore)
const result: EngineBuildResult = {
  count: rows.count,
  dim: rows.dim,
  seconds,
  cpuPerWall: (cpu.user + cpu.system) / 1e6 / seconds,
  bytes: folderBytes(folder)
}
rows.close()
stepResult(result)
process.exit(0) // some engines leave threads that keep the process alive
