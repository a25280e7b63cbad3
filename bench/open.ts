// npm run open -- --data DIR: from open to the first hit, and from a script's first line to it, in fresh processes,
// with the files of the index in the page cache and out of it. --root measures another checkout, --node another Node.

import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

import { need, readCount, readOptions } from './arguments.ts'
import { describeCheckout, entryOf, prepareCheckout } from './checkouts.ts'
import { runNode, runStep } from './child.ts'
import { findDataSet, writePrefix } from './data-sets.ts'
import { findNode, nodeVersion } from './nodes.ts'
import { loadZgqBuild, ZGQ_FOLDER, zgqVersion } from './packages.ts'
import { evictFolder, warmFolder } from './page-cache.ts'
import { endReport, printTable, showSpread, spread, startReport } from './report.ts'
import type { CompareBuildInput, CompareBuildResult } from './step-compare.ts'

/** What an app may have: so many zones that their centroids are most of what is read to open it. */
const MANY_ZONES = { name: 'sift1m-zones', zones: 28_626, rows: 28_626 * 8 }
const TINY_ROWS = 300

interface Case {
  readonly set: string
  readonly from: 'open' | 'first line'
  readonly goalMs: number | undefined
}

const CASES: readonly Case[] = [
  { set: 'sift1m-100k', from: 'first line', goalMs: 60 },
  { set: 'sift1m-100k', from: 'open', goalMs: undefined },
  { set: 'sift1m-1m', from: 'open', goalMs: 20 },
  { set: MANY_ZONES.name, from: 'open', goalMs: 150 }
]

/** What first-hit.mjs prints. */
interface FirstHit {
  readonly nodeMs: number
  readonly importMs: number
  readonly openMs: number
  readonly searchMs: number
  readonly totalMs: number
  readonly zones: number
  readonly reader: string
  readonly sqlite: string
}

const options = readOptions(['data', 'only', 'runs', 'root', 'node', 'profile'], ['as-built', 'keep'])
const data = resolve(need(options, 'data'))
const root = resolve(options.text['root'] ?? ZGQ_FOLDER)
const node = findNode(options.text['node'])
const runs = readCount(options, 'runs', 15)
const only = options.text['only']?.split(',')
const cases = CASES.filter(({ set }) => only?.includes(set) ?? true)
if (cases.length === 0)
  throw new Error(`--only ${String(only)}: expected ${[...new Set(CASES.map(({ set }) => set))].join(',')}`)
prepareCheckout(root, options.flags.has('as-built'))
const queries = await readSomeQueries()
const indexes = new Map<string, string>()
for (const set of ['tiny', ...cases.map((one) => one.set)])
  if (!indexes.has(set)) indexes.set(set, await provideIndex(set))
const machine = startReport(`Open to first hit: ${root}`)
console.log(`${describeCheckout(root)}, Node ${nodeVersion(node)}; ${runs} fresh processes each, in turn\n`)
const measured = cases.flatMap((one) =>
  [false, true].map((isCold) => ({ ...one, isCold, hits: new Array<FirstHit>() }))
)
for (let run = 0; run < runs; run++) for (const one of measured) one.hits.push(await measure(one, run))
if (options.text['profile'] !== undefined) for (const one of measured) await measure(one, 0, profileFlags(one))
printResults()
endReport(machine, { root, node: nodeVersion(node), measured }, options.json)

async function measure({ set, from, isCold }: Case & { isCold: boolean }, run: number, flags: string[] = []) {
  const folder = indexOf(set)
  if (isCold) evictFolder(folder)
  else warmFolder(folder)
  const input = {
    entry: entryOf(root, 'index'),
    folder,
    query: [...queries[run % queries.length]],
    tiny: from === 'open' ? indexOf('tiny') : undefined
  }
  const script = fileURLToPath(new URL('first-hit.mjs', import.meta.url))
  return (await runNode<FirstHit>([...flags, script, JSON.stringify(input)], { node })).value
}

function profileFlags({ set, from, isCold }: Case & { isCold: boolean }): string[] {
  const name = `${set}-${from.replace(' ', '-')}-${isCold ? 'cold' : 'warm'}.cpuprofile`
  const folder = resolve(need(options, 'profile'))
  return ['--cpu-prof', '--cpu-prof-interval=100', `--cpu-prof-dir=${folder}`, `--cpu-prof-name=${name}`]
}

function printResults(): void {
  const show = (hits: readonly FirstHit[], take: (hit: FirstHit) => number): string =>
    showSpread(spread(hits.map(take)))
  printTable(
    ['index', 'zones', 'files', 'from', 'to first hit ms', 'goal ms', 'met', 'import ms', 'open ms', 'search ms'],
    measured.map(({ set, from, goalMs, isCold, hits }) => [
      set,
      hits[0].zones.toLocaleString('en-US'),
      isCold ? 'cold' : 'warm',
      from,
      show(hits, (hit) => hit.totalMs),
      goalMs === undefined ? '' : `<= ${goalMs}`,
      goalMs === undefined ? '' : spread(hits.map((hit) => hit.totalMs)).median <= goalMs ? 'yes' : 'NO',
      from === 'open' ? 'before' : show(hits, (hit) => hit.importMs),
      show(hits, (hit) => hit.openMs),
      show(hits, (hit) => hit.searchMs)
    ])
  )
  const all = measured.flatMap(({ hits }) => hits)
  console.log(
    `Default search, k 10; reader ${all[0].reader}, ${all[0].sqlite}. Node's own start, which is in no time above: ` +
      `${show(all, (hit) => hit.nodeMs)} ms.\n`
  )
}

async function readSomeQueries(): Promise<Float32Array[]> {
  const { openVectorFile } = await loadZgqBuild()
  const source = openVectorFile((await findDataSet('sift1m-100k', data, options.work)).queries)
  try {
    return Array.from({ length: Math.min(runs, source.count) }, (_, row) => {
      const query = new Float32Array(source.dim)
      source.readRows(row, query)
      return query
    })
  } finally {
    source.close()
  }
}

function indexOf(set: string): string {
  const folder = indexes.get(set)
  if (folder === undefined) throw new Error(`${set} was not built`)
  return folder
}

/**
 * Returns the index of a set as this checkout builds it, in --work: one for each checkout, built again when its code
 * has changed, unless --keep says that its format has not.
 */
async function provideIndex(set: string): Promise<string> {
  const key = createHash('sha256').update(root).digest('hex').slice(0, 8)
  const folder = join(options.work, `open-${set}-${key}.zgq`)
  const note = `${folder}.built-by`
  const version = zgqVersion(root)
  const isBuilt = existsSync(folder) && existsSync(note)
  if (isBuilt && (options.flags.has('keep') || readFileSync(note, 'utf8') === version)) return folder
  const input: CompareBuildInput = { action: 'build', checkout: root, metric: 'l2', folder, ...(await findRows(set)) }
  const { seconds } = (await runStep<CompareBuildResult>('step-compare.ts', input, { node })).value
  console.log(`${set}: built in ${seconds.toFixed(1)} s`)
  writeFileSync(note, version)
  return folder
}

async function findRows(set: string): Promise<{ base: string; zones?: number }> {
  const firstRows = (rows: number): string =>
    writePrefix(join(data, 'sift1m', 'base.u8bin'), rows, join(options.work, `sift1m-${rows}.u8bin`))
  if (set === 'tiny') return { base: firstRows(TINY_ROWS) }
  if (set === MANY_ZONES.name) return { base: firstRows(MANY_ZONES.rows), zones: MANY_ZONES.zones }
  return { base: (await findDataSet(set, data, options.work)).base }
}
