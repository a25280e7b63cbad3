// The neighbours of many queries among all rows, zone by zone: every part of a zone that is read is held against all of
// the queries while the processor's caches have it. Exact, as a search with exact: true is.

import type { KernelMemory } from '../kernels/kernel-memory.ts'
import { heapByteLength, type ScanQuery } from '../kernels/kernel.ts'
import { setTolerance, takeHits } from '../search/scan.ts'
import type { SearchContext } from '../search/search.ts'
import { neighboursOf, type Neighbours } from './calibration-lists.ts'

/** Queries that are held against the rows in one pass, at most: their heaps and vectors stay in the caches as well. */
export const QUERIES_PER_SCAN = 256

/** Kernel memory of one pass; regions are never given back, so that it is kept for the next one. */
const regions = new WeakMap<KernelMemory, { start: number; byteLength: number }>()

/** Finds the k nearest rows of each query; `turn` is called after each zone, and may throw to stop. */
export async function scanTogether(
  context: SearchContext,
  of: { vectors: readonly Float32Array[]; k: number },
  turn: () => Promise<void>
): Promise<Neighbours[]> {
  const { workspace, cache } = context
  const { memory, metric, dim, zones } = workspace
  const queries = of.vectors.map((vector, i) => {
    workspace.setQuery(vector)
    const room = reserveQuery(memory, { dim, k: of.k, count: of.vectors.length }, i)
    memory.float32At(room.query, dim).set(vector)
    memory.kernel.heapInit(room.heap, of.k)
    const scanQuery: ScanQuery = { ...workspace.scanQuery, ...room }
    return { memory, metric, dim, scanQuery }
  })
  for (const zone of zones) {
    for (const query of queries) setTolerance(query, zone)
    for (let part = 0; part < cache.partCount(zone); part++) {
      const run = cache.load(zone, part)
      for (const { scanQuery } of queries) memory.kernel.scan(scanQuery, run)
    }
    await turn()
  }
  return queries.map((query) => neighboursOf(takeHits(query, of.k)))
}

/** Reserves room for query number i of `count` and its heap. */
function reserveQuery(
  memory: KernelMemory,
  { dim, k, count }: { dim: number; k: number; count: number },
  i: number
): Pick<ScanQuery, 'query' | 'heap'> {
  const queryBytes = Math.ceil(dim / 16) * 64
  const size = queryBytes + Math.ceil(heapByteLength(k) / 64) * 64
  let region = regions.get(memory)
  if (region === undefined || region.byteLength < size * count) {
    region = { start: memory.allocate(size * count), byteLength: size * count }
    regions.set(memory, region)
  }
  const query = region.start + i * size
  return { query, heap: query + queryBytes }
}
