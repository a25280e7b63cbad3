// Runs one engine on one data set, in fresh processes: builds its index where --work has none yet, then searches.
// Beside each index lies what its build took, so that a later run can tell it.

import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { runStep } from './child.ts'
import type { DataSet } from './data-sets.ts'
import { findEngine } from './engines/index.ts'
import { packageVersion } from './packages.ts'
import type { EngineBuildInput, EngineBuildResult } from './step-engine-build.ts'
import type { EngineSearchInput, EngineSearchResult } from './step-engine-search.ts'

/** What keeps every engine to one thread while it searches. They have settings of their own besides (usearch, zvec). */
export const ONE_THREAD = {
  OMP_NUM_THREADS: '1',
  RAYON_NUM_THREADS: '1',
  LANCE_CPU_THREADS: '1',
  TOKIO_WORKER_THREADS: '1',
  OPENBLAS_NUM_THREADS: '1',
  RUST_LOG: 'error',
  LANCE_LOG: 'error'
}
const BUILD_ENVIRONMENT = { RUST_LOG: 'error', LANCE_LOG: 'error' }

export interface BuildRecord extends EngineBuildResult {
  readonly engine: string
  readonly version: string
  readonly settings: string
  readonly threads: number
  readonly peakRss: number
  readonly date: string
}

export interface RunSettings {
  readonly work: string
  readonly isRebuild: boolean
  readonly isQuick: boolean
  readonly timeoutMs: number
}

export interface EngineResult {
  readonly build: BuildRecord
  readonly search: EngineSearchResult
}

export function indexFolder(engine: string, set: DataSet, work: string): string {
  return join(work, set.name, engine, 'index')
}

/** Builds unless there is an index of the same version and settings already. */
export async function ensureBuilt(
  engineName: string,
  set: DataSet,
  { work, isRebuild, timeoutMs }: RunSettings
): Promise<BuildRecord> {
  const engine = findEngine(engineName)
  const folder = indexFolder(engineName, set, work)
  const recordPath = join(work, set.name, engineName, 'build.json')
  const version = packageVersion(engine.packageName)
  if (!isRebuild && existsSync(recordPath)) {
    const record: BuildRecord = JSON.parse(readFileSync(recordPath, 'utf8'))
    if (record.version === version && record.settings === engine.settings) return record
  }
  // Of an index that is gone nothing may be told.
  for (const path of [recordPath, join(work, set.name, engineName, 'search.json')]) rmSync(path, { force: true })
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const input: EngineBuildInput = { engine: engineName, path: set.base, metric: set.metric, folder }
  const { value, peaks } = await runStep<EngineBuildResult>('step-engine-build.ts', input, {
    env: BUILD_ENVIRONMENT,
    timeoutMs
  })
  const record: BuildRecord = {
    engine: engineName,
    version,
    settings: engine.settings,
    threads: engine.buildThreads,
    ...value,
    peakRss: peaks.rss,
    date: new Date().toISOString()
  }
  writeJson(recordPath, record)
  return record
}

/** Finds what earlier runs left in --work; undefined where an engine was not both built and searched. */
export function findResult(engineName: string, set: DataSet, work: string): EngineResult | undefined {
  const [build, search] = [
    readText(engineName, set, work, 'build.json'),
    readText(engineName, set, work, 'search.json')
  ]
  return build === undefined || search === undefined
    ? undefined
    : { build: JSON.parse(build), search: JSON.parse(search) }
}

/** Keeps the reason why an engine could not be measured, for `findFailure`. */
export function recordFailure(engineName: string, set: DataSet, work: string, reason: string): void {
  mkdirSync(join(work, set.name, engineName), { recursive: true })
  writeJson(join(work, set.name, engineName, 'failed.json'), { reason })
}

export function findFailure(engineName: string, set: DataSet, work: string): string | undefined {
  const text = readText(engineName, set, work, 'failed.json')
  if (text === undefined) return undefined
  const { reason }: { reason: string } = JSON.parse(text)
  return reason
}

function readText(engineName: string, set: DataSet, work: string, name: string): string | undefined {
  const path = join(work, set.name, engineName, name)
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined
}

export async function searchEngine(engineName: string, set: DataSet, settings: RunSettings): Promise<EngineResult> {
  const build = await ensureBuilt(engineName, set, settings)
  const input: EngineSearchInput = {
    engine: engineName,
    folder: indexFolder(engineName, set, settings.work),
    metric: set.metric,
    count: build.count,
    queries: set.queries,
    truth: set.truth,
    queryLimit: set.queryLimit,
    isQuick: settings.isQuick
  }
  const { value: search } = await runStep<EngineSearchResult>('step-engine-search.ts', input, {
    env: ONE_THREAD,
    timeoutMs: settings.timeoutMs
  })
  writeJson(join(settings.work, set.name, engineName, 'search.json'), search)
  return { build, search }
}

/** Writes the whole file or nothing. */
function writeJson(path: string, value: unknown): void {
  writeFileSync(`${path}.new`, JSON.stringify(value, null, 1) + '\n')
  renameSync(`${path}.new`, path)
}
