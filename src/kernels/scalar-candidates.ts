// Candidates of a scan of codes in the scalar kernel, in the same bytes as in assembly/scan-codes.ts and with the same
// moves.

import { candidateAddress } from './addresses.ts'
import {
  CANDIDATE_BYTES,
  CANDIDATE_ESTIMATE_AT,
  CANDIDATE_LOW_AT,
  CANDIDATE_ROW_AT,
  CANDIDATE_SEGMENT_AT,
  CANDIDATES_CAPACITY_AT,
  CANDIDATES_SIZE_AT
} from './layouts.ts'
import type { ScalarViews } from './scalar-views.ts'

const WORDS = CANDIDATE_BYTES / 4
const LOW = CANDIDATE_LOW_AT / 4

/**
 * Adds a candidate; where there is no room, drops those that the limit rules out or, if that is not half of them, those
 * with the largest bounds.
 */
export function addCandidate(
  views: ScalarViews,
  candidates: number,
  entry: { low: number; estimate: number; segment: number; row: number },
  limit: number
): void {
  const { words, floats } = views
  const size = (candidates + CANDIDATES_SIZE_AT) / 4,
    capacity = (candidates + CANDIDATES_CAPACITY_AT) / 4
  if (words[size] === words[capacity])
    words[size] = Math.min(sortCandidates(views, candidates, limit), words[capacity] >>> 1)
  const at = candidateAddress(candidates, words[size])
  floats[(at + CANDIDATE_LOW_AT) / 4] = entry.low
  floats[(at + CANDIDATE_ESTIMATE_AT) / 4] = entry.estimate
  words[(at + CANDIDATE_SEGMENT_AT) / 4] = entry.segment
  words[(at + CANDIDATE_ROW_AT) / 4] = entry.row
  words[size]++
}

/** Drops candidates above `limit`, sorts the others by lowest likely distance; returns how many there are. */
export function sortCandidates(views: ScalarViews, candidates: number, limit: number): number {
  const { words, floats } = views
  const first = candidateAddress(candidates, 0) / 4
  const size = words[(candidates + CANDIDATES_SIZE_AT) / 4]
  let kept = 0
  for (let i = 0; i < size; i++) {
    if (floats[first + i * WORDS + LOW] > Math.fround(limit)) continue
    move(words, first + i * WORDS, first + kept * WORDS)
    kept++
  }
  const heap: CandidateHeap = { views, first, value: new Uint32Array(WORDS) }
  for (let root = (kept >>> 1) - 1; root >= 0; root--) {
    take(heap, root)
    sink(heap, root, kept)
  }
  for (let end = kept - 1; end > 0; end--) {
    take(heap, end)
    move(words, first, first + end * WORDS)
    sink(heap, 0, end)
  }
  words[(candidates + CANDIDATES_SIZE_AT) / 4] = kept
  return kept
}

interface CandidateHeap {
  readonly views: ScalarViews
  /** Index of the first entry in words. */
  readonly first: number
  /** The entry that is to sink. */
  readonly value: Uint32Array
}

function move(words: Uint32Array, from: number, to: number): void {
  words.copyWithin(to, from, from + WORDS)
}

function take({ views, first, value }: CandidateHeap, at: number): void {
  value.set(views.words.subarray(first + at * WORDS, first + (at + 1) * WORDS))
}

/** Lets the value sink from `root`, whose place is free, in a heap of `size` entries with the largest bound first. */
function sink({ views, first, value }: CandidateHeap, root: number, size: number): void {
  const { words, floats } = views
  const low = new Float32Array(value.buffer)[LOW]
  const lowAt = (at: number): number => floats[first + at * WORDS + LOW]
  let at = root
  for (let child = 2 * at + 1; child < size; child = 2 * at + 1) {
    if (child + 1 < size && lowAt(child + 1) > lowAt(child)) child++
    if (lowAt(child) <= low) break
    move(words, first + child * WORDS, first + at * WORDS)
    at = child
  }
  words.set(value, first + at * WORDS)
}
