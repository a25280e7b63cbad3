// npm run churn-peers -- --data DIR: the rounds of `npm run churn` for ZGQ and other engines, each of which deletes,
// adds and compacts as it offers: recall, time and disk over the rounds, and against its own fresh build.

import { appendFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'

import { readCount, readOptions } from './arguments.ts'
import { runStep } from './child.ts'
import type { ChurnSpec } from './churn-rows.ts'
import { buildRound, findTruth, stepDefaults, type StepSettings } from './churn-steps.ts'
import { findLiving } from './engines/living.ts'
import { packageVersion } from './packages.ts'
import { endReport, printTable, showMib, startReport } from './report.ts'
import { ONE_THREAD } from './run-engine.ts'
import type { ChurnPeerInput, PeerSearched, PeerWritten } from './step-churn-peer.ts'

interface PeerRow {
  readonly round: number
  readonly isFresh: boolean
  readonly written: PeerWritten
  readonly searched: PeerSearched | undefined
}

const ENGINES = ['zgq', 'lancedb', 'zvec', 'usearch']
const SEARCHED = [0, 1, 2, 5, 10, 15, 20]
const FEW_ROUNDS = 5
const LEAST_RECALL = 0.95
const CANNOT: Readonly<Record<string, string>> = {
  zgq: 'A recall can be asked for: .95 here.',
  lancedb:
    'Deleting marks rows in a file beside the data. optimize() merges files, puts new rows into the partitions that ' +
    'there are, and removes old versions. It does not train again: that is createIndex, which builds all anew. No ' +
    'recall can be asked for.',
  zvec:
    'Deleting marks rows. optimizeSync() merges segments; with deleted rows, and for IVF always, it builds the index ' +
    'anew. No recall can be asked for.',
  usearch:
    'Deleting marks a node, whose place a later row may take; the graph keeps its size. The JavaScript package has ' +
    'no compaction. Each call saves the whole graph: nothing else of it lasts. No recall can be asked for.'
}

const options = readOptions(['data', 'dim', 'rows', 'drift', 'rounds', 'part', 'only', 'queries'], ['quick'])
const isQuick = options.flags.has('quick')
const { drift = 'none' } = options.text
if (drift !== 'none' && drift !== 'drifting') throw new Error(`--drift is ${drift}, expected none or drifting`)
const spec: ChurnSpec = {
  dim: readCount(options, 'dim', 128),
  data: options.text['data'] === undefined ? undefined : resolve(options.text['data']),
  rows: readCount(options, 'rows', isQuick ? 5000 : 100_000),
  part: Number(options.text['part'] ?? 0.05),
  drift
}
const rounds = readCount(options, 'rounds', isQuick ? 3 : 20)
const defaults = stepDefaults(isQuick)
const settings: StepSettings = {
  ...defaults,
  spec,
  work: options.work,
  queries: readCount(options, 'queries', defaults.queries)
}
const engines = options.text['only']?.split(',') ?? ENGINES
const searched = Array.from({ length: rounds + 1 }, (_, i) => i).filter(
  (round) => rounds <= FEW_ROUNDS || round === rounds || SEARCHED.includes(round)
)
const log = `${options.json ?? join(options.work, 'churn-peers.json')}l`
rmSync(log, { force: true })
const machine = startReport(
  `Churn of ${spec.rows.toLocaleString('en-US')} x ${spec.dim}, ${spec.part * 100} % a round, drift: ${drift}`
)
console.log(`Each round: ${log}\n`)
await findTruths()
const results: Record<string, { readonly rows: readonly PeerRow[]; readonly failed: string | undefined }> = {}
for (const engine of engines) results[engine] = await churn(engine)
printAll()
const versions = Object.fromEntries(engines.map((name) => [name, packageVersion(findLiving(name).packageName)]))
endReport({ ...machine, versions }, { spec: { ...spec, data: undefined }, results }, options.json)

/** The exact neighbours of each round, from an index of ZGQ that holds its rows and nothing else. */
async function findTruths(): Promise<void> {
  const folder = join(options.work, 'churn-peers-truth.zgq')
  for (const round of searched) {
    await buildRound(settings, round, folder)
    await findTruth(settings, round, { folder, to: truthOf(round) })
  }
  rmSync(folder, { recursive: true, force: true })
}

function truthOf(round: number): string {
  return join(options.work, `churn-peers-truth-${round}.json`)
}

async function churn(engine: string): Promise<(typeof results)[string]> {
  const rows: PeerRow[] = []
  const folder = join(options.work, `churn-peers-${engine}`)
  const add = async (round: number, isFresh: boolean, written: PeerWritten): Promise<void> => {
    const efforts = rows[0]?.searched === undefined ? findLiving(engine).efforts : effortOf(rows[0].searched)
    const found = searched.includes(round) ? await search(engine, { round, folder, efforts: efforts ?? [] }) : undefined
    const row: PeerRow = { round, isFresh, written, searched: found }
    rows.push(row)
    appendFileSync(log, JSON.stringify({ engine, ...row }) + '\n')
    console.error(`${engine} ${JSON.stringify(row).slice(0, 200)}`)
  }
  try {
    await add(0, true, await write(engine, { action: 'build', round: 0, folder }))
    for (let round = 1; round <= rounds; round++)
      await add(round, false, await write(engine, { action: 'round', round, folder }))
    rmSync(folder, { recursive: true, force: true })
    await add(rounds, true, await write(engine, { action: 'build', round: rounds, folder }))
    return { rows, failed: undefined }
  } catch (error) {
    console.error(error)
    return { rows, failed: error instanceof Error ? error.message.slice(0, 500) : String(error) }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function effortOf({ effort }: PeerSearched): number[] {
  return effort === undefined ? [] : [effort]
}

type PeerStep = Pick<ChurnPeerInput, 'round' | 'folder'>

async function write(engine: string, of: PeerStep & Pick<ChurnPeerInput, 'action'>): Promise<PeerWritten> {
  return (await runStep<PeerWritten>('step-churn-peer.ts', inputOf(engine, { ...of, efforts: [] }))).value
}

async function search(engine: string, of: PeerStep & Pick<ChurnPeerInput, 'efforts'>): Promise<PeerSearched> {
  const input = inputOf(engine, { ...of, action: 'search' })
  return (await runStep<PeerSearched>('step-churn-peer.ts', input, { env: ONE_THREAD })).value
}

function inputOf(engine: string, of: PeerStep & Pick<ChurnPeerInput, 'action' | 'efforts'>): ChurnPeerInput {
  const { queries, passes } = settings
  return { engine, spec, queries, passes, truth: truthOf(of.round), leastRecall: LEAST_RECALL, ...of }
}

function printAll(): void {
  for (const [engine, { rows, failed }] of Object.entries(results)) {
    const [first] = rows
    const effort = first?.searched?.effort === undefined ? '' : `; effort ${first.searched.effort} in all rounds`
    console.log(`## ${engine}: ${findLiving(engine).settings}${effort}\n`)
    console.log(`${CANNOT[engine]}\n`)
    if (failed !== undefined) console.log(`It failed after round ${rows.at(-1)?.round ?? 'none'}: ${failed}\n`)
    printTable(
      [
        'round',
        'recall@10',
        'us a query',
        'MiB on disk',
        'rss MiB',
        'delete, add s',
        'compact s',
        'peak MiB',
        'written / new',
        'deleted rows found, hits missing'
      ],
      rows.map(({ round, isFresh, written, searched: found }) => [
        isFresh && round > 0 ? `${round}, fresh build` : String(round),
        found?.recall.toFixed(4) ?? '',
        found === undefined ? '' : found.meanUs.toFixed(0),
        showMib(written.bytes),
        found === undefined ? '' : showMib(found.rss),
        isFresh
          ? `built in ${written.buildSeconds.toFixed(2)}`
          : `${written.deleteSeconds.toFixed(2)}, ${written.addSeconds.toFixed(2)}`,
        isFresh ? '' : (written.compactSeconds?.toFixed(2) ?? 'has none'),
        showMib(written.peakRss),
        isFresh ? '' : (written.writtenBytes / (Math.round(spec.rows * spec.part) * spec.dim * 4)).toFixed(1),
        found === undefined ? '' : `${found.deletedHits}, ${found.missingHits}`
      ])
    )
  }
  printAgainstFresh()
}

function printAgainstFresh(): void {
  console.log(`After ${rounds} rounds against a fresh build of the same rows by the same engine\n`)
  printTable(
    ['engine', 'recall@10: churned, fresh', 'us: churned, fresh', 'time / fresh', 'disk / fresh', 'rss / fresh'],
    Object.entries(results).flatMap(([engine, { rows }]) => {
      const [churned, fresh] = rows.filter(({ round }) => round === rounds)
      if (churned?.searched === undefined || fresh?.searched === undefined) return []
      const [own, other] = [churned.searched, fresh.searched]
      return [
        [
          engine,
          `${own.recall.toFixed(4)}, ${other.recall.toFixed(4)}`,
          `${own.meanUs.toFixed(0)}, ${other.meanUs.toFixed(0)}`,
          (own.meanUs / other.meanUs).toFixed(2),
          (churned.written.bytes / fresh.written.bytes).toFixed(2),
          (own.rss / other.rss).toFixed(2)
        ]
      ]
    })
  )
}
