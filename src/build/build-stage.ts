// One stage of a build by itself, so that a queue of jobs, or several processes over a shared folder, can build an
// index together.

import { checkOptionNames, expectOneOf, expectWholeNumber } from '../options.ts'
import { loadDriver } from '../catalogue/load-driver.ts'
import type { ArtifactTask } from './artifact-names.ts'
import { isDone, readTraining } from './artifacts.ts'
import { checkBuildOptions, OPTION_NAMES, type BuildOptions, type BuildPlan } from './build-options.ts'
import { readCalibrationQueries } from './calibration-queries.ts'
import { publishStage, type BuildReport } from './publish-stage.ts'
import { findSite, readInput } from './read-input.ts'
import { isJoined, joinedPath, partCount, type Site, type StoredIndex } from './site.ts'
import { readStored } from './stored-json.ts'
import { assignStage, trainStage, withCrew, writeStage } from './stages.ts'
import { WorkingFolder } from './working-folder.ts'

/** Stages that can run by themselves, in their order. `train` also samples, `publish` also calibrates. */
export type RunnableStage = 'read' | 'train' | 'assign' | 'write' | 'publish'

const RUNNABLE_STAGES: readonly RunnableStage[] = ['read', 'train', 'assign', 'write', 'publish']

/** A share of the tasks of a stage: number `index`, from 1 on, of `of` shares. */
export interface StageShare {
  readonly index: number
  readonly of: number
}

/** Options of `buildStage`: those of a build, the same for every stage. The input must be a file. */
export interface StageOptions extends BuildOptions {
  readonly stage: RunnableStage
  /** The share of `assign` or `write` to do. Default: all of it. */
  readonly shard?: StageShare | undefined
}

/** Progress of a stage, over all processes that share it. */
export interface StageReport {
  readonly stage: RunnableStage
  /** Tasks of the stage that are done, by any process; `total`: all its tasks. */
  readonly done: number
  readonly total: number
  /** For `publish`: the report of the build. */
  readonly built?: BuildReport
}

/**
 * Runs one stage of a build in the folder OUTPUT.building. `read`, `train` and `publish` run in one process. Several
 * processes can share `assign` and `write`, each with a shard of its own. A stage that is done already does nothing.
 * The data files are the same, byte for byte, as those of `buildIndex`. Rejects as `buildIndex` does; with
 * ZGQ_NOT_FOUND if an earlier stage is not done, ZGQ_MISMATCH if an earlier stage had other options or another input,
 * ZGQ_LOCKED if another process does the same work.
 */
export async function buildStage(options: StageOptions): Promise<StageReport> {
  checkOptionNames('buildStage', options, [...OPTION_NAMES, 'stage', 'shard'])
  const { stage, shard, ...rest } = options
  expectOneOf('stage', stage, RUNNABLE_STAGES)
  const plan = checkBuildOptions(rest)
  if (typeof plan.input !== 'string')
    throw new TypeError('the input of a stage must be a path: other processes cannot see an array or an iterable')
  const share = checkShare(stage, shard)
  plan.signal?.throwIfAborted()
  loadDriver()
  return stage === 'assign' || stage === 'write' ? runShared(plan, stage, share) : runAlone(plan, stage)
}

function checkShare(stage: RunnableStage, share: StageShare | undefined): StageShare {
  if (share === undefined) return { index: 1, of: 1 }
  if (stage !== 'assign' && stage !== 'write')
    throw new TypeError(`shard is for the stages assign and write, found stage ${stage}`)
  checkOptionNames('shard', share, ['index', 'of'])
  expectWholeNumber('shard.of', share.of, { least: 1, most: 65_536 })
  expectWholeNumber('shard.index', share.index, { least: 1, most: share.of })
  return share
}

async function runAlone(plan: BuildPlan, stage: 'read' | 'train' | 'publish'): Promise<StageReport> {
  const folder = WorkingFolder.take(plan.output, plan.force)
  try {
    const site =
      stage === 'read'
        ? (await readInput(plan, folder, { isDurable: true, isShared: false })).site
        : await findSite(plan, folder.path)
    if (stage === 'read') return { stage, done: 1, total: 1 }
    const queries = stage === 'publish' ? readCalibrationQueries(plan.queries, site.recipe) : undefined
    return await withCrew(plan, site, async (work) => {
      if (stage === 'publish')
        return { stage, done: 1, total: 1, built: await publishStage({ plan, folder, site, queries }, work) }
      await trainStage(site, work)
      return { stage, done: 1, total: 1 }
    })
  } finally {
    folder.leave()
  }
}

async function runShared(plan: BuildPlan, stage: 'assign' | 'write', share: StageShare): Promise<StageReport> {
  const joined = WorkingFolder.join(plan.output, `${stage}-${share.index}-of-${share.of}`)
  try {
    const site = await findSite(plan, joined.path)
    await withCrew(plan, site, async (work) => {
      const mine = { ...work, mine: (task: number) => task % share.of === share.index - 1 }
      await (stage === 'assign' ? assignStage(site, mine) : writeStage(site, mine))
    })
    return { stage, ...countTasks(site, stage) }
  } finally {
    joined.leave()
  }
}

/** Counts the tasks of a stage, and those that are done. */
function countTasks(site: Site, stage: 'assign' | 'write'): { done: number; total: number } {
  if (isJoined(site)) {
    const total = stage === 'assign' ? partCount(site.recipe) : readStored<StoredIndex>(joinedPath(site)).shards
    return { done: total, total }
  }
  const total = stage === 'assign' ? partCount(site.recipe) : readTraining(site).shardStarts.length - 1
  const taskOf = (number: number): ArtifactTask =>
    stage === 'assign' ? { kind: 'assign', part: number } : { kind: 'write', shard: number }
  return {
    total,
    done: Array.from({ length: total }, (_, number) => number).filter((n) => isDone(site, taskOf(n))).length
  }
}
