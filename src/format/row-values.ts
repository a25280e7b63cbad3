// Tells values that no row can hold, though its checksum may fit: values that are not finite, and under cosine a row of
// length zero.

import { ELEMENT_BYTES } from './layout.ts'

const EXPONENT = 0x7f80_0000

/** Tells whether float32 values, which start on a multiple of 4 bytes, are all finite. */
export function areFinite(bytes: Uint8Array): boolean {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / ELEMENT_BYTES)
  for (let i = 0; i < words.length; i++) {
    if ((words[i] & EXPONENT) === EXPONENT) return false
  }
  return true
}

/** Tells whether all float32 values of a row, `byteLength` bytes from `start` on, are 0 or -0. */
export function isZeroRow(bytes: Uint8Array, start: number, byteLength: number): boolean {
  for (let at = start; at < start + byteLength; at += ELEMENT_BYTES) {
    if ((bytes[at] | bytes[at + 1] | bytes[at + 2] | (bytes[at + 3] & 0x7f)) !== 0) return false
  }
  return true
}
