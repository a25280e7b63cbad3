// The stages of a build on a queue: which tasks each is made of, and which of them are left. The store says what is
// done; workers do the rest.

import type { ArtifactStore } from '../artifacts/artifact-store.ts'
import { namesOf, outputOf, type ArtifactTask } from '../build/artifact-names.ts'
import type { BuildStage } from '../build/build-options.ts'
import { blockRange, planSample, roundCount } from '../build/sample-blocks.ts'
import { partCount, type Recipe } from '../build/site.ts'
import type { Tell } from '../build/stages.ts'
import { ZgqError } from '../errors.ts'
import { inParallel } from '../pack/parallel.ts'
import type { JobQueue } from './job-queue.ts'
import type { QueueFacts } from './job-run.ts'
import type { TaskJob } from './task-job.ts'

const LOOKS_AT_A_TIME = 16
/** Another coordinator of the build may end, and remove what this one was about to use. */
const MOST_ATTEMPTS = 3

/** What a build on a queue works with. */
export interface QueueWork {
  readonly store: ArtifactStore
  readonly queue: JobQueue
  readonly recipe: Recipe
  /** Name of the build. */
  readonly build: string
  readonly tell: Tell
  readonly signal: AbortSignal
  readonly onQueue: ((facts: QueueFacts) => void) | undefined
}

/** Tasks of a stage, and the rows of each, for progress. */
interface StageTasks {
  readonly stage: BuildStage
  readonly tasks: readonly ArtifactTask[]
  readonly rowsOf?: (task: ArtifactTask) => number
  /** What the rows of all tasks are shown as; default: rows. */
  readonly shownAs?: number
}

/** What a stage must know of what the stages before it left. */
export interface Findings {
  shardStarts(): Promise<readonly number[]>
  zoneRows(): Promise<Uint32Array>
}

/** Has the shards of a build written. */
export async function writeShards(work: QueueWork, read: Findings): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await runStages(work, read)
      return
    } catch (error) {
      if (!(error instanceof ZgqError) || error.code !== 'ZGQ_NOT_FOUND' || attempt === MOST_ATTEMPTS) throw error
    }
  }
}

async function runStages(work: QueueWork, read: Findings): Promise<void> {
  const { recipe } = work
  await trainZones(work)
  if (!(await isStored(work, { kind: 'tally' }))) {
    const { count, rowsPerPart } = recipe
    await ensure(work, {
      stage: 'assign',
      tasks: numbers(partCount(recipe)).map((part) => ({ kind: 'assign', part })),
      rowsOf: (task) => (task.kind === 'assign' ? Math.min(rowsPerPart, count - task.part * rowsPerPart) : 0)
    })
    await ensure(work, { stage: 'assign', tasks: [{ kind: 'tally' }] })
  }
  const shardStarts = await read.shardStarts()
  const zoneRows = await read.zoneRows()
  await ensure(work, {
    stage: 'write',
    tasks: numbers(shardStarts.length - 1).map((shard) => ({ kind: 'write', shard })),
    rowsOf: (task) =>
      task.kind !== 'write'
        ? 0
        : zoneRows.subarray(shardStarts[task.shard], shardStarts[task.shard + 1]).reduce((sum, rows) => sum + rows, 0)
  })
}

async function trainZones(work: QueueWork): Promise<void> {
  if (await isStored(work, { kind: 'order' })) return
  const { recipe, tell } = work
  const plan = planSample(recipe)
  const blocks = numbers(plan.blocks)
  const rounds = roundCount(recipe)
  let first = await lastRound(work)
  if (first === undefined) {
    await ensure(work, {
      stage: 'sample',
      tasks: [{ kind: 'check-ids' }, ...blocks.map((block): ArtifactTask => ({ kind: 'sample', block }))],
      rowsOf: (task) => (task.kind === 'sample' ? blockRange(plan, task.block).count : 0)
    })
    await ensure(work, { stage: 'sample', tasks: [{ kind: 'begin' }] })
    first = 0
  }
  for (let round = first; round < rounds; round++) {
    await tell.now('train', round, rounds)
    await ensure(work, { stage: 'train', tasks: blocks.map((block) => ({ kind: 'partial', round, block })) })
    await ensure(work, { stage: 'train', tasks: [{ kind: 'round', round }] })
  }
  await ensure(work, { stage: 'train', tasks: [{ kind: 'order' }] })
  await tell.now('train', rounds, rounds)
}

/** The last round that there are centroids for; undefined where training has not begun. */
async function lastRound({ recipe, store, signal }: QueueWork): Promise<number | undefined> {
  const names = namesOf(recipe)
  for (let round = roundCount(recipe); round >= 0; round--)
    if (await store.has(names.round(round), signal)) return round
  return undefined
}

async function isStored({ recipe, store, signal }: QueueWork, task: ArtifactTask): Promise<boolean> {
  return await store.has(outputOf(recipe, task), signal)
}

/** Has those of the tasks done whose artifacts are not there, and tells how far that is. */
export async function ensure(work: QueueWork, { stage, tasks, rowsOf = () => 0, shownAs }: StageTasks): Promise<void> {
  const { store, queue, recipe, build, tell, signal, onQueue } = work
  const jobs = tasks.map((task): TaskJob => ({ build, output: outputOf(recipe, task), task, rows: rowsOf(task) }))
  const total = jobs.reduce((sum, { rows }) => sum + rows, 0)
  const there = new Set(await store.list(signal))
  const left: TaskJob[] = []
  let done = 0
  await inParallel(jobs, { most: LOOKS_AT_A_TIME, signal }, async (job, ending) => {
    if (there.has(job.output) && (await store.has(job.output, ending))) done += job.rows
    else left.push(job)
  })
  const running = new Map<string, number>()
  const isCounted = total > 0
  const note = (): void => {
    const begun = Array.from(running.values()).reduce((sum, rows) => sum + rows, 0)
    const shown = shownAs ?? total
    if (isCounted) tell.note(stage, Math.floor(((done + begun) * shown) / total), shown)
    else signal.throwIfAborted()
  }
  note()
  if (left.length === 0) return
  const failing = new AbortController()
  const noteOrFail = (): void => {
    try {
      note()
    } catch (error) {
      failing.abort(error) // what listens may throw to stop
    }
  }
  await queue.run(
    inOrder(left, jobs),
    {
      has: (output) => store.has(output, signal),
      done(job) {
        running.delete(job.output)
        done += job.rows
        noteOrFail()
      },
      progress(job, rows) {
        running.set(job.output, Math.min(rows, job.rows))
        noteOrFail()
      },
      ...(onQueue === undefined ? {} : { waiting: onQueue })
    },
    AbortSignal.any([signal, failing.signal])
  )
}

/** Answers come in any order; tasks are handed out in theirs. */
function inOrder(some: readonly TaskJob[], all: readonly TaskJob[]): TaskJob[] {
  const wanted = new Set(some)
  return all.filter((job) => wanted.has(job))
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, number) => number)
}
