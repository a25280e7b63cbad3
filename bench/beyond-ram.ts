// npm run beyond-ram: an index of more float32 than this machine has memory. Rows are those of sift1m with noise by a
// seeded generator, each round of them with other noise; they are kept as bytes, so the input takes a quarter of what
// the index holds. Then queries by a Zipf choice, from files that are out of memory.

import { existsSync, statSync } from 'node:fs'
import { totalmem } from 'node:os'
import { join, resolve } from 'node:path'

import { need, readOptions } from './arguments.ts'
import { runStep } from './child.ts'
import { findDataSet } from './data-sets.ts'
import { writeNoisyRows } from './noisy-rows.ts'
import { folderBytes } from './page-cache.ts'
import { endReport, printTable, showMib, startReport } from './report.ts'
import type { BeyondBuild, BeyondBuildInput } from './step-beyond-build.ts'
import type { BeyondCalibrateInput } from './step-beyond-calibrate.ts'
import type { BeyondSearch, BeyondSearchInput } from './step-beyond-search.ts'
import type { BeyondTruth, BeyondTruthInput } from './step-beyond-truth.ts'

const DIM = 128
/** More float32 than memory by so much. */
const BEYOND = 1.03
const QUERIES = 10_000
/** Distinct queries that are held against all rows. */
const TRUTH_QUERIES = 100
const CALIBRATION_QUERIES = 400

const options = readOptions(['data', 'rows', 'memory', 'recall', 'by'], ['rebuild'])
const set = await findDataSet('sift1m-1m', resolve(need(options, 'data')), options.work)
const rows = Number(options.text['rows'] ?? Math.ceil((totalmem() * BEYOND) / (DIM * 4)))
const memoryBytes = Number(options.text['memory'] ?? 2048) * 2 ** 20
const machine = startReport(
  `Beyond memory: ${rows.toLocaleString('en-US')} x ${DIM} float32 = ` +
    `${((rows * DIM * 4) / 2 ** 30).toFixed(1)} GiB, memory ${(totalmem() / 2 ** 30).toFixed(1)} GiB`
)

const input = join(options.work, 'beyond.u8bin')
if (!existsSync(input) || statSync(input).size !== 8 + rows * DIM)
  writeNoisyRows({ from: set.base, to: input, rows, seed: 1 })
const queries = join(options.work, 'beyond-queries.u8bin')
writeNoisyRows({ from: set.queries, to: queries, rows: QUERIES, seed: 2 })

const index = join(options.work, 'beyond.zgq')
if (options.flags.has('rebuild') || !existsSync(index)) {
  const { value, peaks } = await runStep<BeyondBuild>('step-beyond-build.ts', {
    input,
    output: index,
    memoryBytes
  } satisfies BeyondBuildInput)
  const stages = value.stages.map(({ stage, seconds }) => `${stage} ${seconds.toFixed(0)}`).join(', ')
  console.log(
    `Built in ${(value.elapsedMs / 60_000).toFixed(1)} minutes (seconds: ${stages}), ` +
      `${value.zones.toLocaleString('en-US')} zones.`
  )
  console.log(
    `Peak RssAnon ${showMib(peaks.rssAnon)} MiB, peak RSS ${showMib(peaks.rss)} MiB, budget ` +
      `${memoryBytes / 2 ** 20} MB; index ${(folderBytes(index) / 2 ** 30).toFixed(1)} GiB.\n`
  )
}
const truth = join(options.work, 'beyond-truth.json')
if (!existsSync(truth)) {
  const { elapsedMs } = await runStep<BeyondTruth>('step-beyond-truth.ts', {
    input,
    queries,
    count: TRUTH_QUERIES,
    to: truth
  } satisfies BeyondTruthInput)
  console.log(
    `Exact neighbours of ${TRUTH_QUERIES} queries among all rows: ${(elapsedMs / 60_000).toFixed(1)} minutes.\n`
  )
}
const calibrationQueries = join(options.work, 'beyond-calibration.u8bin')
// Of other pictures than the queries that recall is measured with.
writeNoisyRows({ from: set.queries, to: calibrationQueries, rows: CALIBRATION_QUERIES, seed: 3, skip: 500 })
const ways = (options.text['by'] ?? 'rows,queries').split(',')
const recalls = (options.text['recall'] ?? '0.9,0.95,0.99').split(',').map(Number)
const results: (BeyondSearch & { readonly by: string })[] = []
for (const by of ways) {
  const { elapsedMs } = await runStep<unknown>('step-beyond-calibrate.ts', {
    index,
    queries: by === 'rows' ? undefined : calibrationQueries
  } satisfies BeyondCalibrateInput)
  console.log(`Calibrated by ${by}: ${(elapsedMs / 60_000).toFixed(1)} minutes, one thread.`)
  for (const recall of recalls) {
    const { value } = await runStep<BeyondSearch>('step-beyond-search.ts', {
      index,
      queries,
      truth,
      recall,
      draws: QUERIES
    } satisfies BeyondSearchInput)
    results.push({ ...value, by })
  }
}
console.log('')
printTable(
  [
    'calibrated by',
    'recall asked for',
    'recall@10',
    'p50 ms',
    'p99 ms',
    'zones',
    'KiB copied a query',
    'KiB from the disk a query',
    'open to first hit ms',
    'RssAnon MiB'
  ],
  results.map((result) => [
    result.by,
    String(result.recall),
    result.reached.toFixed(3),
    result.p50Ms.toFixed(2),
    result.p99Ms.toFixed(2),
    result.meanZones.toFixed(0),
    (result.bytesRead / 1024).toFixed(0),
    (result.deviceBytes / 1024).toFixed(0),
    result.openMs.toFixed(0),
    showMib(result.rssAnon)
  ])
)
endReport(machine, results, options.json)
