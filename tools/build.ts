// zgq build VECTORS INDEX, all of it or one stage.

import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'

import {
  buildIndex,
  buildStage,
  type BuildOptions,
  type BuildReport,
  type RunnableStage,
  type StageShare
} from '../src/build.ts'
import { countOf } from '../src/describe.ts'
import { buildOnQueue, type QueueFacts } from '../src/queue.ts'
import {
  byteSize,
  declareOptions,
  fieldList,
  flag,
  jsonObject,
  libraryOptions,
  nameList,
  oneOf,
  text,
  UsageError,
  wholeNumber,
  type Given
} from './arguments.ts'
import { describeBuild } from './build-summary.ts'
import {
  FORMAT_OPTION,
  IDS_COLUMN,
  JSON_OPTION,
  VECTOR_FILES,
  VECTORS_COLUMN,
  type Command,
  type CommandArguments
} from './command.ts'
import { interruptible } from './interrupt.ts'
import { print, printJson } from './output.ts'
import { ProgressLine } from './progress.ts'
import { queriesFor } from './queries.ts'
import { fileOf } from './standard-input.ts'
import { QUEUE_OPTIONS, queueOf } from './worker.ts'

const STAGES: readonly RunnableStage[] = ['read', 'train', 'assign', 'write', 'publish']

const OPTIONS = declareOptions({
  metric: {
    value: 'METRIC',
    about: 'distance: l2 (squared Euclidean), cosine (1 - cos) or ip (minus the inner product); default l2',
    read: (given, name) => oneOf(given, name, ['l2', 'cosine', 'ip'])
  },
  zones: {
    value: 'N',
    about:
      'target for the number of zones (default: 1.5 to 4 times the square root of the count, fewer for little data)',
    read: wholeNumber
  },
  bits: {
    value: 'BITS',
    about: 'bits of the codes per dimension: 0 (no codes), 1, 2, 4 or 8 (default 4)',
    read: wholeNumber
  },
  ids: {
    value: 'FILE',
    about: 'ids of the vectors: .npy of integers, or text of one integer per line (default: row numbers)',
    read: text
  },
  column: { value: 'NAME', about: VECTORS_COLUMN, read: text },
  'id-column': { value: 'NAME', about: IDS_COLUMN, library: 'idColumn', read: text },
  query: {
    value: 'SELECT',
    about: 'for a SQLite database: a SELECT of ids, float32 vectors and columns for --fields and --payload',
    read: text
  },
  fields: {
    value: 'NAME:TYPE,...',
    about:
      'fields that filters can use: columns of .parquet or of a query, keys in .jsonl; types string, number, ' +
      'boolean, string[]',
    read: fieldList
  },
  payload: {
    value: 'NAME,...',
    about: 'further columns or keys to keep with each vector, or all (default: the fields alone)',
    read: (given, name) => (text(given, name) === 'all' ? 'all' : nameList(given, name))
  },
  model: { value: 'NAME', about: 'the model that made the vectors, kept in the index', read: text },
  note: { value: 'JSON', about: 'a JSON object of your own, kept in the index', read: jsonObject },
  format: FORMAT_OPTION,
  queries: { value: 'QUERIES', about: 'a file of queries to calibrate with (default: rows of the index)' },
  'no-calibrate': {
    about: 'measure no recall: searches then probe a fixed number of zones',
    library: 'calibrate',
    read: (given, name) => !flag(given, name)
  },
  memory: {
    value: 'SIZE',
    about: 'most memory to use, such as 2GB (default 512MB, at least 64MB)',
    library: 'memoryBytes',
    isSize: true,
    read: byteSize
  },
  workers: {
    value: 'N',
    about: 'worker threads (default: one for each core, fewer if memory is short)',
    read: wholeNumber
  },
  seed: {
    value: 'N',
    about: 'seed of random choices; the same input, options and seed give the same bytes (default 1)',
    read: wholeNumber
  },
  ...QUEUE_OPTIONS,
  stage: { value: 'STAGE', about: 'run one stage alone: read, train, assign, write or publish' },
  shard: { value: 'I/N', about: 'with --stage assign or write: do share I of N shares of the work' },
  force: { about: 'replace an existing index', read: flag },
  json: JSON_OPTION
})

export const BUILD: Command = {
  name: 'build',
  summary: 'build an index from vectors; resumes a build that was stopped',
  positionals: [
    { name: 'VECTORS', about: `a file: ${VECTOR_FILES}; or a SQLite database (see --query)`, library: 'input' },
    { name: 'INDEX', about: 'the folder to create', library: 'output' }
  ],
  options: OPTIONS,
  notes:
    'Sizes: MB = 2^20 bytes. Standard input is copied to a temporary file beside INDEX first.\n' +
    'With --queue and --store, machines that run zgq worker do the work, to the same bytes. VECTORS may then be\n' +
    's3://BUCKET/KEY; that, and files in the folder of the store, workers read where they are.',
  examples: [
    'zgq build vectors.fbin docs.zgq --metric cosine --memory 256MB',
    "zgq build app.db docs.zgq --query 'SELECT id, embedding FROM chunks'",
    'zgq build notes.jsonl notes.zgq --fields path:string,mtime:number --payload body',
    'zgq build s3://my-bucket/vectors.fbin docs.zgq --queue redis://10.0.0.5 --store s3://my-bucket/builds'
  ],
  run: runBuild
}

async function runBuild({ positionals: [source, output], given }: CommandArguments): Promise<void> {
  const progress = new ProgressLine()
  const stage = oneOf(given, 'stage', STAGES)
  const shard = readShard(given)
  const queue = readQueue(given, stage)
  if (shard !== undefined && stage === undefined) throw new UsageError('--shard needs --stage assign or --stage write')
  if (stage !== undefined && source === '-')
    throw new UsageError('a stage reads a file, not standard input: give the path of a file')
  if (source === '-' && given['queries'] === '-')
    throw new UsageError('standard input can be VECTORS or --queries, not both')
  const options: Omit<BuildOptions, 'input'> = {
    output,
    ...libraryOptions(OPTIONS, given),
    keepWork: source !== '-', // what comes once cannot be gone on with
    onResume: (stage) => {
      process.stderr.write(`resuming the build in ${workingFolder(output)}, from the stage ${stage} on\n`)
    },
    onProgress: (state) => {
      progress.show(state)
    }
  }
  const onQueue = noteWorkers(given, progress)
  const run = async (signal: AbortSignal): Promise<void> => {
    const file = await fileOf(source, given, { folder: dirname(output), signal })
    try {
      const queries = await queriesFor(text(given, 'queries'), {}, signal)
      const whole: BuildOptions = { ...options, input: file.path, queries, signal }
      if (queue !== undefined) await runWhole(given, () => buildOnQueue({ ...whole, ...queue, onQueue }), progress)
      else if (stage === undefined) await runWhole(given, () => buildIndex(whole), progress)
      else if (stage === 'publish') await runWhole(given, () => publish(whole), progress)
      else await runOne(given, { ...whole, stage, shard }, progress)
    } finally {
      file.release()
    }
  }
  try {
    await interruptible(run, () => {
      progress.end()
      if (queue !== undefined) return `interrupted; what is done stays in ${queue.store}: repeat the command to resume`
      return describeInterrupted(output, stage)
    })
  } finally {
    progress.end()
  }
}

function workingFolder(output: string): string {
  return `${output.replace(/[/\\]+$/, '')}.building`
}

/** Says what an interrupted build has left, and what can be done about it. */
function describeInterrupted(output: string, stage: RunnableStage | undefined): string {
  if (stage !== undefined) return 'interrupted; what is done stays: repeat the stage to resume'
  const folder = workingFolder(output)
  if (!existsSync(folder)) return 'interrupted; nothing was left behind'
  return existsSync(join(folder, 'recipe.json'))
    ? `interrupted; what is done stays in ${folder}: repeat the command to resume, or remove that folder to discard it`
    : `interrupted before anything was done; a build of the same index clears ${folder} away`
}

async function publish(options: BuildOptions): Promise<BuildReport> {
  const { built } = await buildStage({ ...options, stage: 'publish' })
  if (built === undefined) throw new Error('the stage publish built nothing')
  return built
}

/** Runs what ends with an index in its place, and says what that is. */
async function runWhole(given: Given, build: () => Promise<BuildReport>, progress: ProgressLine): Promise<void> {
  const startedAt = performance.now()
  const report = await build()
  const stages = progress.finish()
  const elapsedMs = Math.round(performance.now() - startedAt)
  const peakRssBytes = process.resourceUsage().maxRSS * 1024
  if (given['json'] === true)
    printJson({
      ...report,
      elapsedMs,
      peakRssBytes,
      stages: stages.map(({ stage, elapsedMs: ms }) => ({ stage, elapsedMs: Math.round(ms) }))
    })
  else print(describeBuild(report, { elapsedMs, peakRssBytes, stages }))
}

async function runOne(
  given: Given,
  options: BuildOptions & { stage: RunnableStage; shard: StageShare | undefined },
  progress: ProgressLine
): Promise<void> {
  const { stage, done, total } = await buildStage(options)
  progress.finish()
  const next = STAGES[STAGES.indexOf(options.stage) + 1]
  if (given['json'] === true) printJson({ stage, done, total })
  else
    print(
      `${stage}: ${done} of ${countOf(total, 'task')} done; ` +
        (done < total ? 'run the other shards too' : `next: --stage ${next}`)
    )
}

/** Reads where machines are to share the build; undefined: this one does it. */
function readQueue(
  given: Given,
  stage: RunnableStage | undefined
): { queue: string; store: string; endpoint: string | undefined; region: string | undefined } | undefined {
  const [named, store, endpoint, region] = ['queue', 'store', 'endpoint', 'region'].map((name) => text(given, name))
  const queue = store === undefined ? named : queueOf(given)
  if (queue === undefined && store === undefined && endpoint === undefined && region === undefined) return undefined
  if (queue === undefined || store === undefined)
    throw new UsageError(
      'a build by many machines needs both: --queue redis://HOST (or ZGQ_QUEUE in the environment) and --store PLACE'
    )
  if (stage !== undefined) throw new UsageError('--stage is for builds without a queue')
  return { queue, store, endpoint, region }
}

/** Says once that nothing goes on without workers. */
function noteWorkers(given: Given, progress: ProgressLine): (facts: QueueFacts) => void {
  let isSaid = false
  return ({ workers, isConnected }) => {
    if (!isConnected || workers !== 0 || isSaid) return
    isSaid = true
    progress.end()
    const [queue, store] = ['URL', text(given, 'store') ?? 'PLACE']
    process.stderr.write(`no worker is there yet; start some: zgq worker --queue ${queue} --store ${store}\n`)
  }
}

/** Reads I/N, as 2/4 for the second of four. */
function readShard(given: Given): StageShare | undefined {
  const value = text(given, 'shard')
  if (value === undefined) return undefined
  const match = /^(\d+)\/(\d+)$/.exec(value)
  if (match === null) throw new UsageError(`--shard must be I/N, such as 2/4 for the second of four, found ${value}`)
  const [index, of] = [Number(match[1]), Number(match[2])]
  if (index < 1 || index > of) throw new UsageError(`--shard I/N must have I from 1 to N, found ${value}`)
  return { index, of }
}
