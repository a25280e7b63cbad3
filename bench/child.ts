// Runs one step of a benchmark in a fresh process and watches its memory from outside, every 20 ms.

import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'

import { readProcessMemory } from './process-memory.ts'

const SAMPLE_MS = 20
const TSX = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href

export interface MemoryPeaks {
  readonly rss: number
  readonly rssAnon: number
  readonly rssFile: number
}

export interface ChildResult<T> {
  /** What the child wrote to standard output, parsed as JSON. */
  readonly value: T
  readonly peaks: MemoryPeaks
  readonly elapsedMs: number
}

export interface RunOptions {
  /** Path of the Node that runs it; default: this one. */
  readonly node?: string
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>
  /** After it the process is killed, and the run rejects. */
  readonly timeoutMs?: number
}

/** Runs a file of this folder with `input`, which it gets from `stepInput`. */
export function runStep<T>(file: string, input: unknown, options: RunOptions = {}): Promise<ChildResult<T>> {
  return runNode(
    ['--expose-gc', '--import', TSX, fileURLToPath(new URL(file, import.meta.url)), JSON.stringify(input)],
    options
  )
}

/** Runs Node with these arguments; rejects unless it exits with 0. */
export function runNode<T>(
  args: readonly string[],
  { node = process.execPath, env = {}, timeoutMs = 0 }: RunOptions = {}
): Promise<ChildResult<T>> {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now()
    const child = spawn(node, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
      timeout: timeoutMs,
      killSignal: 'SIGKILL'
    })
    const out: Buffer[] = []
    const errors: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => errors.push(chunk))
    let peaks: MemoryPeaks = { rss: 0, rssAnon: 0, rssFile: 0 }
    const timer = setInterval(() => {
      peaks = raise(peaks, child.pid)
    }, SAMPLE_MS)
    child.once('error', reject)
    child.once('close', (code, signal) => {
      clearInterval(timer)
      const elapsedMs = performance.now() - startedAt
      if (code === 0) resolve({ value: JSON.parse(resultIn(Buffer.concat(out).toString())), peaks, elapsedMs })
      else
        reject(
          new Error(
            `${args.join(' ')} ended with ${String(code ?? signal)} after ${Math.round(elapsedMs / 1000)} ` +
              `s:\n${Buffer.concat(errors).toString()}`
          )
        )
    })
  })
}

/** In the child: the input of `runStep`. */
export function stepInput<T>(): T {
  return JSON.parse(process.argv[2])
}

const RESULT_MARK = '\n=== result ===\n'

/** In the child: hands the result back. */
export function stepResult(value: unknown): void {
  process.stdout.write(RESULT_MARK + JSON.stringify(value))
}

/** What follows the mark, if there is one: libraries under measurement may print, too. */
function resultIn(text: string): string {
  const at = text.lastIndexOf(RESULT_MARK)
  return at === -1 ? text : text.slice(at + RESULT_MARK.length)
}

function raise(peaks: MemoryPeaks, pid: number | undefined): MemoryPeaks {
  const now = pid === undefined ? undefined : readProcessMemory(pid)
  if (now === undefined) return peaks
  return {
    rss: Math.max(peaks.rss, now.peakRss),
    rssAnon: Math.max(peaks.rssAnon, now.rssAnon),
    rssFile: Math.max(peaks.rssFile, now.rssFile)
  }
}
