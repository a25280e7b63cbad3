// npm run probe: what it takes to find the nearest zones among 100 to 65,536, by the distances of all centroids and by
// their codes first. `auto` is what an open index does; it should be within 1.05 of the better one everywhere.

import { readOptions } from './arguments.ts'
import { runStep } from './child.ts'
import type { ProbeInput, ProbeResult } from './step-probe.ts'
import { endReport, pairedRatio, printTable, showSpread, spread, startReport } from './report.ts'

const GOAL = 1.05
const COUNTS = [100, 1000, 10_000, 65_536]

const options = readOptions([])
const machine = startReport('Probe')
const results: ProbeResult[] = []
for (const count of COUNTS) {
  const input: ProbeInput = { count, nprobe: Math.max(8, Math.round(Math.sqrt(count))) }
  results.push((await runStep<ProbeResult>('step-probe.ts', input)).value)
}
printTable(
  [
    'centroids',
    'zones wanted',
    'all distances us',
    'codes first us',
    'auto takes',
    'auto us',
    'auto / better (spread)',
    `<= ${GOAL}`,
    'in common with all distances'
  ],
  results.map(({ count, nprobe, all, coded, auto, autoIs, common }) => {
    const better = spread(all).median < spread(coded).median ? all : coded
    const ratio = pairedRatio(auto, better)
    return [
      count.toLocaleString('en-US'),
      String(nprobe),
      showSpread(spread(all)),
      showSpread(spread(coded)),
      autoIs,
      showSpread(spread(auto)),
      showSpread(ratio, 2),
      ratio.median <= GOAL ? 'yes' : 'NO',
      common.toFixed(4)
    ]
  })
)
console.log(
  '128 dimensions, l2. Medians of rounds in turn; setting the query, with its tables where codes are used, is ' +
    'included.\n'
)
endReport(machine, results, options.json)
