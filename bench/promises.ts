// npm run promises: the recall that is asked for beside the recall that is reached, on made-up sets where that is hard
// and on sets in files, by the default search.

import { rmSync } from 'node:fs'
import { join } from 'node:path'

import { readOptions } from './arguments.ts'
import { loadZgq, loadZgqBuild, type BuildEntry, type ZgqIndex } from './packages.ts'
import { PROMISE_SETS, type PromiseSet } from './promise-sets.ts'
import { recallOf } from './queries.ts'
import { endReport, mean, printTable, startReport } from './report.ts'

const KS = [1, 10, 100]
const RECALLS = [0.9, 0.95, 0.99]
/** How far a cell may be below what was asked for. */
const TOLERANCE = 0.01
const METRICS = ['l2', 'cosine', 'ip'] as const
/** Sets of files: base and queries, found beside test/. */
const FILES: Readonly<Record<string, readonly [base: string, queries: string]>> = {
  sift10k: ['sift10k.base.u8bin', 'sift10k.queries.u8bin'],
  wordnet: ['wordnet.base.f16bin', '']
}

const options = readOptions(
  ['sets', 'metrics', 'bits', 'rows', 'queries', 'seed', 'calibrate'],
  ['codes', 'zones', 'failures']
)
const listed = (name: string, all: readonly string[]): string[] => options.text[name]?.split(',') ?? [...all]
const shape = {
  count: Number(options.text['rows'] ?? 30_000),
  queryCount: Number(options.text['queries'] ?? 2000),
  seed: Number(options.text['seed'] ?? 1)
}
/** `--codes`: scans codes also where rows would cost less. */
const searchOptions = options.flags.has('codes') ? { rerank: 1 } : {}
/** `--calibrate queries`: with 1,000 queries of the kind that is then measured, which are not measured. */
const calibrateBy = options.text['calibrate'] ?? 'rows'

interface Cell {
  readonly k: number
  readonly asked: number
  readonly reached: number
  readonly zones: number
  readonly reranked: number
}
interface Row {
  readonly set: string
  readonly metric: string
  readonly bits: number
  readonly queries: string
  readonly cells: readonly Cell[]
}

const { ZgqIndex: Index } = await loadZgq()
const entry = await loadZgqBuild()
const machine = startReport('Promises')
const results: Row[] = []
for (const name of listed('sets', [...Object.keys(PROMISE_SETS), ...Object.keys(FILES)])) {
  const set = name in FILES ? readSet(entry, FILES[name]) : PROMISE_SETS[name](shape)
  for (const metric of METRICS.filter((one) => listed('metrics', METRICS).includes(one))) {
    const truth = await findTruth(set, metric)
    for (const bits of listed('bits', ['1', '2', '4']).map(Number))
      results.push(...(await measure({ name, set, metric, bits }, truth)))
  }
}
const missed = results.flatMap((row) => row.cells.filter(isMissed).map((cell) => ({ row, cell })))
const shown = options.flags.has('failures') ? results.filter((row) => row.cells.some(isMissed)) : results
printTable(
  ['set', 'metric', 'bits', 'queries', ...KS.map((k) => `k = ${k}: ${RECALLS.join(' ')}`)],
  shown.map((row) => [row.set, row.metric, String(row.bits), row.queries, ...KS.map((k) => showCells(row, k))])
)
console.log(
  `${results.length * KS.length * RECALLS.length - missed.length} of ${results.length * KS.length * RECALLS.length} ` +
    `cells reach what was asked for, less ${TOLERANCE}; those that do not are in bold. Largest lack: ` +
    `${Math.max(0, ...missed.map(({ cell }) => cell.asked - cell.reached)).toFixed(3)}.\n`
)
endReport(machine, results, options.json)

function isMissed(cell: Cell): boolean {
  return cell.reached < cell.asked - TOLERANCE
}

function showCells(row: Row, k: number): string {
  return row.cells
    .filter((cell) => cell.k === k)
    .map((cell) => {
      const reached = isMissed(cell) ? `**${cell.reached.toFixed(3)}**` : cell.reached.toFixed(3)
      return options.flags.has('zones') ? `${reached} (${cell.zones.toFixed(1)}/${cell.reranked.toFixed(0)})` : reached
    })
    .join(' ')
}

/** Reads rows and queries; without a file of queries every 25th row is one. */
function readSet({ openVectorFile }: BuildEntry, [base, queries]: readonly [string, string]): PromiseSet {
  const read = (name: string): { dim: number; values: Float32Array } => {
    const file = openVectorFile(join(import.meta.dirname, '../test/data', name))
    const values = new Float32Array(file.count * file.dim)
    file.readRows(0, values)
    file.close()
    return { dim: file.dim, values }
  }
  const { dim, values } = read(base)
  if (queries !== '') return { dim, rows: values, queries: { like: read(queries).values } }
  const part = (isQuery: boolean): Float32Array => values.filter((_, i) => (Math.floor(i / dim) % 25 === 0) === isQuery)
  return { dim, rows: part(false), queries: { like: part(true) } }
}

async function build(
  { set, metric, bits }: { set: PromiseSet; metric: (typeof METRICS)[number]; bits: number },
  zones?: number
): Promise<string> {
  const output = join(options.work, `promises-${process.pid}.zgq`)
  await entry.buildIndex({ input: set.rows, dim: set.dim, metric, bits, output, force: true, zones })
  return output
}

/** Finds the nearest rows of all queries by the exact scan. */
async function findTruth(set: PromiseSet, metric: (typeof METRICS)[number]): Promise<Record<string, number[][]>> {
  const path = await build({ set, metric, bits: 0 }, 1)
  const index = Index.open(path)
  const truth: Record<string, number[][]> = {}
  for (const [kind, vectors] of Object.entries(set.queries))
    truth[kind] = split(vectors, set.dim).map((query) =>
      index.search(query, { k: KS[KS.length - 1], exact: true }).map((hit) => hit.id)
    )
  index.close()
  rmSync(path, { recursive: true })
  return truth
}

async function measure(
  of: { name: string; set: PromiseSet; metric: (typeof METRICS)[number]; bits: number },
  truth: Record<string, number[][]>
): Promise<Row[]> {
  const path = await build(of)
  const rows: Row[] = []
  for (const [kind, vectors] of Object.entries(of.set.queries)) {
    const queries = split(vectors, of.set.dim)
    const given = calibrateBy === 'queries' ? Math.min(1000, queries.length >> 1) : 0
    if (given > 0) await entry.calibrateIndex(path, { queries: vectors.slice(0, given * of.set.dim) })
    const index = Index.open(path)
    const cells = KS.flatMap((k) =>
      RECALLS.map((recall) => measureCell(index, queries.slice(given), truth[kind].slice(given), { k, recall }))
    )
    index.close()
    rows.push({ set: of.name, metric: of.metric, bits: of.bits, queries: kind, cells })
  }
  rmSync(path, { recursive: true })
  return rows
}

function measureCell(
  index: ZgqIndex,
  queries: readonly Float32Array[],
  truth: readonly number[][],
  asked: { k: number; recall: number }
): Cell {
  const recalls: number[] = []
  let zones = 0
  let reranked = 0
  for (const [i, query] of queries.entries()) {
    const { hits, explain } = index.search(query, { ...searchOptions, ...asked, explain: true })
    recalls.push(
      recallOf(
        hits.map((hit) => hit.id),
        truth[i],
        asked.k
      )
    )
    zones += explain.zones.length
    reranked += explain.rowsReranked
  }
  return {
    k: asked.k,
    asked: asked.recall,
    reached: mean(recalls),
    zones: zones / queries.length,
    reranked: reranked / queries.length
  }
}

function split(vectors: Float32Array, dim: number): Float32Array[] {
  return Array.from({ length: vectors.length / dim }, (_, i) => vectors.subarray(i * dim, (i + 1) * dim))
}
