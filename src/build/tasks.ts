// The tasks of a build: what can be done anywhere that sees the folder of the artifacts - in this thread, in another
// one, in another process, on another machine. Each leaves one artifact, except the steps of a calibration, which
// answer.

import { join } from 'node:path'

import { BlobSpool } from '../input/blob-spool.ts'
import type { ArtifactFolder } from './artifact-folder.ts'
import { NEIGHBOURS_NAME, outputOf, QUERIES_NAME, type ArtifactTask } from './artifact-names.ts'
import { isDone, shardPath } from './artifacts.ts'
import { assignPart } from './assign-part.ts'
import { runStep, type CalibrationAnswer, type CalibrationStep } from './calibration-steps.ts'
import { checkUniqueIds } from './check-ids.ts'
import { checkUniqueTexts } from './check-texts.ts'
import { openStoredIds, type BroughtFiles } from './input.ts'
import { joinParts } from './join-parts.ts'
import { readFloats, writeBytes } from './raw-arrays.ts'
import { sampleBlock } from './sample.ts'
import { scanShard } from './scan-shard.ts'
import { SPOOLED_TEXTS } from './site.ts'
import { encodeNeighbours } from './stored-neighbours.ts'
import type { TaskContext } from './task-context.ts'
import { fillFolder } from './temporary-folder.ts'
import { beginRounds, joinRound, orderTrained, sumBlock } from './train.ts'
import { writeShard } from './write-shard.ts'

export type BuildTask =
  | (ArtifactTask & { readonly brought?: BroughtFiles | undefined })
  | { readonly kind: 'calibrate'; readonly step: CalibrationStep }

export interface TaskAnswer {
  readonly calibration?: CalibrationAnswer
}

/** Told what was done, in the unit of its stage; may throw to stop. */
export type OnDone = (done: number) => Promise<void>

/** Share of a build's memory for ids that are looked at together. */
const IDS_SHARE = 1 / 64
/** For rows that are scanned together. */
const SCAN_SHARE = 1 / 16

/** Does a task, unless its artifact is there. */
export async function runTask(context: TaskContext, task: BuildTask, onDone: OnDone): Promise<TaskAnswer> {
  if (task.kind === 'calibrate')
    return { calibration: await runStep(context.startCalibrating(), task.step, () => onDone(0)) }
  const { site } = context
  if (isDone(site, task)) return {}
  await fillFolder(join(site.path, outputOf(site.recipe, task)), (folder) =>
    leave(context, task, { folder, isDurable: site.isDurable, brought: task.brought, onDone })
  )
  return {}
}

async function leave(
  context: TaskContext,
  task: ArtifactTask,
  to: ArtifactFolder & { readonly brought: BroughtFiles | undefined; readonly onDone: OnDone }
): Promise<void> {
  const { onDone } = to
  switch (task.kind) {
    case 'check-ids':
      checkIds(context)
      return
    case 'sample':
      await sampleBlock(context, task.block, { ...to, onRows: onDone })
      return
    case 'begin':
      beginRounds(context, to)
      return
    case 'partial':
      await sumBlock(context, task, { ...to, turn: () => onDone(0) })
      return
    case 'round':
      joinRound(context, task.round, to)
      return
    case 'order':
      orderTrained(context, to)
      return
    case 'assign':
      await assignPart(context, task.part, { ...to, onRows: onDone })
      return
    case 'tally':
      joinParts(context.site, to)
      return
    case 'write':
      await writeShard(context, task.shard, { ...to, onRows: onDone })
      return
    case 'scan':
      await scanForQueries(context, task, to)
      return
  }
}

async function scanForQueries(
  { site }: TaskContext,
  task: Extract<ArtifactTask, { kind: 'scan' }>,
  { folder, isDurable, onDone }: ArtifactFolder & { readonly onDone: OnDone }
): Promise<void> {
  const { dim, metric, memoryBytes } = site.recipe
  const vectors = readFloats(join(site.path, task.queries, QUERIES_NAME))
  const queries = Array.from({ length: vectors.length / dim }, (_, i) => vectors.subarray(i * dim, (i + 1) * dim))
  const neighbours = await scanShard(
    {
      folder: shardPath(site, task.shard),
      dim,
      metric,
      queries,
      k: task.k,
      memoryBytes: Math.floor(memoryBytes * SCAN_SHARE)
    },
    () => onDone(0)
  )
  writeBytes({ folder, isDurable }, NEIGHBOURS_NAME, encodeNeighbours(neighbours))
}

function checkIds({ site }: TaskContext): void {
  const { documents, count, label, memoryBytes } = site.recipe
  const idsInMemory = Math.floor(memoryBytes * IDS_SHARE)
  if (documents?.idType === 'string') {
    const texts = new BlobSpool(join(site.spoolPath, SPOOLED_TEXTS), count)
    try {
      checkUniqueTexts(texts, idsInMemory, label)
    } finally {
      texts.close()
    }
    return
  }
  const ids = openStoredIds(site)
  try {
    checkUniqueIds(ids, idsInMemory)
  } finally {
    ids.close()
  }
}
