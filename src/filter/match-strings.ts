// Conditions on strings and lists of strings. Each is answered for the strings of the segment's dictionary, which stand
// in order: a range of codes, or a mark for each code. Rows are then compared by code.

import type { ListColumn, StringColumn } from '../format/field-columns.ts'
import type { StringTable } from '../format/string-table.ts'
import type { ContainsCondition, StringCondition, StringSetCondition } from './predicate.ts'

/** Marks of a new matcher: strings of most dictionaries. */
const LEAST_MARKS = 1024

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
    if (condition.kind === 'stringSet') markCommon(dictionary, condition.values, marks)
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

function matchCodeRange(codes: Uint32Array, { first, end }: CodeRange, mask: Uint32Array): void {
  const width = end - first
  for (let row = 0, word = 0; row < codes.length; word++) {
    const last = Math.min(row + 32, codes.length)
    let bits = 0
    // Codes below the range become large without a sign.
    for (let bit = 1; row < last; row++, bit <<= 1) if ((codes[row] - first) >>> 0 < width) bits |= bit
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
  const width = end - first
  for (let row = 0, word = 0; row < rowCount; word++) {
    const last = Math.min(row + 32, rowCount)
    let bits = 0
    for (let bit = 1; row < last; row++, bit <<= 1) {
      const listEnd = starts[row + 1]
      let i = starts[row]
      while (i < listEnd && (codes[i] - first) >>> 0 >= width) i++
      if (i < listEnd) bits |= bit
    }
    mask[word] = bits
  }
}

function matchMarkedLists({ starts, codes, rowCount }: ListColumn, marks: Uint8Array, mask: Uint32Array): void {
  for (let row = 0, word = 0; row < rowCount; word++) {
    const last = Math.min(row + 32, rowCount)
    let bits = 0
    for (let bit = 0; row < last; row++, bit++) {
      let found = 0
      for (let i = starts[row]; i < starts[row + 1]; i++) found |= marks[codes[i]]
      bits |= found << bit
    }
    mask[word] = bits
  }
}

/** Marks the strings of a dictionary that are among others. The shorter table is walked, the longer searched. */
function markCommon(dictionary: StringTable, values: StringTable, marks: Uint8Array): void {
  const isShorter = dictionary.count <= values.count
  const [walked, searched] = isShorter ? [dictionary, values] : [values, dictionary]
  let place = 0
  for (let i = 0; i < walked.count; i++) {
    place = searched.advanceTo(walked, i, place)
    if (place === searched.count) return
    if (searched.compare(place, walked, i) === 0) marks[isShorter ? i : place] = 1
  }
}

/** Marks the strings of a dictionary that have a text in them: one search through all their bytes. */
function markContaining({ starts, bytes, count }: StringTable, text: Buffer, marks: Uint8Array): void {
  let at = bytes.indexOf(text)
  for (let place = 0; at !== -1 && place < count;) {
    while (starts[place + 1] <= at) place++
    const end = starts[place + 1]
    // What goes on into the next string is in neither; the search goes on behind this string, or one byte on.
    const isInside = at + text.length <= end
    if (isInside) marks[place] = 1
    at = bytes.indexOf(text, isInside ? end : at + 1)
  }
}
