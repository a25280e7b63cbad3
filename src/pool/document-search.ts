// Searches with all that a caller may want of hits: filters, ids that are strings, ties by id, payloads. The searches
// themselves are those of search.ts and of the pool; here is what stands before and after them.

import { setImmediate } from 'node:timers/promises'

import type { Fetcher } from '../search/fetcher.ts'
import { completeHits, endsInTie, rangesOfHits, type HitsToComplete } from '../search/documents.ts'
import type { HitWants } from '../search/hit-wants.ts'
import type { FilterMasks } from '../search/filter-masks.ts'
import { leastGain } from '../search/masked-rule.ts'
import type { SearchRequest } from '../search/request.ts'
import type { FileRange } from '../storage/reader.ts'
import type { SearchContext, SearchResult } from '../search/search-context.ts'
import { search } from '../search/search.ts'
import type { ExplainedHits, Hit, Id } from '../types.ts'
import type { Found } from './search-chunk.ts'
import type { SearchPool } from './search-pool.ts'

/** A search, as it was checked. */
export interface DocumentSearch {
  readonly request: SearchRequest
  readonly wants: HitWants
  /** What heaps hold for a row that is left out; undefined: none. */
  readonly leftOut: number | undefined
}

/** Hits of the caller's kind. */
export type FoundDocuments = Hit<Id, unknown>[] | ExplainedHits<Id, unknown>

/** How often the hits asked for are multiplied while they end in a tie. */
const TIE_GROWTH = 4

/** Tells whether a search wants no more than the kernel's own hits. */
export function isPlain(context: SearchContext, { wants, leftOut }: DocumentSearch): boolean {
  const { filter, maxDistance, payload } = wants
  return (
    !context.documents.usesOrdinals &&
    filter === undefined &&
    maxDistance === Infinity &&
    payload === false &&
    leftOut === undefined
  )
}

/** Searches and completes the hits; throws as `search` does, and as reads of fields, ids and payloads do. */
export function searchDocuments(
  context: SearchContext,
  query: Float32Array,
  of: DocumentSearch
): { readonly found: FoundDocuments; readonly isUnlike: boolean } {
  const { documents } = context
  const { filter } = of.wants
  const masks = filter === undefined ? undefined : documents.filters.take(filter)
  try {
    let result: SearchResult | undefined
    for (let k = firstK(context, of); ; k = Math.min(k * TIE_GROWTH, context.workspace.planned.count)) {
      result = search(context, query, requestWith(context, of, { masks, k }))
      if (!mustRepeat(context, of, { hits: result.hits, k })) break
    }
    const hits = completeHits(documents, toComplete(of, result.hits))
    const { explain, isUnlike } = result
    return { found: explain === undefined ? hits : { hits, explain }, isUnlike }
  } finally {
    if (masks !== undefined) documents.filters.giveBack(masks)
  }
}

/** What searches that leave the event loop free work with. */
export interface LaterDocuments {
  readonly context: SearchContext
  readonly pool: SearchPool
  readonly fetcher: Fetcher
}

/** Queries to be searched with one request. */
export interface DocumentQueries {
  /** float32, n * dim */
  readonly queries: Float32Array
  readonly isBatch: boolean
  readonly signal: AbortSignal | undefined
}

/** The same for many queries, without blocking; rejects as `SearchPool.run` does. */
export async function searchDocumentsLater(
  later: LaterDocuments,
  task: DocumentQueries,
  of: DocumentSearch
): Promise<FoundDocuments[]> {
  const { context, pool } = later
  const queries = task.queries.slice() // the caller's may change while a filter is evaluated
  const masks = await takeMasks(later, of.wants, task.signal)
  try {
    const k = firstK(context, of)
    const run = (some: Float32Array, mostHits: number): Found[] | Promise<Found[]> =>
      pool.run({ ...task, queries: some, request: requestWith(context, of, { masks, k: mostHits }) })
    const found = await run(queries, k)
    const { dim, planned } = context.workspace
    for (const [i, first] of found.entries()) {
      let hits = hitsOf(first)
      for (let most = k; mustRepeat(context, of, { hits, k: most });) {
        most = Math.min(most * TIE_GROWTH, planned.count)
        const [again] = await run(queries.subarray(i * dim, (i + 1) * dim), most)
        found[i] = again
        hits = hitsOf(again)
      }
    }
    return await completeLater(later, found, { of, signal: task.signal })
  } finally {
    if (masks !== undefined) context.documents.filters.giveBack(masks)
  }
}

function hitsOf(found: Found): Hit[] {
  return Array.isArray(found) ? found : found.hits
}

async function takeMasks(
  { context, fetcher }: LaterDocuments,
  { filter }: HitWants,
  signal: AbortSignal | undefined
): Promise<FilterMasks | undefined> {
  if (filter === undefined) return undefined
  const { documents, files } = context
  return documents.filters.takeLater(filter, { fetcher, files, signal, turn: () => setImmediate() })
}

/** Queries whose hits are completed between two turns of the event loop. */
const QUERIES_PER_TURN = 16

async function completeLater(
  later: LaterDocuments,
  found: readonly Found[],
  { of, signal }: { readonly of: DocumentSearch; readonly signal: AbortSignal | undefined }
): Promise<FoundDocuments[]> {
  const { documents } = later.context
  const completed: FoundDocuments[] = []
  for (const [i, each] of found.entries()) {
    if (i % QUERIES_PER_TURN === QUERIES_PER_TURN - 1) await setImmediate()
    const hits = toComplete(of, hitsOf(each))
    const { tables, payloads } = rangesOfHits(documents, hits)
    // Tables are decoded and kept with the first round, so that the second needs nothing of it but where payloads are.
    const ranges = tables.length === 0 ? payloads() : await reading(later, { ranges: tables, signal }, payloads)
    const complete = await reading(later, { ranges, signal }, () => completeHits(documents, hits))
    completed.push(Array.isArray(each) ? complete : { hits: complete, explain: each.explain })
  }
  return completed
}

/** Does work whose reads are served by ranges that are fetched first. */
async function reading<Result>(
  { context, fetcher }: LaterDocuments,
  of: { readonly ranges: readonly FileRange[]; readonly signal: AbortSignal | undefined },
  work: () => Result
): Promise<Result> {
  if (of.ranges.length === 0) return work()
  const fetched = await fetcher.fetch({ ranges: of.ranges, held: [] }, of.signal)
  try {
    return context.files.withFetched(fetched.bytes, work)
  } finally {
    fetched.release()
  }
}

/** Hits that a search is asked for: one more shows whether the last ones are in a tie. */
function firstK({ workspace, documents }: SearchContext, { request, leftOut }: DocumentSearch): number {
  const { k } = request
  if (k === 0) return 0
  return Math.min(workspace.planned.count, k + (leftOut === undefined ? 0 : 1) + (documents.usesOrdinals ? 1 : 0))
}

/** Tells whether more hits are needed to know which belong to the first k. */
function mustRepeat(
  { workspace, documents }: SearchContext,
  { request, leftOut }: DocumentSearch,
  { hits, k }: { readonly hits: readonly Hit[]; readonly k: number }
): boolean {
  const wanted = request.k + (leftOut === undefined ? 0 : 1)
  return documents.usesOrdinals && k < workspace.planned.count && hits.length === k && endsInTie({ hits, k: wanted })
}

function toComplete({ request, wants, leftOut }: DocumentSearch, hits: readonly Hit[]): HitsToComplete {
  return { hits, k: request.k, wants, leftOut }
}

function requestWith(
  { documents }: SearchContext,
  { request }: DocumentSearch,
  of: { readonly masks: FilterMasks | undefined; readonly k: number }
): SearchRequest {
  const { masks, k } = of
  if (masks === undefined) return k === request.k ? request : { ...request, k }
  const { probe, isExact } = request
  const recall = 'recall' in probe ? probe.recall : undefined
  const filter = {
    masks,
    nprobe: recall === undefined && !isExact && 'nprobe' in probe ? probe.nprobe : undefined,
    meanZones: 'zones' in probe ? probe.zones : 0,
    leastGain: recall === undefined ? 0 : leastGain(recall) * documents.gain,
    alignment: documents.alignment
  }
  // How many zones are probed is the filter's business.
  return { ...request, k: Math.min(k, masks.matchCount), probe: { nprobe: 1 }, filter }
}
