// Looking a vector up by its id. There is no order of ids, so every segment is asked, and every id in it.

import type { SegmentTable } from '../format/segment-table.ts'
import { highWord } from '../format/u64.ts'
import type { SegmentFiles } from '../storage/segment-files.ts'
import type { Ordinal } from '../storage/segment-reads.ts'

/** Finds the row with an id, or undefined. Reads the ids of one segment after the other until it is found. */
export function findRow(segments: SegmentTable, files: SegmentFiles, id: number): Ordinal | undefined {
  for (const segment of segments) {
    let row = -1
    files.eachIds(segment, (words, firstRow) => {
      const position = row === -1 ? positionOf(words, id) : -1
      if (position !== -1) row = firstRow + position
    })
    if (row !== -1) return { segment, row }
  }
  return undefined
}

/** Returns the position of an id among ids (u64 as two words, low first), or -1. */
function positionOf(words: Uint32Array, id: number): number {
  const [low, high] = [id >>> 0, highWord(id)]
  for (let i = 0; i < words.length; i += 2) {
    if (words[i] === low && words[i + 1] === high) return i / 2
  }
  return -1
}
