// The options of a build: each once in the interface, which documents it, and once in the table, which has its default
// and its check.

import { describe } from '../describe.ts'
import { checkFields } from '../format/fields.ts'
import { MAX_DIM } from '../format/layout.ts'
import { expectPath } from '../arguments.ts'
import { refuseAsarPath } from '../asar-path.ts'
import { checkOptionNames, expectFlag, expectFunction, expectSignal } from '../options.ts'
import { batchFormatOf, expectBatchOptions, hasColumns } from '../input/batch-format.ts'
import { expectBits, expectMetric, expectModel, expectNote, expectText } from '../input/index-facts.ts'
import type { VectorBatch } from '../input/vector-batch.ts'
import type { Fields, Metric } from '../types.ts'
import {
  expectIds,
  expectInput,
  expectPayload,
  expectPayloads,
  expectQueries,
  expectWhole,
  isBatches
} from './option-checks.ts'

const MIB = 2 ** 20
const DEFAULT_MEMORY_BYTES = 512 * MIB
/** Measured fastest at equal recall on every set and dimension (bench/README.md); fewer save memory and disk. */
const DEFAULT_BITS = 4
const MIN_MEMORY_BYTES = 64 * MIB

/** `fetch` is of builds on a queue: written shards come to the machine that publishes them. */
export type BuildStage = 'read' | 'sample' | 'train' | 'assign' | 'write' | 'fetch' | 'calibrate' | 'publish'

/** Progress of a stage, in rows; `train` counts rounds. `total` is 0 if it is not known in advance. */
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
   * Name of the vectors: a column in .parquet (default: the only one of lists of numbers), a key in .jsonl (default
   * `vector`), a data set in .hdf5 (default `train`), a column of a query (default: the last of one or two, else the
   * only BLOB, or the one called `vector` or `embedding`).
   */
  readonly column?: string | undefined
  /**
   * Name of the ids, integers or strings: a column in .parquet (default: row numbers), a key in .jsonl (default `id`,
   * if lines have it), a column of a query (default: the first, unless that is the vector).
   */
  readonly idColumn?: string | undefined
  /**
   * For a SQLite database: a SELECT of ids and vectors, or of vectors alone. A vector is a BLOB of float32. Further
   * columns can go into payloads.
   */
  readonly query?: string | undefined
  /** Folder to create: a path or a `file:` URL. */
  readonly output: string | URL
  /** Values per vector. Only for arrays and batches, which need it. */
  readonly dim?: number | undefined
  /** Default `l2`. */
  readonly metric?: Metric | undefined
  /**
   * A file of ids (.npy of integers, or text of one decimal integer per line), or the ids themselves: integers, or
   * strings of 1 to 1,024 bytes of UTF-8. Default: row numbers.
   */
  readonly ids?: string | URL | ArrayLike<number> | readonly string[] | undefined
  /**
   * Payloads of the rows, for an array, a vector file or .hdf5: plain objects of strings, numbers, booleans, null,
   * Uint8Array, arrays and objects, up to 16 MB each as MessagePack. Batches have payloads of their own; other files
   * have columns or keys (see `payload`).
   */
  readonly payloads?: readonly object[] | undefined
  /**
   * Fields to declare, by name: parts of payloads that filters can use. A row may lack a field, or have null. A value
   * of the wrong type rejects with ZGQ_BUILD_INPUT.
   */
  readonly fields?: Fields | undefined
  /**
   * For .parquet, .jsonl and queries: keys or columns to keep in payloads besides the declared fields. `all` keeps all
   * but the id and the vector. Default: none. Times become milliseconds since 1970.
   */
  readonly payload?: 'all' | readonly string[] | undefined
  /** Name of the model that made the vectors, 1 to 1,024 bytes of UTF-8. The index stores it. */
  readonly model?: string | undefined
  /** Data of the app, up to 1 MB; the same values as in payloads. The index stores it. */
  readonly note?: Readonly<Record<string, unknown>> | undefined
  /**
   * Target for the number of zones. The index may have fewer, or up to twice as many if zones had to be split. Default:
   * by count and dim.
   */
  readonly zones?: number | undefined
  /**
   * Bits of the codes per dimension: 1, 2, 4 or 8, or 0 for no codes (searches then scan float32 rows). Default 4 for
   * every dimension.
   */
  readonly bits?: number | undefined
  /**
   * Queries to calibrate with, like those that you will search for: a vector file, or an array of n * dim values.
   * Default: rows of the input.
   */
  readonly queries?: string | URL | Float32Array | Float64Array | undefined
  /**
   * Measure how many zones a recall needs. Default true. With false the build takes less time; searches then probe a
   * fixed number of zones, `recall` throws ZGQ_UNSUPPORTED, and `info().warnings` says that no recall is promised.
   * Small indexes, of which searches scan all rows, need no calibration: they are calibrated only if `queries` are
   * given.
   */
  readonly calibrate?: boolean | undefined
  /** Memory that the build may use in addition to that of the process, in bytes. Default 512 MB, at least 64 MB. */
  readonly memoryBytes?: number | undefined
  /**
   * Most worker threads to start. Default: one for each core. Fewer are started if memory is short, none for small
   * inputs. 0: the calling thread does all work.
   */
  readonly workers?: number | undefined
  /** Seed of all random choices. Default 1. The same input, options and seed give the same data files. */
  readonly seed?: number | undefined
  /** Replace an index that exists at `output`. Default false: such an index is ZGQ_EXISTS. */
  readonly force?: boolean | undefined
  /**
   * Called with the progress of each stage. If it throws, the build rejects with what it threw. The last call comes
   * when the index is in its place.
   */
  readonly onProgress?: ((progress: BuildProgress) => void) | undefined
  /** Called first, with the next stage, if this build resumes one that was killed or interrupted. */
  readonly onResume?: ((stage: BuildStage) => void) | undefined
  /** Stops the build at once. It rejects with the signal's reason and removes its work, unless `keepWork` is true. */
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
