// Calibrates a published index anew, with its own rows or with the user's queries, and stores the result in its
// catalogue.

import { setImmediate } from 'node:timers/promises'

import { expectPath } from '../arguments.ts'
import { checkOptionNames, expectWholeNumber } from '../options.ts'
import { openContext } from '../search/open-context.ts'
import { withSnapshot } from '../catalogue/reader.ts'
import { writeCalibration } from '../catalogue/writer.ts'
import { loadDriver } from '../catalogue/load-driver.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import { ZgqError } from '../errors.ts'
import type { Calibration } from '../types.ts'
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
  /** Chooses the rows. Default 1. */
  readonly seed?: number | undefined
  /** Called as queries are done. */
  readonly onProgress?: ((progress: { readonly done: number; readonly total: number }) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Measures how far searches in the index at `path` must probe for a recall, stores that in its catalogue and returns
 * it. Indexes that are open already keep what they read. Rejects with ZGQ_DIMENSION, ZGQ_NON_FINITE, ZGQ_ZERO_VECTOR or
 * ZGQ_BUILD_INPUT for queries; ZGQ_READ_ONLY, ZGQ_LOCKED or ZGQ_IO where the catalogue cannot be written; ZGQ_MISMATCH
 * where another index was put in its place meanwhile; ZGQ_UNSUPPORTED where rows were written since its zones were made;
 * with what `ZgqIndex.open` throws; with the signal's reason.
 */
export async function calibrateIndex(path: string | URL, options: CalibrateOptions = {}): Promise<Calibration> {
  const folder = expectPath('path', path)
  checkOptionNames('calibrateIndex', options, ['queries', 'seed', 'onProgress', 'signal'])
  const { seed = 1, onProgress, signal } = options
  const queries = expectQueries(options.queries)
  expectWholeNumber('seed', seed, { least: 0 })
  loadDriver()
  const { snapshot, readers, context } = withSnapshot(folder, (found) => {
    expectUnchanged(found)
    return openContext(found, { mapping: 'pread', cacheBytes: CACHE_BYTES, verify: 'touch' })
  })
  const turn = async (): Promise<void> => {
    await setImmediate()
    signal?.throwIfAborted()
  }
  try {
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

/** A calibration measures how rows lie in zones: those of deltas are in none, and deleted ones are no neighbours. */
function expectUnchanged({ meta, changes, folder }: Snapshot): void {
  const { freshCount, deletedCount } = changes.meta
  if (meta.deltaZoneCount === 0 && freshCount === 0 && deletedCount === 0) return
  throw new ZgqError(
    'ZGQ_UNSUPPORTED',
    'rows were written or deleted since the zones of this index were made: export it and build it anew, which calibrates',
    { path: folder }
  )
}
