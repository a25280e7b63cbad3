// The options of a build: each once in the interface, which documents it, and once in the table, which has its default
// and its check.

import { describe } from '../describe.ts'
import { checkFields } from '../format/fields.ts'
import { MAX_DIM } from '../format/layout.ts'
import { expectPath } from '../arguments.ts'
import { refuseAsarPath } from '../asar-path.ts'
import { checkOptionNames } from '../options.ts'
import { batchFormatOf, expectBatchOptions, hasColumns } from '../input/batch-format.ts'
import { expectBits, expectMetric, expectModel, expectNote, expectText } from '../input/index-facts.ts'
import type { VectorBatch } from '../input/vector-batch.ts'
import type { Fields, Metric } from '../types.ts'
import {
  expectFlag,
  expectFunction,
  expectIds,
  expectInput,
  expectPayload,
  expectPayloads,
  expectQueries,
  expectSignal,
  expectWhole,
  isBatches
} from './option-checks.ts'

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
   * `vector`), a data set in .hdf5 (default `train`), a column of a query (default: the last of one or two, else the
   * only BLOB, or the one called `vector` or `embedding`).
   */
  readonly column?: string | undefined
  /**
   * Where the ids, integers or strings, are: a column in .parquet (default: row numbers), a key in .jsonl (default
   * `id`, where lines have it), a column of a query (default: the first, unless that is the vector).
   */
  readonly idColumn?: string | undefined
  /**
   * For a SQLite database: a SELECT of ids and vectors, or of vectors, each a BLOB of float32; further columns may go
   * into payloads.
   */
  readonly query?: string | undefined
  /** Folder to make: a path or a `file:` URL. */
  readonly output: string | URL
  /** Values in a vector; for arrays and batches. */
  readonly dim?: number | undefined
  /** Default `l2`. */
  readonly metric?: Metric | undefined
  /**
   * A file of ids (.npy of integers, or one decimal a line), or the ids: integers, or strings of 1 to 1,024 bytes of
   * UTF-8. Default: row numbers.
   */
  readonly ids?: string | URL | ArrayLike<number> | readonly string[] | undefined
  /**
   * Payloads of the rows, for an array, a vector file or .hdf5: plain objects of strings, numbers, booleans, null,
   * Uint8Array, arrays and objects, 16 MB at most as MessagePack. Batches bring their own; other files have columns.
   */
  readonly payloads?: readonly object[] | undefined
  /**
   * Fields to declare, by name: parts of payloads that filters may ask. A row may lack a field, or have null; a value
   * of another type rejects with ZGQ_BUILD_INPUT.
   */
  readonly fields?: Fields | undefined
  /**
   * For .parquet, .jsonl and queries: keys or columns that go into payloads besides the declared fields; `all`: all but
   * the id and the vector. Default: none. Times become numbers of milliseconds since 1970.
   */
  readonly payload?: 'all' | readonly string[] | undefined
  /** Name of the model that made the vectors, 1 to 1,024 bytes of UTF-8; kept in the index. */
  readonly model?: string | undefined
  /** Anything of the app, like a payload, 1 MB at most; kept in the index. */
  readonly note?: Readonly<Record<string, unknown>> | undefined
  /**
   * Zones to aim at; the index may have fewer, or up to twice as many where zones had to be split. Default: from count
   * and dim.
   */
  readonly zones?: number | undefined
  /**
   * Bits a dimension of the codes: 0 (no codes: float32 rows are scanned), 1, 2, 4 or 8. Default 4, whatever the
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

/**
 * Which work an option decides. `input`: which rows and ids are read; work is not resumed with another one. `recipe`:
 * what is made of them; neither, and messages say which option differs.
 */
type Decides = 'input' | 'recipe'

interface Declaration<Given> {
  /** Returns what the work takes: checked, with the default filled in. */
  read(given: Given, name: string): unknown
  readonly decides?: Decides
}

const OPTIONS = {
  input: { read: expectInput },
  column: { read: (given, name) => expectText(name, given), decides: 'input' },
  idColumn: { read: (given, name) => expectText(name, given), decides: 'input' },
  query: { read: (given, name) => expectText(name, given), decides: 'input' },
  output: { read: (given, name) => expectPath(name, given) },
  dim: { read: (given, name) => expectWhole(name, given, { least: 1, most: MAX_DIM }), decides: 'input' },
  metric: { read: (given = 'l2', name) => expectMetric(name, given), decides: 'recipe' },
  ids: { read: expectIds },
  payloads: { read: (given, name) => expectPayloads(name, given) },
  fields: { read: (given = {}) => checkFields(given), decides: 'input' },
  payload: { read: (given, name) => expectPayload(name, given), decides: 'input' },
  model: { read: (given, name) => expectModel(name, given), decides: 'recipe' },
  note: { read: (given, name) => noteOf(name, given), decides: 'recipe' },
  zones: { read: (given, name) => expectWhole(name, given, { least: 1, most: 2 ** 24 }), decides: 'recipe' },
  bits: { read: (given = DEFAULT_BITS, name) => expectBits(name, given), decides: 'recipe' },
  queries: { read: expectQueries },
  calibrate: { read: (given = true, name) => expectFlag(name, given) },
  memoryBytes: {
    read: (given = DEFAULT_MEMORY_BYTES, name) => expectWhole(name, given, { least: MIN_MEMORY_BYTES }),
    decides: 'recipe'
  },
  workers: { read: (given, name) => expectWhole(name, given, { least: 0, most: 256 }) },
  seed: { read: (given = 1, name) => expectWhole(name, given, { least: 0 }), decides: 'recipe' },
  force: { read: (given = false, name) => expectFlag(name, given) },
  onProgress: { read: (given = () => undefined, name) => expectFunction(name, given) },
  onResume: { read: (given = () => undefined, name) => expectFunction(name, given) },
  signal: { read: (given, name) => expectSignal(name, given) },
  keepWork: { read: (given = false, name) => expectFlag(name, given) }
} satisfies { readonly [Name in keyof BuildOptions]-?: Declaration<BuildOptions[Name]> }

const DECLARED: ReadonlyMap<string, Declaration<unknown>> = new Map(Object.entries<Declaration<unknown>>(OPTIONS))

/** Options with defaults filled in. */
export type BuildPlan = { readonly [Name in keyof typeof OPTIONS]: ReturnType<(typeof OPTIONS)[Name]['read']> }

export const OPTION_NAMES: readonly string[] = [...DECLARED.keys()]

/** Checks the options of a build; throws TypeError or RangeError, and ZGQ_UNSUPPORTED for a path inside app.asar. */
export function checkBuildOptions(options: BuildOptions): BuildPlan {
  checkOptionNames('buildIndex', options, OPTION_NAMES)
  const plan = readOptions(options)
  const { input, ids, queries, output } = plan
  if (typeof input === 'string' && plan.dim !== undefined)
    throw new TypeError('dim is for arrays and batches: leave it out, a file has its own')
  if (typeof input !== 'string' && plan.dim === undefined) throw new TypeError('dim must be a number, found undefined')
  if (ids !== undefined && isBatches(input))
    throw new TypeError('ids is not for batches: give them in the batches, as { vectors, ids }')
  expectBatchOptions(plan)
  expectPayloadSource(plan)
  if (!plan.calibrate && queries !== undefined)
    throw new TypeError('queries are for the calibration: leave them out, or leave out calibrate: false')
  for (const path of [input, ids, queries, output]) if (typeof path === 'string') refuseAsarPath(path)
  return plan
}

/** Throws TypeError where payloads, or what is to go into them, do not fit the input. */
function expectPayloadSource({ input, query, payloads, payload, fields }: BuildPlan): void {
  const found = typeof input === 'string' ? describe(input) : isBatches(input) ? 'batches' : 'an array'
  if (typeof input === 'string' && hasColumns(batchFormatOf(input, query))) {
    if (payloads === undefined) return
    throw new TypeError(`payloads is not for ${found}, which has them in columns: name those with payload and fields`)
  }
  if (payload !== undefined)
    throw new TypeError(`payload is for columns of .parquet, .jsonl and a SQLite database; the input is ${found}`)
  if (isBatches(input)) {
    if (payloads === undefined) return
    throw new TypeError('payloads is not for batches: give them in the batches, as { vectors, payloads }')
  }
  if (fields.length > 0 && payloads === undefined)
    throw new TypeError(`fields are parts of payloads: give payloads too; the input is ${found}`)
}

function readOptions(options: BuildOptions): BuildPlan
function readOptions(options: BuildOptions): object {
  const read = ([name, option]: [string, Declaration<unknown>]): [string, unknown] => [
    name,
    option.read(Reflect.get(options, name), name)
  ]
  return Object.fromEntries(Array.from(DECLARED, read))
}

type NamesDeciding<Work extends Decides> = {
  [Name in keyof BuildPlan]: (typeof OPTIONS)[Name] extends { readonly decides: Work } ? Name : never
}[keyof BuildPlan]

/** Lists the options of a plan that decide something, in the order of their declaration. */
export function optionsDeciding<Work extends Decides>(plan: BuildPlan, work: Work): Pick<BuildPlan, NamesDeciding<Work>>
export function optionsDeciding(plan: BuildPlan, work: Decides): object {
  return Object.fromEntries(Object.entries(plan).filter(([name]) => DECLARED.get(name)?.decides === work))
}

/** A note as recipes keep it, in base64. */
function noteOf(name: string, given: unknown): string | null {
  const note = expectNote(name, given, 'buildIndex')
  return note === undefined ? null : Buffer.from(note).toString('base64')
}
