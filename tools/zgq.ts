#!/usr/bin/env node
// The zgq command: finds the subcommand, and turns errors into one line and an exit code.
// 0 done, 1 failed, 2 wrong usage, 130 interrupted (143 by SIGTERM).

import { readFileSync } from 'node:fs'

import { ZgqError } from '../src/index.ts'
import { ADD } from './add.ts'
import { readArguments, UsageError } from './arguments.ts'
import { BACKUP } from './backup.ts'
import { BUILD } from './build.ts'
import { CALIBRATE } from './calibrate.ts'
import { CHECK } from './check.ts'
import type { Command } from './command.ts'
import { DELETE } from './delete.ts'
import { EVAL } from './eval.ts'
import { EXPORT } from './export.ts'
import { describeCommand, describeCommands, didYouMean, usageOf } from './help.ts'
import { INSPECT } from './inspect.ts'
import { inWordsOf } from './messages.ts'
import { Interrupted } from './interrupt.ts'
import { OPTIMIZE } from './optimize.ts'
import { print } from './output.ts'
import { PACK } from './pack.ts'
import { PUBLISH } from './publish.ts'
import { REPAIR } from './repair.ts'
import { SEARCH } from './search.ts'
import { SERVE } from './serve.ts'
import { WORKER } from './worker.ts'

const COMMANDS: readonly Command[] = [
  BUILD,
  ADD,
  DELETE,
  OPTIMIZE,
  SEARCH,
  EVAL,
  CALIBRATE,
  INSPECT,
  EXPORT,
  BACKUP,
  PUBLISH,
  PACK,
  CHECK,
  REPAIR,
  SERVE,
  WORKER
]
const HELP = new Set(['--help', '-h'])

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args
  if (name === undefined || HELP.has(name) || (name === 'help' && rest.length === 0)) {
    print(describeCommands(COMMANDS))
    return name === undefined ? 2 : 0
  }
  if (name === '--version' || name === '-V') {
    print(readVersion())
    return 0
  }
  const wanted = name === 'help' ? rest[0] : name
  const command = COMMANDS.find((candidate) => candidate.name === wanted)
  try {
    if (command === undefined) {
      if (wanted.startsWith('-'))
        throw new UsageError(`unknown option ${wanted}${didYouMean(wanted, ['--help', '--version'])}`)
      const names = COMMANDS.map((known) => known.name)
      throw new UsageError(
        `unknown command ${wanted}${didYouMean(wanted, names) || `; commands are ${names.join(', ')}`}`
      )
    }
    if (name === 'help' || rest.some((word) => HELP.has(word))) print(describeCommand(command))
    else await command.run(readArguments(rest, command))
    return 0
  } catch (error) {
    return report(error, command)
  }
}

/**
 * Prints one line, and where that helps how the command is used. Wrong values of options come as TypeError or
 * RangeError from the library.
 */
function report(error: unknown, command: Command | undefined): number {
  const line = (text: string): void => {
    process.stderr.write(`zgq: ${text.replaceAll('\n', ' ')}\n`)
  }
  if (error instanceof Interrupted) {
    line(error.message)
    return error.exitCode
  }
  if (error instanceof ZgqError) {
    line(`${error.code}: ${inWordsOf(command, error.message)}`)
    return 1
  }
  if (error instanceof UsageError || error instanceof TypeError || error instanceof RangeError) {
    line(error instanceof UsageError ? error.message : inWordsOf(command, error.message))
    const usage = command === undefined ? 'zgq COMMAND ... (zgq --help lists the commands)' : usageOf(command)
    process.stderr.write(
      `usage: ${usage}${command === undefined ? '' : `; zgq ${command.name} --help explains them`}\n`
    )
    return 2
  }
  line(error instanceof Error ? error.message : String(error))
  return 1
}

function readVersion(): string {
  const { version }: { version: string } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  return version
}

// Nobody reads on, as under `| head`: that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 1)
})
const code = await main(process.argv.slice(2))
// What was interrupted may have left an input open that never ends.
if (code >= 128) process.exit(code)
process.exitCode = code
