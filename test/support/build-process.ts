// Builds in processes of their own, from dist/, which can be killed at a chosen moment: they kill themselves with
// SIGKILL, so that the moment is exact.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'

import type { BuildProgress } from '../../src/build.ts'
import { S3_ENVIRONMENT } from './s3-proxy.ts'
import { ROOT } from './sources.ts'

const DIST = join(ROOT, 'dist')

/**
 * When a process kills itself: at the note with this number of those that match, or so many milliseconds after its
 * start.
 */
export type Kill =
  { readonly stage?: string; readonly done?: number; readonly note?: number } | { readonly afterMs: number }

export interface BuildCall {
  /** What is called: `buildIndex`, `buildStage` where options name a stage, `buildOnQueue` where they name a queue. */
  readonly options: Readonly<Record<string, unknown>>
  /** How the child gives the file at `input` to the build: by its path, as one array, as batches. */
  readonly as?: 'path' | 'array' | 'batches'
  readonly kill?: Kill | undefined
  /** The folder that has the entries; default: `dist`. */
  readonly dist?: string
}

export interface BuildEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly notes: readonly BuildProgress[]
  /** What it resolved to, or { code, message } of what it rejected with. */
  readonly outcome: unknown
}

const SCRIPT = `
  import { readFileSync, writeSync } from 'node:fs'
  const { buildIndex, buildStage } = await import(process.argv[2])
  const { options, as, kill } = JSON.parse(process.argv[1])
  const say = (value) => { writeSync(1, JSON.stringify(value) + '\\n') }
  const die = () => { process.kill(process.pid, 'SIGKILL') }
  if (kill?.afterMs !== undefined) setTimeout(die, kill.afterMs)
  let notes = 0
  const isIt = ({ stage, done }) => kill !== undefined && kill.afterMs === undefined && (kill.stage ?? stage) === stage && done >= (kill.done ?? 0) && notes++ === (kill.note ?? 0)
  options.onProgress = (note) => {
    say({ note })
    if (isIt(note)) die()
  }
  if (as === 'array' || as === 'batches') {
    const bytes = readFileSync(options.input)
    const dim = bytes.readUInt32LE(4)
    const values = new Float32Array(Uint8Array.from(bytes.subarray(8)).buffer)
    const rows = 1000 * dim
    options.dim = dim
    options.input = as === 'array' ? values : (async function* () {
      for (let at = 0; at < values.length; at += rows) yield { vectors: values.slice(at, at + rows), ids: Array.from({ length: Math.min(rows, values.length - at) / dim }, (_, i) => at / dim + i) }
    })()
  }
  try {
    say({ outcome: await (options.queue !== undefined ? (await import(process.argv[3])).buildOnQueue(options) : options.stage === undefined ? buildIndex(options) : buildStage(options)) })
  } catch (error) {
    say({ outcome: { code: error.code ?? error.name, message: error.message } })
    process.exitCode = 1
  }`

/** Runs a build in a process of its own. */
export async function buildInProcess(call: BuildCall): Promise<BuildEnd> {
  const entries = ['build', 'queue'].map((name) => pathToFileURL(join(call.dist ?? DIST, `${name}.js`)).href)
  const child = spawn(process.execPath, ['--input-type=module', '--eval', SCRIPT, JSON.stringify(call), ...entries], {
    env: { ...process.env, ...S3_ENVIRONMENT },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const notes: BuildProgress[] = []
  let outcome: unknown
  createInterface({ input: child.stdout }).on('line', (line) => {
    const said: { note?: BuildProgress; outcome?: unknown } = JSON.parse(line)
    if (said.note !== undefined) notes.push(said.note)
    else outcome = said.outcome
  })
  await once(child, 'close')
  return { code: child.exitCode, signal: child.signalCode, notes, outcome }
}

/** How much of a stage was done when it was first heard of. */
export function firstDone(end: BuildEnd, stage: string): number | undefined {
  return end.notes.find((note) => note.stage === stage)?.done
}
