// Searches with all that a caller may want of hits (search/document-search.ts) that leave the event loop free: what is
// before them and after them is read without blocking, too.

import { inNextTurn } from '#platform'

import type { CompiledFilter } from '../filter/compile-filter.ts'
import type { Fetcher } from '../search/fetcher.ts'
import { firstK, mustRepeat, requestWith, rowsOf, TIE_GROWTH, toComplete } from '../search/document-search.ts'
import type { DocumentSearch, FoundDocuments } from '../search/document-search.ts'
import { payloadOf, placeHits, tablesOf, withPayloads } from '../search/documents.ts'
import { documentAt } from '../search/index-rows.ts'
import type { FilterMasks } from '../search/filter-masks.ts'
import {
  findBuilt,
  findChanged,
  isFresh,
  loadLookup,
  placesOfId,
  rangesOfLookup,
  type RowPlace
} from '../search/lookup.ts'
import type { SearchContext } from '../search/search-context.ts'
import { FetchedBytes, NotFetched, type FetchedRange } from '../storage/fetched-bytes.ts'
import type { FileRange } from '../storage/reader.ts'
import type { Hit, Id, StoredDocument } from '../types.ts'
import type { Found } from './search-chunk.ts'
import type { SearchTask } from './search-job.ts'

/** Who searches the queries of a task: the threads of an index, or the caller's alone. */
export interface Searcher {
  run(task: SearchTask): Found[] | Promise<Found[]>
}

/** What searches that leave the event loop free work with. */
export interface LaterDocuments {
  readonly context: SearchContext
  readonly pool: Searcher
  readonly fetcher: Pick<Fetcher, 'fetch'>
}

/** Queries to be searched with one request. */
export interface DocumentQueries {
  /** Nobody changes them. float32, n * dim */
  readonly queries: Float32Array
  readonly isBatch: boolean
  readonly signal: AbortSignal | undefined
}

/** The same for many queries, without blocking; rejects as what runs them does. */
export async function searchDocumentsLater(
  later: LaterDocuments,
  task: DocumentQueries,
  of: DocumentSearch
): Promise<FoundDocuments[]> {
  const { context, pool } = later
  const { queries } = task
  const { filter } = of.wants
  const masks = filter && (await takeMasks(later, filter, task.signal))
  try {
    const k = firstK(context, of)
    const run = (some: Float32Array, mostHits: number): Found[] | Promise<Found[]> =>
      pool.run({
        ...task,
        queries: some,
        request: requestWith(context, of, { masks, k: mostHits }),
        isRepeat: mostHits > k
      })
    const found = await run(queries, k)
    const { dim } = context.workspace
    for (const [i, first] of found.entries()) {
      let hits = hitsOf(first)
      for (let most = k; mustRepeat(context, of, { hits, k: most });) {
        most = Math.min(most * TIE_GROWTH, rowsOf(context))
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

/** Evaluates a filter without blocking; the masks have to be given back. */
export async function takeMasks(
  { context, fetcher }: LaterReads,
  filter: CompiledFilter,
  signal: AbortSignal | undefined
): Promise<FilterMasks> {
  const { documents, files, states } = context
  const of = { fetcher, files, turn: nextTurn, lease: () => states.lease() }
  return documents.filters.takeLater(filter, of, signal)
}

async function nextTurn(): Promise<void> {
  await new Promise<void>((resolve) => {
    inNextTurn(resolve)
  })
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
    if (i % QUERIES_PER_TURN === QUERIES_PER_TURN - 1) await nextTurn()
    const hits = toComplete(of, hitsOf(each))
    const ofHits = { signal, ranges: tablesOf(documents, hits) }
    const { placed, ranges } = await reading(later, ofHits, () => placeHits(documents, hits))
    const complete = await reading(later, { signal, ranges }, () => withPayloads(documents, placed, of.wants.payload))
    completed.push(Array.isArray(each) ? complete : { hits: complete, explain: each.explain })
  }
  return completed
}

type LaterReads = Pick<LaterDocuments, 'context' | 'fetcher'>

/** Finds a row by its id and reads its vector, without blocking; undefined: there is none. */
export async function readVectorLater(
  later: LaterReads,
  id: Id,
  signal: AbortSignal | undefined
): Promise<{ readonly found: RowPlace; readonly vector: Float32Array } | undefined> {
  const found = await findLater(later, id, signal)
  return found && { found, vector: await vectorLater(later, found, signal) }
}

/** Finds a row by its id without blocking; undefined: there is none. */
export async function findLater(
  later: LaterReads,
  id: Id,
  signal: AbortSignal | undefined
): Promise<RowPlace | undefined> {
  const { documents, files } = later.context
  const changed = findChanged(documents, id)
  if (changed !== undefined) return changed
  // Of pages that were read, few are kept: those of this way are held until its end.
  const held: FetchedRange[] = []
  const withHeld = <Result>(work: () => Result): Result => files.withFetched(new FetchedBytes(held), work)
  for (;;) {
    const ranges = withHeld(() => rangesOfLookup(documents, id))
    if (ranges.length === 0) break
    await reading(later, { ranges, held, signal }, (fetched) => {
      loadLookup(documents, ranges)
      for (const range of ranges) held.push({ ...range, bytes: fetched.bytesOf(range) ?? new Uint8Array(0) })
    })
  }
  const candidates = withHeld(() => placesOfId(documents, id))
  const ranges = documents.files.rangesOfTables(candidates, { ids: true, payloads: false })
  if (ranges.length === 0) return withHeld(() => findBuilt(documents, id))
  return await reading(later, { ranges, held, signal }, () => findBuilt(documents, id))
}

/** Reads a row with its payload by its id, without blocking; undefined: there is none. */
export async function readDocumentLater(
  later: LaterReads,
  id: Id,
  signal: AbortSignal | undefined
): Promise<StoredDocument<Id, unknown> | undefined> {
  const { context } = later
  const { documents, files } = context
  const found = await findLater(later, id, signal)
  if (found === undefined) return undefined
  if (isFresh(found)) return documentAt(context, found, true)
  const tables = documents.files.rangesOfTables([found], { ids: false, payloads: true })
  const ofRow = { signal, ranges: [...files.rangesOfRows(found.segment, found.row, 1), ...tables] }
  const { vector, ranges } = await reading(later, ofRow, () => ({
    vector: files.readRow(found),
    ranges: documents.files.rangesOfPayloads([found])
  }))
  const payload = await reading(later, { signal, ranges }, () => payloadOf(documents, found, true))
  return { id, vector, payload }
}

async function vectorLater(later: LaterReads, found: RowPlace, signal: AbortSignal | undefined): Promise<Float32Array> {
  if (isFresh(found)) return found.vector.slice()
  const { files } = later.context
  const ofRow = { signal, ranges: files.rangesOfRows(found.segment, found.row, 1) }
  return await reading(later, ofRow, () => files.readRow(found))
}

/**
 * Does work whose reads are served by ranges that are fetched first, and by those that are held; where it lacks more,
 * once more with that.
 */
async function reading<Result>(
  { context, fetcher }: LaterReads,
  of: {
    readonly ranges: readonly FileRange[]
    readonly held?: readonly FetchedRange[]
    readonly signal: AbortSignal | undefined
  },
  work: (fetched: FetchedBytes) => Result
): Promise<Result> {
  const { signal } = of
  const held = [...(of.held ?? [])]
  const releases: (() => void)[] = []
  try {
    for (let lacking = of.ranges; ;) {
      if (lacking.length > 0) {
        const { bytes, release } = await fetcher.fetch({ ranges: lacking, held: [] }, signal)
        releases.push(release)
        for (const range of lacking) held.push({ ...range, bytes: bytes.bytesOf(range) ?? new Uint8Array(0) })
      }
      const fetched = new FetchedBytes(held)
      try {
        return context.files.withFetched(fetched, () => work(fetched))
      } catch (error) {
        // What was kept in memory may have had to go meanwhile, or while the work went on.
        if (!(error instanceof NotFetched) || fetched.has(error.range)) throw error
        lacking = [error.range]
      }
    }
  } finally {
    for (const release of releases) release()
  }
}
