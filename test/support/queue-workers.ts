// Workers of the queue for tests: in this process, or in processes of their own, which can be killed. What a job leaves
// is a file of its name in a folder.

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

import { build } from 'esbuild'

import { ZgqError, type ZgqErrorCode } from '../../src/errors.ts'
import { WorkerUnfit } from '../../src/queue/job-failures.ts'
import type { RunSeam } from '../../src/queue/job-run.ts'
import type { PerformSeam } from '../../src/queue/job-worker.ts'
import type { TaskJob } from '../../src/queue/task-job.ts'
import { ROOT } from './sources.ts'
import type { TempFolder } from './temp-folder.ts'

/** What a job of these tests does; without any of it, it leaves its file at once. */
export interface TestTask {
  readonly waitMs?: number
  /** Fails with this code, the first `times` times (default: always). */
  readonly code?: ZgqErrorCode | 'TypeError'
  readonly times?: number
  /** No worker of this name is fit. */
  readonly unfit?: string
  /** Ends the process that does it. */
  readonly isDeadly?: boolean
}

export function jobsOf(count: number, task: TestTask = {}, build = 'build-a'): TaskJob[] {
  return Array.from({ length: count }, (_, i) => ({ build, output: `square-${i}-${build}`, task, rows: 100 }))
}

/** A folder in place of a store. */
export class TestStore {
  readonly path: string

  constructor(path: string) {
    this.path = path
    mkdirSync(join(path, 'log'), { recursive: true })
  }

  /** Names of what is there, sorted. */
  outputs(): string[] {
    return readdirSync(this.path)
      .filter((name) => name !== 'log' && !name.startsWith('.'))
      .sort()
  }

  /** Which worker took which job, in the order of each worker: `name output`. */
  taken(): string[] {
    return readdirSync(join(this.path, 'log')).flatMap((name) =>
      readFileSync(join(this.path, 'log', name), 'utf8')
        .trimEnd()
        .split('\n')
    )
  }

  /** How many times a job was taken. */
  timesTaken(output: string): number {
    return this.taken().filter((line) => line.endsWith(` ${output}`)).length
  }

  /** What a run asks and tells; `done` collects. */
  seam(done: string[] = []): RunSeam {
    return {
      has: (output) => Promise.resolve(existsSync(join(this.path, output))),
      done: ({ output }) => done.push(output)
    }
  }

  /** Does jobs as the worker of a name. */
  performer(name: string): (job: TaskJob, on: PerformSeam) => Promise<void> {
    return async ({ output, task }, { rows, signal }) => {
      const { waitMs = 0, code, times = Infinity, unfit, isDeadly = false } = task as TestTask
      if (unfit === name) throw new WorkerUnfit('ZGQ_MISMATCH', `${name} is of another version`)
      appendFileSync(join(this.path, 'log', name), `${name} ${output}\n`)
      rows(50)
      if (isDeadly) process.kill(process.pid, 'SIGKILL')
      if (waitMs > 0) await setTimeout(waitMs, undefined, { signal })
      if (code !== undefined && this.timesTaken(output) <= times) {
        if (code === 'TypeError') throw new TypeError(`no ${output}`)
        throw new ZgqError(code, `no ${output}`, { path: '/some/file' })
      }
      const temporary = join(this.path, `.${output}-${name}`)
      writeFileSync(temporary, output)
      renameSync(temporary, join(this.path, output))
    }
  }
}

export interface WorkerProcess {
  readonly child: ChildProcess
  /** Ends it as the system does, without a word. */
  kill(): Promise<void>
  /** Tells it to end once its jobs are done; resolves to its exit code. */
  end(): Promise<number | null>
}

export interface WorkerProcessOptions {
  readonly url: string
  readonly store: TestStore
  readonly name: string
  readonly concurrency?: number
  readonly stalledMs?: number
}

/** Starts a process that does jobs; resolves once it takes them. */
export async function startWorker(temp: TempFolder, options: WorkerProcessOptions): Promise<WorkerProcess> {
  const { url, store, name, concurrency = 2, stalledMs = 1000 } = options
  const given = JSON.stringify({ url, path: store.path, name, concurrency, stalledMs })
  const child = spawn(process.execPath, [await programIn(temp), given], {
    stdio: ['pipe', 'pipe', 'inherit']
  })
  const ended = once(child, 'exit') as Promise<[number | null]>
  const begun = await Promise.race([once(child.stdout, 'data'), ended])
  if (!Buffer.isBuffer(begun[0])) throw new Error(`the worker ended with ${String(begun[0])}`)
  return {
    child,
    async kill() {
      child.kill('SIGKILL')
      await ended
    },
    async end() {
      child.stdin.end()
      return (await ended)[0]
    }
  }
}

async function programIn(temp: TempFolder): Promise<string> {
  const outfile = join(temp.path, 'queue-worker.mjs')
  if (existsSync(outfile)) return outfile
  // Where ES modules look for packages.
  symlinkSync(join(ROOT, 'node_modules'), join(temp.path, 'node_modules'))
  await build({
    stdin: {
      resolveDir: join(ROOT, 'test/support'),
      contents: `
        import { openJobWorker } from '../../src/queue/job-worker.ts'
        import { TestStore } from './queue-workers.ts'
        const { url, path, name, concurrency, stalledMs } = JSON.parse(process.argv[2])
        const perform = new TestStore(path).performer(name)
        const worker = await openJobWorker(url, { concurrency, perform, stalledMs, name })
        process.stdout.write('begun')
        process.stdin.resume().on('end', () => { void worker.close().then(() => process.exit(0)) })
        void worker.failed.then(() => process.exit(3))`
    },
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    external: ['vitest'],
    outfile
  })
  return outfile
}
