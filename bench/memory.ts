// npm run memory: the memory of a build under three budgets, through the `zgq` command, and whether the data files stay
// the same.

import { createHash } from 'node:crypto'
import { createReadStream, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'

import { need, readOptions } from './arguments.ts'
import { runNode } from './child.ts'
import { findDataSet } from './data-sets.ts'
import { ZGQ_COMMAND } from './packages.ts'
import { endReport, MIB, printTable, showMib, startReport } from './report.ts'

/** What a build may use above its budget (DESIGN.md, section 10). */
const ALLOWANCE_BYTES = 80 * MIB

/** As much of what `zgq build --json` prints as is used here. */
interface BuildOutput {
  readonly count: number
  readonly elapsedMs: number
  /** ru_maxrss */
  readonly peakRssBytes: number
}

const options = readOptions(['data', 'only', 'budgets'])
const set = await findDataSet(options.text['only'] ?? 'sift1m-1m', resolve(need(options, 'data')), options.work)
const budgets = (options.text['budgets'] ?? '128,256,512').split(',').map(Number)
const machine = startReport(`Memory of a build: ${set.name}`)
const results: Awaited<ReturnType<typeof measure>>[] = []
for (const budgetMib of budgets) results.push(await measure(budgetMib))
printTable(
  [
    '--memory',
    'wall s',
    'peak RSS MiB',
    'goal MiB',
    'within',
    'ru_maxrss MiB',
    'peak RssAnon MiB',
    'peak RssFile MiB',
    'sha256 of the vectors files'
  ],
  results.map(({ budgetMib, build, peaks, goalBytes, isWithin, digest }) => [
    `${budgetMib}MB`,
    (build.elapsedMs / 1000).toFixed(1),
    showMib(peaks.rss),
    showMib(goalBytes),
    isWithin ? 'yes' : 'NO',
    showMib(build.peakRssBytes),
    showMib(peaks.rssAnon),
    showMib(peaks.rssFile),
    digest.slice(0, 16)
  ])
)
const isSame = results.every(({ digest }) => digest === results[0].digest)
console.log(
  `The vectors files are ${isSame ? 'byte-identical' : 'NOT THE SAME'} over all budgets ` +
    `(${results[0].build.count.toLocaleString('en-US')} vectors).\n`
)
endReport(machine, results, options.json)

async function measure(budgetMib: number) {
  const folder = join(options.work, `memory-${set.name}.zgq`)
  const { value: build, peaks } = await runNode<BuildOutput>([
    ZGQ_COMMAND,
    'build',
    set.base,
    folder,
    '--metric',
    set.metric,
    '--memory',
    `${budgetMib}MB`,
    '--force',
    '--json'
  ])
  const goalBytes = budgetMib * MIB + ALLOWANCE_BYTES
  // The sampled peak can miss the last 20 ms; ru_maxrss cannot, but has the parent's memory at the fork in it.
  const isWithin = Math.max(peaks.rss, build.peakRssBytes) <= goalBytes
  return { budgetMib, build, peaks, goalBytes, isWithin, digest: await digestVectors(folder) }
}

/** One sha256 over names and contents of all vectors files. */
async function digestVectors(folder: string): Promise<string> {
  const hash = createHash('sha256')
  const names = readdirSync(folder)
    .filter((name) => /^vectors-.*\.zgq$/.test(name))
    .sort()
  if (names.length === 0) throw new Error(`${folder} has no vectors files`)
  for (const name of names) {
    const own = createHash('sha256')
    await pipeline(createReadStream(join(folder, name), { highWaterMark: MIB }), own)
    hash.update(`${name} ${own.digest('hex')}\n`)
  }
  return hash.digest('hex')
}
