// Sizes of the codes of a zone (spec, section 8). How they are made is the quantizer's business, how they are read the
// kernels'.

import { alignUp } from './layout.ts'

/** Rows whose sign planes are scanned together. */
export const BLOCK_ROWS = 32
/** After the planes of a block: 32 float32 to add, 32 to multiply by, the spread, 12 zero bytes. */
export const BLOCK_FACTOR_BYTES = 272
/** Before each refined code: float32 to add, to multiply by, and the error. */
export const REFINED_FACTOR_BYTES = 12

/** Bits a dimension that codes may have; 0 = no codes. */
export const CODE_BITS: readonly number[] = [0, 1, 2, 4]

/** Dimensions of rotated vectors: the next multiple of 16. */
export function codeWidth(dim: number): number {
  return alignUp(dim, 16)
}

/** Bytes of a block: 32 rows of one bit a dimension, then factors. */
export function blockBytes(dim: number): number {
  return codeWidth(dim) * 4 + BLOCK_FACTOR_BYTES
}

export function signsByteLength(rowCount: number, dim: number): number {
  return Math.ceil(rowCount / BLOCK_ROWS) * blockBytes(dim)
}

/**
 * Tells whether the rows that fill up the last block are as they must be, so that no scan takes them for rows: `add`
 * infinite, all else 0.
 */
export function isFilledUp(signs: Uint8Array, rowCount: number, dim: number): boolean {
  const used = rowCount % BLOCK_ROWS
  if (used === 0) return true
  const planeBytes = codeWidth(dim) * 4
  const block = signs.subarray(signs.byteLength - blockBytes(dim))
  const factors = new DataView(block.buffer, block.byteOffset + planeBytes)
  for (let row = used; row < BLOCK_ROWS; row++) {
    if (factors.getFloat32(row * 4, true) !== Infinity || factors.getFloat32((BLOCK_ROWS + row) * 4, true) !== 0)
      return false
  }
  for (let i = 0; i < planeBytes; i++) {
    const row = i & 15
    if ((row >= used && (block[i] & 15) !== 0) || (row + 16 >= used && block[i] >> 4 !== 0)) return false
  }
  return true
}

/** Bytes of a refined row of `bits` bits a dimension. */
export function refinedRowBytes(dim: number, bits: number): number {
  return REFINED_FACTOR_BYTES + (codeWidth(dim) * bits) / 8
}
