// One size in its own process: searchBatch and a loop over search, in turn, on one open index and on indexes that were
// just opened.

import { isDeepStrictEqual } from 'node:util'

import { stepInput, stepResult } from './child.ts'
import { loadZgq, loadZgqBuild, type ZgqIndex } from './packages.ts'
import { spread } from './report.ts'

/** Queries that a round of small batches searches, each in one batch. */
const QUERIES_A_ROUND = 500

export interface BatchInput {
  readonly base: string
  readonly count: number
  readonly queries: string
  /** Built unless it is there. */
  readonly index: string
  readonly batches: readonly number[]
  readonly rounds: number
  readonly threads: number | undefined
}

/** One value a round. */
interface Paired {
  readonly loopMs: number[]
  readonly batchMs: number[]
}

export interface BatchRow {
  readonly batch: number
  readonly warm: Paired
  readonly opened: Paired
  /** Worker threads at the end. */
  readonly running: number
}

export interface BatchResult {
  readonly count: number
  readonly rows: BatchRow[]
}

const input = stepInput<BatchInput>()
const { ZgqIndex: Index } = await loadZgq()
const { buildIndex, openVectorFile } = await loadZgqBuild()
await buildUnlessThere()
const { all, dim } = readQueries()
const rows: BatchRow[] = []
for (const batch of input.batches) rows.push(await measureBatch(batch))
const result: BatchResult = { count: input.count, rows }
stepResult(result)

async function buildUnlessThere(): Promise<void> {
  try {
    const index = Index.open(input.index)
    const { count } = index.info()
    index.close()
    if (count === input.count) return
  } catch {
    // Not there, or of another version.
  }
  await buildIndex({ input: input.base, output: input.index, force: true })
}

/** Reads 1,000 queries: float32, n * dim. */
function readQueries(): { all: Float32Array; dim: number } {
  const source = openVectorFile(input.queries)
  const vectors = new Float32Array(Math.min(1000, source.count) * source.dim)
  source.readRows(0, vectors)
  source.close()
  return { all: vectors, dim: source.dim }
}

function open(): ZgqIndex {
  return Index.open(input.index, input.threads === undefined ? {} : { threads: input.threads })
}

function loop(index: ZgqIndex, queries: Float32Array): unknown[] {
  const found: unknown[] = []
  for (let at = 0; at < queries.length; at += dim) found.push(index.search(queries.subarray(at, at + dim)))
  return found
}

async function timed(work: () => unknown): Promise<number> {
  const startedAt = performance.now()
  await work()
  return performance.now() - startedAt
}

async function measureBatch(batch: number): Promise<BatchRow> {
  const warm: Paired = { loopMs: [], batchMs: [] }
  const opened: Paired = { loopMs: [], batchMs: [] }
  const count = Math.ceil(all.length / dim / batch)
  const slices = Array.from({ length: Math.min(count, Math.max(1, Math.ceil(QUERIES_A_ROUND / batch))) }, (_, i) =>
    all.subarray(i * batch * dim, (i + 1) * batch * dim)
  )
  const index = open()
  for (let round = -1; round < input.rounds; round++) {
    // round -1 warms up
    const round1 = async (): Promise<number> =>
      spread(await each(slices, (queries) => timed(() => loop(index, queries)))).median
    const round2 = async (): Promise<number> =>
      spread(await each(slices, (queries) => timed(() => index.searchBatch(queries)))).median
    const [loopMs, batchMs] = await inOrder(round, round1, round2)
    if (round < 0) {
      if (!isDeepStrictEqual(await index.searchBatch(slices[0]), loop(index, slices[0])))
        throw new Error('searchBatch found something else than search')
      continue
    }
    warm.loopMs.push(loopMs)
    warm.batchMs.push(batchMs)
  }
  const running = index.info().threads.running
  index.close()
  for (let round = 0; round < input.rounds; round++) {
    const [loopMs, batchMs] = await inOrder(
      round,
      () => first((fresh) => loop(fresh, slices[0])),
      () => first((fresh) => fresh.searchBatch(slices[0]))
    )
    opened.loopMs.push(loopMs)
    opened.batchMs.push(batchMs)
  }
  return { batch, warm, opened, running }
}

async function each(
  slices: readonly Float32Array[],
  measure: (queries: Float32Array) => Promise<number>
): Promise<number[]> {
  const values: number[] = []
  for (const queries of slices) values.push(await measure(queries))
  return values
}

/** Measures both, in one order in the first half of the rounds and in the other after it. */
async function inOrder(round: number, a: () => Promise<number>, b: () => Promise<number>): Promise<[number, number]> {
  if (round < input.rounds / 2) {
    const first = await a()
    return [first, await b()]
  }
  const second = await b()
  return [await a(), second]
}

/** Times the first work of an index that was just opened. */
async function first(work: (index: ZgqIndex) => unknown): Promise<number> {
  const index = open()
  const ms = await timed(() => work(index))
  index.close()
  return ms
}
