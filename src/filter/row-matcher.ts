// Which rows of a segment meet a predicate: a bit a row. Rows are compared 32 at a time into a word of the mask;
// nothing is allocated for a row or, once it was used, for a segment.

import { countBits, lastWordMask, wordCount } from '../format/bitmap.ts'
import type { FieldColumn } from '../format/field-columns.ts'
import { matchNumbers, matchNumberSet } from './match-numbers.ts'
import { StringMatcher } from './match-strings.ts'
import type { Combination, Condition, Predicate } from './predicate.ts'

/** Words of a new spare mask: rows of most segments. */
const SPARE_WORDS = 64

/** The declared fields of a segment, decoded. */
export interface SegmentFields {
  readonly rowCount: number
  /** Returns the column of a field, by the number of the field. */
  column(field: number): FieldColumn
}

/** Matches rows with predicates; keeps the memory that it needs for that. */
export class RowMatcher {
  readonly #strings = new StringMatcher()
  /** Masks for parts of combinations, the first #taken in use. */
  readonly #spare: Uint32Array[] = []
  #taken = 0

  /**
   * Writes a mask of the rows that meet a predicate: the lowest bit of a word first, bits past the last row 0. What
   * `mask` has behind the words of the segment stays. Returns how many rows meet it.
   */
  match(predicate: Predicate, segment: SegmentFields, mask: Uint32Array): number {
    this.#taken = 0
    this.#match(predicate, segment, mask)
    return countBits(mask, wordCount(segment.rowCount))
  }

  #match(predicate: Predicate, segment: SegmentFields, mask: Uint32Array): void {
    switch (predicate.kind) {
      case 'all':
        setRows(mask, segment.rowCount)
        return
      case 'none':
        mask.fill(0, 0, wordCount(segment.rowCount))
        return
      case 'not':
        this.#match(predicate.part, segment, mask)
        invert(mask, segment.rowCount)
        return
      case 'and':
      case 'or':
        this.#matchCombination(predicate, segment, mask)
        return
      default:
        this.#matchCondition(predicate, segment.column(predicate.field), mask)
    }
  }

  #matchCombination({ kind, parts }: Combination, segment: SegmentFields, mask: Uint32Array): void {
    const words = wordCount(segment.rowCount)
    this.#match(parts[0], segment, mask)
    const other = this.#takeSpare(words)
    for (let i = 1; i < parts.length; i++) {
      if (kind === 'and' && isEmpty(mask, words)) break
      this.#match(parts[i], segment, other)
      if (kind === 'and') for (let word = 0; word < words; word++) mask[word] &= other[word]
      else for (let word = 0; word < words; word++) mask[word] |= other[word]
    }
    this.#taken--
  }

  #takeSpare(words: number): Uint32Array {
    if (this.#taken === this.#spare.length || this.#spare[this.#taken].length < words)
      this.#spare[this.#taken] = new Uint32Array(Math.max(words, SPARE_WORDS))
    return this.#spare[this.#taken++]
  }

  #matchCondition(condition: Condition, column: FieldColumn, mask: Uint32Array): void {
    const { present, rowCount } = column
    switch (condition.kind) {
      case 'exists':
        if (present === undefined) setRows(mask, rowCount)
        else mask.set(present)
        return
      case 'missing':
        setRows(mask, rowCount)
        keepValues(mask, column)
        invert(mask, rowCount)
        return
      case 'true':
        if (column.type !== 'boolean') throw mistaken(condition, column)
        // Rows without a value have 0 here.
        mask.set(column.bits)
        return
      case 'false':
        if (column.type !== 'boolean') throw mistaken(condition, column)
        mask.set(column.bits)
        invert(mask, rowCount)
        break
      case 'numbers':
        if (column.type !== 'number') throw mistaken(condition, column)
        matchNumbers(condition, column.numbers, mask)
        break
      case 'numberSet':
        if (column.type !== 'number') throw mistaken(condition, column)
        matchNumberSet(condition.set, column.numbers, mask)
        break
      default:
        if (column.type !== 'string' && column.type !== 'string[]') throw mistaken(condition, column)
        this.#strings.match(condition, column, mask)
    }
    keepValues(mask, column)
  }
}

function setRows(mask: Uint32Array, rowCount: number): void {
  const words = wordCount(rowCount)
  mask.fill(0xffff_ffff, 0, words)
  if (words > 0) mask[words - 1] = lastWordMask(rowCount)
}

function invert(mask: Uint32Array, rowCount: number): void {
  const words = wordCount(rowCount)
  for (let word = 0; word < words; word++) mask[word] = ~mask[word]
  if (words > 0) mask[words - 1] &= lastWordMask(rowCount)
}

/** Takes rows out whose field is missing or null. */
function keepValues(mask: Uint32Array, { present, nulls }: FieldColumn): void {
  if (present === undefined || nulls === undefined) return
  for (let word = 0; word < present.length; word++) mask[word] &= present[word] & ~nulls[word]
}

function isEmpty(mask: Uint32Array, words: number): boolean {
  for (let word = 0; word < words; word++) if (mask[word] !== 0) return false
  return true
}

function mistaken(condition: Condition, column: FieldColumn): TypeError {
  return new TypeError(`condition ${condition.kind} asks field ${condition.field}, whose column is ${column.type}`)
}
