// Ids that are strings: what one may be, and the column that has those of a segment (spec, section 4). No I/O.

import { compareBytes, decodeUtf8, encodeUtf8, isUtf8, utf8ByteLength } from '#platform'

import { describe } from '../describe.ts'
import { ZgqError } from '../errors.ts'

/** Bytes of UTF-8 of the longest id. */
export const MOST_ID_BYTES = 1024

/** The ids of a segment. */
export interface StringIds {
  readonly rowCount: number
  /** Where each id begins in the bytes, and where the last one ends: rowCount + 1 */
  readonly starts: Uint32Array
  readonly bytes: Uint8Array
}

/** Says why a value cannot be a string id; undefined: it can. */
export function findBadStringId(value: unknown): string | undefined {
  if (typeof value !== 'string') return `it is ${describe(value)}, expected a string`
  if (value === '') return 'it is empty'
  const byteLength = utf8ByteLength(value)
  if (byteLength > MOST_ID_BYTES) return `it has ${byteLength} bytes of UTF-8, expected at most ${MOST_ID_BYTES}`
  return isWellFormed(value) ? undefined : 'it has a lone surrogate, which UTF-8 cannot express'
}

function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text) // halves of a pair are one character here
}

/**
 * Returns an argument as a string id; throws TypeError for what is no well-formed string, RangeError for an empty one
 * and one above 1,024 bytes.
 */
export function checkStringId(value: unknown): string {
  const bad = findBadStringId(value)
  if (typeof value === 'string' && bad === undefined) return value
  const message = `an id cannot be used: ${bad}`
  throw typeof value === 'string' && isWellFormed(value) ? new RangeError(message) : new TypeError(message)
}

/** Encodes a checked id. */
export function encodeStringId(id: string): Uint8Array {
  return encodeUtf8(id)
}

/** Compares two ids by their bytes: below 0, 0 or above 0. */
export function compareStringIds(left: Uint8Array, right: Uint8Array): number {
  return compareBytes(left, right)
}

/** Encodes the column of a segment's ids, which were checked: u32 starts, one more than rows, then the bytes. */
export function encodeStringIds(ids: readonly Uint8Array[]): Uint8Array {
  const starts = new Uint32Array(ids.length + 1)
  let end = 0
  for (const [row, id] of ids.entries()) {
    starts[row] = end
    end += id.byteLength
  }
  if (end >= 2 ** 32) throw new RangeError(`the ids of a segment have ${end} bytes, expected less than 2^32`)
  starts[ids.length] = end
  const column = new Uint8Array(starts.byteLength + end)
  column.set(new Uint8Array(starts.buffer))
  for (const [row, id] of ids.entries()) column.set(id, starts.byteLength + starts[row])
  return column
}

/** Decodes the column of a segment's ids and looks at each of them; throws ZGQ_CORRUPT. */
export function decodeStringIds(
  column: Uint8Array,
  rowCount: number,
  place: { readonly path: string; readonly offset: number }
): StringIds {
  const startBytes = (rowCount + 1) * 4
  if (column.byteLength < startBytes)
    throw damage(`ids of ${rowCount} rows in ${column.byteLength} bytes, expected ${startBytes} and more`, 0, place)
  // A copy: the column need not begin at a multiple of 4.
  const starts = new Uint32Array(rowCount + 1)
  new Uint8Array(starts.buffer).set(column.subarray(0, startBytes))
  const bytes = column.subarray(startBytes)
  if (starts[0] !== 0) throw damage(`the first id begins at byte ${starts[0]}, expected 0`, 0, place)
  for (let row = 0; row < rowCount; row++) {
    const byteLength = starts[row + 1] - starts[row]
    if (byteLength < 1 || byteLength > MOST_ID_BYTES)
      throw damage(`the id of row ${row} has ${byteLength} bytes, expected 1 to ${MOST_ID_BYTES}`, row * 4, place)
    // Where all bytes are UTF-8 together, each id is if none begins inside a character.
    if ((bytes[starts[row]] & 0xc0) === 0x80) throw damage(`the id of row ${row} is not UTF-8`, row * 4, place)
  }
  if (starts[rowCount] !== bytes.byteLength)
    throw damage(`the ids end at byte ${starts[rowCount]}, expected ${bytes.byteLength}`, rowCount * 4, place)
  if (!isUtf8(bytes)) throw damage('ids are not UTF-8', startBytes, place)
  return { rowCount, starts, bytes }
}

/** Returns the bytes of the id of a row, not copied. */
export function idBytesAt({ starts, bytes }: StringIds, row: number): Uint8Array {
  return bytes.subarray(starts[row], starts[row + 1])
}

/** Returns the id of a row. */
export function idTextAt({ starts, bytes }: StringIds, row: number): string {
  return decodeUtf8(bytes, starts[row], starts[row + 1])
}

function damage(what: string, at: number, { path, offset }: { path: string; offset: number }): ZgqError {
  return new ZgqError('ZGQ_CORRUPT', what, { path, offset: offset + at })
}
