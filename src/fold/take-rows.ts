// Reads rows of an open index into the memory of a fold, verified as every read is.

import { hasBit } from '../format/bitmap.ts'
import type { Segment } from '../format/segment-table.ts'
import type { FreshRow } from '../catalogue/changes.ts'
import type { SearchContext } from '../search/search-context.ts'
import type { FoldRows } from './fold-rows.ts'

/**
 * Takes the live rows of a segment, with the payloads that they have by now; `isWanted`: only these. Throws as reads
 * do.
 */
export function takeSegment(
  context: SearchContext,
  rows: FoldRows,
  of: { readonly segment: Segment; readonly isWanted?: (row: number) => boolean }
): void {
  const { files, documents } = context
  const { segment, isWanted } = of
  const { masks, patches } = documents.live
  const deleted = masks.of(segment.slot)
  if (deleted?.count === segment.rowCount) return
  const vectors = new Float32Array(segment.rowCount * rows.dim)
  files.openColumns(segment)
  files.readSegment(segment, 0, new Uint8Array(vectors.buffer))
  documents.files.eachPayload(segment, (stored, row) => {
    if (deleted !== undefined && hasBit(deleted.words, row)) return
    if (isWanted !== undefined && !isWanted(row)) return
    const payload = patches.find(segment.slot, row)?.payload ?? stored?.slice()
    const id = documents.files.idOf({ segment, row })
    const vector = vectors.subarray(row * rows.dim, (row + 1) * rows.dim)
    rows.takeRow({ segment: segment.segment, rowCount: segment.rowCount, row }, { id, vector, payload })
  })
}

export function takeFresh(rows: FoldRows, fresh: readonly FreshRow[]): void {
  for (const row of fresh) rows.takeFresh(row.sequence, row)
}
