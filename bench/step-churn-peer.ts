// One engine under churn, each action in a process of its own: build an index of the live rows, go through a round and
// compact, or search.

import { mkdirSync, readFileSync, rmSync } from 'node:fs'

import { stepInput, stepResult } from './child.ts'
import { addedIds, churnedIds, churnQueries, churnRows, type ChurnSpec } from './churn-rows.ts'
import { findLiving, type LivingInput, type LivingRows, type OpenLiving } from './engines/living.ts'
import { folderBytes } from './folder-bytes.ts'
import { metricOf } from './living-rows.ts'
import { warmFolder } from './page-cache.ts'
import { ownDeviceWrites, ownMemory } from './process-memory.ts'
import { recallOf } from './queries.ts'
import { mean, spread } from './report.ts'

export interface ChurnPeerInput {
  readonly action: 'build' | 'round' | 'search'
  readonly engine: string
  readonly spec: ChurnSpec
  readonly round: number
  readonly folder: string
  /** For a search: of the round, written by step-churn-truth.ts. */
  readonly truth: string
  readonly queries: number
  readonly passes: number
  /** For a search: tried in turn until one reaches the recall; none: as the engine searches by itself. */
  readonly efforts: readonly number[]
  readonly leastRecall: number
}

export interface PeerWritten {
  readonly buildSeconds: number
  readonly deleteSeconds: number
  readonly addSeconds: number
  /** Undefined: the engine has nothing of the kind. */
  readonly compactSeconds: number | undefined
  readonly writtenBytes: number
  readonly peakRss: number
  readonly bytes: number
}

export interface PeerSearched {
  readonly effort: number | undefined
  readonly recall: number
  /** Of each query the median of its passes, then the mean. */
  readonly meanUs: number
  /** Hits that were deleted before, of all queries, and hits that are missing. */
  readonly deletedHits: number
  readonly missingHits: number
  readonly bytes: number
  readonly rss: number
}

const K = 10

const input = stepInput<ChurnPeerInput>()
const { action, spec, round, folder } = input
const { dim } = spec
const engine = findLiving(input.engine)
const of: LivingInput = { folder, dim, metric: metricOf(dim), hasTags: false }
const result = action === 'search' ? await search() : await write()
if (input.engine === 'zgq')
  process.once('beforeExit', () => {
    stepResult(result) // once it is sealed
  })
else {
  stepResult(result)
  process.exit(0) // some engines leave threads that never end
}

async function write(): Promise<PeerWritten> {
  if (action === 'build') {
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    const { live } = churnedIds(spec, round)
    const rows = await rowsOf(live)
    const buildSeconds = await timed(() => engine.build(of, rows))
    return { buildSeconds, deleteSeconds: 0, addSeconds: 0, compactSeconds: undefined, ...facts() }
  }
  const deleted = Array.from(churnedIds(spec, round).deleted)
  const rows = await rowsOf(addedIds(spec, round))
  const open = await engine.open(of)
  const { delete: remove, compact } = open
  if (remove === undefined) throw new Error(`${engine.name} cannot delete`)
  const deleteSeconds = await timed(() => remove(deleted))
  const addSeconds = await timed(() => open.add(rows))
  const compactSeconds = compact === undefined ? undefined : await timed(() => compact())
  await open.close()
  return { buildSeconds: 0, deleteSeconds, addSeconds, compactSeconds, ...facts() }
}

async function search(): Promise<PeerSearched> {
  warmFolder(folder)
  const efforts = input.efforts.length === 0 ? [undefined] : input.efforts
  let found: PeerSearched | undefined
  for (const effort of efforts) {
    const open = await engine.open({ ...of, effort })
    found = await measure(open, effort)
    await open.close()
    if (found.recall >= input.leastRecall) break
  }
  return found!
}

async function measure(open: OpenLiving, effort: number | undefined): Promise<PeerSearched> {
  const queries = await churnQueries(spec, round, input.queries)
  const truth: number[][] = JSON.parse(readFileSync(input.truth, 'utf8'))
  const live = new Set(churnedIds(spec, round).live)
  const found: number[][] = []
  for (const query of queries) found.push(await open.search(query, K))
  const micros: number[][] = queries.map(() => [])
  for (let pass = 0; pass < input.passes; pass++)
    for (const [i, query] of queries.entries()) {
      const startedAt = performance.now()
      const pending = open.search(query, K)
      if (pending instanceof Promise) await pending
      micros[i].push((performance.now() - startedAt) * 1000)
    }
  return {
    effort,
    recall: mean(found.map((ids, i) => recallOf(ids, truth[i], K))),
    meanUs: mean(micros.map((times) => spread(times).median)),
    deletedHits: found.flat().filter((id) => !live.has(id)).length,
    missingHits: found.reduce((sum, ids) => sum + K - ids.length, 0),
    bytes: folderBytes(folder),
    rss: ownMemory().rss
  }
}

async function rowsOf(ids: Int32Array): Promise<LivingRows> {
  return { ids: Array.from(ids), vectors: await churnRows(spec, ids) }
}

function facts(): Pick<PeerWritten, 'writtenBytes' | 'peakRss' | 'bytes'> {
  return { writtenBytes: ownDeviceWrites(), peakRss: ownMemory().peakRss, bytes: folderBytes(folder) }
}

async function timed(work: () => void | Promise<void>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return (performance.now() - startedAt) / 1000
}
