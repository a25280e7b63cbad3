// What was changed since the index was built or folded: the record under `meta` key `changes`, and the bytes of ids and
// masks in the tables of changes (spec, section 7.7). No I/O.

import { decodeStrictUtf8 } from '#platform'

import { ZgqError } from '../errors.ts'
import type { Id, IdType } from '../types.ts'
import { lastWordMask, wordCount } from './bitmap.ts'
import { encodeStringId, MOST_ID_BYTES } from './string-ids.ts'
import { struct } from './struct.ts'
import { joinU64, lowWord, highWord } from './u64.ts'

export const CHANGES_RECORD = struct(64, {
  nextSequence: { offset: 0, type: 'u64' },
  freshCount: { offset: 8, type: 'u64' },
  freshBytes: { offset: 16, type: 'u64' },
  freshRemoved: { offset: 24, type: 'u64' },
  deletedCount: { offset: 32, type: 'u64' },
  patchCount: { offset: 40, type: 'u64' },
  rowsSinceCalibration: { offset: 48, type: 'u64' },
  reserved: { offset: 56, type: 'u64' }
})

/** Counts of what was changed. */
export interface ChangesMeta {
  /** The sequence that the next row of any table of changes gets; from 1 on, and never given again. */
  readonly nextSequence: number
  readonly freshCount: number
  /** Bytes of the vectors and payloads of fresh rows. */
  readonly freshBytes: number
  /** Fresh rows that were ever removed: deleted, replaced, or moved into a delta or a zone. */
  readonly freshRemoved: number
  /** Rows of segments that are deleted. */
  readonly deletedCount: number
  readonly patchCount: number
  /** Rows that folds brought into zones, or dropped from them, since the calibration was measured. */
  readonly rowsSinceCalibration: number
}

/** Nothing was ever changed. */
export const NO_CHANGES: ChangesMeta = {
  nextSequence: 1,
  freshCount: 0,
  freshBytes: 0,
  freshRemoved: 0,
  deletedCount: 0,
  patchCount: 0,
  rowsSinceCalibration: 0
}

export function encodeChangesMeta(meta: ChangesMeta): Uint8Array {
  const bytes = new Uint8Array(CHANGES_RECORD.byteLength)
  CHANGES_RECORD.encode({ ...meta, reserved: 0 }, bytes)
  return bytes
}

/** Decodes the record; no bytes: nothing was ever changed. Throws ZGQ_CORRUPT. */
export function decodeChangesMeta(bytes: Uint8Array | undefined, path: string): ChangesMeta {
  if (bytes === undefined) return NO_CHANGES
  const damage = (what: string): ZgqError => new ZgqError('ZGQ_CORRUPT', `meta value "changes": ${what}`, { path })
  if (bytes.byteLength !== CHANGES_RECORD.byteLength)
    throw damage(`${bytes.byteLength} bytes, expected ${CHANGES_RECORD.byteLength}`)
  const { reserved: _, ...meta } = CHANGES_RECORD.decode(bytes, 0, path)
  const { nextSequence, freshCount, freshRemoved, patchCount } = meta
  if (nextSequence < 1) throw damage('the next sequence is 0, expected 1 or more')
  // Every fresh row and every patch took a sequence.
  if (freshCount + freshRemoved + patchCount >= nextSequence)
    throw damage(`${freshCount} + ${freshRemoved} fresh rows and ${patchCount} patches by sequence ${nextSequence - 1}`)
  return meta
}

/** Tells whether two records say the same. */
export function sameChanges(left: ChangesMeta, right: ChangesMeta): boolean {
  return (
    left.nextSequence === right.nextSequence &&
    left.freshCount === right.freshCount &&
    left.freshBytes === right.freshBytes &&
    left.freshRemoved === right.freshRemoved &&
    left.deletedCount === right.deletedCount &&
    left.patchCount === right.patchCount &&
    left.rowsSinceCalibration === right.rowsSinceCalibration
  )
}

/** Encodes the id of a fresh row: u64 for an integer, UTF-8 for a string. */
export function encodeFreshId(id: Id): Uint8Array {
  if (typeof id === 'string') return encodeStringId(id)
  const bytes = new Uint8Array(8)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, lowWord(id), true)
  view.setUint32(4, highWord(id), true)
  return bytes
}

/** Decodes the id of a fresh row; undefined: no row can have it. */
export function decodeFreshId(bytes: Uint8Array, type: IdType): Id | undefined {
  if (type === 'string') {
    const { byteLength } = bytes
    return byteLength < 1 || byteLength > MOST_ID_BYTES ? undefined : decodeStrictUtf8(bytes, 0, byteLength)
  }
  if (bytes.byteLength !== 8) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, 8)
  const id = joinU64(view.getUint32(0, true), view.getUint32(4, true))
  return id <= Number.MAX_SAFE_INTEGER ? id : undefined
}

/** Bytes of the mask of a segment. */
export function maskByteLength(rowCount: number): number {
  return Math.ceil(rowCount / 8)
}

/** Encodes a mask: a bit a row, the lowest of a byte first. `words` has wordCount(rowCount) of them. */
export function encodeMask(words: Uint32Array, rowCount: number): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength).slice(0, maskByteLength(rowCount))
}

/** Decodes a mask of the right length; undefined: a bit past the last row is set. */
export function decodeMask(bytes: Uint8Array, rowCount: number): Uint32Array | undefined {
  const words = new Uint32Array(wordCount(rowCount))
  new Uint8Array(words.buffer).set(bytes)
  const past = ~lastWordMask(rowCount)
  return words.length > 0 && (words[words.length - 1] & past) !== 0 ? undefined : words
}
