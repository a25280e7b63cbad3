// Reads the string ids of a segment piece by piece, so that no length that a file claims decides how much memory is
// taken. Each piece is looked at as format/string-ids.ts looks at a whole column.

import { ZgqError } from '../errors.ts'
import type { Extent } from '../format/layout.ts'
import { decodeStringIds, idBytesAt, MOST_ID_BYTES } from '../format/string-ids.ts'
import { PIECE_BYTES, type ExtentBytes } from './extents.ts'

/** Rows of a piece: with the longest ids, and what is read before them, they fill no more than a read. */
const PIECE_ROWS = PIECE_BYTES / MOST_ID_BYTES - 1

/** A column of string ids whose checksum was verified, or need not be. */
export interface StringIdColumn {
  readonly path: string
  /** Offset of the extent in its file. */
  readonly offset: number
  readonly rowCount: number
  /** Where the column is in the extent. */
  readonly column: Extent
  readonly read: ExtentBytes
}

/** Calls `take` with the UTF-8 bytes of ids, row after row, and the row of the first; throws ZGQ_CORRUPT. */
export function eachStringId(of: StringIdColumn, take: (ids: Uint8Array[], firstRow: number) => void): void {
  const { path, column, rowCount, read } = of
  const place = { path, offset: of.offset + column.offset }
  const startBytes = (rowCount + 1) * 4
  const byteCount = column.byteLength - startBytes
  const damage = (what: string): ZgqError => new ZgqError('ZGQ_CORRUPT', what, place)
  if (byteCount < 0) throw damage(`ids of ${rowCount} rows in ${column.byteLength} bytes`)
  let end = 0
  for (let first = 0; first < rowCount; first += PIECE_ROWS) {
    const rows = Math.min(PIECE_ROWS, rowCount - first)
    const starts = new Uint32Array(rows + 1)
    new Uint8Array(starts.buffer).set(read(column.offset + first * 4, starts.byteLength))
    const from = starts[0]
    const byteLength = starts[rows] - from
    if (from !== end || byteLength < 0 || byteLength > rows * MOST_ID_BYTES || from + byteLength > byteCount)
      throw damage(`the ids of ${rows} rows from row ${first} on have bytes ${from} to ${starts[rows]} of ${byteCount}`)
    end += byteLength
    // Reads begin at a multiple of 4.
    const skipped = (column.offset + startBytes + from) % 4
    const bytes = read(column.offset + startBytes + from - skipped, skipped + byteLength).subarray(skipped)
    const piece = new Uint8Array(starts.byteLength + byteLength)
    piece.set(new Uint8Array(starts.map((start) => start - from).buffer))
    piece.set(bytes, starts.byteLength)
    const ids = decodeStringIds(piece, rows, place)
    take(
      Array.from({ length: rows }, (_, row) => idBytesAt(ids, row)),
      first
    )
  }
  if (end !== byteCount) throw damage(`the ids end at byte ${end}, expected ${byteCount}`)
}
