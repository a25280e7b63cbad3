// What values a declared field has over all rows: how many have it, the least and the largest, the commonest. One pass
// over the columns of the field; numbers take a second one for their histogram.

import { describe } from '../describe.ts'
import { ZgqError } from '../errors.ts'
import { hasBit } from '../format/bitmap.ts'
import { valueAt } from '../format/decode-field.ts'
import type { BooleanColumn, FieldColumn, ListColumn, NumberColumn, StringColumn } from '../format/field-columns.ts'
import type { DeclaredField } from '../format/fields.ts'
import type { Segment } from '../format/segment-table.ts'
import { ChangedFields, columnOf } from '../live/changed-fields.ts'
import { checkOptionNames, expectWholeNumber } from '../options.ts'
import type { FieldType } from '../types.ts'
import type { RowsContext } from './rows.ts'

/** A value, and the number of rows that have it. For lists: the number of rows that have it among their elements. */
export interface ValueCount {
  readonly value: string | boolean
  readonly rows: number
}

/** Rows with a number from `from` to below `to`; the last bin includes `to`. */
export interface NumberBin {
  readonly from: number
  readonly to: number
  readonly rows: number
}

/** The values of a declared field. */
export interface FieldSummary {
  readonly name: string
  readonly type: FieldType
  /** Rows with a value that is not null. */
  readonly rows: number
  readonly nulls: number
  /** Rows that do not have the field. */
  readonly missing: number
  /** Number of distinct strings, elements of lists, or booleans; undefined for numbers. */
  readonly distinct?: number | undefined
  /** True if there are more distinct values than were counted: `distinct` is then a lower bound. */
  readonly isCut?: boolean | undefined
  /** The most common values, equally common ones in their order; undefined for numbers. */
  readonly values?: readonly ValueCount[] | undefined
  /** Undefined if no row has a number. */
  readonly min?: number | undefined
  readonly max?: number | undefined
  /** Finite numbers in bins of equal width; undefined for other types. */
  readonly histogram?: readonly NumberBin[] | undefined
}

/** Options of `ZgqIndex.fieldSummary`. */
export interface FieldSummaryOptions {
  /** How many of the most common values to list. Default 20. */
  readonly values?: number | undefined
  /** Most bins of the histogram. Default 20. */
  readonly bins?: number | undefined
}

/** Distinct values that are counted: some 100 MB of short strings. Those that come later count only as rows. */
const MOST_DISTINCT = 2 ** 20
/** Bytes of their text in UTF-8: few values may be long. */
const MOST_TEXT_BYTES = 32 * 2 ** 20

/** Throws ZGQ_FILTER for a field that is not declared, TypeError or RangeError for options, and as reads do. */
export function summarizeField(of: RowsContext, name: string, options: FieldSummaryOptions): FieldSummary {
  checkOptionNames('fieldSummary', options, ['values', 'bins'])
  const { values = 20, bins = 20 } = options
  expectWholeNumber('values', values, { least: 0 })
  expectWholeNumber('bins', bins, { least: 1, most: 1000 })
  const field = of.fields.find((declared) => declared.name === name)
  if (field === undefined)
    throw new ZgqError(
      'ZGQ_FILTER',
      `the field ${describe(name)} is not declared; declared are ` +
        (of.fields.map((one) => one.name).join(', ') || 'none')
    )
  const counted = new ValueCounts()
  const numbers = new NumberRange()
  let [rows, nulls, missing] = [0, 0, 0]
  eachColumn(of, field, (column) => {
    const { present, nulls: isNull, rowCount } = column
    for (let row = 0; row < rowCount; row++) {
      if (present !== undefined && !hasBit(present, row)) missing++
      else if (isNull !== undefined && hasBit(isNull, row)) nulls++
      else rows++
    }
    if (column.type === 'number') numbers.add(column)
    else counted.add(column)
  })
  const { type } = field
  const summary = { name, type, rows, nulls, missing }
  if (type !== 'number')
    return { ...summary, distinct: counted.distinct, isCut: counted.isCut, values: counted.commonest(values) }
  const histogram = numbers.bins(bins)
  if (histogram.length > 0)
    eachColumn(of, field, (column) => {
      if (column.type === 'number') fillBins(histogram, column)
    })
  return { ...summary, ...(rows === 0 ? {} : { min: numbers.min, max: numbers.max }), histogram }
}

/** Calls `take` with a column over the live rows of each segment, and over the fresh rows. */
function eachColumn(of: RowsContext, field: DeclaredField, take: (column: FieldColumn) => void): void {
  const { segments, files, live } = of
  for (const segment of segments) {
    const column = files.fieldOf(segment, field)
    const isChanged = live.masks.of(segment.slot) !== undefined || live.patches.of(segment.slot) !== undefined
    take(isChanged ? changedColumn(of, { segment, field, column }) : column)
  }
  const payloads = live.fresh.list().map(({ payload }) => payload)
  if (payloads.length > 0) take(new ChangedFields(payloads, { fields: of.fields, path: of.path }).column(field.number))
}

/** Makes a column anew, without deleted rows and with the values of patches. */
function changedColumn(
  { live, path }: RowsContext,
  of: { readonly segment: Segment; readonly field: DeclaredField; readonly column: FieldColumn }
): FieldColumn {
  const { segment, field, column } = of
  const { slot, rowCount } = segment
  const values = Array.from({ length: rowCount }, (_, row) => valueAt(column, row))
  const patched = live.patches.of(slot)
  if (patched !== undefined) {
    const patches = patched.fields.column(field.number)
    for (const [i, row] of patched.rows.entries()) values[row] = valueAt(patches, i)
  }
  const kept = values.filter((_, row) => !live.masks.isDeleted(slot, row))
  return columnOf(field, kept, path)
}

function hasValue({ present, nulls }: FieldColumn, row: number): boolean {
  return (present === undefined || hasBit(present, row)) && (nulls === undefined || !hasBit(nulls, row))
}

class ValueCounts {
  readonly #rows = new Map<string | boolean, number>()
  #textBytes = 0
  isCut = false

  get distinct(): number {
    return this.#rows.size
  }

  add(column: BooleanColumn | StringColumn | ListColumn): void {
    if (column.type === 'boolean') {
      for (let row = 0; row < column.rowCount; row++)
        if (hasValue(column, row)) this.#count(hasBit(column.bits, row), { rows: 1, bytes: 0 })
      return
    }
    const { dictionary } = column
    const rows = column.type === 'string' ? rowsOfCodes(column) : rowsOfElements(column)
    rows.forEach((count, code) => {
      if (count === 0) return
      const bytes = dictionary.starts[code + 1] - dictionary.starts[code]
      if (bytes > MOST_TEXT_BYTES) this.isCut = true
      else this.#count(dictionary.at(code), { rows: count, bytes })
    })
  }

  /** Counts rows of a value. One that is left out stays out, as there is never more room: what is counted is exact. */
  #count(value: string | boolean, { rows, bytes }: { readonly rows: number; readonly bytes: number }): void {
    const before = this.#rows.get(value)
    if (before !== undefined) this.#rows.set(value, before + rows)
    else if (this.#rows.size >= MOST_DISTINCT || this.#textBytes + bytes > MOST_TEXT_BYTES) this.isCut = true
    else {
      this.#rows.set(value, rows)
      this.#textBytes += bytes
    }
  }

  commonest(most: number): ValueCount[] {
    const all = Array.from(this.#rows, ([value, rows]) => ({ value, rows }))
    const text = ({ value }: ValueCount): Buffer => Buffer.from(String(value))
    return all.sort((a, b) => b.rows - a.rows || Buffer.compare(text(a), text(b))).slice(0, most)
  }
}

/** Counts the rows of each string of a dictionary. */
function rowsOfCodes(column: StringColumn): Uint32Array {
  const rows = new Uint32Array(column.dictionary.count)
  for (let row = 0; row < column.rowCount; row++) if (hasValue(column, row)) rows[column.codes[row]]++
  return rows
}

/** The same for elements: one that a list has twice counts once. */
function rowsOfElements({ rowCount, starts, codes, dictionary }: ListColumn): Uint32Array {
  const rows = new Uint32Array(dictionary.count)
  const lastRow = new Uint32Array(dictionary.count) // + 1
  for (let row = 0; row < rowCount; row++) {
    for (let i = starts[row]; i < starts[row + 1]; i++) {
      if (lastRow[codes[i]] === row + 1) continue
      lastRow[codes[i]] = row + 1
      rows[codes[i]]++
    }
  }
  return rows
}

class NumberRange {
  min = Infinity
  max = -Infinity
  /** Of finite numbers. */
  #least = Infinity
  #largest = -Infinity
  #isWhole = true

  add(column: NumberColumn): void {
    for (let row = 0; row < column.rowCount; row++) {
      if (!hasValue(column, row)) continue
      const number = column.numbers[row]
      this.min = Math.min(this.min, number)
      this.max = Math.max(this.max, number)
      if (!Number.isFinite(number)) continue
      this.#least = Math.min(this.#least, number)
      this.#largest = Math.max(this.#largest, number)
      this.#isWhole &&= Number.isInteger(number)
    }
  }

  /** Bins that are still empty; whole numbers get bins between whole numbers. */
  bins(most: number): Mutable<NumberBin>[] {
    const [least, largest] = [this.#least, this.#largest]
    if (least > largest) return []
    if (least === largest) return [{ from: least, to: least, rows: 0 }]
    // Halves, since the difference of two finite numbers may be infinite.
    const halfWidth = largest / 2 - least / 2
    const wholeWidth = Math.ceil((halfWidth * 2 + 1) / most)
    const isWhole = this.#isWhole && Number.isSafeInteger(least + wholeWidth * most)
    const count = isWhole ? Math.ceil((halfWidth * 2 + 1) / wholeWidth) : most
    const edge = (i: number): number => {
      if (isWhole) return least + i * wholeWidth
      return i === count ? largest : least + (halfWidth / count) * i * 2
    }
    return Array.from({ length: count }, (_, i) => ({ from: edge(i), to: edge(i + 1), rows: 0 }))
  }
}

type Mutable<Type> = { -readonly [Key in keyof Type]: Type[Key] }

function fillBins(bins: readonly Mutable<NumberBin>[], column: NumberColumn): void {
  const least = bins[0].from
  const halfWidth = bins[bins.length - 1].to / 2 - least / 2
  for (let row = 0; row < column.rowCount; row++) {
    const number = column.numbers[row]
    if (!hasValue(column, row) || !Number.isFinite(number)) continue
    const share = halfWidth === 0 ? 0 : (number / 2 - least / 2) / halfWidth
    let bin = Math.min(bins.length - 1, Math.floor(share * bins.length))
    // What division rounds may be beyond an edge.
    while (bin > 0 && number < bins[bin].from) bin--
    while (bin < bins.length - 1 && number >= bins[bin + 1].from) bin++
    bins[bin].rows++
  }
}
