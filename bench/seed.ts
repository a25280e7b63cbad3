// npm run seed: the table that the project began with, with recall beside every latency: ZGQ's plain scan against
// hnswlib-node at their customary settings and at equal recall, in one process, interleaved; then the first queries of
// fresh processes.

import { join } from 'node:path'

import { readOptions } from './arguments.ts'
import { runStep } from './child.ts'
import { loadZgq, loadZgqBuild } from './packages.ts'
import { endReport, pairedRatio, printTable, showSpread, spread, startReport, type Spread } from './report.ts'
import {
  findTruth,
  makeSeedBase,
  makeSeedQueries,
  SEED_COUNT,
  SEED_DIM,
  SEED_EF,
  SEED_K,
  SEED_NPROBE,
  SEED_QUERIES,
  SEED_ZONES
} from './seed-data.ts'
import {
  buildHnsw,
  findEffort,
  measureRecall,
  searchHnsw,
  searchZgq,
  searchZgqDefault,
  timeRound,
  type Round,
  type Search
} from './seed-engines.ts'
import type { FirstQueriesInput, FirstQueriesResult } from './step-first-queries.ts'

const ROUNDS = 7
const SHOWN_QUERIES = [1, 2, 5, 10, 50]
/** ZGQ's time over hnswlib's, at hnswlib's recall. */
const GOAL = 1 / 3

/** One engine at one effort, over all rounds. */
interface Series {
  readonly label: string
  readonly search: Search
  readonly effort: number
  readonly recall: number
  readonly rounds: Round[]
}

const options = readOptions([])
const machine = startReport(
  `Seed table: ${SEED_COUNT} x ${SEED_DIM} standard normal, k ${SEED_K}, ${SEED_QUERIES} queries, one thread`
)
const base = makeSeedBase()
const queries = findTruth(base, makeSeedQueries())
const zgqPath = join(options.work, 'seed.zgq')
const hnswPath = join(options.work, 'seed.hnsw')
const { buildIndex } = await loadZgqBuild()
const { ZgqIndex } = await loadZgq()
const builtAt = performance.now()
await buildIndex({ input: base, dim: SEED_DIM, output: zgqPath, zones: SEED_ZONES, force: true })
const hnswAt = performance.now()
const hnsw = buildHnsw(base)
const endedAt = performance.now()
hnsw.writeIndexSync(hnswPath)
const zgq = ZgqIndex.open(zgqPath)
const { zones, kernel } = zgq.info()
console.log(
  `Build: ZGQ ${((hnswAt - builtAt) / 1000).toFixed(2)} s (${zones} zones, ${kernel} kernel), hnswlib ` +
    `${((endedAt - hnswAt) / 1000).toFixed(2)} s (M 16, efConstruction 200).\n`
)

const engines = {
  zgq: searchZgq(zgq, queries.vectors),
  zgqDefault: searchZgqDefault(zgq, queries.vectors),
  hnswlib: searchHnsw(hnsw, queries.vectors)
}
const series = chooseSeries()
for (let round = 0; round < ROUNDS; round++) {
  // Every second round runs backwards, so that no engine always follows the other.
  const order = round % 2 === 0 ? series : [...series].reverse()
  for (const one of order) one.rounds.push(timeRound(one.search, one.effort, SEED_QUERIES))
}
printTable(
  ['engine', 'recall@10', `p50 us, median of ${ROUNDS} rounds (spread)`, 'mean us'],
  series.map((one) => [
    one.label,
    one.recall.toFixed(4),
    showSpread(spread(p50s(one))),
    showSpread(spread(one.rounds.map((round) => round.meanUs)))
  ])
)
const comparisons = compare()
printTable(
  ['comparison', 'recall@10', 'ZGQ p50 us', 'hnswlib p50 us', "ZGQ / hnswlib, median of the rounds' ratios"],
  comparisons.map((row) => [
    row.label,
    row.recall,
    showSpread(spread(row.zgq)),
    showSpread(spread(row.hnswlib)),
    showSpread(pairedRatio(row.zgq, row.hnswlib), 2)
  ])
)
const { median, min, max } = atRecallOfHnsw()
console.log(
  `ZGQ's time at hnswlib's recall / hnswlib's time (ef ${SEED_EF}): ${median.toFixed(2)} ` +
    `(${min.toFixed(2)}-${max.toFixed(2)}); goal <= ${GOAL.toFixed(2)}: ${median <= GOAL ? 'met' : 'MISSED'}.\n`
)
const firstQueries = await measureFirstQueries()
endReport(
  machine,
  {
    build: { zgqMs: hnswAt - builtAt, hnswlibMs: endedAt - hnswAt },
    series: series.map(({ search: _, ...rest }) => rest),
    comparisons,
    firstQueries
  },
  options.json
)

/**
 * The customary settings, for each engine the efforts on both sides of the other's recall, and the whole range in
 * steps; A B A B.
 */
function chooseSeries(): Series[] {
  const recallOfZgq = (nprobe: number): number => measureRecall(engines.zgq, nprobe, queries)
  const recallOfHnsw = (ef: number): number => measureRecall(engines.hnswlib, ef, queries)
  const nprobe = findEffort(recallOfZgq, recallOfHnsw(SEED_EF), { from: 1, to: zones })
  const ef = findEffort(recallOfHnsw, recallOfZgq(SEED_NPROBE), { from: SEED_K, to: 1000 })
  const ascending = (...efforts: number[]): number[] => [...new Set(efforts)].sort((a, b) => a - b)
  const nprobes = ascending(SEED_NPROBE, nprobe - 1, nprobe, 10, 30, 40, 50, 60, 70, 80, zones)
  const efs = ascending(SEED_EF, Math.max(SEED_K, ef - 1), ef, 10, 20, 40, 60, 80, 100, 150, 300)
  const pairs: Series[] = [
    {
      label: 'ZGQ, default',
      search: engines.zgqDefault,
      effort: 0,
      recall: measureRecall(engines.zgqDefault, 0, queries),
      rounds: []
    }
  ]
  for (let i = 0; i < Math.max(nprobes.length, efs.length); i++) {
    if (i < nprobes.length)
      pairs.push({
        label: `ZGQ, nprobe ${nprobes[i]}`,
        search: engines.zgq,
        effort: nprobes[i],
        recall: recallOfZgq(nprobes[i]),
        rounds: []
      })
    if (i < efs.length)
      pairs.push({
        label: `hnswlib, ef ${efs[i]}`,
        search: engines.hnswlib,
        effort: efs[i],
        recall: recallOfHnsw(efs[i]),
        rounds: []
      })
  }
  return pairs
}

function compare(): { label: string; recall: string; zgq: number[]; hnswlib: number[] }[] {
  const zgqAt = find(engines.zgq, SEED_NPROBE)
  const hnswAtEf = find(engines.hnswlib, SEED_EF)
  const byDefault = find(engines.zgqDefault, 0)
  return [
    {
      label: `nprobe ${SEED_NPROBE}, ef ${SEED_EF}`,
      recall: `${zgqAt.recall.toFixed(4)}, ${hnswAtEf.recall.toFixed(4)}`,
      zgq: p50s(zgqAt),
      hnswlib: p50s(hnswAtEf)
    },
    {
      label: `equal recall, ZGQ at nprobe ${SEED_NPROBE}`,
      recall: zgqAt.recall.toFixed(4),
      zgq: p50s(zgqAt),
      hnswlib: interpolate(engines.hnswlib, zgqAt.recall)
    },
    {
      label: `equal recall, hnswlib at ef ${SEED_EF}`,
      recall: hnswAtEf.recall.toFixed(4),
      zgq: interpolate(engines.zgq, hnswAtEf.recall),
      hnswlib: p50s(hnswAtEf)
    },
    {
      label: 'equal recall, ZGQ at its default',
      recall: byDefault.recall.toFixed(4),
      zgq: p50s(byDefault),
      hnswlib: interpolate(engines.hnswlib, byDefault.recall)
    }
  ]
}

function atRecallOfHnsw(): Spread {
  const hnsw = find(engines.hnswlib, SEED_EF)
  return pairedRatio(interpolate(engines.zgq, hnsw.recall), p50s(hnsw))
}

function p50s(one: Series): number[] {
  return one.rounds.map((round) => round.p50Us)
}

function find(search: Search, effort: number): Series {
  const found = series.find((one) => one.search === search && one.effort === effort)
  if (found === undefined) throw new Error(`effort ${effort} was not measured`)
  return found
}

/**
 * Latency at a recall between two measured ones, linear in recall, for each round; at the ends the nearest measured.
 */
function interpolate(search: Search, recall: number): number[] {
  const own = series.filter((one) => one.search === search).sort((a, b) => a.recall - b.recall)
  const above = own.find((one) => one.recall >= recall) ?? own[own.length - 1]
  const below = own.findLast((one) => one.recall < recall) ?? above
  const share = above.recall === below.recall ? 1 : Math.min(1, (recall - below.recall) / (above.recall - below.recall))
  return above.rounds.map((round, i) => below.rounds[i].p50Us + share * (round.p50Us - below.rounds[i].p50Us))
}

async function measureFirstQueries(): Promise<Record<string, FirstQueriesResult[]>> {
  const runs: Record<FirstQueriesInput['engine'], FirstQueriesResult[]> = { zgq: [], hnswlib: [] }
  for (let round = 0; round < ROUNDS; round++) {
    runs.zgq.push((await runStep<FirstQueriesResult>('step-first-queries.ts', { engine: 'zgq', path: zgqPath })).value)
    runs.hnswlib.push(
      (await runStep<FirstQueriesResult>('step-first-queries.ts', { engine: 'hnswlib', path: hnswPath })).value
    )
  }
  const row = (label: string, engine: FirstQueriesInput['engine']): string[] => [
    label,
    showSpread(spread(runs[engine].map((run) => run.openMs))),
    ...SHOWN_QUERIES.map((number) => showSpread(spread(runs[engine].map((run) => run.micros[number - 1])), 0))
  ]
  printTable(
    ['fresh processes, files warm', 'load and open ms', ...SHOWN_QUERIES.map((number) => `query ${number} us`)],
    [
      row(`ZGQ, nprobe ${SEED_NPROBE} (recall ${find(engines.zgq, SEED_NPROBE).recall.toFixed(4)})`, 'zgq'),
      row(`hnswlib, ef ${SEED_EF} (recall ${find(engines.hnswlib, SEED_EF).recall.toFixed(4)})`, 'hnswlib')
    ]
  )
  return runs
}
