// zgq build VECTORS INDEX

import { buildIndex, type BuildOptions } from '../src/build.ts'
import { byteSize, oneOf, readArguments, text, wholeNumber } from './arguments.ts'
import { describeBuild } from './build-summary.ts'
import { print, printJson } from './output.ts'
import { ProgressLine } from './progress.ts'

export const BUILD_USAGE = 'zgq build VECTORS INDEX [--metric l2|cosine|ip] [--zones N] [--bits 0|1|2|4] [--ids FILE] [--column NAME] [--id-column NAME] [--query SELECT] [--queries QUERIES] [--memory 512MB] [--seed N] [--force] [--json]'

export async function runBuild(args: readonly string[]): Promise<void> {
  const { positionals: [input, output], given } = readArguments(args, ['VECTORS', 'INDEX'], {
    metric: { type: 'string' }, zones: { type: 'string' }, bits: { type: 'string' }, ids: { type: 'string' }, column: { type: 'string' }, 'id-column': { type: 'string' }, query: { type: 'string' }, memory: { type: 'string' },
    queries: { type: 'string' }, seed: { type: 'string' }, force: { type: 'boolean' }, json: { type: 'boolean' }
  })
  const progress = new ProgressLine()
  const interrupt = new AbortController()
  const stop = (): void => { interrupt.abort(new Error('interrupted; nothing was left behind')) }
  process.once('SIGINT', stop).once('SIGTERM', stop)
  const options: BuildOptions = {
    input, output,
    metric: oneOf(given, 'metric', ['l2', 'cosine', 'ip']),
    zones: wholeNumber(given, 'zones'),
    bits: wholeNumber(given, 'bits'),
    ids: text(given, 'ids'),
    column: text(given, 'column'),
    idColumn: text(given, 'id-column'),
    query: text(given, 'query'),
    memoryBytes: byteSize(given, 'memory'),
    queries: text(given, 'queries'),
    seed: wholeNumber(given, 'seed'),
    force: given['force'] === true,
    signal: interrupt.signal,
    onProgress: (state) => { progress.show(state) }
  }
  const startedAt = performance.now()
  try {
    const report = await buildIndex(options)
    const stages = progress.finish()
    const elapsedMs = Math.round(performance.now() - startedAt)
    const peakRssBytes = process.resourceUsage().maxRSS * 1024
    if (given['json'] === true) printJson({ ...report, elapsedMs, peakRssBytes, stages: stages.map(({ stage, elapsedMs: ms }) => ({ stage, elapsedMs: Math.round(ms) })) })
    else print(describeBuild(report, { elapsedMs, peakRssBytes, stages }))
  } finally {
    progress.end()
    process.off('SIGINT', stop).off('SIGTERM', stop)
  }
}
