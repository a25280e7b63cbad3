// Sizes of the codes of a zone (spec, section 8). How they are made is the quantizer's business, how they are read the
// kernels'.

import {
  BLOCK_FACTOR_BYTES,
  BLOCK_MULTIPLY_AT,
  BLOCK_ROWS,
  BLOCK_SPREAD_AT,
  REFINED_FACTOR_BYTES
} from '../kernels/layouts.ts'
import { alignUp } from './layout.ts'

export { BLOCK_FACTOR_BYTES, BLOCK_ROWS, REFINED_FACTOR_BYTES }

/** Bits a dimension that codes may have; 0 = no codes. */
export const CODE_BITS: readonly number[] = [0, 1, 2, 4, 8]

/** Dimensions of rotated vectors: the next multiple of 16. */
export function codeWidth(dim: number): number {
  return alignUp(dim, 16)
}

/** Bytes of a block: 32 rows of one bit a dimension, then factors. */
export function blockBytes(dim: number): number {
  return codeWidth(dim) * 4 + BLOCK_FACTOR_BYTES
}

export function planesByteLength(rowCount: number, dim: number): number {
  return Math.ceil(rowCount / BLOCK_ROWS) * blockBytes(dim)
}

/**
 * Tells whether the rows that fill up the last block are as they must be, so that no scan takes them for rows: `add`
 * infinite, all else 0.
 */
export function isFilledUp(planes: Uint8Array, rowCount: number, dim: number): boolean {
  const used = rowCount % BLOCK_ROWS
  if (used === 0) return true
  const planeBytes = codeWidth(dim) * 4
  const block = planes.subarray(planes.byteLength - blockBytes(dim))
  const factors = new DataView(block.buffer, block.byteOffset + planeBytes)
  for (let row = used; row < BLOCK_ROWS; row++) {
    if (factors.getFloat32(row * 4, true) !== Infinity || factors.getFloat32(BLOCK_MULTIPLY_AT + row * 4, true) !== 0)
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

/** Factors of a code. */
export interface Factors {
  readonly add: number
  readonly multiply: number
  /** `error`, or the largest of a block in units of `multiply`. */
  readonly spread: number
}

/** Tells whether a code can have such factors. */
export function areFactors({ add, multiply, spread }: Factors): boolean {
  return add > -Infinity && Number.isFinite(multiply) && spread >= 0 && spread < Infinity
}

/** Finds factors in whole blocks that no code can have, and where they are. */
export function findBadFactors(blocks: Uint8Array, dim: number): (Factors & { readonly offset: number }) | undefined {
  const view = new DataView(blocks.buffer, blocks.byteOffset, blocks.byteLength)
  for (let at = 0; at < blocks.byteLength; at += blockBytes(dim)) {
    const start = at + codeWidth(dim) * 4
    const spread = view.getFloat32(start + BLOCK_SPREAD_AT, true)
    for (let row = 0; row < BLOCK_ROWS; row++) {
      const offset = start + row * 4
      const factors = {
        add: view.getFloat32(offset, true),
        multiply: view.getFloat32(offset + BLOCK_MULTIPLY_AT, true),
        spread
      }
      if (!areFactors(factors)) return { ...factors, offset }
    }
  }
  return undefined
}
