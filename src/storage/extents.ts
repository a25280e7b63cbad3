// The verified read of an extent with columns, wherever it lies: header and entries against the catalogue, columns
// against their entries. In pieces where it is long, so that no length that a file claims decides how much memory is
// taken.

import { columnsTableBytes, decodeColumns, MOST_COLUMNS } from '../format/columns.ts'
import type { ColumnExtent, ColumnsExpectation, ColumnsLayout } from '../format/columns.ts'
import { ZgqError } from '../errors.ts'
import { checksum, PAGE_BYTES } from '../format/layout.ts'
import { joinU64, MOST_HIGH_WORD } from '../format/u64.ts'

/** How much is read and verified at a time: whole pages. */
export const PIECE_BYTES = 256 * PAGE_BYTES

/** Gives bytes of an extent that start at a multiple of 4; good until the next call. */
export type ExtentBytes = (offset: number, byteLength: number) => Uint8Array

/** An extent whose table, and if that was asked for whose columns, were verified. */
export interface OpenExtent {
  readonly layout: ColumnsLayout
  /** Returns bytes of the extent, PIECE_BYTES at most. */
  readonly read: ExtentBytes
  readonly expected: ColumnsExpectation
}

/** Where the bytes of an extent come from, and whether its columns are verified too, or were before. */
export interface ExtentToRead {
  readonly byteLength: number
  readonly read: ExtentBytes
  readonly verifiesColumns: boolean
}

/** Reads and verifies an extent; throws ZGQ_CORRUPT, ZGQ_UNSUPPORTED and what `read` throws. */
export function openExtent(of: ExtentToRead, expected: ColumnsExpectation): OpenExtent {
  const { byteLength, read } = of
  const table = read(0, Math.min(byteLength, columnsTableBytes(MOST_COLUMNS)))
  const layout = decodeColumns(table, expected, byteLength)
  const extent = { layout, read, expected }
  if (!of.verifiesColumns) return extent
  for (const column of columnsOf(layout)) verifyInPieces(extent, column)
  if (layout.ids === undefined) return extent
  forEachPiece(layout.ids, 8, (piece) => {
    expectIds(wordsOf(read(piece.offset, piece.byteLength)), expected)
  })
  return extent
}

/** Reads an extent by copying bytes at offsets of it: a short one at once, a long one piece by piece. */
export function copiedExtent(copy: (offset: number, target: Uint8Array) => void, byteLength: number): ExtentBytes {
  const copied: ExtentBytes = (offset, length) => {
    const bytes = new Uint8Array(length)
    copy(offset, bytes)
    return bytes
  }
  if (byteLength > PIECE_BYTES) return copied
  const whole = copied(0, byteLength)
  return (offset, length) => whole.slice(offset, offset + length)
}

/** The columns that are known. */
export function columnsOf(layout: ColumnsLayout): ColumnExtent[] {
  const { ids, stringIds, inverseNorms, pageCrcs, planes, refinedCodes } = layout
  return [ids, stringIds, inverseNorms, pageCrcs, planes, refinedCodes].filter((column) => column !== undefined)
}

/** Cuts a column into pieces of whole items; `at` counts bytes from its start. */
export function forEachPiece(
  column: { readonly offset: number; readonly byteLength: number },
  itemBytes: number,
  work: (piece: { offset: number; byteLength: number }, at: number) => void
): void {
  const step = Math.max(1, Math.floor(PIECE_BYTES / itemBytes)) * itemBytes
  for (let at = 0; at < column.byteLength; at += step)
    work({ offset: column.offset + at, byteLength: Math.min(step, column.byteLength - at) }, at)
}

function verifyInPieces({ read, expected }: OpenExtent, column: ColumnExtent): void {
  let computed = 0
  forEachPiece(column, 1, (piece) => {
    computed = checksum(read(piece.offset, piece.byteLength), computed)
  })
  if (computed !== column.crc)
    throw damage(
      expected,
      column.offset,
      `a column of segment ${expected.segment} has CRC ${computed}, expected ${column.crc}`
    )
}

/** u64 as two words, low first. */
function wordsOf(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)
}

/** Expects ids (two words each, low first) that are safe integers, in any order; throws ZGQ_CORRUPT. */
function expectIds(words: Uint32Array, expected: ColumnsExpectation): void {
  for (let i = 1; i < words.length; i += 2) {
    if (words[i] <= MOST_HIGH_WORD) continue
    const id = joinU64(words[i - 1], words[i])
    throw damage(expected, 0, `segment ${expected.segment} has id ${id}, expected a safe integer`)
  }
}

function damage(expected: ColumnsExpectation, offset: number, message: string): ZgqError {
  return new ZgqError('ZGQ_CORRUPT', message, { path: expected.path, offset: expected.offset + offset })
}
