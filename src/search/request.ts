// Checks the arguments of a search, once, at the door.

import { ZgqError } from '../errors.ts'
import type { Metric, SearchOptions } from '../types.ts'
import { checkOptionNames, expectWholeNumber } from '../options.ts'

export interface SearchRequest {
  readonly k: number
  readonly nprobe: number
  readonly explain: boolean
  readonly isExact: boolean
  /** Candidates to rerank at least. */
  readonly rerank: number
}

const OPTION_NAMES = ['k', 'nprobe', 'exact', 'recall', 'rerank', 'explain']

/** Checks the options of a search; throws TypeError, RangeError or ZGQ_UNSUPPORTED. */
export function checkRequest(options: SearchOptions, index: { count: number; zoneCount: number; defaultNprobe: number }): SearchRequest {
  checkOptionNames('search', options, OPTION_NAMES)
  const { k = 10, nprobe, exact = false, recall, rerank = 0, explain = false } = options
  expectWholeNumber('rerank', rerank, { least: 0 })
  expectWholeNumber('k', k, { least: 0 })
  if (typeof exact !== 'boolean') throw new TypeError(`exact must be a boolean, found ${String(exact)}`)
  if (typeof explain !== 'boolean') throw new TypeError(`explain must be a boolean, found ${String(explain)}`)
  if (nprobe !== undefined) expectWholeNumber('nprobe', nprobe, { least: 1 })
  const ways = [nprobe !== undefined && 'nprobe', exact && 'exact', recall !== undefined && 'recall'].filter(Boolean)
  if (ways.length > 1) throw new TypeError(`give one of nprobe, exact and recall, found ${ways.join(' and ')}`)
  if (recall !== undefined) throw new ZgqError('ZGQ_UNSUPPORTED', 'search by recall needs an index with a calibration, which this version does not build; use nprobe or exact')
  return { k: Math.min(k, index.count), nprobe: exact ? index.zoneCount : (nprobe ?? index.defaultNprobe), explain, isExact: exact, rerank: Math.min(rerank, index.count) }
}

/** Checks a query and returns it as float32; throws TypeError, ZGQ_DIMENSION, ZGQ_NON_FINITE or ZGQ_ZERO_VECTOR. */
export function checkQuery(query: Float32Array | readonly number[], dim: number, metric: Metric): Float32Array {
  const isArray = Array.isArray(query)
  if (!isArray && !(query instanceof Float32Array)) throw new TypeError('query must be a Float32Array or an array of numbers')
  if (query.length !== dim) throw new ZgqError('ZGQ_DIMENSION', `the query has ${query.length} values, the index has vectors of ${dim}`)
  if (isArray && !query.every((value) => typeof value === 'number')) throw new TypeError('query must hold numbers only')
  const vector = query instanceof Float32Array ? query : Float32Array.from(query)
  let isZero = true
  for (let i = 0; i < dim; i++) {
    if (!Number.isFinite(vector[i])) throw new ZgqError('ZGQ_NON_FINITE', `the query holds ${query[i]} at position ${i}, which is not a finite float32`)
    if (vector[i] !== 0) isZero = false
  }
  if (isZero && metric === 'cosine') throw new ZgqError('ZGQ_ZERO_VECTOR', 'the query has length zero, which has no direction: cosine cannot compare it')
  return vector
}
