// Goes through the rows of an index in the order of its files: all of them, or those that meet a filter, which is
// evaluated segment by segment as they come.

import type { CompiledFilter } from '../filter/compile-filter.ts'
import { RowMatcher } from '../filter/row-matcher.ts'
import { hasBit, wordCount } from '../format/bitmap.ts'
import type { DeclaredField } from '../format/fields.ts'
import type { SegmentTable } from '../format/segment-table.ts'
import type { DocumentFiles } from '../storage/document-files.ts'
import type { Ordinal } from '../storage/segment-reads.ts'
import type { Filter } from '../types.ts'

/** Options of `ZgqIndex.documents`. */
export interface DocumentsOptions {
  /** Only rows that meet this filter. */
  readonly filter?: Filter | undefined
  /** Whole payloads (`true`, the default), the keys wanted of them, or none (`false`). */
  readonly payload?: boolean | readonly string[] | undefined
}

/** Where rows are. */
export interface RowsContext {
  readonly segments: SegmentTable
  readonly files: DocumentFiles
  /** By number, from 1 on. */
  readonly fields: readonly DeclaredField[]
}

/** Yields the rows; throws as reads of fields do. */
export function* rowsOf(of: RowsContext, filter: CompiledFilter | undefined): Generator<Ordinal> {
  const matcher = new RowMatcher()
  let bits = new Uint32Array(64)
  for (const segment of of.segments) {
    const { rowCount } = segment
    let count = rowCount
    if (filter !== undefined) {
      if (bits.length < wordCount(rowCount)) bits = new Uint32Array(wordCount(rowCount) * 2)
      const column = (number: number) => of.files.fieldOf(segment, of.fields[number - 1])
      count = matcher.match(filter.predicate, { rowCount, column }, bits)
    }
    if (count === 0) continue
    for (let row = 0; row < rowCount; row++) if (count === rowCount || hasBit(bits, row)) yield { segment, row }
  }
}
