// The reads of the synchronous driver: what a search lacks is read at once. Where the system can be asked for bytes
// ahead of their use, all segments of a probe are one round, and so are all rows of a rerank.

import type { Segment } from '../format/segment-table.ts'
import type { ExtentSource } from '../storage/segment-reads.ts'
import { readMissing, remainingCandidates } from './rerank.ts'
import type { Lack, SearchContext } from './search-context.ts'
import type { SearchState } from './search-state.ts'

/**
 * Bytes of segments that are asked for at a time, so that the first is not evicted before the last is read. A search
 * with an ordinary nprobe stays below and is one round of input.
 */
export const WINDOW_BYTES = 64 * 2 ** 20

/** Asks for those of the segments from a position on that are not held, a window of them; returns where it ends. */
export function prefetchWindow(
  segments: readonly Segment[],
  from: number,
  of: { readonly source: ExtentSource; readonly holds: (segment: Segment) => boolean }
): number {
  const window: Segment[] = []
  let position = from
  for (let bytes = 0; position < segments.length && bytes < WINDOW_BYTES; position++) {
    const segment = segments[position]
    if (of.holds(segment)) continue
    window.push(segment)
    bytes += of.source.byteLength(segment)
  }
  of.source.prefetch(window)
  return position
}

/** The reads of one search; it stays the owner of its state. */
export class BlockingReads {
  readonly #context: SearchContext
  readonly #state: SearchState
  /** Position in the list before which segments were asked for, of the pass that began at #startedAt. */
  #askedBefore = 0
  #hasAskedForRows = false
  #startedAt = -1
  #last: Segment | undefined

  constructor(context: SearchContext, state: SearchState) {
    this.#context = context
    this.#state = state
  }

  /** Reads the next of what is lacking. */
  read(lack: Lack): void {
    const state = this.#state
    const { cache, codes, files } = this.#context
    if (this.#startedAt !== state.startedAt) this.#startPass()
    if (lack === 'centroids') throw new TypeError('centroids are fetched by the asynchronous driver alone')
    if (lack === 'candidates') {
      this.#readCandidates()
      return
    }
    const segment = state.segments[state.reached]
    if (lack === 'codes' && codes !== undefined) {
      this.#reach(files.codesSource, (other) => codes.cache.holds(other))
      codes.cache.load(segment)
    } else {
      this.#reach(files.rowsSource, (other) => cache.holds(other))
      cache.load(segment, state.part)
    }
  }

  #startPass(): void {
    this.#startedAt = this.#state.startedAt
    this.#askedBefore = 0
    this.#hasAskedForRows = false
    this.#last = undefined
  }

  /** Asks for the next window once the scan reaches a segment that was not asked for. */
  #reach(source: ExtentSource, holds: (segment: Segment) => boolean): void {
    const state = this.#state
    const segment = state.segments[state.reached]
    if (segment === this.#last) return // another part of it
    this.#last = segment
    const canPrefetch = source.canPrefetch()
    if (!canPrefetch || state.reached >= this.#askedBefore) state.ioRounds++
    if (state.reached < this.#askedBefore) return
    const segments = state.scanEnd < state.segments.length ? state.segments.slice(0, state.scanEnd) : state.segments
    this.#askedBefore = prefetchWindow(segments, state.reached, { source, holds })
  }

  #readCandidates(): void {
    const { codes } = this.#context
    const state = this.#state
    if (codes === undefined || state.codes === undefined) throw new TypeError('there are no candidates without codes')
    if (!this.#hasAskedForRows) {
      this.#hasAskedForRows = true
      const missing = remainingCandidates(state, state.codes).filter(
        ({ segment, row }) => !codes.candidates.isAtHand(segment, row)
      )
      codes.candidates.prefetch(missing)
      state.ioRounds++
    }
    readMissing(codes, state, state.codes)
  }
}
