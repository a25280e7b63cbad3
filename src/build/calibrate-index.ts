// Calibrates a published index anew, with its own rows or with the user's queries, and stores the result in its
// catalogue.

import { setImmediate } from 'node:timers/promises'

import { expectPath } from '../arguments.ts'
import { isMissingFile, ZgqError } from '../errors.ts'
import { checkOptionNames, expectWholeNumber } from '../options.ts'
import { openContext } from '../search/open-context.ts'
import { withSnapshot } from '../catalogue/reader.ts'
import { writeCalibration } from '../catalogue/writer.ts'
import { loadDriver } from '../catalogue/load-driver.ts'
import type { Calibration } from '../types.ts'
import { withoutDeltas } from './built-rows.ts'
import { calibrate } from './calibrate.ts'
import { readQueries } from './calibration-queries.ts'
import { runStep } from './calibration-steps.ts'
import { expectQueries } from './option-checks.ts'

const CACHE_BYTES = 256 * 2 ** 20

/** Options of `calibrateIndex`. */
export interface CalibrateOptions {
  /**
   * Queries like those that will be searched for: a vector file, or float32, n * dim. Default: random rows of the
   * index.
   */
  readonly queries?: string | URL | Float32Array | Float64Array | undefined
  /** Seed that chooses the rows. Default 1. */
  readonly seed?: number | undefined
  /** Called with the number of queries that are done. */
  readonly onProgress?: ((progress: { readonly done: number; readonly total: number }) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Measures how many zones searches in the index at `path` must probe for a recall. Stores the result in the catalogue
 * and returns it. Rows of deltas play no part in it, because every search scans all of them. Rejects with
 * ZGQ_UNSUPPORTED if no row is in a zone; ZGQ_DIMENSION, ZGQ_NON_FINITE, ZGQ_ZERO_VECTOR or ZGQ_BUILD_INPUT for
 * queries; ZGQ_READ_ONLY, ZGQ_LOCKED or ZGQ_IO if the catalogue cannot be written; ZGQ_MISMATCH if another index took
 * the place of this one meanwhile; with what `ZgqIndex.open` throws; with the signal's reason. An index that is open
 * keeps the calibration that it has read.
 */
export async function calibrateIndex(path: string | URL, options: CalibrateOptions = {}): Promise<Calibration> {
  const folder = expectPath('path', path)
  checkOptionNames('calibrateIndex', options, ['queries', 'seed', 'onProgress', 'signal'])
  const { seed = 1 } = options
  const queries = expectQueries(options.queries)
  expectWholeNumber('seed', seed, { least: 0 })
  loadDriver()
  const commitOf = (): number => withSnapshot(folder, ({ meta }) => meta.commit)
  const before = commitOf()
  try {
    return await calibrateOnce(folder, { ...options, queries, seed })
  } catch (error) {
    // A fold may have given up a file that was not read yet.
    if (!isMissingFile(error) || commitOf() === before) throw error
    return await calibrateOnce(folder, { ...options, queries, seed })
  }
}

interface CheckedOptions extends Pick<CalibrateOptions, 'onProgress' | 'signal'> {
  readonly queries: ReturnType<typeof expectQueries>
  readonly seed: number
}

async function calibrateOnce(folder: string, options: CheckedOptions): Promise<Calibration> {
  const { queries, seed, onProgress, signal } = options
  const { snapshot, readers, context } = withSnapshot(folder, (found) =>
    openContext(withoutDeltas(found), { mapping: 'pread', cacheBytes: CACHE_BYTES, verify: 'touch' })
  )
  const turn = async (): Promise<void> => {
    await setImmediate()
    signal?.throwIfAborted()
  }
  try {
    if (snapshot.meta.count === 0)
      throw new ZgqError('ZGQ_UNSUPPORTED', 'this index has no rows in zones: there is nothing to calibrate', {
        path: folder
      })
    const calibration = await calibrate(
      snapshot,
      async (steps, onAnswer) => {
        for (const [i, step] of steps.entries()) onAnswer(await runStep({ context, snapshot }, step, turn), i)
      },
      {
        given: readQueries(queries, snapshot.meta.dim),
        seed,
        onQueries(done, total) {
          onProgress?.({ done, total })
          signal?.throwIfAborted()
        }
      }
    )
    writeCalibration({ folder: snapshot.folder, digest: snapshot.meta.digest, isPublished: true }, calibration)
    return calibration
  } finally {
    readers.close()
  }
}
