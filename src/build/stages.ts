// The stages of a build between reading the input and publishing: which tasks each is made of, what of them is left to
// do, and what is given up once it is done.

import { setImmediate } from 'node:timers/promises'

import { onAbort } from '../abort.ts'
import { ZgqError } from '../errors.ts'
import type { ArtifactTask } from './artifact-names.ts'
import {
  discardPartsOfShard,
  discardRound,
  discardTraining,
  isDone,
  isTrained,
  readAssignment,
  readTraining
} from './artifacts.ts'
import type { BuildPlan, BuildStage } from './build-options.ts'
import { openCrew, runInOrder, type Crew } from './crew.ts'
import { expectUnchanged } from './fingerprint.ts'
import { joinShards } from './join-shards.ts'
import { chooseThreads } from './resources.ts'
import { blockRange, planSample, roundCount } from './sample-blocks.ts'
import { isJoined, joinedPath, partCount, voidRecipe, type Site, type StoredIndex } from './site.ts'
import { decodeFloats, decodeWords, readStored, writeStored } from './stored-json.ts'
import { quantizerOf } from './task-context.ts'

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

export async function trainStage(site: Site, work: StageWork): Promise<void> {
  if (isJoined(site)) return
  if (!isTrained(site)) {
    await sampleRows(site, work)
    await trainRounds(site, work)
    expectSameInput(site)
  }
  discardTraining(site) // also where a build died before it could
}

async function sampleRows(site: Site, work: StageWork): Promise<void> {
  const plan = planSample(site.recipe)
  if (firstRoundLeft(site) > 0 || isDone(site, { kind: 'begin' })) return
  const blocks = numbers(plan.blocks)
  await runTasks(site, work, {
    stage: 'sample',
    tasks: [{ kind: 'check-ids' }, ...blocks.map((block): ArtifactTask => ({ kind: 'sample', block }))],
    rowsOf: (task) => (task.kind === 'sample' ? blockRange(plan, task.block).count : 0)
  })
}

/** The round that training goes on with: the last one that there are centroids for. */
function firstRoundLeft(site: Site): number {
  const rounds = roundCount(site.recipe)
  for (let round = rounds; round > 0; round--) if (isDone(site, { kind: 'round', round: round - 1 })) return round
  return 0
}

async function trainRounds(site: Site, work: StageWork): Promise<void> {
  const { crew, tell } = work
  const rounds = roundCount(site.recipe)
  const blocks = numbers(planSample(site.recipe).blocks)
  const turn = (): void => undefined
  if (firstRoundLeft(site) === 0) await runInOrder(crew, [{ kind: 'begin' }], { done: turn })
  for (let round = firstRoundLeft(site); round < rounds; round++) {
    await tell.now('train', round, rounds)
    await runInOrder(
      crew,
      blocks.map((block) => ({ kind: 'partial', round, block })),
      {
        done: () => {
          tell.note('train', round, rounds)
        }
      }
    )
    await runInOrder(crew, [{ kind: 'round', round }], { done: turn })
    discardRound(site, round)
  }
  await runInOrder(crew, [{ kind: 'order' }], { done: turn })
  await tell.now('train', rounds, rounds)
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
export async function assignStage(site: Site, work: StageWork): Promise<void> {
  if (isJoined(site)) return
  expectTrained(site, 'assign')
  if (isDone(site, { kind: 'tally' })) return
  const { count, rowsPerPart } = site.recipe
  await runTasks(site, work, {
    stage: 'assign',
    tasks: numbers(partCount(site.recipe))
      .filter(work.mine)
      .map((part) => ({ kind: 'assign', part })),
    rowsOf: (task) => (task.kind === 'assign' ? Math.min(rowsPerPart, count - task.part * rowsPerPart) : 0)
  })
  expectSameInput(site)
}

/** Counts the rows of all zones once all parts are assigned; throws ZGQ_NOT_FOUND where some are missing. */
async function tallyParts(site: Site, { crew }: StageWork): Promise<void> {
  if (isDone(site, { kind: 'tally' })) return
  const parts = numbers(partCount(site.recipe))
  expectAll(site, {
    tasks: parts.map((part) => ({ kind: 'assign', part })),
    are: 'parts of the input are not assigned yet',
    stage: 'assign'
  })
  await runInOrder(crew, [{ kind: 'tally' }], { done: () => undefined })
}

/** Writes the shards that are not written yet. */
export async function writeStage(site: Site, work: StageWork): Promise<void> {
  if (isJoined(site)) return
  expectTrained(site, 'write')
  await tallyParts(site, work)
  const { shardStarts } = readTraining(site)
  const zoneRows = decodeWords(readAssignment(site).zoneRows)
  const shards = numbers(shardStarts.length - 1).filter(work.mine)
  // where a build died before it could
  for (const shard of shards) if (isDone(site, { kind: 'write', shard })) discardPartsOfShard(site, shard)
  await runTasks(site, work, {
    stage: 'write',
    tasks: shards.map((shard) => ({ kind: 'write', shard })),
    rowsOf: (task) =>
      task.kind !== 'write'
        ? 0
        : zoneRows.subarray(shardStarts[task.shard], shardStarts[task.shard + 1]).reduce((sum, rows) => sum + rows, 0),
    after(task) {
      if (task.kind === 'write') discardPartsOfShard(site, task.shard)
    }
  })
}

/**
 * Makes an index of what was written, in the working folder; returns what it is. From then on nothing else in the
 * folder is needed, so that a build may die while it removes that.
 */
export async function joinStage(site: Site, work: StageWork): Promise<StoredIndex> {
  if (isJoined(site)) return readStored<StoredIndex>(joinedPath(site))
  expectTrained(site, 'publish')
  await tallyParts(site, work)
  const training = readTraining(site)
  expectAll(site, {
    tasks: numbers(training.shardStarts.length - 1).map((shard) => ({ kind: 'write', shard })),
    are: 'shards are not written yet',
    stage: 'write'
  })
  const joined = await joinShards(site, {
    training,
    inputDigest: readAssignment(site).inputDigest,
    quantizer: quantizerOf(site.recipe, decodeFloats(training.origin)),
    onIds: () => work.tell.turn()
  })
  writeStored(joinedPath(site), joined, site.isDurable)
  return joined
}

function expectTrained(site: Site, stage: BuildStage): void {
  if (!isTrained(site))
    throw new ZgqError('ZGQ_NOT_FOUND', `the stage ${stage} needs trained zones: run the stage train first`, {
      path: site.path
    })
}

function expectAll(
  site: Site,
  of: { readonly tasks: readonly ArtifactTask[]; readonly are: string; readonly stage: BuildStage }
): void {
  const missing = of.tasks.filter((task) => !isDone(site, task)).length
  if (missing === 0) return
  throw new ZgqError(
    'ZGQ_NOT_FOUND',
    `${missing} of the ${of.tasks.length} ${of.are}: finish the stage ${of.stage} in all processes first`,
    { path: site.path }
  )
}

interface TasksOfStage {
  readonly stage: BuildStage
  readonly tasks: readonly ArtifactTask[]
  /** Rows of a task, for progress. */
  readonly rowsOf: (task: ArtifactTask) => number
  /** Called when a task and all before it are done. */
  readonly after?: (task: ArtifactTask) => void
}

/** Does the tasks of a stage that are not done, and tells how far it is. */
async function runTasks(site: Site, { crew, tell }: StageWork, of: TasksOfStage): Promise<void> {
  const { stage, tasks, rowsOf } = of
  const left = tasks.filter((task) => !isDone(site, task))
  const sumOf = (some: readonly ArtifactTask[]): number => some.reduce((sum, task) => sum + rowsOf(task), 0)
  const total = sumOf(tasks)
  let done = total - sumOf(left)
  await tell.now(stage, done, total)
  await runInOrder(crew, left, {
    done(more) {
      done += more
      tell.note(stage, done, total)
    },
    answer: (_, task) => of.after?.(left[task])
  })
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, number) => number)
}
