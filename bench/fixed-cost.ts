// npm run fixed-cost: what a query costs before it looks at many rows, over the dimensions that apps have: one that
// probes nothing (k: 0), and one that searches a single zone. With --against CHECKOUT another checkout's dist takes turns
// with this one's in the same process.

import { join, resolve } from 'node:path'

import { readCount, readOptions } from './arguments.ts'
import { describeCheckout, prepareCheckout } from './checkouts.ts'
import { runStep } from './child.ts'
import { findNode, nodeVersion } from './nodes.ts'
import { ZGQ_FOLDER } from './packages.ts'
import { endReport, printTable, startReport } from './report.ts'
import type { FixedCostInput, FixedCostResult, FixedCostSide } from './step-fixed-cost.ts'

const DIMS = [64, 128, 256, 384, 512, 768, 1024, 1536, 3072, 4096]
const ROWS = 2000
const QUERIES = 200
/** For `k: 10, nprobe: 1`, in microseconds, by dimensions: half of what it took when they were set, and the goal. */
const LIMITS: Readonly<Record<number, { readonly floor: number; readonly goal: number }>> = {
  256: { floor: 10.5, goal: 6 },
  1536: { floor: 47, goal: 25 },
  4096: { floor: 103.5, goal: 60 }
}

const options = readOptions(['against', 'dims', 'metric', 'rounds', 'node'])
const against = options.text['against'] === undefined ? [] : [resolve(options.text['against'])]
const checkouts = [...against, ZGQ_FOLDER]
const dims = options.text['dims']?.split(',').map(Number) ?? DIMS
const metric = options.text['metric'] === 'l2' ? 'l2' : 'cosine'
const rounds = readCount(options, 'rounds', 60)
const node = findNode(options.text['node'])
for (const checkout of checkouts) prepareCheckout(checkout, true)
const machine = startReport('Fixed cost of a query')
const sides = checkouts.map((checkout) => describeCheckout(checkout))
console.log(
  `${ROWS.toLocaleString('en-US')} random rows, ${metric}, on Node ${nodeVersion(node)}; us, of each of ${QUERIES} ` +
    `queries its fastest of ${rounds} rounds, then the mean.\n${describeSides()}\n`
)
const results: FixedCostResult[] = []
for (const dim of dims) {
  const folders = checkouts.map((_, i) => join(options.work, `fixed-cost-${metric}-${dim}-${i}.zgq`))
  const input: FixedCostInput = { checkouts, folders, dim, metric, rows: ROWS, queries: QUERIES, rounds }
  results.push((await runStep<FixedCostResult>('step-fixed-cost.ts', input, { node })).value)
  console.error(`${new Date().toISOString()} ${dim} dimensions done`)
}
if (against.length === 0) printAlone()
else printBoth()
endReport(machine, { sides, metric, rows: ROWS, rounds, node: nodeVersion(node), results }, options.json)

function describeSides(): string {
  return against.length === 0 ? sides[0] : `Before: ${sides[0]}. After: ${sides[1]}.`
}

function printAlone(): void {
  printTable(
    ['dims', 'zones', 'k: 0', 'k: 10, nprobe: 1', 'floor', 'goal'],
    results.map(({ dim, sides: [own] }) => [
      String(dim),
      String(own.zones),
      own.nothingUs.toFixed(1),
      own.oneZoneUs.toFixed(1),
      ...limitsOf(dim)
    ])
  )
}

function printBoth(): void {
  const pair = (of: FixedCostResult, take: (side: FixedCostSide) => number): string[] => {
    const [before, after] = of.sides.map(take)
    return [before.toFixed(1), after.toFixed(1), (after / before).toFixed(2)]
  }
  const heads = (label: string): string[] => [`${label}: before`, 'after', 'after / before']
  printTable(
    ['dims', 'zones', ...heads('k 0'), ...heads('k 10, nprobe 1'), 'floor', 'goal'],
    results.map((result) => [
      String(result.dim),
      [...new Set(result.sides.map(({ zones }) => zones))].join(' / '),
      ...pair(result, ({ nothingUs }) => nothingUs),
      ...pair(result, ({ oneZoneUs }) => oneZoneUs),
      ...limitsOf(result.dim)
    ])
  )
}

function limitsOf(dim: number): string[] {
  const limits = LIMITS[dim]
  return limits === undefined ? ['', ''] : [limits.floor.toFixed(1), limits.goal.toFixed(0)]
}
