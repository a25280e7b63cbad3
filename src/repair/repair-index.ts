// A repair on one page: read what is left of an index -> give the rows that are live and whole to a build -> say what
// was lost. All that is derived from rows and payloads is made anew by the build, into a folder of its own.

import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { expectPath } from '../arguments.ts'
import { refuseAsarPath } from '../asar-path.ts'
import { buildIndex } from '../build/build-index.ts'
import type { BuildStage } from '../build/build-options.ts'
import type { FoldLock } from '../catalogue/fold-lock.ts'
import { refusePacked } from '../catalogue/packed-place.ts'
import { waitForFolds } from '../catalogue/wait-for-folds.ts'
import { ZgqError } from '../errors.ts'
import { checkFields } from '../format/fields.ts'
import { FOLD_LOCK_NAME } from '../format/layout.ts'
import type { VectorBatch } from '../input/vector-batch.ts'
import { checkOptionNames, expectFlag, expectFunction, expectSignal } from '../options.ts'
import type { Fields } from '../types.ts'
import { alreadyThere, createIndex } from '../write/create-index.ts'
import { findRemains } from './find-remains.ts'
import { Losses, type RepairDamage, type RepairLosses } from './losses.ts'
import type { Remains } from './remains.ts'
import { Salvage } from './salvage.ts'

/** How far a repair is. `total` is 0 where it is not known before. Units: rows, for `train` rounds. */
export interface RepairProgress {
  readonly stage: BuildStage
  readonly done: number
  readonly total: number
}

/** Options of `repairIndex`. */
export interface RepairOptions {
  /** The folder of the index: a path or a `file:` URL. It is not changed. */
  readonly input: string | URL
  /** Folder to make: a path or a `file:` URL. */
  readonly output: string | URL
  /**
   * Default false. True: where the catalogue cannot be read, go on without it, although rows, deletions and updates
   * that it alone has are lost.
   */
  readonly acceptLoss?: boolean | undefined
  /** Fields to declare where the catalogue, which has them, cannot be read. */
  readonly fields?: Fields | undefined
  /** Called with the progress of each stage. If it throws, the repair rejects with that. */
  readonly onProgress?: ((progress: RepairProgress) => void) | undefined
  /** Stops the repair at once, which then rejects with the signal's reason and leaves nothing. */
  readonly signal?: AbortSignal | undefined
}

/** The report of `repairIndex`. */
export interface RepairReport {
  /** Of the new index. */
  readonly path: string
  /** Rows of the new index. */
  readonly rows: number
  readonly lost: RepairLosses
  /** What was found damaged or missing, 1,000 places at most. None: nothing was wrong. */
  readonly damage: readonly RepairDamage[]
  /** What else is other than it was. */
  readonly notes: readonly string[]
}

/**
 * Makes a new index of what is left of a damaged one, and says what was lost. All that is derived (codes, columns of
 * fields, ids files, the calibration, the catalogue) is made anew; ids, vectors and payloads stay as they are. Rejects
 * with ZGQ_EXISTS where something is at `output`; ZGQ_NOT_FOUND or ZGQ_NOT_AN_INDEX where nothing is left of an index;
 * ZGQ_LOCKED where a fold takes ten minutes; ZGQ_CORRUPT where no row is left, or the catalogue cannot be read and
 * `acceptLoss` is not set; ZGQ_UNSUPPORTED for another version of the format; as `buildIndex` does for the output; the
 * reason of `signal`; TypeError for options.
 */
export async function repairIndex(options: RepairOptions): Promise<RepairReport> {
  const plan = checkOptions(options)
  plan.signal?.throwIfAborted()
  if (existsSync(plan.output)) throw alreadyThere(plan.output)
  refusePacked(plan.input, 'pack the index that it was packed from again, or build one of what zgq export saves')
  const lock = await lockFolds(plan)
  try {
    return await repair(plan, false)
  } catch (error) {
    // Only who forges checksums makes an index with two rows of one id: looking for them takes memory.
    if (!(error instanceof ZgqError) || error.code !== 'ZGQ_ID_EXISTS') throw error
    return await repair(plan, true)
  } finally {
    lock?.release()
  }
}

/**
 * Keeps folds away: what one removed meanwhile would be taken for lost. No file is made for that in a folder that is
 * not to be changed, and a lock that is damaged is no reason not to repair.
 */
async function lockFolds({ input, signal }: RepairPlan): Promise<FoldLock | undefined> {
  if (!existsSync(join(input, FOLD_LOCK_NAME))) return undefined
  try {
    return await waitForFolds(input, signal)
  } catch (error) {
    if (error instanceof ZgqError && error.code === 'ZGQ_CORRUPT') return undefined
    throw error
  }
}

async function repair(plan: RepairPlan, hasTwins: boolean): Promise<RepairReport> {
  const losses = new Losses()
  const remains = findRemains(plan.input, losses, plan)
  try {
    const salvage = new Salvage(remains, losses, hasTwins)
    await write(plan, remains, salvage)
    return {
      path: plan.output,
      rows: salvage.count,
      lost: losses.lost,
      damage: losses.damage,
      notes: remains.notes
    }
  } finally {
    remains.files.close()
  }
}

type RepairPlan = ReturnType<typeof checkOptions>

function checkOptions(options: RepairOptions) {
  checkOptionNames('repairIndex', options, ['input', 'output', 'acceptLoss', 'fields', 'onProgress', 'signal'])
  const { acceptLoss = false, fields, onProgress = () => undefined } = options
  const input = expectPath('input', options.input)
  const output = expectPath('output', options.output)
  for (const path of [input, output]) refuseAsarPath(path)
  return {
    input,
    output,
    acceptLoss: expectFlag('acceptLoss', acceptLoss),
    fields: fields === undefined ? [] : checkFields(fields),
    onProgress: expectFunction('onProgress', onProgress),
    signal: expectSignal('signal', options.signal)
  }
}

/** Builds an index of the rows, or makes an empty one where there were none. */
async function write(plan: RepairPlan, remains: Remains, salvage: Salvage): Promise<void> {
  const { signal, output } = plan
  const { meta, fields, model, note, seed } = remains
  const { dim, metric, bits } = meta
  const batches = salvage.batches()
  const first = await batches.next()
  signal?.throwIfAborted()
  const declared: Fields = Object.fromEntries(fields.map(({ name, type }) => [name, type]))
  if (first.done === true) {
    if (salvage.hasLost) throw new ZgqError('ZGQ_CORRUPT', 'no row of the index can be restored', { path: plan.input })
    createIndex(output, {
      dim,
      metric,
      bits,
      ids: meta.idType,
      fields: fields.length === 0 ? undefined : declared,
      model,
      note
    })
    return
  }
  await buildIndex({
    input: startingWith(first.value, batches),
    output,
    dim,
    metric,
    bits,
    fields: declared,
    model,
    note,
    seed,
    signal,
    onProgress: (state) => {
      plan.onProgress(state.stage === 'read' ? { ...state, total: remains.rowCount } : state)
    }
  })
}

async function* startingWith(first: VectorBatch, rest: AsyncGenerator<VectorBatch>): AsyncGenerator<VectorBatch> {
  yield first
  yield* rest
}
