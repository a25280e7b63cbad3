// Some queries that are searched in one go, and their hits as flat arrays: what goes from thread to thread.

import { setImmediate } from 'node:timers/promises'

import { nowMicros } from '../clock.ts'
import type { Explain, ExplainedHits, Hit } from '../types.ts'
import type { SearchRequest } from '../search/request.ts'
import type { SearchContext } from '../search/search-context.ts'
import { search } from '../search/search.ts'
import { isSoonerTogether, searchTogether } from '../search/search-together.ts'

/** Hits of one query. */
export type Found = Hit[] | ExplainedHits

export interface SearchChunk {
  readonly request: SearchRequest
  /** Checked. float32, n * dim */
  readonly queries: Float32Array
}

/** Hits of the first queries of a chunk. */
export interface FlatHits {
  /** Hits of each query. */
  readonly counts: Uint32Array
  /** Of all queries, one after the other. */
  readonly ids: Float64Array
  readonly distances: Float64Array
  /** One a query where that was asked for, else none. */
  readonly explains: readonly Explain[]
  /** Of each query: 1 if it is unlike those of the calibration, else 0. */
  readonly unlike: Uint8Array
  readonly micros: number
}

/**
 * How long a chunk may take before the rest of it goes back: what waits behind it must not wait long. One query is
 * always searched.
 */
export const CHUNK_MICROS = 8000
/** Hits that are made objects of between two looks at the clock. */
const HITS_PER_LOOK = 2000
/** How long the caller's thread makes objects in one turn of its event loop. */
const OBJECTS_MICROS = 2000

/** Searches the queries of a chunk: together where that is sooner, else until its time is over. */
export function searchChunk(context: SearchContext, chunk: SearchChunk): FlatHits {
  const { request, queries } = chunk
  if (!request.explain && isSoonerTogether(context, queries.length / context.workspace.dim))
    return searchAllTogether(context, chunk)
  const { dim } = context.workspace
  const before = nowMicros()
  const found: Hit[][] = []
  const explains: Explain[] = []
  const unlike: number[] = []
  let micros = 0
  for (let at = 0; at < queries.length && micros < CHUNK_MICROS; at += dim) {
    const { hits, explain, isUnlike } = search(context, queries.subarray(at, at + dim), request)
    found.push(hits)
    unlike.push(isUnlike ? 1 : 0)
    if (explain !== undefined) explains.push(explain)
    micros = nowMicros() - before
  }
  return { ...flatten(found), explains, unlike: Uint8Array.from(unlike), micros }
}

function searchAllTogether(context: SearchContext, { request, queries }: SearchChunk): FlatHits {
  const before = nowMicros()
  const results = searchTogether(context, queries, request)
  const unlike = Uint8Array.from(results, ({ isUnlike }) => (isUnlike ? 1 : 0))
  const micros = nowMicros() - before
  return { ...flatten(results.map(({ hits }) => hits)), explains: [], unlike, micros }
}

function flatten(found: readonly Hit[][]): Pick<FlatHits, 'counts' | 'ids' | 'distances'> {
  const counts = Uint32Array.from(found, (hits) => hits.length)
  const total = counts.reduce((sum, count) => sum + count, 0)
  const [ids, distances] = [new Float64Array(total), new Float64Array(total)]
  let at = 0
  for (const hits of found) {
    for (const { id, distance } of hits) {
      ids[at] = id
      distances[at++] = distance
    }
  }
  return { counts, ids, distances }
}

/** Makes objects of flat hits; where they are very many, some in each turn of the event loop. */
export async function unflatten(flat: FlatHits): Promise<Found[]> {
  const { counts, ids, distances, explains } = flat
  const found: Found[] = []
  let at = 0
  let turnEnd = nowMicros() + OBJECTS_MICROS
  for (const [query, count] of counts.entries()) {
    const hits: Hit[] = []
    while (hits.length < count) {
      for (const end = Math.min(count, hits.length + HITS_PER_LOOK); hits.length < end; at++)
        hits.push({ id: ids[at], distance: distances[at] })
      if (nowMicros() < turnEnd) continue
      await setImmediate()
      turnEnd = nowMicros() + OBJECTS_MICROS
    }
    found.push(explains.length === 0 ? hits : { hits, explain: explains[query] })
  }
  return found
}
