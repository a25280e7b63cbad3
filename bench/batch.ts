// npm run batch: searchBatch must never be slower than a loop over search, at any size: 1,000 to 1,000,000 SIFT
// vectors, batches of 1, 10 and 1,000.

import { resolve } from 'node:path'

import { readOptions } from './arguments.ts'
import { runStep } from './child.ts'
import { findDataSet, writePrefix } from './data-sets.ts'
import { endReport, pairedRatio, printTable, showSpread, spread, startReport } from './report.ts'
import type { BatchInput, BatchResult } from './step-batch.ts'

const GOAL = 1.05
const SIZES = [1000, 10_000, 100_000, 1_000_000]
/** Sizes that the repository's own data has. */
const OWN_SIZES = [1000, 10_000]
const BATCHES = [1, 10, 1000]

const options = readOptions(['data', 'sizes', 'threads', 'rounds'])
const data = options.text['data'] === undefined ? undefined : resolve(options.text['data'])
const sizes = options.text['sizes']?.split(',').map(Number) ?? (data === undefined ? OWN_SIZES : SIZES)
const rounds = Number(options.text['rounds'] ?? 7)
const threads = options.text['threads'] === undefined ? undefined : Number(options.text['threads'])
const set = await findDataSet(data === undefined ? 'sift10k' : 'sift1m-1m', data, options.work)
const machine = startReport('searchBatch against a loop over search')
const results: BatchResult[] = []
for (const size of sizes) {
  const base = writePrefix(set.base, size, `${options.work}/batch-${set.name}-${size}.u8bin`)
  const input: BatchInput = {
    base,
    count: size,
    queries: set.queries,
    index: `${options.work}/batch-${set.name}-${size}.zgq`,
    batches: BATCHES,
    rounds,
    threads
  }
  results.push((await runStep<BatchResult>('step-batch.ts', input)).value)
}
printTable(
  [
    'vectors',
    'batch',
    'loop ms',
    'searchBatch ms',
    'searchBatch / loop (spread)',
    `<= ${GOAL}`,
    'threads',
    'just opened: loop ms',
    'searchBatch ms',
    'ratio (spread)'
  ],
  results.flatMap(({ count, rows }) =>
    rows.map(({ batch, warm, opened, running }) => {
      const ratio = pairedRatio(warm.batchMs, warm.loopMs)
      return [
        count.toLocaleString('en-US'),
        String(batch),
        spread(warm.loopMs).median.toFixed(3),
        spread(warm.batchMs).median.toFixed(3),
        showSpread(ratio, 2),
        ratio.median <= GOAL ? 'yes' : 'NO',
        String(running),
        spread(opened.loopMs).median.toFixed(1),
        spread(opened.batchMs).median.toFixed(1),
        showSpread(pairedRatio(opened.batchMs, opened.loopMs), 2)
      ]
    })
  )
)
console.log(
  `Medians of ${rounds} rounds in turn, the second half of them in the other order; of a batch of 1 or 10 each ` +
    'round is the median of many. Default search, k 10; the hits are'
)
console.log(
  'the same to the bit (checked). Threads: worker threads that ran at the end; none is started before there is ' +
    'work that deserves it.'
)
console.log(
  'Just opened: the first batch after opening, files in the page cache; the loop runs on an index that was ' +
    'opened anew as well.\n'
)
endReport(machine, results, options.json)
