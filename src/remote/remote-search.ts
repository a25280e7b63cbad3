// A search of an index that is read from afar: what is checked before it, and which search it is. The stages are those
// of search/search.ts, and so are the hits.

import type { Searcher } from '../pool/later-documents.ts'
import { readVectorLater, searchDocumentsLater } from '../pool/later-documents.ts'
import type { Found } from '../pool/search-chunk.ts'
import { isPlain, type FoundDocuments } from '../search/document-search.ts'
import { checkWants } from '../search/hit-wants.ts'
import { isIdQuery, notFound } from '../search/id-query.ts'
import { expectId } from '../search/lookup.ts'
import { checkAsyncRequest, checkQuery } from '../search/request.ts'
import { searchLater } from '../search/search-later.ts'
import type { SeenQueries } from '../search/seen-queries.ts'
import type { AsyncSearchOptions, Explain, Hit, Id, IdQuery, QueryVector } from '../types.ts'
import { CountedFetches, type NetworkUse } from './counted-fetches.ts'
import type { RemoteSession } from './remote-session.ts'

/** Facts about one search, also of the network. */
export interface RemoteExplain extends Explain {
  readonly network: NetworkUse
}

export interface RemoteQuery {
  readonly query: QueryVector | IdQuery<Id>
  readonly options: AsyncSearchOptions
  readonly seen: SeenQueries
}

/** Hits with what `explain` tells. */
export interface ExplainedRemoteHits {
  readonly hits: Hit<Id, unknown>[]
  readonly explain: RemoteExplain
}

/** Searches a session; rejects as `RemoteIndex.search` does. */
export async function searchSession(
  session: RemoteSession,
  { query, options, seen }: RemoteQuery
): Promise<Hit<Id, unknown>[] | ExplainedRemoteHits> {
  const { context, requested, snapshot } = session
  const request = checkAsyncRequest(options, requested)
  const wants = checkWants(options, context.documents.filters)
  const { signal } = options
  signal?.throwIfAborted()
  const { dim, metric } = snapshot.meta
  const fetcher = new CountedFetches(session.fetcher)
  const later = { index: session, turns: session.turns, fetcher }
  const pool: Searcher = {
    run: async (task) => {
      const result = await searchLater(later, { query: task.queries, request: task.request, signal: task.signal })
      if (task.isRepeat !== true) seen.note(task.request, result.isUnlike)
      const { hits, explain } = result
      return [explain === undefined ? hits : { hits, explain }] satisfies Found[]
    }
  }
  let vector: Float32Array
  let leftOut: Id | undefined
  if (isIdQuery(query)) {
    leftOut = query.id
    expectId(leftOut, context.documents)
    const row = await readVectorLater({ context, fetcher }, leftOut, signal)
    if (row === undefined) throw notFound(leftOut)
    vector = row.vector
  } else vector = checkQuery(query, dim, metric).slice()
  const of = { request, wants, leftOut }
  const task = { queries: vector, isBatch: false, signal }
  const [found] = isPlain(context, of)
    ? await pool.run({ ...task, request })
    : await searchDocumentsLater({ context, pool, fetcher }, task, of)
  return withNetwork(found, fetcher)
}

function withNetwork(found: FoundDocuments, fetcher: CountedFetches): Hit<Id, unknown>[] | ExplainedRemoteHits {
  return Array.isArray(found) ? found : { hits: found.hits, explain: { ...found.explain, network: fetcher.use } }
}
