// Workers of builds on a queue in processes of their own, as the command starts them or as a program does, to be killed
// at any moment; and what they say of their tasks.

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

import type { TaskDone } from '../../src/queue.ts'
import { S3_ENVIRONMENT } from './s3-proxy.ts'

export interface WorkerPlace {
  /** The folder that has the command and the entries: `dist`, or another. */
  readonly dist: string
  readonly queue: string
  readonly store: string
  /** Of a bucket. */
  readonly endpoint?: string | undefined
  readonly concurrency?: number
  /** Where it keeps copies of what is in a bucket. */
  readonly scratch?: string
}

/** Has credentials for a test's bucket. */
export const WORKER_ENVIRONMENT = { ...process.env, ...S3_ENVIRONMENT }

export interface CommandWorker {
  /** Standard error so far. */
  readonly stderr: string
  /** The lines of its log. */
  tasks(): (TaskDone & { readonly pid: number })[]
  readonly ended: Promise<number | null>
  /** Ctrl-C; resolves to the exit code. */
  end(): Promise<number | null>
}

/** Starts `zgq worker`; resolves once it waits for tasks. */
export async function startCommandWorker(place: WorkerPlace & { readonly log: string }): Promise<CommandWorker> {
  const { dist, queue, store, endpoint, concurrency = 1, scratch, log } = place
  const options = Object.entries({ queue, store, endpoint, concurrency, scratch, log })
  const parameters = options.flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, String(value)]))
  const child = spawn(process.execPath, [join(dist, 'zgq.js'), 'worker', ...parameters], {
    env: WORKER_ENVIRONMENT,
    stdio: ['ignore', 'ignore', 'pipe']
  })
  let stderr = ''
  const ended = endOf(child)
  await new Promise<void>((resolve, reject) => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
      if (stderr.includes('waiting for tasks')) resolve()
    })
    void ended.then((code) => {
      reject(new Error(`the worker ended with ${String(code)}: ${stderr}`))
    })
  })
  return {
    get stderr() {
      return stderr
    },
    tasks: () => (existsSync(log) ? linesOf(readFileSync(log, 'utf8')).map((line) => JSON.parse(line)) : []),
    ended,
    end() {
      child.kill('SIGINT')
      return ended
    }
  }
}

const PROGRAM = (dist: string): string => `
  import { writeSync } from 'node:fs'
  import { openWorker } from '${pathToFileURL(join(dist, 'queue.js')).href}'
  const say = (value) => { writeSync(1, JSON.stringify(value) + '\\n') }
  const worker = await openWorker({
    ...JSON.parse(process.argv[1]),
    onTask(done) { say({ done: done.output }) },
    onEvent({ kind, job }) { if (job !== undefined) say({ [kind]: job.output }) }
  })
  process.stdin.resume().on('end', () => { void worker.close() })
  say({ begun: true })
  await worker.done
  process.exit(0)`

/** A worker that says what it is at. */
export interface ProgramWorker {
  /** Tasks that it is at. */
  readonly active: ReadonlySet<string>
  /** Tasks that it has done, by their outputs. */
  readonly done: readonly string[]
  /** Ends it as the system does, without a word; resolves to the tasks that it was at. */
  kill(): Promise<string[]>
  /** Ends it once its tasks are done; resolves to its exit code. */
  end(): Promise<number | null>
}

/** Starts a program that calls `openWorker`; resolves once it takes tasks. */
export async function startProgramWorker(place: WorkerPlace & { readonly stalledMs?: number }): Promise<ProgramWorker> {
  const { dist, ...given } = place
  const options = JSON.stringify({ concurrency: 1, stalledMs: 1500, ...given })
  const child = spawn(process.execPath, ['--input-type=module', '--eval', PROGRAM(dist), options], {
    env: WORKER_ENVIRONMENT,
    stdio: ['pipe', 'pipe', 'inherit']
  })
  const ended = endOf(child)
  const active = new Set<string>()
  const done: string[] = []
  let rest = ''
  await new Promise<void>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      rest += text
      const lines = rest.split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const said: Record<string, string> = JSON.parse(line)
        if ('begun' in said) resolve()
        else if ('taken' in said) active.add(said['taken'])
        else for (const output of Object.values(said)) active.delete(output)
        if ('done' in said && !done.includes(said['done'])) done.push(said['done'])
      }
    })
    void ended.then((code) => {
      reject(new Error(`the worker ended with ${String(code)}`))
    })
  })
  return {
    active,
    done,
    async kill() {
      const lost = Array.from(active)
      child.kill('SIGKILL')
      await ended
      return lost
    },
    end() {
      child.stdin.end()
      return ended
    }
  }
}

async function endOf(child: ChildProcess): Promise<number | null> {
  await once(child, 'exit')
  return child.exitCode
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '')
}
