// npm run zone-order -- INDEX QUERIES: in how many places of the files those zones lie that a query probes at recall
// .95, by the numbers of the zones, and by random numbers in their stead.

import { resolve } from 'node:path'

import { readOptions } from './arguments.ts'
import { loadZgq, loadZgqBuild } from './packages.ts'
import { uniform } from './random.ts'
import { endReport, mean, printTable, startReport } from './report.ts'

const MOST_QUERIES = 1000
const PAGE_BYTES = 4096
/** Zones that nobody asked for, read where they lie between two that are. */
const GAPS = [0, 1, 2]

/** Means over the queries. */
interface Places {
  /** By gap: places, and zones in them. */
  readonly byGap: readonly { readonly places: number; readonly zones: number }[]
  /** Pages with centroids of the zones, as float32 in the order of their numbers. */
  readonly pages: number
}

const options = readOptions([], [], 2)
const [folder, queriesPath] = options.positionals.map((path) => resolve(path))
const { ZgqIndex } = await loadZgq()
const { openVectorFile } = await loadZgqBuild()
const index = ZgqIndex.open(folder)
const source = openVectorFile(queriesPath)
const query = new Float32Array(source.dim)
const probed = Array.from({ length: Math.min(MOST_QUERIES, source.count) }, (_, row) => {
  source.readRows(row, query)
  return index.search(query, { k: 10, recall: 0.95, explain: true }).explain.zones
})
source.close()
const { count, dim, zones } = index.info()
index.close()
const machine = startReport('The order of zones')
const shuffled = shuffle(zones)
const results = {
  'as numbered': measure(probed),
  'at random': measure(probed.map((some) => some.map((zone) => shuffled[zone])))
}
const ofGaps = (values: (gap: number) => number): string => GAPS.map((_, gap) => values(gap).toFixed(1)).join(', ')
console.log(`${count} x ${dim}, ${zones} zones; ${mean(probed.map(({ length }) => length)).toFixed(1)} are probed\n`)
printTable(
  ['numbers', `places: ${GAPS.join(', ')} zones of gap read too`, 'zones read', 'pages of centroids'],
  Object.entries(results).map(([numbers, { byGap, pages }]) => [
    numbers,
    ofGaps((gap) => byGap[gap].places),
    ofGaps((gap) => byGap[gap].zones),
    pages.toFixed(1)
  ])
)
endReport(machine, { folder, count, dim, zones, results }, options.json)

function measure(sets: readonly (readonly number[])[]): Places {
  const perPage = Math.max(1, Math.floor(PAGE_BYTES / (dim * 4)))
  const pagesEach = Math.ceil((dim * 4) / PAGE_BYTES)
  const sorted = sets.map((some) => [...some].sort((a, b) => a - b))
  return {
    byGap: GAPS.map((gap) => {
      const found = sorted.map((some) => join(some, gap))
      return { places: mean(found.map((one) => one.places)), zones: mean(found.map((one) => one.zones)) }
    }),
    pages: mean(sorted.map((some) => new Set(some.map((zone) => Math.floor(zone / perPage))).size * pagesEach))
  }
}

/** Counts places and the zones in them, those in gaps included. */
function join(some: readonly number[], gap: number): { places: number; zones: number } {
  let places = 0
  let read = 0
  let end = -Infinity
  for (const zone of some) {
    const isNear = zone - end <= gap
    if (!isNear) places++
    read += isNear ? zone + 1 - end : 1
    end = zone + 1
  }
  return { places, zones: read }
}

function shuffle(length: number): Uint32Array {
  const random = uniform(1)
  const numbers = Uint32Array.from({ length }, (_, i) => i)
  for (let i = length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    const other = numbers[j]
    numbers[j] = numbers[i]
    numbers[i] = other
  }
  return numbers
}
