// npm run queue-build -- --data FILE.u8bin --rows 10000000 --workers 1,2: the same index by one process, and by workers
// of a queue on this machine, over a folder. Times of stages, what was moved, and the same bytes; the logs of the
// workers are kept for `npm run simulate-build`.

import { spawn, type ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, readSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

import { need, readCount, readOptions } from './arguments.ts'
import { parseLog } from './build-log.ts'
import { writeNoisyRows } from './noisy-rows.ts'
import { ZGQ_COMMAND } from './packages.ts'
import { endReport, printTable, startReport } from './report.ts'

const READ_BYTES = 2 ** 20
const SEED = 7
const MIB = 2 ** 20

/** A build, and what its stages took. */
interface Run {
  readonly way: string
  readonly elapsedMs: number
  readonly stages: Readonly<Record<string, number>>
  readonly peakRssBytes: number
  readonly digest: string
  /** Of all tasks of the workers. */
  readonly readBytes: number
  readonly writtenBytes: number
}

const options = readOptions(['data', 'rows', 'workers', 'memory'], ['no-local'])
const rows = readCount(options, 'rows', 1_000_000)
const counts = (options.text['workers'] ?? '1,2').split(',').map(Number)
const memory = options.text['memory'] ?? '512MB'
const machine = startReport('Builds by workers of a queue')
const store = join(options.work, 'queue-store')
rmSync(store, { recursive: true, force: true })
mkdirSync(store, { recursive: true })
const input = join(store, 'rows.u8bin')
writeNoisyRows({ from: need(options, 'data'), to: input, rows, seed: SEED })
const runs: Run[] = []
if (!options.flags.has('no-local')) runs.push(await buildHere())
for (const count of counts) runs.push(await buildWith(count))
const stages = [...new Set(runs.flatMap((run) => Object.keys(run.stages)))]
printTable(
  ['', ...runs.map(({ way }) => way)],
  [
    ...stages.map((stage) => [`${stage}, s`, ...runs.map((run) => seconds(run.stages[stage] ?? 0))]),
    ['all, s', ...runs.map(({ elapsedMs }) => seconds(elapsedMs))],
    ['read by tasks, MB', ...runs.map(({ readBytes }) => String(Math.round(readBytes / MIB)))],
    ['written by tasks, MB', ...runs.map(({ writtenBytes }) => String(Math.round(writtenBytes / MIB)))],
    ['same bytes as the first', ...runs.map(({ digest }) => String(digest === runs[0].digest))]
  ]
)
rmSync(store, { recursive: true, force: true })
endReport(machine, { rows, runs }, options.json)

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1)
}

async function buildHere(): Promise<Run> {
  return { ...(await build('one process, 2 threads', ['--workers', '2'])), readBytes: 0, writtenBytes: 0 }
}

async function buildWith(count: number): Promise<Run> {
  const redis = await startRedis()
  const log = join(options.work, `queue-build-${count}.jsonl`)
  rmSync(log, { force: true })
  const queue = ['--queue', redis.url, '--store', store]
  const workers = Array.from({ length: count }, () =>
    spawn(process.execPath, [ZGQ_COMMAND, 'worker', ...queue, '--concurrency', '1', '--log', log], { stdio: 'ignore' })
  )
  try {
    const run = await build(`${count} worker${count === 1 ? '' : 's'}, 1 thread each`, queue)
    const tasks = parseLog(readFileSync(log, 'utf8'))
    const sum = (name: 'readBytes' | 'writtenBytes'): number => tasks.reduce((all, task) => all + task[name], 0)
    return { ...run, readBytes: sum('readBytes'), writtenBytes: sum('writtenBytes') }
  } finally {
    for (const child of [...workers, redis.child]) await end(child)
  }
}

async function build(way: string, args: readonly string[]): Promise<Omit<Run, 'readBytes' | 'writtenBytes'>> {
  const output = join(options.work, 'queue-index')
  rmSync(output, { recursive: true, force: true })
  const child = spawn(process.execPath, [ZGQ_COMMAND, 'build', input, output, '--memory', memory, '--json', ...args], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  let text = ''
  child.stdout.on('data', (chunk) => (text += String(chunk)))
  const code = await new Promise((ended) => child.on('exit', ended))
  if (code !== 0) throw new Error(`the build ended with ${String(code)}`)
  const report: { elapsedMs: number; peakRssBytes: number; stages: { stage: string; elapsedMs: number }[] } =
    JSON.parse(text)
  const { elapsedMs, peakRssBytes } = report
  const digest = digestOf(output)
  rmSync(output, { recursive: true })
  const times = Object.fromEntries(report.stages.map(({ stage, elapsedMs: ms }) => [stage, ms]))
  return { way, elapsedMs, peakRssBytes, stages: times, digest }
}

/** Digest of all files of a folder, by their names. */
function digestOf(folder: string): string {
  const hash = createHash('sha256')
  const bytes = Buffer.alloc(READ_BYTES)
  for (const name of readdirSync(folder).sort()) {
    const file = openSync(join(folder, name), 'r')
    hash.update(`${name} ${statSync(join(folder, name)).size}\n`)
    for (let read = readSync(file, bytes); read > 0; read = readSync(file, bytes)) hash.update(bytes.subarray(0, read))
    closeSync(file)
  }
  return hash.digest('hex')
}

async function startRedis(): Promise<{ url: string; child: ChildProcess }> {
  const port = await new Promise<number>((found) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => {
        found(typeof address === 'object' && address !== null ? address.port : 0)
      })
    })
  })
  const child = spawn(
    'redis-server',
    ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', options.work],
    {
      stdio: 'ignore'
    }
  )
  await setTimeout(1000)
  return { url: `redis://127.0.0.1:${port}`, child }
}

async function end(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.on('exit', resolve))
  child.kill()
  await ended
}
