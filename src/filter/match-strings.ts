// Conditions on strings and lists of strings. Each is answered for the strings of the segment's dictionary, which stand
// in order: a range of codes, or a mark for each code. Rows are then compared by code.

import { decodeLatin1, indexOfBytes } from '#platform'

import { wordCount } from '../format/bitmap.ts'
import type { ListColumn, StringColumn } from '../format/field-columns.ts'
import type { StringTable } from '../format/string-table.ts'
import type { ContainsCondition, StringCondition, StringSetCondition } from './predicate.ts'

/** Marks of a new matcher: strings of most dictionaries. */
const LEAST_MARKS = 1024
/** Bytes of a dictionary that are copied into a string. */
const MOST_COPIED = 2 ** 20

export class StringMatcher {
  /** Of each code: 1 where its string meets the condition, else 0. */
  #marks = new Uint8Array(LEAST_MARKS)

  /** Writes the mask of the rows that meet a condition; rows without a value, too, where code 0 meets it. */
  match(
    condition: StringCondition | StringSetCondition | ContainsCondition,
    column: StringColumn | ListColumn,
    mask: Uint32Array
  ): void {
    const { dictionary } = column
    if (condition.kind === 'strings') {
      const { from, to } = condition.range
      const first = dictionary.lowerBound(from)
      const end = to === undefined ? dictionary.count : dictionary.advance(to, first)
      if (column.type === 'string') matchCodeRange(column.codes, { first, end }, mask)
      else matchListRange(column, { first, end }, mask)
      return
    }
    const marks = this.#freshMarks(dictionary.count)
    if (condition.kind === 'stringSet') condition.set.mark(dictionary, marks)
    else markContaining(dictionary, condition.text, marks)
    if (column.type === 'string') matchMarkedCodes(column.codes, marks, mask)
    else matchMarkedLists(column, marks, mask)
  }

  #freshMarks(count: number): Uint8Array {
    if (this.#marks.length < count) this.#marks = new Uint8Array(2 * count)
    else this.#marks.fill(0, 0, count)
    return this.#marks
  }
}

interface CodeRange {
  readonly first: number
  /** Excluded. */
  readonly end: number
}

/**
 * Returns 1 for a code from `first` on and before `end`, else 0, without a branch, which would be guessed wrong for
 * every other row: one of the differences is negative outside. Codes are below 2^31, as no memory holds more strings.
 */
function isBetween(code: number, first: number, end: number): number {
  return ~((code - first) | (end - 1 - code)) >>> 31
}

function matchCodeRange(codes: Uint32Array, { first, end }: CodeRange, mask: Uint32Array): void {
  for (let row = 0, word = 0; row < codes.length; word++) {
    const last = Math.min(row + 32, codes.length)
    let bits = 0
    for (let bit = 0; row < last; row++, bit++) bits |= isBetween(codes[row], first, end) << bit
    mask[word] = bits
  }
}

function matchMarkedCodes(codes: Uint32Array, marks: Uint8Array, mask: Uint32Array): void {
  for (let row = 0, word = 0; row < codes.length; word++) {
    const last = Math.min(row + 32, codes.length)
    let bits = 0
    for (let bit = 0; row < last; row++, bit++) bits |= marks[codes[row]] << bit
    mask[word] = bits
  }
}

function matchListRange({ starts, codes, rowCount }: ListColumn, { first, end }: CodeRange, mask: Uint32Array): void {
  mask.fill(0, 0, wordCount(rowCount))
  for (let i = 0, row = 0; i < codes.length; i++) {
    if (isBetween(codes[i], first, end) === 0) continue
    while (starts[row + 1] <= i) row++
    mask[row >>> 5] |= 1 << (row & 31)
    i = starts[row + 1] - 1
  }
}

function matchMarkedLists({ starts, codes, rowCount }: ListColumn, marks: Uint8Array, mask: Uint32Array): void {
  mask.fill(0, 0, wordCount(rowCount))
  for (let i = 0, row = 0; i < codes.length; i++) {
    if (marks[codes[i]] === 0) continue
    while (starts[row + 1] <= i) row++
    mask[row >>> 5] |= 1 << (row & 31)
    i = starts[row + 1] - 1
  }
}

/** Marks the strings of a dictionary that have a text in them: one search through all their bytes. */
function markContaining({ starts, bytes, count }: StringTable, text: Uint8Array, marks: Uint8Array): void {
  // Searching a string again and again takes a fraction of the time that a search of bytes does.
  const isShort = bytes.length <= MOST_COPIED
  const [haystack, needle] = isShort ? [decodeLatin1(bytes), decodeLatin1(text)] : ['', '']
  const find = (from: number): number => (isShort ? haystack.indexOf(needle, from) : indexOfBytes(bytes, text, from))
  let at = find(0)
  for (let place = 0; at !== -1 && place < count;) {
    while (starts[place + 1] <= at) place++
    const end = starts[place + 1]
    // What goes on into the next string is in neither; the search goes on behind this string, or one byte on.
    const isInside = at + text.length <= end
    if (isInside) marks[place] = 1
    at = find(isInside ? end : at + 1)
  }
}
