// What a worker is told, as the queue carries it.

import { isPlainObject } from '../plain-object.ts'

/** One job: a task that leaves one artifact. Plain JSON, small. */
export interface TaskJob {
  /** Name of the build. */
  readonly build: string
  /** Name of what it leaves, which is the id of the job: two coordinators of a build share its jobs. */
  readonly output: string
  /** What to do. */
  readonly task: unknown
  /** How much there is to do, for progress. */
  readonly rows: number
}

/** Name of BullMQ's queue. */
export const QUEUE_NAME = 'zgq'
/** What BullMQ's keys begin with, if nothing else is said; its own default, too. */
export const DEFAULT_PREFIX = 'bull'

/** Jobs of one kind have one name on a board: what stands before the first hyphen. */
export function kindOf({ output }: TaskJob): string {
  return output.split('-', 1)[0]
}

/** Throws RangeError for an output that cannot be the id of a job. */
export function checkOutput({ output }: TaskJob): void {
  if (!/^[A-Za-z_][\w.-]*$/.test(output)) throw new RangeError(`the output of a job cannot be called ${output}`)
}

/** Returns what a job of the queue holds, undefined where it was not put there by this library. */
export function readJob(data: unknown): TaskJob | undefined {
  if (!isPlainObject(data)) return undefined
  const { build, output, task, rows } = data
  if (typeof build !== 'string' || typeof output !== 'string' || typeof rows !== 'number') return undefined
  return { build, output, task, rows }
}
