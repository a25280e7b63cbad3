// The neighbours of many queries among all rows, segment by segment: every part of one that is read is held against all
// of the queries while the processor's caches have it. Exact, as a search with exact: true is.

import { heapByteLength } from '../kernels/addresses.ts'
import type { ScanQuery } from '../kernels/kernel.ts'
import { setTolerance, takeHits } from '../search/scan.ts'
import type { SearchContext } from '../search/search-context.ts'
import { neighboursOf, type Neighbours } from './calibration-lists.ts'

/** Queries that are held against the rows in one pass, at most: their heaps and vectors stay in the caches as well. */
export const QUERIES_PER_SCAN = 256

/** Finds the k nearest rows of each query; `turn` is called after each segment, and may throw to stop. */
export async function scanTogether(
  context: SearchContext,
  of: { vectors: readonly Float32Array[]; k: number },
  turn: () => Promise<void>
): Promise<Neighbours[]> {
  const { memory, dim } = context.workspace
  const queryBytes = Math.ceil(dim / 16) * 64
  const size = queryBytes + Math.ceil(heapByteLength(of.k) / 64) * 64
  const region = memory.allocate(size * of.vectors.length)
  try {
    const rooms = of.vectors.map((_, i) => ({ query: region + i * size, heap: region + i * size + queryBytes }))
    return await scanWithin(context, { ...of, rooms }, turn)
  } finally {
    memory.free(region)
  }
}

/** `rooms`: where each query and its heap lie in kernel memory. */
async function scanWithin(
  { workspace, states, cache }: SearchContext,
  of: { vectors: readonly Float32Array[]; k: number; rooms: readonly Pick<ScanQuery, 'query' | 'heap'>[] },
  turn: () => Promise<void>
): Promise<Neighbours[]> {
  const { memory, metric, dim, segments } = workspace
  const queries = states.use((state) =>
    of.vectors.map((vector, i) => {
      state.setQuery(vector)
      const room = of.rooms[i]
      memory.float32At(room.query, dim).set(vector)
      memory.kernel.heapInit(room.heap, of.k)
      const scanQuery: ScanQuery = { ...state.scanQuery, ...room }
      return { memory, metric, dim, scanQuery }
    })
  )
  for (const segment of segments) {
    for (const query of queries) setTolerance(query, segment)
    for (let part = 0; part < cache.partCount(segment); part++) {
      const run = cache.load(segment, part)
      for (const { scanQuery } of queries) memory.kernel.scan(scanQuery, run)
    }
    await turn()
  }
  return queries.map((query) => neighboursOf(takeHits(query, of.k)))
}
