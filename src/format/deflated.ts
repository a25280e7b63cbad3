// Deflate, by plain JavaScript: the same bytes by every engine and version, and no more memory than was said.

import { deflateSync, Inflate } from 'fflate'

/** Bytes that are inflated at a time: they may come out as a thousand times as many. */
const PIECE_BYTES = 2 ** 14
/**
 * Pieces in a row out of which nothing comes: a block that is stored whole needs five. Behind the end of a stream each
 * piece would be copied with all before it.
 */
const MOST_IDLE_PIECES = 8

/** Deflates bytes (RFC 1951). */
export function deflate(bytes: Uint8Array): Uint8Array {
  return deflateSync(bytes, { level: 9 })
}

/** Inflates to `byteLength` bytes; undefined where that is not what comes out. */
export function inflate(deflated: Uint8Array, byteLength: number): Uint8Array | undefined {
  const bytes = new Uint8Array(byteLength)
  let at = 0
  let isAtEnd = false
  let idlePieces = 0
  const inflating = new Inflate((piece, isLast) => {
    if (piece.byteLength > byteLength - at) throw new RangeError('more comes out than was said')
    bytes.set(piece, at)
    at += piece.byteLength
    idlePieces = piece.byteLength === 0 ? idlePieces + 1 : 0
    isAtEnd = isLast
  })
  try {
    for (let start = 0; start < deflated.byteLength; start += PIECE_BYTES) {
      const end = Math.min(deflated.byteLength, start + PIECE_BYTES)
      if (idlePieces > MOST_IDLE_PIECES) return undefined
      inflating.push(deflated.subarray(start, end), end === deflated.byteLength)
    }
  } catch {
    return undefined
  }
  return isAtEnd && at === byteLength ? bytes : undefined
}
