// npm run small: a search with defaults must not be slower than the plain exact zone scan, at any size: 1,000 to
// 1,000,000 SIFT vectors.

import { resolve } from 'node:path'

import { readOptions } from './arguments.ts'
import { runStep } from './child.ts'
import { findDataSet, writePrefix } from './data-sets.ts'
import { endReport, pairedRatio, printTable, showSpread, spread, startReport } from './report.ts'
import type { SmallInput, SmallResult } from './step-small.ts'

const GOAL = 1.05
const SIZES = [1000, 10_000, 100_000, 1_000_000]
/** Sizes that the repository's own data has. */
const OWN_SIZES = [1000, 10_000]

const options = readOptions(['data', 'sizes'])
const data = options.text['data'] === undefined ? undefined : resolve(options.text['data'])
const sizes = options.text['sizes']?.split(',').map(Number) ?? (data === undefined ? OWN_SIZES : SIZES)
const set = await findDataSet(data === undefined ? 'sift10k' : 'sift1m-1m', data, options.work)
const machine = startReport('Default search against the plain exact zone scan')
const results: SmallResult[] = []
for (const size of sizes) {
  const name = `small-${set.name}-${size}`
  const base = writePrefix(set.base, size, `${options.work}/${name}.u8bin`)
  const input: SmallInput = {
    base,
    queries: set.queries,
    queryLimit: size > 100_000 ? 300 : 1000,
    work: options.work,
    name
  }
  results.push((await runStep<SmallResult>('step-small.ts', input)).value)
}
printTable(
  [
    'vectors',
    'bits',
    'recall@10',
    'plain: nprobe of zones',
    'default p50 us',
    'plain p50 us at that recall',
    'default / plain (spread)',
    `<= ${GOAL}`
  ],
  results.map(({ count, bits, recall, nprobe, zones, autoUs, plainUs }) => {
    const ratio = pairedRatio(autoUs, plainUs)
    return [
      count.toLocaleString('en-US'),
      String(bits),
      recall.toFixed(4),
      `${nprobe} of ${zones}`,
      showSpread(spread(autoUs)),
      showSpread(spread(plainUs)),
      showSpread(ratio, 2),
      ratio.median <= GOAL ? 'yes' : 'NO'
    ]
  })
)
console.log(
  'Medians of 7 rounds, in turn; of the plain scan interpolated between the two nprobe around that recall. ' +
    'Recall against an exact search.\n'
)
endReport(machine, results, options.json)
