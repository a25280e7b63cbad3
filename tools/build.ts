// zgq build VECTORS INDEX, all of it or one stage.

import {
  buildIndex,
  buildStage,
  type BuildOptions,
  type BuildReport,
  type RunnableStage,
  type StageShare
} from '../src/build.ts'
import { byteSize, oneOf, readArguments, text, UsageError, wholeNumber, type Given } from './arguments.ts'
import { describeBuild } from './build-summary.ts'
import { print, printJson } from './output.ts'
import { ProgressLine } from './progress.ts'

export const BUILD_USAGE =
  'zgq build VECTORS INDEX [--metric l2|cosine|ip] [--zones N] [--bits 0|1|2|4] [--ids FILE] [--column NAME] ' +
  '[--id-column NAME] [--query SELECT] [--queries QUERIES] [--memory 512MB] [--workers N] [--seed N] [--stage ' +
  'read|train|assign|write|publish [--shard I/N]] [--force] [--json]'

const STAGES: readonly RunnableStage[] = ['read', 'train', 'assign', 'write', 'publish']

export async function runBuild(args: readonly string[]): Promise<void> {
  const {
    positionals: [input, output],
    given
  } = readArguments(args, ['VECTORS', 'INDEX'], {
    metric: { type: 'string' },
    zones: { type: 'string' },
    bits: { type: 'string' },
    ids: { type: 'string' },
    column: { type: 'string' },
    'id-column': { type: 'string' },
    query: { type: 'string' },
    memory: { type: 'string' },
    workers: { type: 'string' },
    stage: { type: 'string' },
    shard: { type: 'string' },
    queries: { type: 'string' },
    seed: { type: 'string' },
    force: { type: 'boolean' },
    json: { type: 'boolean' }
  })
  const progress = new ProgressLine()
  const interrupt = new AbortController()
  const left =
    given['stage'] === undefined ? 'nothing was left behind' : 'what is done stays: repeat the stage to go on'
  const stop = (): void => {
    interrupt.abort(new Error(`interrupted; ${left}`))
  }
  process.once('SIGINT', stop).once('SIGTERM', stop)
  const options: BuildOptions = {
    input,
    output,
    metric: oneOf(given, 'metric', ['l2', 'cosine', 'ip']),
    zones: wholeNumber(given, 'zones'),
    bits: wholeNumber(given, 'bits'),
    ids: text(given, 'ids'),
    column: text(given, 'column'),
    idColumn: text(given, 'id-column'),
    query: text(given, 'query'),
    memoryBytes: byteSize(given, 'memory'),
    queries: text(given, 'queries'),
    workers: wholeNumber(given, 'workers'),
    seed: wholeNumber(given, 'seed'),
    force: given['force'] === true,
    signal: interrupt.signal,
    onProgress: (state) => {
      progress.show(state)
    }
  }
  const stage = oneOf(given, 'stage', STAGES)
  const shard = readShard(given)
  if (shard !== undefined && stage === undefined)
    throw new UsageError('--shard is for a stage: give --stage assign or --stage write too')
  try {
    if (stage === undefined || stage === 'publish')
      await runWhole(given, stage === undefined ? () => buildIndex(options) : () => publish(options), progress)
    else await runOne(given, { ...options, stage, shard }, progress)
  } finally {
    progress.end()
    process.off('SIGINT', stop).off('SIGTERM', stop)
  }
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
      `${stage}: ${done} of ${total} tasks are ` +
        `done${done < total ? '; others have to finish' : `; next: --stage ${next}`}`
    )
}

/** Reads I/N, as 2/4 for the second of four. */
function readShard(given: Given): StageShare | undefined {
  const value = text(given, 'shard')
  if (value === undefined) return undefined
  const match = /^(\d+)\/(\d+)$/.exec(value)
  if (match === null) throw new UsageError(`--shard must be I/N, such as 2/4 for the second of four, found ${value}`)
  return { index: Number(match[1]), of: Number(match[2]) }
}
