// The stages of a build between reading the input and publishing: which tasks each is made of, and what of them is left
// to do.

import { existsSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'

import { onAbort } from '../abort.ts'
import { ZgqError } from '../errors.ts'
import { isAssigned } from './assign-part.ts'
import type { BuildPlan, BuildStage } from './build-options.ts'
import { openCrew, runInOrder, type Crew } from './crew.ts'
import { expectUnchanged } from './fingerprint.ts'
import { joinParts } from './join-parts.ts'
import { joinShards } from './join-shards.ts'
import { chooseThreads } from './resources.ts'
import { discardSample } from './sample.ts'
import { discardPartsOfShard } from './parts.ts'
import {
  assignedPath,
  isJoined,
  joinedPath,
  partCount,
  sampleCount,
  trainedPath,
  voidRecipe,
  type Site,
  type StoredIndex
} from './site.ts'
import { readStored, writeStored } from './stored-json.ts'
import type { BuildTask } from './tasks.ts'
import { trainSite } from './train.ts'
import { quantizerOf, TaskContext } from './task-context.ts'
import { isWritten } from './write-shard.ts'

/** Tells how far a build is. */
export interface Tell {
  /** Reports progress; throws if the build was aborted. */
  note(stage: BuildStage, done: number, total: number): void
  /** The same, and lets the event loop turn in between. */
  now(stage: BuildStage, done: number, total: number): Promise<void>
  /** Lets the event loop turn, without a note; throws if the build was aborted. */
  turn(): Promise<void>
}

export function openTell(plan: BuildPlan): Tell {
  const note = (stage: BuildStage, done: number, total: number): void => {
    plan.onProgress({ stage, done, total })
    plan.signal?.throwIfAborted()
  }
  const turn = async (): Promise<void> => {
    await setImmediate()
    plan.signal?.throwIfAborted()
  }
  return {
    note,
    async now(stage, done, total) {
      note(stage, done, total)
      await turn()
    },
    turn
  }
}

/** Who does the tasks of a stage, and which of them: processes may share them. */
export interface StageWork {
  readonly crew: Crew
  readonly tell: Tell
  readonly mine: (task: number) => boolean
}

/** Opens a crew for stages of a build and closes it after them; an abort stops it at once. */
export async function withCrew<T>(plan: BuildPlan, site: Site, run: (work: StageWork) => Promise<T>): Promise<T> {
  const crew = openCrew(site, chooseThreads(plan.workers, site.recipe))
  const endWait = onAbort(plan.signal, () => {
    void crew.close()
  })
  try {
    return await run({ crew, tell: openTell(plan), mine: () => true })
  } catch (error) {
    plan.signal?.throwIfAborted() // what the end of the crew brought about says less
    throw error
  } finally {
    endWait()
    await crew.close()
  }
}

export async function trainStage(site: Site, { crew, tell }: StageWork): Promise<void> {
  if (isJoined(site)) return
  if (existsSync(trainedPath(site))) {
    discardSample(site) // where a build died before it could
    return
  }
  await runTasks(crew, [{ kind: 'check-ids' }, { kind: 'sample' }], {
    stage: 'sample',
    done: 0,
    total: sampleCount(site.recipe),
    tell
  })
  await trainSite(site, crew, (round, rounds) => tell.now('train', round, rounds))
  expectSameInput(site)
  discardSample(site)
}

/**
 * Throws ZGQ_BUILD_INPUT where a file was changed under the stage that read it, whose work is then not gone on with.
 */
function expectSameInput(site: Site): void {
  try {
    expectUnchanged(site.inputs)
  } catch (error) {
    // Not where the input could not be looked at: then nothing is known against the work.
    if (error instanceof ZgqError && error.code === 'ZGQ_BUILD_INPUT') voidRecipe(site)
    throw error
  }
}

/** Assigns the parts that are not assigned yet. */
export async function assignStage(site: Site, { crew, tell, mine }: StageWork): Promise<void> {
  if (isJoined(site)) return
  expectTrained(site, 'assign')
  if (existsSync(assignedPath(site))) return
  const parts = Array.from({ length: partCount(site.recipe) }, (_, part) => part).filter(
    (part) => mine(part) && !isAssigned(site, part)
  )
  const { count, rowsPerPart } = site.recipe
  const rowsOf = (part: number): number => Math.min(rowsPerPart, count - part * rowsPerPart)
  const left = parts.reduce((sum, part) => sum + rowsOf(part), 0)
  const total = Array.from({ length: partCount(site.recipe) }, (_, part) => part)
    .filter(mine)
    .reduce((sum, part) => sum + rowsOf(part), 0)
  await runTasks(
    crew,
    parts.map((part) => ({ kind: 'assign', part })),
    { stage: 'assign', done: total - left, total, tell }
  )
  expectSameInput(site)
}

/** Writes the shards that are not written yet. */
export async function writeStage(site: Site, { crew, tell, mine }: StageWork): Promise<void> {
  if (isJoined(site)) return
  expectTrained(site, 'write')
  joinParts(site)
  const context = new TaskContext(site, 0)
  const [training, assignment] = [context.readTraining(), context.readAssignment()]
  const rowsOf = (shard: number): number =>
    assignment.zoneRows
      .subarray(training.shardStarts[shard], training.shardStarts[shard + 1])
      .reduce((sum, rows) => sum + rows, 0)
  const all = Array.from({ length: training.shardStarts.length - 1 }, (_, shard) => shard)
  const shards = all.filter((shard) => mine(shard) && !isWritten(site, shard))
  // where a build died before it could
  for (const shard of all.filter((one) => mine(one) && isWritten(site, one))) discardPartsOfShard(site, shard)
  const total = all.filter(mine).reduce((sum, shard) => sum + rowsOf(shard), 0)
  const left = shards.reduce((sum, shard) => sum + rowsOf(shard), 0)
  await runTasks(
    crew,
    shards.map((shard) => ({ kind: 'write', shard })),
    { stage: 'write', done: total - left, total, tell }
  )
}

/**
 * Makes an index of what was written, in the working folder; returns what it is. From then on nothing else in the
 * folder is needed, so that a build may die while it removes that.
 */
export async function joinStage(site: Site, { tell }: StageWork): Promise<StoredIndex> {
  if (isJoined(site)) return readStored<StoredIndex>(joinedPath(site))
  expectTrained(site, 'publish')
  joinParts(site)
  const context = new TaskContext(site, 0)
  const [training, assignment] = [context.readTraining(), context.readAssignment()]
  const joined = await joinShards(site, {
    training,
    inputDigest: assignment.inputDigest,
    quantizer: quantizerOf(site.recipe, training.originRow),
    onIds: () => tell.turn()
  })
  writeStored(joinedPath(site), joined, site.recipe.isDurable)
  return joined
}

function expectTrained(site: Site, stage: BuildStage): void {
  if (!existsSync(trainedPath(site)))
    throw new ZgqError('ZGQ_NOT_FOUND', `the stage ${stage} needs trained zones: run the stage train first`, {
      path: site.path
    })
}

/** Does tasks of a stage and tells how far it is: `done` of `total` was done before. */
async function runTasks(
  crew: Crew,
  tasks: readonly BuildTask[],
  progress: { stage: BuildStage; done: number; total: number; tell: Tell }
): Promise<void> {
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
