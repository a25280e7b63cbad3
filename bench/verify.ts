// npm run verify: what checksums (verify 'touch' against 'none'), the reader (mmap against pread) and a small cache
// cost, with all files in the page cache. Eight ways to open one index, taking turns in one process.

import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'

import { need, readOptions } from './arguments.ts'
import { findDataSet } from './data-sets.ts'
import { loadZgq, loadZgqBuild } from './packages.ts'
import { warmFolder } from './page-cache.ts'
import { measureSearch, readQueries, summarize } from './queries.ts'
import { endReport, mean, pairedRatio, printTable, showSpread, spread, startReport } from './report.ts'

const ROUNDS = 7
const QUERIES = 300
const K = 10

interface Way {
  readonly verify: 'touch' | 'none'
  readonly mapping: 'mmap' | 'pread'
  readonly cache: 'default' | '1 %'
}

/** One number a round. */
interface Measurements {
  readonly open: number[]
  /** The first search, over all zones: every page is touched for the first time. Microseconds a page. */
  readonly firstTouch: number[]
  /** The same search again. */
  readonly allAgain: number[]
  /** Mean of the queries' first round after opening: pages are touched as they come. */
  readonly firstRound: number[]
  /** Mean of their third round. */
  readonly warm: number[]
}

const options = readOptions(['data', 'only', 'nprobe'])
const set = await findDataSet(options.text['only'] ?? 'sift1m-100k', resolve(need(options, 'data')), options.work)
const folder = join(options.work, `${set.name}.zgq`)
const machine = startReport(`Checksums, readers and caches: ${set.name}`)
const { buildIndex } = await loadZgqBuild()
if (!existsSync(folder)) await buildIndex({ input: set.base, output: folder, metric: set.metric })
const { ZgqIndex } = await loadZgq()
const queries = await readQueries(set.queries, set.truth, QUERIES)
warmFolder(folder)

const ways: Way[] = (['default', '1 %'] as const).flatMap((cache) =>
  (['mmap', 'pread'] as const).flatMap((mapping) =>
    (['touch', 'none'] as const).map((verify) => ({ verify, mapping, cache }))
  )
)
const all = ways.map(
  () => ({ open: [], firstTouch: [], allAgain: [], firstRound: [], warm: [] }) satisfies Measurements as Measurements
)
const facts = describeIndex()
for (const way of ways) measureWay(way, undefined) // unmeasured: compiles the code
for (let round = 0; round < ROUNDS; round++) {
  // Every second round runs backwards, so that nothing always follows the same neighbour.
  const order = round % 2 === 0 ? ways.keys() : [...ways.keys()].reverse()
  for (const i of order) measureWay(ways[i], all[i])
}
console.log(
  `${facts.pages} pages of segments and columns, nprobe ${facts.nprobe} of ${facts.zones} zones, recall@${K} ` +
    `${facts.recall.toFixed(4)}, ${QUERIES} queries, ${ROUNDS} rounds, files in the page cache.\n`
)
printTable(
  [
    'cacheBytes',
    'reader',
    'verify',
    'open ms',
    'first touch us/page',
    'all zones again us/page',
    'first round us/query',
    'warm us/query'
  ],
  ways.map((way, i) => [
    way.cache,
    way.mapping,
    way.verify,
    showSpread(spread(all[i].open)),
    showSpread(spread(all[i].firstTouch), 2),
    showSpread(spread(all[i].allAgain), 2),
    showSpread(spread(all[i].firstRound)),
    showSpread(spread(all[i].warm))
  ])
)
const comparisons = [
  ...comparePairs('verify', 'touch', 'none'),
  ...comparePairs('mapping', 'pread', 'mmap'),
  ...comparePairs('cache', '1 %', 'default')
]
printTable(
  ['ratio, paired by round', 'otherwise', 'first touch', 'all zones again', 'first round', 'warm'],
  comparisons.map((row) => [
    row.label,
    row.otherwise,
    ...[row.firstTouch, row.allAgain, row.firstRound, row.warm].map((ratio) => showSpread(ratio, 2))
  ])
)
endReport(machine, { facts, ways: ways.map((way, i) => ({ ...way, ...all[i] })), comparisons }, options.json)

function describeIndex(): { pages: number; bytes: number; nprobe: number; zones: number; recall: number } {
  const index = ZgqIndex.open(folder)
  const { zones, bytes } = index.info()
  // By default as many zones as a search probes on average that is told nothing.
  const probed = queries.vectors.map((query) => index.search(query, { k: K, explain: true }).explain.zones.length)
  const nprobe = options.text['nprobe'] === undefined ? Math.round(mean(probed)) : Number(options.text['nprobe'])
  const { pages } = index.search(queries.vectors[0], { k: K, exact: true, explain: true }).explain
  const { recall } = summarize(measureSearch(index, queries, { k: K, nprobe }))
  index.close()
  return { pages, bytes, nprobe, zones, recall }
}

function measureWay(way: Way, into: Measurements | undefined): void {
  const cacheBytes = way.cache === '1 %' ? Math.floor(facts.bytes / 100) : undefined
  const openOptions = { verify: way.verify, mapping: way.mapping, cacheBytes }
  globalThis.gc?.() // memories of closed indexes go now, not during a measurement
  const startedAt = performance.now()
  const index = ZgqIndex.open(folder, openOptions)
  const open = performance.now() - startedAt
  const perPage = (): number =>
    measureSearch(index, { vectors: queries.vectors.slice(0, 1), truth: queries.truth }, { k: K, exact: true })
      .micros[0] / facts.pages
  const firstTouch = perPage()
  const allAgain = perPage()
  index.close()

  const second = ZgqIndex.open(folder, openOptions)
  const round = (): number => summarize(measureSearch(second, queries, { k: K, nprobe: facts.nprobe })).meanUs
  const firstRound = round()
  round()
  const warm = round()
  second.close()
  into?.open.push(open)
  into?.firstTouch.push(firstTouch)
  into?.allAgain.push(allAgain)
  into?.firstRound.push(firstRound)
  into?.warm.push(warm)
}

/** Divides the ways that have `above` in `key` by those that have `below` and are otherwise the same. */
function comparePairs<K extends keyof Way>(key: K, above: Way[K], below: Way[K]) {
  return ways.flatMap((way, i) => {
    if (way[key] !== above) return []
    const wanted = JSON.stringify({ ...way, [key]: below })
    const other = all[ways.findIndex((candidate) => JSON.stringify(candidate) === wanted)]
    const otherwise = Object.entries(way)
      .filter(([name]) => name !== key)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ')
    const ratio = (name: keyof Measurements) => pairedRatio(all[i][name], other[name])
    return [
      {
        label: `${key}: ${above} / ${below}`,
        otherwise,
        firstTouch: ratio('firstTouch'),
        allAgain: ratio('allAgain'),
        firstRound: ratio('firstRound'),
        warm: ratio('warm')
      }
    ]
  })
}
