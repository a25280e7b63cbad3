// Which rows of a segment meet a filter: by its columns, then by the patches of its rows, less those that are deleted.

import type { CompiledFilter } from '../filter/compile-filter.ts'
import { RowMatcher } from '../filter/row-matcher.ts'
import { countBits, hasBit, setBit, wordCount } from '../format/bitmap.ts'
import type { DeclaredField } from '../format/fields.ts'
import type { Segment } from '../format/segment-table.ts'
import type { LiveRows } from '../live/live-rows.ts'
import type { DocumentFiles } from '../storage/document-files.ts'

/** Where rows and their fields are. */
export interface MatchedRows {
  readonly files: DocumentFiles
  /** By number, from 1 on. */
  readonly fields: readonly DeclaredField[]
  readonly live: Pick<LiveRows, 'masks' | 'patches'>
}

/** Matches rows of segments; keeps the memory that it needs for that. */
export class SegmentMatcher {
  readonly #matcher = new RowMatcher()
  #patched = new Uint32Array(16)

  /**
   * Writes a bit for each row of a segment that is live and meets a filter; returns how many do. `bits` has words for
   * all rows. Throws as reads of fields do.
   */
  match(of: MatchedRows, segment: Segment, { filter, bits }: { filter: CompiledFilter; bits: Uint32Array }): number {
    const { files, fields, live } = of
    const { rowCount, slot } = segment
    const column = (number: number) => files.fieldOf(segment, fields[number - 1])
    const count = this.#matcher.match(filter.predicate, { rowCount, column }, bits)
    const patched = live.patches.of(slot)
    const deleted = live.masks.of(slot)
    if (patched === undefined && deleted === undefined) return count
    if (patched !== undefined) {
      const words = wordCount(patched.rows.length)
      if (this.#patched.length < words) this.#patched = new Uint32Array(words * 2)
      this.#matcher.match(filter.predicate, patched.fields, this.#patched)
      for (const [i, row] of patched.rows.entries()) {
        if (hasBit(this.#patched, i)) setBit(bits, row)
        else bits[row >>> 5] &= ~(1 << (row & 31))
      }
    }
    const words = wordCount(rowCount)
    if (deleted !== undefined) for (let i = 0; i < words; i++) bits[i] &= ~deleted.words[i]
    return countBits(bits, words)
  }
}
