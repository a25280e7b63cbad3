// The zgq command in a process of its own, as it stands in dist/.

import { spawn, spawnSync, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Writable } from 'node:stream'

import { ROOT } from './sources.ts'

const COMMAND = join(ROOT, 'dist', 'zgq.js')

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

function expectBuilt(): void {
  if (!existsSync(COMMAND)) throw new Error('dist/zgq.js is missing: run npm run build first')
}

/** Runs the command to its end. */
export function runZgq(...args: readonly string[]): Ended {
  return runZgqOn('', ...args)
}

/** Runs the command to its end with this on standard input. */
export function runZgqOn(input: string | Uint8Array, ...args: readonly string[]): Ended {
  expectBuilt()
  const { status, stdout, stderr } = spawnSync(process.execPath, [COMMAND, ...args], {
    encoding: 'utf8',
    input,
    maxBuffer: 2 ** 26
  })
  return { code: status, stdout, stderr }
}

/** Runs the command with --json, which must succeed and print one line; returns the object on it. */
export function jsonOf(...args: readonly string[]): unknown {
  const { code, stdout, stderr } = runZgq(...args, '--json')
  if (code !== 0) throw new Error(`zgq ${args.join(' ')} ended with ${String(code)}: ${stderr}`)
  if (stdout.indexOf('\n') !== stdout.length - 1)
    throw new Error(`zgq ${args.join(' ')} printed more than one line: ${stdout}`)
  return JSON.parse(stdout)
}

/** Starts the command, to be fed and ended by the test. */
export function startZgq(args: readonly string[]): ChildProcessByStdio<Writable, null, null> {
  expectBuilt()
  return spawn(process.execPath, [COMMAND, ...args], { stdio: ['pipe', 'ignore', 'ignore'] })
}

/** Runs the command and sends a signal once its standard error shows `sign`. */
export async function interruptZgq(signal: NodeJS.Signals, sign: string, args: readonly string[]): Promise<Ended> {
  expectBuilt()
  const child = spawn(process.execPath, [COMMAND, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    const wasSeen = stderr.includes(sign)
    stderr += text
    if (!wasSeen && stderr.includes(sign)) child.kill(signal)
  })
  await once(child, 'close')
  return { code: child.exitCode, stdout, stderr }
}
