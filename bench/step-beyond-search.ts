// Queries against a large index whose files are out of memory at the start: some are asked for often, most seldom
// (Zipf, exponent 1).

import { readFileSync } from 'node:fs'

import { stepInput, stepResult } from './child.ts'
import { loadZgq, loadZgqBuild } from './packages.ts'
import { dropPages } from './page-cache.ts'
import { ownDeviceReads, ownMemory } from './process-memory.ts'
import { uniform } from './random.ts'

export interface BeyondSearchInput {
  readonly index: string
  readonly queries: string
  /** JSON: the ids of the true neighbours of the first queries. */
  readonly truth: string
  readonly recall: number
  readonly draws: number
}

export interface BeyondSearch {
  readonly recall: number
  readonly reached: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly meanZones: number
  /**
   * Mean of a query: copied into kernel memory, from the page cache or not; and read from the device by this process.
   */
  readonly bytesRead: number
  readonly deviceBytes: number
  readonly openMs: number
  readonly rssAnon: number
}

const K = 10
const SEED = 7

const { index: path, queries, truth, recall, draws } = stepInput<BeyondSearchInput>()
const [{ ZgqIndex }, { openVectorFile }] = [await loadZgq(), await loadZgqBuild()]
const source = openVectorFile(queries)
const vectors = Array.from({ length: source.count }, (_, row) => {
  const vector = new Float32Array(source.dim)
  source.readRows(row, vector)
  return vector
})
const order = drawZipf(vectors.length, draws)
dropPages(path)
const startedAt = performance.now()
const index = ZgqIndex.open(path)
index.search(vectors[order[0]], { k: K, recall })
const openMs = performance.now() - startedAt
const before = ownDeviceReads()
const times: number[] = []
let zones = 0
let bytesRead = 0
for (const query of order) {
  const askedAt = performance.now()
  const { explain } = index.search(vectors[query], { k: K, recall, explain: true })
  times.push(performance.now() - askedAt)
  zones += explain.zones.length
  bytesRead += explain.bytesRead
}
const deviceBytes = (ownDeviceReads() - before) / draws
const neighbours: number[][] = JSON.parse(readFileSync(truth, 'utf8'))
let found = 0
for (const [query, ids] of neighbours.entries())
  found += index.search(vectors[query], { k: K, recall }).filter(({ id }) => ids.includes(id)).length
times.sort((a, b) => a - b)
const result: BeyondSearch = {
  recall,
  reached: found / (neighbours.length * K),
  p50Ms: times[Math.floor(draws * 0.5)],
  p99Ms: times[Math.floor(draws * 0.99)],
  meanZones: zones / draws,
  bytesRead: bytesRead / draws,
  deviceBytes,
  openMs,
  rssAnon: ownMemory().rssAnon
}
index.close()
stepResult(result)

/**
 * Draws numbers below `count`: that of rank r with a probability in proportion to 1 / r; which number has which rank is
 * a matter of chance.
 */
function drawZipf(count: number, some: number): number[] {
  const next = uniform(SEED)
  const names = Array.from({ length: count }, (_, i) => i)
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1))
    const name = names[i]
    names[i] = names[j]
    names[j] = name
  }
  const sums = new Float64Array(count)
  for (let i = 0; i < count; i++) sums[i] = (sums[i - 1] ?? 0) + 1 / (i + 1)
  return Array.from({ length: some }, () => {
    const wanted = next() * sums[count - 1]
    let low = 0
    let high = count - 1
    while (low < high) {
      const middle = (low + high) >>> 1
      if (sums[middle] < wanted) low = middle + 1
      else high = middle
    }
    return names[low]
  })
}
