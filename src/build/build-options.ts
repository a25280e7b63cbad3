// What a build is told: the options, their defaults and their checks.

import { MAX_DIM, METRIC_CODES } from '../format/layout.ts'
import { expectPath } from '../arguments.ts'
import { describe } from '../describe.ts'
import { checkOptionNames, expectOneOf, expectWholeNumber } from '../options.ts'
import { refuseAsarPath } from '../asar-path.ts'
import { expectBatchOptions } from '../input/batch-format.ts'
import type { VectorBatch } from '../input/vector-batch.ts'
import type { Metric } from '../types.ts'
import { expectIds, expectInput, expectQueries, isBatches } from './option-checks.ts'

const MIB = 2 ** 20
const DEFAULT_MEMORY_BYTES = 512 * MIB
/** Measured fastest at equal recall on every set and dimension (bench/README.md); fewer save memory and disk. */
const DEFAULT_BITS = 4
const MIN_MEMORY_BYTES = 64 * MIB

export type BuildStage = 'read' | 'sample' | 'train' | 'assign' | 'write' | 'calibrate' | 'publish'

/** How far a stage is. `total` is 0 where it is not known before. Units: rows, for `train` rounds. */
export interface BuildProgress {
  readonly stage: BuildStage
  readonly done: number
  readonly total: number
}

/** Options of `buildIndex`. */
export interface BuildOptions {
  /**
   * A file (.fvecs .bvecs .ivecs .fbin .u8bin .f16bin .npy .parquet .jsonl .ndjson .hdf5 .h5, or a SQLite database with
   * `query`), all vectors at once (with `dim`), or batches (with `dim`).
   */
  readonly input: string | URL | Float32Array | AsyncIterable<VectorBatch>
  /**
   * Where the vectors are: a column in .parquet (default: the only one of lists of numbers), a key in .jsonl (default
   * `vector`), a data set in .hdf5 (default `train`).
   */
  readonly column?: string | undefined
  /**
   * Where the ids are: a column in .parquet (default: row numbers), a key in .jsonl (default `id`, where lines have
   * it).
   */
  readonly idColumn?: string | undefined
  /** For a SQLite database: a SELECT of ids and vectors, or of vectors, each a BLOB of float32. */
  readonly query?: string | undefined
  /** Folder to make: a path or a `file:` URL. */
  readonly output: string | URL
  /** Values in a vector; for arrays and batches. */
  readonly dim?: number | undefined
  /** Default `l2`. */
  readonly metric?: Metric | undefined
  /** A file of ids (.npy of integers, or one decimal a line), or the ids. Default: row numbers. */
  readonly ids?: string | URL | ArrayLike<number> | undefined
  /**
   * Zones to aim at; the index may have fewer, or up to twice as many where zones had to be split. Default: from count
   * and dim.
   */
  readonly zones?: number | undefined
  /**
   * Bits a dimension of the codes: 0 (no codes: float32 rows are scanned), 1, 2 or 4. Default 4, whatever the
   * dimension.
   */
  readonly bits?: number | undefined
  /**
   * Queries like those that will be searched for, to calibrate with: a vector file, or float32, n * dim. Default: rows
   * of the input.
   */
  readonly queries?: string | URL | Float32Array | Float64Array | undefined
  /**
   * Default true: measure how many zones a recall needs. False saves that part of the build: searches then probe a
   * fixed number of zones, `recall` throws ZGQ_UNSUPPORTED, and `info().warnings` says that nothing is promised. An
   * index so small that searches scan all of it needs no calibration: any recall is met exactly, and nothing is
   * measured unless `queries` are given.
   */
  readonly calibrate?: boolean | undefined
  /** Memory that the build may use on top of the process, in bytes. Default 512 MB, at least 64 MB. */
  readonly memoryBytes?: number | undefined
  /**
   * Worker threads, at most. Default: one for each core. There are fewer where memory is short, none for small inputs.
   * 0: all work is done in this thread.
   */
  readonly workers?: number | undefined
  /** Default 1. The same input, options and seed give the same data files. */
  readonly seed?: number | undefined
  /** Replace an index that exists at `output`. */
  readonly force?: boolean | undefined
  /**
   * Called with the progress of each stage. If it throws, the build rejects with that. The last call comes once the
   * index is in its place.
   */
  readonly onProgress?: ((progress: BuildProgress) => void) | undefined
  /** Called first, with the stage that comes next, if this build resumes one that was killed or interrupted. */
  readonly onResume?: ((stage: BuildStage) => void) | undefined
  /** Stops the build at once, which then rejects with the signal's reason. What was done is removed, see `keepWork`. */
  readonly signal?: AbortSignal | undefined
  /**
   * Keep finished work when `signal` stops the build, so that the same call resumes it. Default false. A build that
   * fails in any other way leaves nothing.
   */
  readonly keepWork?: boolean | undefined
}

/** Options with defaults filled in. */
export interface BuildPlan {
  readonly input: string | Float32Array | AsyncIterable<VectorBatch>
  readonly column: string | undefined
  readonly idColumn: string | undefined
  readonly query: string | undefined
  readonly output: string
  readonly dim: number | undefined
  readonly metric: Metric
  readonly ids: string | ArrayLike<number> | undefined
  readonly zones: number | undefined
  readonly bits: number
  readonly queries: string | Float32Array | undefined
  readonly calibrate: boolean
  readonly memoryBytes: number
  readonly workers: number | undefined
  readonly seed: number
  readonly force: boolean
  readonly onProgress: (progress: BuildProgress) => void
  readonly onResume: (stage: BuildStage) => void
  readonly signal: AbortSignal | undefined
  readonly keepWork: boolean
}

export const OPTION_NAMES = [
  'input',
  'column',
  'idColumn',
  'query',
  'output',
  'dim',
  'metric',
  'ids',
  'zones',
  'bits',
  'queries',
  'calibrate',
  'memoryBytes',
  'workers',
  'seed',
  'force',
  'onProgress',
  'onResume',
  'signal',
  'keepWork'
]

/** Checks the options of a build; throws TypeError or RangeError, and ZGQ_UNSUPPORTED for a path inside app.asar. */
export function checkBuildOptions(options: BuildOptions): BuildPlan {
  checkOptionNames('buildIndex', options, OPTION_NAMES)
  const {
    column,
    idColumn,
    query,
    dim,
    metric = 'l2',
    zones,
    bits = DEFAULT_BITS,
    calibrate = true,
    memoryBytes = DEFAULT_MEMORY_BYTES,
    workers,
    seed = 1,
    force = false,
    onProgress,
    onResume,
    signal,
    keepWork = false
  } = options
  const output = expectPath('output', options.output)
  const input = expectInput(options.input)
  if (typeof input === 'string' && dim !== undefined)
    throw new TypeError('dim is for arrays and batches: leave it out, a file has its own')
  if (typeof input !== 'string') expectWholeNumber('dim', dim, { least: 1, most: MAX_DIM })
  const ids = expectIds(options.ids)
  if (ids !== undefined && isBatches(input))
    throw new TypeError('ids is not for batches: give them in the batches, as { vectors, ids }')
  expectBatchOptions({ input, ids, column, idColumn, query })
  expectOneOf('metric', metric, Object.keys(METRIC_CODES))
  if (zones !== undefined) expectWholeNumber('zones', zones, { least: 1, most: 2 ** 24 })
  expectWholeNumber('memoryBytes', memoryBytes, { least: MIN_MEMORY_BYTES })
  if (workers !== undefined) expectWholeNumber('workers', workers, { least: 0, most: 256 })
  expectWholeNumber('seed', seed, { least: 0 })
  if (typeof force !== 'boolean') throw new TypeError(`force must be a boolean, found ${describe(force)}`)
  checkBits(bits)
  const queries = expectQueries(options.queries)
  if (typeof calibrate !== 'boolean') throw new TypeError(`calibrate must be a boolean, found ${describe(calibrate)}`)
  if (!calibrate && queries !== undefined)
    throw new TypeError('queries are for the calibration: leave them out, or leave out calibrate: false')
  if (onProgress !== undefined && typeof onProgress !== 'function')
    throw new TypeError(`onProgress must be a function, found ${describe(onProgress)}`)
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw new TypeError(`signal must be an AbortSignal, found ${describe(signal)}`)
  if (onResume !== undefined && typeof onResume !== 'function')
    throw new TypeError(`onResume must be a function, found ${describe(onResume)}`)
  if (typeof keepWork !== 'boolean') throw new TypeError(`keepWork must be a boolean, found ${describe(keepWork)}`)
  for (const path of [input, ids, queries, output]) if (typeof path === 'string') refuseAsarPath(path)
  return {
    input,
    column,
    idColumn,
    query,
    output,
    dim,
    metric,
    ids,
    zones,
    bits,
    queries,
    calibrate,
    memoryBytes,
    workers,
    seed,
    force,
    onProgress: onProgress ?? (() => undefined),
    onResume: onResume ?? (() => undefined),
    signal,
    keepWork
  }
}

function checkBits(bits: unknown): void {
  expectWholeNumber('bits', bits, { least: 0, most: 4 })
  if (bits === 3) throw new RangeError('bits must be 0, 1, 2 or 4, found 3')
}
