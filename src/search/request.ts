// Checks the arguments of a search, once, at the door.

import { countOf, describe, formatCount } from '../describe.ts'
import { ZgqError } from '../errors.ts'
import { toFloat32Array } from '../float-arrays.ts'
import type { Confidence } from '../quantizer/query-codes.ts'
import { thresholdFor } from '../format/calibration.ts'
import { checkOptionNames, expectWholeNumber } from '../options.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import type { SearchPlan } from '../info-types.ts'
import type { AsyncSearchOptions, Calibration, Metric, QueryVector, SearchOptions } from '../types.ts'
import { CONFIDENCE, confidenceFor } from './confidence.ts'
import { defaultNprobe } from './default-nprobe.ts'
import type { ProbeWish } from './probe-wish.ts'
import type { RequestFilter } from './request-filter.ts'
import type { Masks } from './row-masks.ts'
import { isAlwaysExact, isExactCheaper, isExactWorthwhile, plannedIndex, type PlannedIndex } from './strategy.ts'

export interface SearchRequest {
  readonly k: number
  readonly probe: ProbeWish
  readonly explain: boolean
  readonly isExact: boolean
  /** Candidates to rerank at least. */
  readonly rerank: number
  readonly confidence: Confidence
  /** Which rows may be found; undefined: all. For calibrations. */
  readonly masks?: Masks | undefined
  /** The caller's filter, evaluated. */
  readonly filter?: RequestFilter | undefined
  /** Hits that are wanted of all rows, where `k` says how many of the rows of segments; undefined: k. */
  readonly wanted?: number | undefined
  /** Hits are to be completed: they may need more than their ids. */
  readonly isForDocuments?: boolean | undefined
  /** Hits are to be completed with their payloads, too. */
  readonly readsPayloads?: boolean | undefined
}

/** The options of the last search and what they mean: most programs ask for the same again and again. */
export interface LastRequest {
  readonly options: SearchOptions
  readonly request: SearchRequest
}

/** Facts of the index that a request is checked against. */
export interface RequestedIndex extends PlannedIndex {
  /** Rows that there are at most, fresh ones too: no search finds more. */
  readonly rows: number
  readonly calibration: Calibration | null
  /** Kept here between requests. */
  last: LastRequest | undefined
}

/** Returns the facts that requests to an index are checked against. */
export function requestedIndex(snapshot: Snapshot, freshCount = 0): RequestedIndex {
  const { meta, calibration } = snapshot
  return { ...plannedIndex(snapshot), rows: meta.count + freshCount, calibration, last: undefined }
}

const OPTION_NAMES = ['k', 'nprobe', 'exact', 'recall', 'rerank', 'explain', 'filter', 'maxDistance', 'payload']
const ASYNC_OPTION_NAMES = [...OPTION_NAMES, 'signal']
/** Hits of a search that names no number. */
const DEFAULT_K = 10
/** Recall of a search that names none. */
export const DEFAULT_RECALL = 0.95
/**
 * Values of an index (count * dim) up to which a recall above what its calibration can promise is reached by the exact
 * scan: 0.1 ms.
 */
const SMALL_INDEX_VALUES = 2 ** 20

/** Checks the options of a search; throws TypeError, RangeError, ZGQ_RECALL or ZGQ_UNSUPPORTED. */
export function checkRequest(options: SearchOptions, index: RequestedIndex, names = OPTION_NAMES): SearchRequest {
  checkOptionNames('search', options, names)
  const { last } = index
  if (last !== undefined && areSame(options, last.options)) return last.request
  const request = requestFor(options, index)
  const { k, nprobe, exact, recall, rerank, explain } = options
  index.last = { options: { k, nprobe, exact, recall, rerank, explain }, request }
  return request
}

function areSame(a: SearchOptions, b: SearchOptions): boolean {
  return (
    a.k === b.k &&
    a.nprobe === b.nprobe &&
    a.exact === b.exact &&
    a.recall === b.recall &&
    a.rerank === b.rerank &&
    a.explain === b.explain
  )
}

function requestFor(options: SearchOptions, index: RequestedIndex): SearchRequest {
  const { k = DEFAULT_K, nprobe, exact = false, recall, rerank = 0, explain = false } = options
  expectWholeNumber('k', k, { least: 0 })
  expectWholeNumber('rerank', rerank, { least: 0 })
  if (typeof exact !== 'boolean') throw new TypeError(`exact must be a boolean, found ${describe(exact)}`)
  if (typeof explain !== 'boolean') throw new TypeError(`explain must be a boolean, found ${describe(explain)}`)
  if (nprobe !== undefined) expectWholeNumber('nprobe', nprobe, { least: 1 })
  if (recall !== undefined) expectRecall(recall)
  const ways = [nprobe !== undefined && 'nprobe', exact && 'exact', recall !== undefined && 'recall'].filter(Boolean)
  if (ways.length > 1) throw new TypeError(`give one of nprobe, exact and recall, found ${ways.join(' and ')}`)
  const shared = { k: Math.min(k, index.rows), explain, rerank: Math.min(rerank, index.count) }
  if (nprobe !== undefined) return { ...shared, isExact: false, probe: { nprobe }, confidence: CONFIDENCE }
  const probe = exact ? 'exact' : wishFor(recall, Math.max(1, shared.k), index)
  if (probe === 'exact') return { ...shared, isExact: true, probe: { nprobe: index.zoneCount }, confidence: CONFIDENCE }
  const trust = 'trust' in probe ? probe.trust : undefined
  return { ...shared, isExact: false, probe, confidence: confidenceFor(recall ?? DEFAULT_RECALL, trust) }
}

/** Checks the options of a search that runs beside the caller; throws as `checkRequest` does. */
export function checkAsyncRequest(options: AsyncSearchOptions, index: RequestedIndex): SearchRequest {
  const request = checkRequest(options, index, ASYNC_OPTION_NAMES)
  const { signal } = options
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw new TypeError(`signal must be an AbortSignal, found ${describe(signal)}`)
  return request
}

/** Throws TypeError or RangeError unless `recall` lies between 0 and 1. */
export function expectRecall(recall: unknown): asserts recall is number {
  if (typeof recall !== 'number') throw new TypeError(`recall must be a number, found ${describe(recall)}`)
  if (!(recall > 0 && recall < 1))
    throw new RangeError(`recall must be above 0 and below 1, found ${recall}; exact: true finds all`)
}

/** Tells how a search for 10 hits goes that is told nothing else. */
export function describePlan(index: RequestedIndex): SearchPlan {
  const { count, dim, zoneCount } = index
  const wish = wishFor(undefined, DEFAULT_K, index)
  if (wish === 'exact') {
    const [much, met] = isAlwaysExact(index)
      ? ['no more', 'any recall']
      : ['hardly more', `a recall of ${DEFAULT_RECALL}`]
    return {
      kind: 'exact',
      reason:
        `scanning ${countOf(count, 'row')} of ${countOf(dim, 'dimension')} costs ${much} than choosing zones, so ` +
        `${met} is met exactly`
    }
  }
  if (zoneCount === 0) return { kind: 'recall', reason: 'there are no zones yet: each query scans all rows' }
  return 'nprobe' in wish
    ? {
        kind: 'nprobe',
        reason: `not calibrated: every query probes ${wish.nprobe} of ${zoneCount} zones, whatever the recall`
      }
    : { kind: 'recall', reason: 'each query probes as many zones as the calibration says' }
}

/** Of an index that has deltas only. */
const NO_ZONES: ProbeWish = { nprobe: 0 }

/**
 * Turns a recall into a threshold, or into an exact search where that costs no more; undefined stands for the default
 * recall, which is less where less can be promised.
 */
function wishFor(recall: number | undefined, k: number, index: RequestedIndex): ProbeWish | 'exact' {
  const { calibration, count, dim, zoneCount } = index
  if (isAlwaysExact(index)) return 'exact'
  // Of deltas every search looks at all rows: there is no choice to be calibrated.
  if (zoneCount === 0) return isExactCheaper(index, k) ? 'exact' : NO_ZONES
  if (calibration === null) {
    if (recall === undefined) return { nprobe: defaultNprobe(zoneCount) }
    throw new ZgqError(
      'ZGQ_UNSUPPORTED',
      'this index has no calibration: run `zgq calibrate` on it, or use nprobe or exact: true'
    )
  }
  const wanted = recall ?? DEFAULT_RECALL
  if (wanted > calibration.highestRecall) {
    if (count * dim <= SMALL_INDEX_VALUES) return 'exact'
    if (recall !== undefined) {
      const most = (Math.floor(calibration.highestRecall * 10_000) / 10_000).toString()
      throw new ZgqError(
        'ZGQ_RECALL',
        `a recall of ${recall} cannot be promised; the calibration by ${calibration.queries} queries allows up ` +
          `to ${most}. Ask for less, calibrate with more queries, or use exact: true`
      )
    }
  }
  const { scale, usual, highestRecall } = calibration
  const aim = Math.min(wanted, highestRecall)
  const wish = thresholdFor(calibration, aim, k)
  return isExactWorthwhile(index, { zones: wish.zones, k }) ? 'exact' : { ...wish, recall: aim, scale, usual }
}

/** Checks a query and returns it as float32; throws TypeError, ZGQ_DIMENSION, ZGQ_NON_FINITE or ZGQ_ZERO_VECTOR. */
export function checkQuery(query: QueryVector, dim: number, metric: Metric): Float32Array {
  const vector = toVector(query, dim)
  let norm2 = 0
  for (let i = 0; i < dim; i++) norm2 += vector[i] * vector[i]
  expectComparable({ query, vector }, norm2, metric)
  return vector
}

/** Checks the form of a query alone; the values of float32 are checked where they are copied to. */
export function checkForm(query: QueryVector, dim: number, metric: Metric): Float32Array {
  return query instanceof Float32Array && query.length === dim ? query : checkQuery(query, dim, metric)
}

/**
 * Throws ZGQ_NON_FINITE or ZGQ_ZERO_VECTOR for a vector that has no distances; norm2: the sum of its squares, in double
 * precision. `query`: what it was made of.
 */
export function expectComparable(
  of: { readonly query: ArrayLike<number>; readonly vector: Float32Array },
  norm2: number,
  metric: Metric
): void {
  if (norm2 > 0 && norm2 < Infinity) return
  const at = of.vector.findIndex((value) => !Number.isFinite(value))
  if (at >= 0)
    throw new ZgqError(
      'ZGQ_NON_FINITE',
      `the query holds ${of.query[at]} at position ${at}, which is not a finite float32`
    )
  if (metric === 'cosine') throw new ZgqError('ZGQ_ZERO_VECTOR', 'the query has length zero: cosine cannot compare it')
}

function toVector(query: QueryVector, dim: number): Float32Array {
  const isArray = Array.isArray(query)
  const floats = isArray ? undefined : toFloat32Array(query)
  if (!isArray && floats === undefined) {
    throw new TypeError(`query must be a Float32Array, a Float64Array or an array of numbers, found ${describe(query)}`)
  }
  if (query.length !== dim)
    throw new ZgqError(
      'ZGQ_DIMENSION',
      `the query has ${countOf(query.length, 'value')}, expected ${formatCount(dim)}, the dimension of the index`
    )
  return floats ?? vectorOfNumbers(query)
}

function vectorOfNumbers(query: ArrayLike<unknown>): Float32Array {
  return Float32Array.from(query, (value, i) => {
    if (typeof value === 'number') return value
    throw new TypeError(`query must hold numbers only, found ${describe(value)} at position ${i}`)
  })
}

/**
 * Checks a batch of queries (n * dim values) as a whole and returns it as float32; throws TypeError or ZGQ_DIMENSION.
 * Its values are checked query by query.
 */
export function checkQueries(queries: Float32Array | Float64Array, dim: number): Float32Array {
  const vectors = toFloat32Array(queries)
  if (vectors === undefined)
    throw new TypeError(`queries must be a Float32Array or a Float64Array, found ${describe(queries)}`)
  if (vectors.length % dim !== 0)
    throw new ZgqError(
      'ZGQ_DIMENSION',
      `the queries have ${countOf(vectors.length, 'value')}, expected a multiple of ${formatCount(dim)}, the ` +
        'dimension of the index'
    )
  return vectors
}
