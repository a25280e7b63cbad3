// Columns extents as they are verified: in pieces where they are long, so that no length that a file claims decides how
// much memory is taken.

import { columnsTableBytes, decodeColumns, MOST_COLUMNS } from '../format/columns.ts'
import type { ColumnPlace, ColumnsExpectation, ColumnsLayout } from '../format/columns.ts'
import { ZgqError } from '../errors.ts'
import { checksum, PAGE_BYTES } from '../format/layout.ts'

/** How much is read and verified at a time: whole pages. */
export const PIECE_BYTES = 256 * PAGE_BYTES

/** Copies bytes at an offset of the extent. */
export type ReadExtent = (offset: number, target: Uint8Array) => void

/** An extent whose table, and if that was asked for whose columns, were verified. */
export interface OpenExtent {
  readonly layout: ColumnsLayout
  /** Returns bytes of the extent, PIECE_BYTES at most. */
  readonly read: (offset: number, byteLength: number) => Uint8Array
  readonly expected: ColumnsExpectation
}

/** Reads and verifies an extent of `byteLength` bytes; throws ZGQ_CORRUPT, ZGQ_UNSUPPORTED and what `read` throws. */
export function openExtent(
  read: ReadExtent,
  expected: ColumnsExpectation & { readonly byteLength: number },
  verifiesColumns: boolean
): OpenExtent {
  const { byteLength } = expected
  const bytes = readerOf(read, byteLength)
  const table = bytes(0, Math.min(byteLength, columnsTableBytes(MOST_COLUMNS)))
  const layout = decodeColumns(table, expected, byteLength)
  const extent = { layout, read: bytes, expected }
  if (verifiesColumns) {
    for (const column of columnsOf(layout)) verifyInPieces(extent, column)
    forEachPiece(layout.ids, 8, (place, at) => {
      expectIds(wordsOf(bytes(place.offset, place.byteLength)), expected, at === 0 ? -1 : lastId(bytes, place.offset))
    })
  }
  return extent
}

/** Short extents are read at once, others piece by piece. */
function readerOf(read: ReadExtent, byteLength: number): OpenExtent['read'] {
  const copy = (offset: number, length: number): Uint8Array => {
    const bytes = new Uint8Array(length)
    read(offset, bytes)
    return bytes
  }
  if (byteLength > PIECE_BYTES) return copy
  const whole = copy(0, byteLength)
  return (offset, length) => whole.slice(offset, offset + length)
}

/** The columns that are known. */
export function columnsOf(layout: ColumnsLayout): ColumnPlace[] {
  return [layout.ids, layout.inverseNorms, layout.pageCrcs, layout.signs, layout.refinedCodes].filter(
    (column) => column !== undefined
  )
}

/** Cuts a column into pieces of whole items; `at` counts bytes from its start. */
export function forEachPiece(
  column: { readonly offset: number; readonly byteLength: number },
  itemBytes: number,
  work: (place: { offset: number; byteLength: number }, at: number) => void
): void {
  const step = Math.max(1, Math.floor(PIECE_BYTES / itemBytes)) * itemBytes
  for (let at = 0; at < column.byteLength; at += step)
    work({ offset: column.offset + at, byteLength: Math.min(step, column.byteLength - at) }, at)
}

function verifyInPieces({ read, expected }: OpenExtent, column: ColumnPlace): void {
  let computed = 0
  forEachPiece(column, 1, (place) => {
    computed = checksum(read(place.offset, place.byteLength), computed)
  })
  if (computed !== column.crc)
    throw damage(
      expected,
      column.offset,
      `a column of segment ${expected.segment} has CRC ${computed}, expected ${column.crc}`
    )
}

function lastId(read: OpenExtent['read'], offset: number): number {
  const [low, high] = wordsOf(read(offset - 8, 8))
  return low + high * 2 ** 32
}

/** u64 as two words, low first; the bytes must be a copy. */
function wordsOf(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)
}

/**
 * Expects ids (two words each, low first) that ascend from above `before` and are safe integers; throws ZGQ_CORRUPT.
 */
export function expectIds(words: Uint32Array, expected: ColumnsExpectation, before = -1): void {
  for (let i = 0; i < words.length; i += 2) {
    const id = words[i] + words[i + 1] * 2 ** 32
    if (!(id > before && id <= Number.MAX_SAFE_INTEGER))
      throw damage(
        expected,
        0,
        `segment ${expected.segment} has id ${id} after ${before}, expected a larger safe integer`
      )
    before = id
  }
}

function damage(expected: ColumnsExpectation, offset: number, message: string): ZgqError {
  return new ZgqError('ZGQ_CORRUPT', message, { path: expected.path, offset: expected.offset + offset })
}
