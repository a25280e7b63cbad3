// Queries that name a stored vector: its neighbours are searched, itself left out.

import { describe } from '../describe.ts'
import { ZgqError } from '../errors.ts'
import { checkOptionNames } from '../options.ts'
import type { Id, IdQuery, QueryVector } from '../types.ts'
import { findPlace, vectorAt } from './index-rows.ts'
import type { OpenIndex } from './open-index.ts'
import { checkForm } from './request.ts'

/** Checks a query; one by its id is looked up. leftOut: the id of a row that is left out. */
export function queryOf(
  index: OpenIndex,
  query: QueryVector | IdQuery<Id>
): { readonly vector: Float32Array; readonly leftOut: Id | undefined } {
  const { dim, metric } = index.snapshot.meta
  if (!isIdQuery(query)) return { vector: checkForm(query, dim, metric), leftOut: undefined }
  const found = findPlace(index, query.id)
  if (found === undefined) throw notFound(query.id)
  return { vector: vectorAt(index.context, found), leftOut: query.id }
}

/** Tells a query by its id; throws TypeError for one with further keys. */
export function isIdQuery(query: unknown): query is IdQuery<Id> {
  if (typeof query !== 'object' || query === null || ArrayBuffer.isView(query) || Array.isArray(query)) return false
  if (!('id' in query)) return false
  checkOptionNames('a query by its id', query, ['id'])
  return true
}

export function notFound(id: Id): ZgqError {
  return new ZgqError('ZGQ_NOT_FOUND', `there is no vector with id ${describe(id)}`)
}
