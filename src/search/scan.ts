// Stage 2: from the segments of the list to hits in the heap, by their float32 rows, or to candidates, by their codes.
// What is scanned lies in kernel memory; where the scan reaches what does not, it stops and goes on later.

import type { CodesCache } from '../cache/codes-cache.ts'
import type { RowCache } from '../cache/row-cache.ts'
import { nowMicros } from '../clock.ts'
import { ZgqError } from '../errors.ts'
import { joinU64 } from '../format/u64.ts'
import { heapDistances, heapIds } from '../kernels/addresses.ts'
import type { Hit, Metric } from '../types.ts'
import type { CodeState } from './code-state.ts'
import type { SearchRequest } from './request.ts'
import type { SearchState } from './search-state.ts'

/** Half a unit in the last place of float32. */
const ROUNDING = 2 ** -24
/** Smallest positive float32: what a sum can lose at each term by underflow. */
const UNDERFLOW = 2 ** -149
/** Norms between which products of float32 neither overflow nor lose digits on the way to a cosine. */
const SAFE_NORM = 1e15

/** Between which Euclidean norms rows lie. */
interface Norms {
  readonly minNorm: number
  readonly maxNorm: number
}

/**
 * Sets by how much a float32 distance may be above the worst hit and still be looked at in double precision.
 * Bounds of summation after Higham, Accuracy and Stability of Numerical Algorithms, section 4.2: |error| <= n u / (1 -
 * n u) * sum of |terms|, with n the longest chain of roundings: dim / 16 additions in a lane, at most 3 more, the
 * joining of lanes, the tail, the terms themselves: below 32.
 */
export function setTolerance(of: Pick<SearchState, 'metric' | 'dim' | 'scanQuery'>, norms: Norms): void {
  const { metric, dim, scanQuery } = of
  const chain = (dim / 16 + 32) * ROUNDING
  const bound = chain / (1 - chain)
  scanQuery.relative = metric === 'l2' ? 2 * bound : 0
  scanQuery.absolute =
    2 * (dim * UNDERFLOW + absoluteError(metric, bound, { norms, queryNorm: Math.sqrt(scanQuery.queryNorm2) }))
}

function absoluteError(metric: Metric, bound: number, of: { norms: Norms; queryNorm: number }): number {
  const { norms, queryNorm } = of
  switch (metric) {
    case 'l2':
      return 0
    case 'ip':
      return bound * queryNorm * norms.maxNorm // sum of |q_i x_i| <= |q| |x|
    case 'cosine': {
      const isSafe = (norm: number): boolean => norm > 1 / SAFE_NORM && norm < SAFE_NORM
      return isSafe(queryNorm) && isSafe(norms.minNorm) && isSafe(norms.maxNorm) ? bound + 4 * ROUNDING : Infinity
    }
  }
}

/** Scans rows until all were scanned (undefined), a part of a segment is lacking, or its turn is over. */
export function scanRows(state: SearchState, cache: RowCache): 'rows' | 'turn' | undefined {
  const { segments, scanQuery } = state
  const { kernel } = state.memory
  const end = Math.min(segments.length, state.scanEnd)
  for (; state.reached < end; state.reached++, state.part = 0) {
    const segment = segments[state.reached]
    if (state.part === 0) setTolerance(state, segment)
    for (const parts = cache.partCount(segment); state.part < parts; state.part++) {
      const run = cache.find(segment, state.part)
      if (run === undefined) return 'rows'
      run.mask = state.maskAt(state.reached)
      state.rowsConfirmed += kernel.scan(scanQuery, run)
      if (isTurnOver(state)) {
        state.part++
        return 'turn'
      }
    }
  }
  return undefined
}

/** Tells whether a search that shares its thread has had its time. */
export function isTurnOver({ deadline }: SearchState): boolean {
  return deadline !== Infinity && nowMicros() >= deadline
}

/** Segments whose codes are scanned between two looks at the clock, where there is a deadline. */
const SEGMENTS_PER_LOOK = 32

/**
 * Estimates from sign planes alone that the limit for candidates is taken from at least: the smallest one of very many
 * is far too small, and would rule out the nearest row (1 to 5 of 100 times).
 */
const FEWEST_ESTIMATES = 3

/** Counts the smallest estimates that the limit for candidates is taken from. */
export function countEstimates(request: SearchRequest, bits: number): number {
  return Math.max(request.k, request.rerank, bits === 1 ? FEWEST_ESTIMATES : 1)
}

/** Makes room for the candidates of the segments of the list. */
export function startCandidates(state: SearchState, codes: CodeState, cache: CodesCache): void {
  const { segments, request } = state
  const { scan } = codes
  let rowCount = 0
  for (const segment of segments) {
    rowCount += segment.rowCount
    cache.touch(segment)
  }
  codes.start(countEstimates(request, scan.bits), request.filter?.masks.matchCount ?? rowCount)
}

/**
 * Scans codes until all before position `end` of the list were scanned (undefined), those of a segment are lacking, or
 * its turn is over.
 */
export function scanCodes(
  state: SearchState,
  codes: CodeState,
  of: { readonly cache: CodesCache; readonly end?: number | undefined }
): 'codes' | 'turn' | undefined {
  const { scan } = codes
  const { cache, end = Math.min(state.segments.length, state.scanEnd) } = of
  scan.segments = cache.table // both may have moved since the scan began
  scan.list = state.list
  while (state.reached < end) {
    const next = state.deadline === Infinity ? end : Math.min(end, state.reached + SEGMENTS_PER_LOOK)
    state.reached = state.memory.kernel.scanCodes(scan, state.reached, next)
    if (state.reached < next) return 'codes'
    if (next < end && isTurnOver(state)) return 'turn'
  }
  return undefined
}

/** Takes the hits out of the heap of `k` entries, nearest first. `sorted`: how many there are, if they are in order. */
export function takeHits(of: Pick<SearchState, 'memory' | 'scanQuery'>, k: number, sorted = -1): Hit[] {
  const { memory, scanQuery } = of
  const size = sorted < 0 ? memory.kernel.heapSort(scanQuery.heap) : sorted
  const distances = memory.float64At(heapDistances(scanQuery.heap), size)
  const ids = memory.uint32At(heapIds(scanQuery.heap, k), size * 2)
  const hits: Hit[] = []
  for (let i = 0; i < size; i++) {
    const hit = { id: joinU64(ids[i * 2], ids[i * 2 + 1]), distance: distances[i] }
    if (!Number.isFinite(hit.distance) || hit.id > Number.MAX_SAFE_INTEGER)
      throw new ZgqError('ZGQ_CORRUPT', `a row has id ${hit.id} and distance ${hit.distance}, which no row can have`)
    hits.push(hit)
  }
  return hits
}
