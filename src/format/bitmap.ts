// Bitmaps over the rows of a segment: a bit a row, the lowest bit of a u32 word first, bits past the last row 0.

/** Counts the u32 words of a bitmap. */
export function wordCount(rowCount: number): number {
  return Math.ceil(rowCount / 32)
}

/** Bits of the last word that stand for rows. */
export function lastWordMask(rowCount: number): number {
  return rowCount % 32 === 0 ? 0xffff_ffff : 2 ** (rowCount % 32) - 1
}

export function hasBit(bitmap: Uint32Array, row: number): boolean {
  return ((bitmap[row >>> 5] >>> (row & 31)) & 1) === 1
}

export function setBit(bitmap: Uint32Array, row: number): void {
  bitmap[row >>> 5] |= 1 << (row & 31)
}

/** Counts the bits that are set in the first words of a bitmap (Hacker's Delight, figure 5-2). */
export function countBits(bitmap: Uint32Array, words = bitmap.length): number {
  let count = 0
  for (let i = 0; i < words; i++) {
    let word = bitmap[i]
    word -= (word >>> 1) & 0x5555_5555
    word = (word & 0x3333_3333) + ((word >>> 2) & 0x3333_3333)
    count += Math.imul((word + (word >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24
  }
  return count
}
