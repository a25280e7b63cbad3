// A build on one page: read -> sample -> train -> assign -> write -> calibrate -> publish. Each stage is made of tasks that leave their results in files of the
// working folder: so memory follows `memoryBytes` and not the data, threads share the work, and a build that was killed goes on where it was.

import { existsSync, statSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'

import { hex } from '../format/header.ts'
import { wrapReadError } from '../errors.ts'
import { writeCalibration } from '../storage/catalogue-writer.ts'
import { loadSqlite } from '../storage/native-modules.ts'
import type { Metric } from '../types.ts'
import { isAssigned } from './assign-part.ts'
import { checkBuildOptions, type BuildOptions, type BuildPlan, type BuildStage } from './build-options.ts'
import { calibrateSite } from './calibrate-site.ts'
import { openCrew, runInOrder, type Crew } from './crew.ts'
import { joinParts } from './join-parts.ts'
import { joinShards, type Joined } from './join-shards.ts'
import { readInput } from './read-input.ts'
import { chooseThreads } from './resources.ts'
import { discardSample, sampleCount } from './sample.ts'
import { assignedPath, partCount, trainedPath, type Site } from './site.ts'
import type { BuildTask } from './tasks.ts'
import { trainSite } from './train.ts'
import { quantizerOf, Workplace } from './workplace.ts'
import { WorkingFolder } from './working-folder.ts'
import { isWritten } from './write-shard.ts'

/** What was built. */
export interface BuildReport {
  readonly path: string
  readonly count: number
  readonly dim: number
  readonly metric: Metric
  readonly zones: number
  readonly bits: number
  /** Length of all files of the index. */
  readonly bytes: number
  /** 32 hex digits. */
  readonly indexId: string
}

/**
 * Builds an index from vectors and publishes it by one rename; nothing is visible at `output` before.
 * Rejects with ZGQ_EXISTS, ZGQ_NOT_AN_INDEX, ZGQ_LOCKED, ZGQ_NOT_FOUND, ZGQ_READ_ONLY or ZGQ_IO for the output; ZGQ_BUILD_INPUT, ZGQ_TRUNCATED, ZGQ_DIMENSION,
 * ZGQ_NON_FINITE, ZGQ_ZERO_VECTOR or ZGQ_ID_EXISTS for the input; ZGQ_UNSUPPORTED for a path inside app.asar; TypeError or RangeError for bad options; the signal's reason when aborted.
 */
export async function buildIndex(options: BuildOptions): Promise<BuildReport> {
  const plan = checkBuildOptions(options)
  plan.signal?.throwIfAborted()
  loadSqlite() // now, not after the work is done
  const folder = WorkingFolder.take(plan.output, plan.force)
  try {
    const site = await readInput(plan, folder, false)
    return await build({ plan, folder, site })
  } catch (error) {
    discardQuietly(folder)
    throw error
  }
}

/** What cannot be removed now, the next build clears away; the error that ended this one says more. */
function discardQuietly(folder: WorkingFolder): void {
  try {
    folder.discard()
  } catch {
    return
  }
}

interface Build {
  readonly plan: BuildPlan
  readonly folder: WorkingFolder
  readonly site: Site
}

async function build(work: Build): Promise<BuildReport> {
  const { plan, folder, site } = work
  const crew = openCrew(site, chooseThreads(plan.workers, site.recipe))
  const stop = (): void => { void crew.close() }
  plan.signal?.addEventListener('abort', stop, { once: true })
  try {
    const tell = openTell(plan)
    const stage = { crew, tell, mine: () => true }
    await trainStage(site, stage)
    await assignStage(site, stage)
    await writeStage(site, stage)
    const joined = joinStage(site)
    const calibration = await calibrateSite(site, crew, { queries: plan.queries, onQueries: (done, total) => tell.now('calibrate', done, total) })
    writeCalibration(site.path, calibration)
    await tell.now('publish', 0, 1)
    await crew.close() // their files are open
    folder.clear((name) => joined.files.includes(name))
    const report = describe(work, joined)
    folder.publish()
    plan.onProgress({ stage: 'publish', done: 1, total: 1 })
    return report
  } catch (error) {
    plan.signal?.throwIfAborted() // what the end of the crew brought about says less
    throw error
  } finally {
    plan.signal?.removeEventListener('abort', stop)
    await crew.close()
  }
}

function describe(work: Build, joined: Joined): BuildReport {
  const { plan, folder, site } = work
  const { count, dim, metric, bits } = site.recipe
  try {
    const bytes = joined.files.reduce((sum, name) => sum + statSync(folder.file(name)).size, 0)
    return { path: plan.output, count, dim, metric, zones: joined.zones, bits, bytes, indexId: hex(joined.indexId) }
  } catch (error) {
    throw wrapReadError(error, folder.path, 'look at the files of the index')
  }
}

/** Tells how far a build is. */
export interface Tell {
  /** Reports progress; throws if the build was aborted. */
  note(stage: BuildStage, done: number, total: number): void
  /** The same, and lets the event loop turn in between. */
  now(stage: BuildStage, done: number, total: number): Promise<void>
}

export function openTell(plan: BuildPlan): Tell {
  const note = (stage: BuildStage, done: number, total: number): void => {
    plan.onProgress({ stage, done, total })
    plan.signal?.throwIfAborted()
  }
  return {
    note,
    async now(stage, done, total) {
      note(stage, done, total)
      await setImmediate()
      plan.signal?.throwIfAborted()
    }
  }
}

/** Who does the tasks of a stage, and which of them: processes may share them. */
export interface StageWork {
  readonly crew: Crew
  readonly tell: Tell
  readonly mine: (task: number) => boolean
}

export async function trainStage(site: Site, { crew, tell }: StageWork): Promise<void> {
  if (existsSync(trainedPath(site))) return
  await runTasks(crew, [{ kind: 'check-ids' }, { kind: 'sample' }], { stage: 'sample', done: 0, total: sampleCount(site.recipe), tell })
  await trainSite(site, crew, (round, rounds) => tell.now('train', round, rounds))
  discardSample(site)
}

/** Assigns the parts that are not assigned yet. */
export async function assignStage(site: Site, { crew, tell, mine }: StageWork): Promise<void> {
  if (existsSync(assignedPath(site))) return
  const parts = Array.from({ length: partCount(site.recipe) }, (_, part) => part).filter((part) => mine(part) && !isAssigned(site, part))
  const { count, rowsPerPart } = site.recipe
  const rowsOf = (part: number): number => Math.min(rowsPerPart, count - part * rowsPerPart)
  const left = parts.reduce((sum, part) => sum + rowsOf(part), 0)
  const total = Array.from({ length: partCount(site.recipe) }, (_, part) => part).filter(mine).reduce((sum, part) => sum + rowsOf(part), 0)
  await runTasks(crew, parts.map((part) => ({ kind: 'assign', part })), { stage: 'assign', done: total - left, total, tell })
}

/** Writes the shards that are not written yet. */
export async function writeStage(site: Site, { crew, tell, mine }: StageWork): Promise<void> {
  joinParts(site)
  const { training, assignment } = new Workplace(site, 1)
  const rowsOf = (shard: number): number => assignment.zoneRows.subarray(training.shardStarts[shard], training.shardStarts[shard + 1]).reduce((sum, rows) => sum + rows, 0)
  const all = Array.from({ length: training.shardStarts.length - 1 }, (_, shard) => shard)
  const shards = all.filter((shard) => mine(shard) && !isWritten(site, shard))
  const total = all.filter(mine).reduce((sum, shard) => sum + rowsOf(shard), 0)
  const left = shards.reduce((sum, shard) => sum + rowsOf(shard), 0)
  await runTasks(crew, shards.map((shard) => ({ kind: 'write', shard })), { stage: 'write', done: total - left, total, tell })
}

/** Makes an index of what was written, in the working folder; returns what it is. */
export function joinStage(site: Site): Joined {
  const { training, assignment } = new Workplace(site, 1)
  return joinShards(site, { training, inputDigest: assignment.inputDigest, quantizer: quantizerOf(site.recipe, training.originRow) })
}

/** Does tasks of a stage and tells how far it is: `done` of `total` was done before. */
async function runTasks(crew: Crew, tasks: readonly BuildTask[], progress: { stage: BuildStage; done: number; total: number; tell: Tell }): Promise<void> {
  const { stage, total, tell } = progress
  let { done } = progress
  await tell.now(stage, done, total)
  await runInOrder(crew, tasks, {
    done(more) {
      done += more
      tell.note(stage, done, total)
    }
  })
}
