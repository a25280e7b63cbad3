// A search of an open index as callers ask for it: what is checked before it, and which search it is.

import type { Id, IdQuery, QueryVector, SearchOptions } from '../types.ts'
import { isPlain, searchDocuments, type FoundDocuments } from './document-search.ts'
import { checkWants } from './hit-wants.ts'
import { queryOf } from './id-query.ts'
import type { OpenIndex } from './open-index.ts'
import { checkRequest } from './request.ts'
import { search } from './search.ts'
import type { SeenQueries } from './seen-queries.ts'

/** Searches; throws as `ZgqIndex.search` does. */
export function searchIndex(
  index: OpenIndex,
  of: { readonly query: QueryVector | IdQuery<Id>; readonly options: SearchOptions; readonly seen: SeenQueries }
): FoundDocuments {
  const { options, seen } = of
  const { context, requested } = index
  const request = checkRequest(options, requested)
  const wants = checkWants(options, context.documents.filters)
  const { vector, leftOut } = queryOf(index, of.query)
  const asked = { request, wants, leftOut }
  if (!isPlain(context, asked)) {
    const { found, isUnlike } = searchDocuments(context, vector, asked)
    // Whether a query is unlike is not asked where a filter decides.
    if (wants.filter === undefined) seen.note(request, isUnlike)
    return found
  }
  const result = search(context, vector, request)
  seen.note(request, result.isUnlike)
  return result.explain === undefined ? result.hits : { hits: result.hits, explain: result.explain }
}
