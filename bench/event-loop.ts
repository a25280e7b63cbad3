// npm run event-loop: how long the event loop is held up while a million distances are computed, and while a cold index
// is read: search in turns of the event loop, searchAsync one by one, searchBatch.

import { resolve } from 'node:path'

import { readOptions } from './arguments.ts'
import { runStep } from './child.ts'
import { findDataSet } from './data-sets.ts'
import { MODES, WORKS } from './event-loop-works.ts'
import { endReport, printTable, showSpread, spread, startReport } from './report.ts'
import type { EventLoopInput, EventLoopResult } from './step-event-loop.ts'

const GOAL_MS = 20

const options = readOptions(['data', 'rounds', 'index'])
const data = options.text['data'] === undefined ? undefined : resolve(options.text['data'])
const rounds = Number(options.text['rounds'] ?? 3)
const set = await findDataSet(data === undefined ? 'sift10k' : 'sift1m-1m', data, options.work)
const index = options.text['index'] ?? `${options.work}/event-loop-${set.name}.zgq`
const machine = startReport(`Delay of the event loop while ${set.name} is searched`)
const results: { work: string; mode: string; rounds: EventLoopResult[] }[] = []
for (const { work } of WORKS) {
  for (const mode of MODES) {
    const input: EventLoopInput = { base: set.base, queries: set.queries, index, work, mode }
    const found: EventLoopResult[] = []
    for (let round = 0; round < rounds; round++)
      found.push((await runStep<EventLoopResult>('step-event-loop.ts', input)).value)
    results.push({ work, mode, rounds: found })
  }
}
printTable(
  ['work', 'by', 'total ms', 'delay p50 ms', 'p99 ms (spread)', 'max ms (spread)', `p99 < ${GOAL_MS}`],
  results.map(({ work, mode, rounds: found }) => {
    const of = (name: keyof EventLoopResult): number[] => found.map((one) => one[name])
    const p99 = spread(of('p99Ms'))
    return [
      WORKS.find((one) => one.work === work)?.says ?? work,
      mode,
      spread(of('totalMs')).median.toFixed(0),
      spread(of('p50Ms')).median.toFixed(2),
      showSpread(p99),
      showSpread(spread(of('maxMs'))),
      p99.median < GOAL_MS ? 'yes' : 'NO'
    ]
  })
)
console.log(
  `Medians of ${rounds} processes each. A timer is due every millisecond; its delay is how late it runs ` +
    '(perf_hooks.monitorEventLoopDelay, less its resolution).'
)
console.log(
  'nothing: an idle process, for what the machine itself adds. search: one query a turn of the event loop. ' +
    'Cold: the files of the index were dropped from the page cache before opening, and again after it.\n'
)
endReport(machine, results, options.json)
