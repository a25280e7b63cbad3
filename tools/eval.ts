// zgq eval INDEX QUERIES TRUTH.ivecs: recall and latency, one query at a time, one thread.

import { readIvecs } from '../src/build.ts'
import { countOf } from '../src/describe.ts'
import { DEFAULT_RECALL, ZgqError, type Id, type ZgqIndex } from '../src/index.ts'
import { numberList, UsageError, wholeNumber } from './arguments.ts'
import { INDEX, K_OPTION, QUERIES, QUERY_OPTIONS, type Command, type CommandArguments } from './command.ts'
import { formatBytes, formatTable, print, printJson } from './output.ts'
import { withQueries, type Queries } from './queries.ts'

export const EVAL: Command = {
  name: 'eval',
  summary: 'measure recall and latency against known neighbours, one query at a time',
  positionals: [INDEX, QUERIES, { name: 'TRUTH.ivecs', about: 'the true neighbours of each query, nearest first' }],
  options: {
    k: K_OPTION,
    recall: { value: 'R,R,...', about: 'a row for each recall asked for (default 0.95)' },
    nprobe: { value: 'N,N,...', about: 'a row for each number of zones, instead of recalls' },
    ...QUERY_OPTIONS
  },
  examples: ['zgq eval docs.zgq queries.fbin truth.ivecs --recall 0.9,0.95,0.99'],
  run: runEval
}

interface EvalRow {
  /** Recall asked for; not with --nprobe. */
  readonly target?: number
  /** Zones probed: their mean with --recall. */
  readonly nprobe: number
  readonly recall: number
  readonly p50Us: number
  readonly p99Us: number
  readonly meanUs: number
  readonly qps: number
  readonly bytesPerQuery: number
}

async function runEval({ positionals: [path, queriesPath, truthPath], given }: CommandArguments): Promise<void> {
  const k = wholeNumber(given, 'k') ?? 10
  if (k < 1) throw new UsageError('--k must be at least 1')
  const nprobes = numberList(given, 'nprobe')
  const recalls = numberList(given, 'recall')
  if (nprobes !== undefined && recalls !== undefined) throw new UsageError('give --nprobe or --recall, not both')
  const outside = recalls?.find((recall) => recall <= 0 || recall >= 1)
  if (outside !== undefined) throw new UsageError(`--recall must be above 0 and below 1, found ${outside}`)
  const ways = nprobes?.map((nprobe) => ({ nprobe })) ?? (recalls ?? [DEFAULT_RECALL]).map((recall) => ({ recall }))
  await withQueries({ path, queriesPath, given }, (index, queries) => {
    if (index.info().ids === 'string')
      throw new ZgqError('ZGQ_UNSUPPORTED', 'the index has string ids, and .ivecs files have integers only', { path })
    const truth = readTruth(truthPath, { k, count: queries.count })
    const rows = ways.map((way) => measure({ index, queries, truth }, k, way))
    if (given['json'] === true) printJson({ k, queries: queries.count, rows })
    else printRows(rows, k)
  })
}

/** How a search is told to probe. */
type Way = { readonly nprobe: number } | { readonly recall: number }

interface Truth {
  readonly dim: number
  readonly values: Int32Array
}

function readTruth(path: string, want: { k: number; count: number }): Truth {
  const truth = readIvecs(path)
  if (truth.count !== want.count)
    throw new ZgqError(
      'ZGQ_MISMATCH',
      `the truth has ${countOf(truth.count, 'row')} for ${countOf(want.count, 'query')}`,
      { path }
    )
  if (truth.dim < want.k)
    throw new ZgqError(
      'ZGQ_MISMATCH',
      `the truth has ${countOf(truth.dim, 'neighbour')} a query, --k asks for ${want.k}`,
      {
        path
      }
    )
  return truth
}

function measure(on: { index: ZgqIndex<Id>; queries: Queries; truth: Truth }, k: number, way: Way): EvalRow {
  const { index, queries, truth } = on
  const micros = new Float64Array(queries.count)
  let found = 0
  let bytes = 0
  let zones = 0
  // One round unmeasured: caches and compiled code are then as warm for the first row as for the last.
  for (let row = 0; row < queries.count; row++) {
    const { explain } = index.search(queries.read(row), { k, ...way, explain: true })
    bytes += explain.bytes
    zones += explain.zones.length
  }
  for (let row = 0; row < queries.count; row++) {
    const query = queries.read(row)
    const startedAt = performance.now()
    const hits = index.search(query, { k, ...way })
    micros[row] = (performance.now() - startedAt) * 1000
    const nearest = new Set<Id>(truth.values.subarray(row * truth.dim, row * truth.dim + k))
    for (const hit of hits) if (nearest.has(hit.id)) found++
  }
  const meanUs = micros.reduce((sum, value) => sum + value, 0) / queries.count
  micros.sort()
  const at = (share: number): number =>
    Math.round(micros[Math.min(queries.count - 1, Math.floor(queries.count * share))] * 10) / 10
  return {
    ...('recall' in way ? { target: way.recall, nprobe: Math.round((zones / queries.count) * 10) / 10 } : way),
    recall: found / (queries.count * k),
    p50Us: at(0.5),
    p99Us: at(0.99),
    meanUs: Math.round(meanUs * 10) / 10,
    qps: Math.round(1e6 / meanUs),
    bytesPerQuery: Math.round(bytes / queries.count)
  }
}

function printRows(rows: readonly EvalRow[], k: number): void {
  const isByRecall = rows.some((row) => row.target !== undefined)
  const head = [
    ...(isByRecall ? ['target', 'zones'] : ['nprobe']),
    `recall@${k}`,
    'p50 us',
    'p99 us',
    'mean us',
    'queries/s',
    'read a query'
  ]
  const cells = rows.map((row) => [
    ...(row.target === undefined ? [] : [String(row.target)]),
    String(row.nprobe),
    row.recall.toFixed(4),
    row.p50Us.toFixed(1),
    row.p99Us.toFixed(1),
    row.meanUs.toFixed(1),
    String(row.qps),
    formatBytes(row.bytesPerQuery)
  ])
  print(formatTable([head, ...cells]))
}
