#!/usr/bin/env node
// The zgq command: finds the subcommand, and turns errors into one line and an exit code.
// 0 done, 1 failed, 2 wrong usage.

import { ZgqError } from '../src/index.ts'
import { UsageError } from './arguments.ts'
import { BUILD_USAGE, runBuild } from './build.ts'
import { CALIBRATE_USAGE, runCalibrate } from './calibrate.ts'
import { CHECK_USAGE, runCheck } from './check.ts'
import { EVAL_USAGE, runEval } from './eval.ts'
import { INSPECT_USAGE, runInspect } from './inspect.ts'
import { print } from './output.ts'
import { runSearch, SEARCH_USAGE } from './search.ts'

const SUBCOMMANDS = new Map<string, { usage: string; run: (args: readonly string[]) => void | Promise<void> }>([
  ['build', { usage: BUILD_USAGE, run: runBuild }],
  ['search', { usage: SEARCH_USAGE, run: runSearch }],
  ['eval', { usage: EVAL_USAGE, run: runEval }],
  ['calibrate', { usage: CALIBRATE_USAGE, run: runCalibrate }],
  ['inspect', { usage: INSPECT_USAGE, run: runInspect }],
  ['check', { usage: CHECK_USAGE, run: runCheck }]
])

const HELP = `${Array.from(SUBCOMMANDS.values(), ({ usage }) => usage).join('\n')}

VECTORS and QUERIES: .fvecs .bvecs .fbin .u8bin .f16bin .npy. INDEX: a folder.
VECTORS also: .parquet .jsonl .hdf5 with --column, .parquet .jsonl with --id-column; a SQLite database with --query 'SELECT id, vector FROM ...'.
--json prints one JSON object on standard output.`

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args
  if (name === undefined || name === '--help' || name === '-h' || rest.includes('--help')) {
    print(HELP)
    return name === undefined ? 2 : 0
  }
  const subcommand = SUBCOMMANDS.get(name)
  try {
    if (subcommand === undefined)
      throw new UsageError(`unknown subcommand ${name}; known are ${Array.from(SUBCOMMANDS.keys()).join(', ')}`)
    await subcommand.run(rest)
    return 0
  } catch (error) {
    return report(error, subcommand?.usage)
  }
}

/**
 * Prints one line, and the usage where that helps; wrong values of options come as TypeError or RangeError from the
 * library.
 */
function report(error: unknown, usage: string | undefined): number {
  const line = (text: string): void => {
    process.stderr.write(`zgq: ${text.replaceAll('\n', ' ')}\n`)
  }
  if (error instanceof ZgqError) {
    line(`${error.code}: ${error.message}`)
    return 1
  }
  if (error instanceof UsageError || error instanceof TypeError || error instanceof RangeError) {
    line(error.message)
    if (usage !== undefined) process.stderr.write(`usage: ${usage}\n`)
    return 2
  }
  line(error instanceof Error ? error.message : String(error))
  return 1
}

// Nobody reads on, as under `| head`: that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 1)
})
process.exitCode = await main(process.argv.slice(2))
