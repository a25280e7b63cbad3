// npm run builds: how long ZGQ builds against HNSW graphs, on the same data and with the same threads, in turn: zgq,
// hnswlib, zgq, usearch, zgq, ...

import { mkdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'

import { readOptions } from './arguments.ts'
import { runStep } from './child.ts'
import { findDataSet } from './data-sets.ts'
import { endReport, pairedRatio, printTable, showMib, showSpread, spread, startReport } from './report.ts'
import type { EngineBuildInput, EngineBuildResult } from './step-engine-build.ts'

const GOAL = 20
/** hnswlib-node builds with one thread; usearch with as many as it is given. */
const RIVALS = [
  { engine: 'hnswlib', threads: 1 },
  { engine: 'usearch-f32', threads: 2 }
]

const options = readOptions(['data', 'sets', 'rounds'])
const data = options.text['data'] === undefined ? undefined : resolve(options.text['data'])
const rounds = Number(options.text['rounds'] ?? 3)
const names = options.text['sets']?.split(',') ?? (data === undefined ? ['sift10k'] : ['sift1m-100k'])
const machine = startReport('Builds')
const results: { set: string; engine: string; threads: number; zgq: Build[]; rival: Build[] }[] = []
for (const name of names) {
  const set = await findDataSet(name, data, options.work)
  for (const { engine, threads } of RIVALS) {
    const zgq: Build[] = []
    const rival: Build[] = []
    for (let round = 0; round < rounds; round++) {
      zgq.push(await build({ engine: 'zgq', path: set.base, metric: set.metric, folder: '', threads }))
      rival.push(await build({ engine, path: set.base, metric: set.metric, folder: '', threads }))
    }
    results.push({ set: name, engine, threads, zgq, rival })
  }
}
const seconds = (builds: readonly Build[]): number[] => builds.map((one) => one.seconds)
printTable(
  [
    'set',
    'against',
    'threads',
    'zgq s',
    'its s',
    'times as long (spread)',
    `>= ${GOAL}`,
    'zgq peak RSS MiB',
    'its peak RSS MiB'
  ],
  results.map(({ set, engine, threads, zgq, rival }) => {
    const ratio = pairedRatio(seconds(rival), seconds(zgq))
    return [
      set,
      engine,
      String(threads),
      spread(seconds(zgq)).median.toFixed(1),
      spread(seconds(rival)).median.toFixed(1),
      showSpread(ratio, 1),
      ratio.median >= GOAL ? 'yes' : 'NO',
      showMib(spread(zgq.map((one) => one.peakRss)).median),
      showMib(spread(rival.map((one) => one.peakRss)).median)
    ]
  })
)
endReport(machine, results, options.json)

interface Build {
  readonly seconds: number
  readonly peakRss: number
}

async function build(input: EngineBuildInput): Promise<Build> {
  const folder = join(options.work, 'builds', input.engine)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const { value, peaks } = await runStep<EngineBuildResult>('step-engine-build.ts', { ...input, folder })
  return { seconds: value.seconds, peakRss: peaks.rss }
}
