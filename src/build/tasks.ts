// The tasks of a build: what can be done anywhere that sees the working folder - in this thread, in another one, in
// another process. They leave files, except those that answer with numbers.

import { join } from 'node:path'

import { BlobSpool } from '../input/blob-spool.ts'
import { assignPart } from './assign-part.ts'
import { runStep, type CalibrationAnswer, type CalibrationStep } from './calibration-steps.ts'
import { checkUniqueIds } from './check-ids.ts'
import { checkUniqueTexts } from './check-texts.ts'
import { openStoredIds } from './input.ts'
import { nearestOfSample, type SampleBlock } from './nearest-of-sample.ts'
import { orderZones } from './order-zones.ts'
import { sampleInput } from './sample.ts'
import { SPOOLED_TEXTS } from './site.ts'
import type { TaskContext } from './task-context.ts'
import { writeShard } from './write-shard.ts'

export type BuildTask =
  | { readonly kind: 'check-ids' }
  | { readonly kind: 'sample' }
  | { readonly kind: 'nearest'; readonly block: SampleBlock }
  /** centroids: float32, zones * dim, in shared memory. */
  | { readonly kind: 'order'; readonly centroids: Float32Array }
  | { readonly kind: 'assign'; readonly part: number }
  | { readonly kind: 'write'; readonly shard: number }
  | { readonly kind: 'calibrate'; readonly step: CalibrationStep }

export interface TaskAnswer {
  /** Of `nearest`: the zone of each row. Of `order`: the zone that is to get each number. */
  readonly zones?: Uint32Array
  readonly calibration?: CalibrationAnswer
}

/** Share of a build's memory for ids that are looked at together. */
const IDS_SHARE = 1 / 64

/** Does a task. `onDone` is told what was done, in the unit of its stage; it may throw to stop. */
export async function runTask(
  context: TaskContext,
  task: BuildTask,
  onDone: (done: number) => Promise<void>
): Promise<TaskAnswer> {
  switch (task.kind) {
    case 'check-ids':
      checkIds(context)
      return {}
    case 'sample':
      await sampleInput(context, onDone)
      return {}
    case 'nearest':
      return { zones: nearestOfSample(context, task.block) }
    case 'order':
      return { zones: orderZones(task.centroids, context.site.recipe.dim) }
    case 'assign':
      await assignPart(context, task.part, onDone)
      return {}
    case 'write':
      await writeShard(context, task.shard, onDone)
      return {}
    case 'calibrate':
      return { calibration: await runStep(context.startCalibrating(), task.step, () => onDone(0)) }
  }
}

function checkIds({ site }: TaskContext): void {
  const { documents, count, label, memoryBytes } = site.recipe
  const idsInMemory = Math.floor(memoryBytes * IDS_SHARE)
  if (documents?.idType === 'string') {
    const texts = new BlobSpool(join(site.path, SPOOLED_TEXTS), count)
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

/** The buffers of an answer, which go over to another thread instead of being copied. */
export function buffersOf(answer: TaskAnswer): ArrayBuffer[] {
  const arrays = [answer.zones].filter((array) => array !== undefined)
  return arrays.flatMap(({ buffer }) => (buffer instanceof ArrayBuffer ? [buffer] : []))
}
