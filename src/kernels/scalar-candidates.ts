// Candidates of a scan of codes in the scalar kernel, in the same bytes as in assembly/scan-codes.ts and with the same
// moves: u32 size, u32 capacity, then entries of four words: float32 lowest likely distance, float32 estimate, u32
// zone, u32 row.

import { CANDIDATE_BYTES, CANDIDATES_HEADER_BYTES } from './kernel.ts'
import type { ScalarViews } from './scalar-views.ts'

const WORDS = CANDIDATE_BYTES / 4

/**
 * Adds a candidate; where there is no room, drops those that the limit rules out or, if that is not half of them, those
 * with the largest bounds.
 */
export function addCandidate(
  views: ScalarViews,
  candidates: number,
  entry: { low: number; estimate: number; zone: number; row: number },
  limit: number
): void {
  const { words, floats } = views
  const header = candidates / 4
  if (words[header] === words[header + 1])
    words[header] = Math.min(sortCandidates(views, candidates, limit), words[header + 1] >>> 1)
  const at = (candidates + CANDIDATES_HEADER_BYTES) / 4 + words[header] * WORDS
  floats[at] = entry.low
  floats[at + 1] = entry.estimate
  words[at + 2] = entry.zone
  words[at + 3] = entry.row
  words[header]++
}

/** Drops candidates above `limit`, sorts the others by lowest likely distance; returns how many there are. */
export function sortCandidates(views: ScalarViews, candidates: number, limit: number): number {
  const { words, floats } = views
  const first = (candidates + CANDIDATES_HEADER_BYTES) / 4
  const size = words[candidates / 4]
  let kept = 0
  for (let i = 0; i < size; i++) {
    if (floats[first + i * WORDS] > Math.fround(limit)) continue
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
  words[candidates / 4] = kept
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
  const low = new Float32Array(value.buffer)[0]
  const lowAt = (at: number): number => floats[first + at * WORDS]
  let at = root
  for (let child = 2 * at + 1; child < size; child = 2 * at + 1) {
    if (child + 1 < size && lowAt(child + 1) > lowAt(child)) child++
    if (lowAt(child) <= low) break
    move(words, first + child * WORDS, first + at * WORDS)
    at = child
  }
  words.set(value, first + at * WORDS)
}
