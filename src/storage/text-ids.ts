// Reads the string ids of a segment some at a time, for whoever looks at all of them and keeps none.

import { ZgqError } from '../errors.ts'
import { decodeStringIds, idBytesAt, MOST_ID_BYTES } from '../format/string-ids.ts'
import { PIECE_BYTES, type OpenExtent } from './extents.ts'

/** Their bytes fit into a piece. */
const ROWS_AT_A_TIME = Math.floor(PIECE_BYTES / MOST_ID_BYTES)
const START_BYTES = 4

/**
 * Calls `take` with the ids of a segment as UTF-8, in pieces, and the row of the first of each; they are good until it
 * returns. `extent`: the columns beside its rows, verified. Throws ZGQ_CORRUPT for what cannot be an id.
 */
export function eachTextIds(extent: OpenExtent, take: (ids: readonly Uint8Array[], firstRow: number) => void): void {
  const { expected, layout, read } = extent
  const { rowCount } = expected
  const column = layout.stringIds
  if (column === undefined) throw new TypeError(`the ids of segment ${expected.segment} are no strings`)
  const bytesStart = (rowCount + 1) * START_BYTES
  const place = { path: expected.path, offset: expected.offset + column.offset }
  const damage = (what: string, at: number): ZgqError =>
    new ZgqError('ZGQ_CORRUPT', what, { path: place.path, offset: place.offset + at })
  let end = 0
  for (let firstRow = 0; firstRow < rowCount; firstRow += ROWS_AT_A_TIME) {
    const rows = Math.min(ROWS_AT_A_TIME, rowCount - firstRow)
    const startsAt = firstRow * START_BYTES
    const bytes = read(column.offset + startsAt, (rows + 1) * START_BYTES)
    const starts = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const from = starts.getUint32(0, true)
    const to = starts.getUint32(rows * START_BYTES, true)
    if (from !== end) throw damage(`the id of row ${firstRow} begins at byte ${from}, expected ${end}`, startsAt)
    if (to < from || to - from > rows * MOST_ID_BYTES || bytesStart + to > column.byteLength)
      throw damage(`the ids of ${rows} rows go from byte ${from} to ${to}`, startsAt)
    // As a column of its own, so that each id is looked at by what decodes them elsewhere.
    const piece = new Uint8Array((rows + 1) * START_BYTES + to - from)
    const moved = new DataView(piece.buffer)
    for (let row = 0; row <= rows; row++)
      moved.setUint32(row * START_BYTES, starts.getUint32(row * START_BYTES, true) - from, true)
    piece.set(read(column.offset + bytesStart + from, to - from), (rows + 1) * START_BYTES)
    const ids = decodeStringIds(piece, rows, { ...place, offset: place.offset + startsAt })
    take(
      Array.from({ length: rows }, (_, row) => idBytesAt(ids, row)),
      firstRow
    )
    end = to
  }
  if (bytesStart + end !== column.byteLength)
    throw damage(`the ids end at byte ${end}, expected ${column.byteLength - bytesStart}`, rowCount * START_BYTES)
}
