// Going through the rows of an index, or those that meet a filter: those of segments in the order of the files, then
// fresh rows. Which rows there are is settled when it begins.

import type { CompiledFilter } from '../filter/compile-filter.ts'
import { hasBit, wordCount } from '../format/bitmap.ts'
import type { SegmentTable } from '../format/segment-table.ts'
import type { LiveRows } from '../live/live-rows.ts'
import type { Filter } from '../types.ts'
import type { RowPlace } from './lookup.ts'
import { SegmentMatcher, type MatchedRows } from './match-rows.ts'

/** Options of `ZgqIndex.documents`. */
export interface DocumentsOptions {
  /** Only rows that meet this filter. */
  readonly filter?: Filter | undefined
  /** Whole payloads (`true`, the default), only these keys of them, or no payloads (`false`). */
  readonly payload?: boolean | readonly string[] | undefined
}

/** Where rows are. */
export interface RowsContext extends Omit<MatchedRows, 'live'> {
  readonly segments: SegmentTable
  readonly live: LiveRows
  /** The catalogue, for messages. */
  readonly path: string
}

/** Returns the rows; they, and throws of reads of fields, come as they are asked for. */
export function rowsOf(of: RowsContext, filter: CompiledFilter | undefined): Iterable<RowPlace> {
  const { fresh, masks, patches } = of.live
  const freshRows = filter === undefined ? fresh.list() : fresh.matching(filter)
  return going({ ...of, live: { masks, patches } }, filter, freshRows)
}

function* going(
  of: MatchedRows & { readonly segments: SegmentTable },
  filter: CompiledFilter | undefined,
  freshRows: readonly RowPlace[]
): Generator<RowPlace> {
  const matcher = new SegmentMatcher()
  let bits = new Uint32Array(64)
  for (const segment of of.segments) {
    const { rowCount, slot } = segment
    const deleted = of.live.masks.of(slot)
    let count = rowCount
    if (filter !== undefined) {
      if (bits.length < wordCount(rowCount)) bits = new Uint32Array(wordCount(rowCount) * 2)
      count = matcher.match(of, segment, { filter, bits })
    }
    if (count === 0) continue
    for (let row = 0; row < rowCount; row++) {
      const isWanted = filter === undefined ? deleted === undefined || !hasBit(deleted.words, row) : hasBit(bits, row)
      if (isWanted) yield { segment, row }
    }
  }
  yield* freshRows
}
