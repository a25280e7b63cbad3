// Runs commands on forged indexes in child processes, kills the one that hangs, and goes on with the next command.

import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

import { ROOT } from './sources.ts'

export interface Job {
  readonly folder: string
  readonly command: string
}

export interface Outcome extends Job {
  /** `fine`, a code, or what else happened. */
  readonly outcome: string
  readonly cpuMs: number
  /** Memory that it took beside what the process had. */
  readonly bytes: number
}

/** What calibrates comes last: it writes. */
export const COMMANDS = [
  'open',
  'search',
  'codes',
  'nprobe',
  'exact',
  'get',
  'documents',
  'check',
  'inspect',
  'json',
  'html',
  'calibrate'
]
export const PYTHON_COMMANDS = ['python search', 'python check']
const HANG_MS = 3_000
const SUPPORT = join(ROOT, 'test/support')

/**
 * Runs jobs one after the other; `path` names a file that may be written. Commands of the Python reader ask `queries`.
 */
export async function runForged(
  jobs: readonly Job[],
  path: string,
  { queries = '', script = 'forged-commands.mjs' }: { queries?: string; script?: string }
): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  for (const isPython of [true, false]) {
    let left = jobs.filter(({ command }) => command.startsWith('python') === isPython)
    while (left.length > 0) {
      writeFileSync(path, JSON.stringify(left))
      const done = await runOnce(
        isPython
          ? ['python3', join(SUPPORT, 'forged_commands.py'), join(ROOT, 'format-spec/reader.py'), path, queries]
          : [process.execPath, '--expose-gc', join(SUPPORT, script), join(ROOT, 'dist'), path],
        left
      )
      outcomes.push(...done)
      left = left.slice(done.length)
    }
  }
  return outcomes
}

/** Runs a child until it is through or stuck; the job that it was stuck in has an outcome too. */
async function runOnce([command, ...args]: readonly string[], jobs: readonly Job[]): Promise<Outcome[]> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const done: Outcome[] = []
  let stderr = ''
  let isHung = false
  const hang = (): void => {
    isHung = true
    child.kill('SIGKILL')
  }
  let timer = setTimeout(hang, HANG_MS)
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const closed = new Promise((resolve) => child.once('close', resolve))
  for await (const line of createInterface({ input: child.stdout })) {
    clearTimeout(timer)
    timer = setTimeout(hang, HANG_MS)
    const said: Job | Outcome = JSON.parse(line)
    if ('outcome' in said) done.push(said)
  }
  await closed
  clearTimeout(timer)
  if (done.length < jobs.length) {
    const outcome = isHung ? `no end after ${HANG_MS} ms` : `the process died: ${stderr.slice(-500)}`
    done.push({ ...jobs[done.length], outcome, cpuMs: Infinity, bytes: Infinity })
  }
  return done
}
