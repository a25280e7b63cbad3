// Rows of the columns of a Parquet file, from the levels of their pages: that all vectors are there and of one length,
// and the values of other columns one by one.

import { ZgqError } from '../errors.ts'
import { checkId, idsOf, otherDim } from './batch-source.ts'
import type { Numbers } from './number-kinds.ts'
import type { IdColumn, NumberColumn, ValueColumn } from './parquet-columns.ts'
import { readPages, type DecodedColumn, type Page, type ParquetFile } from './parquet-pages.ts'
import { emptyPayload } from './payload-columns.ts'
import { checkDim } from './row-source.ts'
import type { VectorBatch } from './vector-batch.ts'

/** Follows the levels of a column of lists: every list must be there, whole, and of one length. */
export class RowChecker {
  readonly #column: NumberColumn
  readonly #path: string
  /** Undefined until the first list has ended. */
  #dim: number | undefined
  /** The first row of the row group. */
  #groupRow = 0
  /** Rows begun so far. */
  #count = 0
  /** The last of them may go on. */
  #isOpen = false
  /** Numbers of the last of them. */
  #length = 0

  constructor(column: NumberColumn, path: string, dim?: number) {
    this.#column = column
    this.#path = path
    this.#dim = dim
  }

  get count(): number {
    return this.#count
  }

  get firstLength(): number | undefined {
    return this.#dim
  }

  /**
   * Goes on in another place: after so many values of the row group that begins with row `groupRow`, every row of it
   * taken to have `dim`. isRowStart: a row begins there; else one may go on.
   */
  moveTo(groupRow: number, valuesBefore: number, isRowStart: boolean): void {
    const rows = Math.ceil(valuesBefore / (this.#dim ?? 1))
    this.#groupRow = groupRow
    this.#count = groupRow + rows
    this.#isOpen = !isRowStart && rows > 0
    this.#length = valuesBefore - (rows - 1) * (this.#dim ?? 1)
  }

  /** Throws ZGQ_BUILD_INPUT for nulls, ZGQ_DIMENSION for a list of another length, with the row. */
  check(page: Page<Numbers>): void {
    const { count, repetitions, definitions, endsRow, endsGroupOf } = page
    const { maxDefinition } = this.#column
    for (let i = 0; i < count; i++) {
      if (repetitions === undefined || repetitions[i] === 0) this.#beginRow()
      else if (!this.#isOpen) throw new Error(`${endsRow ? 'a page' : 'a row group'} begins in the middle of a list`)
      if (definitions === undefined || definitions[i] === maxDefinition) this.#length++
      else this.#expectEmpty(definitions[i])
    }
    if (endsGroupOf !== undefined || (endsRow && this.#isOpen)) this.#endRow()
    if (endsGroupOf === undefined) return
    if (this.#count - this.#groupRow !== endsGroupOf)
      throw new Error(`a row group has ${this.#count - this.#groupRow} rows, expected ${endsGroupOf}`)
    this.#groupRow = this.#count
  }

  #beginRow(): void {
    if (this.#isOpen) this.#endRow()
    this.#count++
    this.#length = 0
    this.#isOpen = true
  }

  #endRow(): void {
    this.#isOpen = false
    if (this.#dim === undefined) checkDim(this.#length, { path: this.#path })
    this.#dim ??= this.#length
    if (this.#length !== this.#dim) throw otherDim(this.#length, this.#dim, { row: this.#row(), path: this.#path })
  }

  /** An entry without a number: an empty list, whose length is checked like any, a null list or a null in a list. */
  #expectEmpty(definition: number): void {
    const { entryDefinition, name } = this.#column
    if (definition === entryDefinition - 1) return
    const found = definition < entryDefinition ? 'null' : `a list with a null at position ${this.#length}`
    throw new ZgqError('ZGQ_BUILD_INPUT', `${this.#row()} has ${found} in the column ${name}, expected numbers`, {
      path: this.#path
    })
  }

  #row(): string {
    return `row ${this.#count - 1}`
  }
}

/** Yields the values of a column, one for each row: null where there is none, an array where they are lists. */
function* valuesOf(parquet: ParquetFile, column: DecodedColumn<ArrayLike<unknown>>): Generator<unknown> {
  const { maxRepetition, maxDefinition, entryDefinition } = column
  let rows = 0
  let list: unknown[] | null | undefined
  for (const page of readPages(parquet, column)) {
    const { count, repetitions, definitions, endsGroupOf } = page
    const values = flat(page.values)
    for (let i = 0; i < count; i++) {
      const definition = definitions?.[i] ?? maxDefinition
      const value: unknown = definition === maxDefinition ? values.next().value : null
      if (maxRepetition === 0) {
        rows++
        yield value
        continue
      }
      if (repetitions === undefined || repetitions[i] === 0) {
        if (list !== undefined) yield list
        rows++
        list = definition < entryDefinition - 1 ? null : definition < entryDefinition ? [] : [value]
      } else if (list === undefined || list === null) throw new Error('a row group begins in the middle of a list')
      else list.push(value)
    }
    if (endsGroupOf === undefined) continue
    if (list !== undefined) yield list
    list = undefined
    if (rows !== endsGroupOf) throw new Error(`a row group has ${rows} rows, expected ${endsGroupOf}`)
    rows = 0
  }
}

function* flat(pieces: Iterable<ArrayLike<unknown>>): Generator<unknown, undefined> {
  for (const piece of pieces) for (let i = 0; i < piece.length; i++) yield piece[i]
}

/** Gives out ids as they are asked for. */
export class IdReader {
  readonly #values: Iterator<unknown>
  readonly #idType: IdColumn['idType']
  readonly #path: string
  #row = 0

  constructor(parquet: ParquetFile, { column, idType }: IdColumn) {
    this.#values = valuesOf(parquet, column)
    this.#idType = idType
    this.#path = parquet.file.path
  }

  /** Takes the next `count` ids; throws ZGQ_BUILD_INPUT for one that is missing or cannot be one. */
  take(count: number): NonNullable<VectorBatch['ids']> {
    const ids: (number | string)[] = []
    for (let i = 0; i < count; i++) {
      const { value, done } = this.#values.next()
      if (done === true) throw new Error('the column of ids ends before that of the vectors')
      ids.push(checkId(value, { row: `row ${this.#row++}`, path: this.#path }, this.#idType))
    }
    return idsOf(ids)
  }
}

/** Puts payloads together from columns. */
export class PayloadReader {
  readonly #columns: readonly { readonly values: Iterator<unknown>; readonly column: ValueColumn }[]
  readonly #path: string
  #row = 0

  constructor(parquet: ParquetFile, columns: readonly ValueColumn[]) {
    this.#columns = columns.map((column) => ({ values: valuesOf(parquet, column), column }))
    this.#path = parquet.file.path
  }

  /** Takes the next payload, and about how many bytes it has; throws ZGQ_BUILD_INPUT for integers beyond 2^53 - 1. */
  take(): { readonly payload: object; readonly byteLength: number } {
    const payload = emptyPayload()
    let byteLength = 0
    for (const { values, column } of this.#columns) {
      const { value, done } = values.next()
      if (done === true) throw new Error(`the column ${column.name} ends before that of the vectors`)
      payload[column.name] = Array.isArray(value)
        ? value.map((element) => this.#convert(element, column))
        : this.#convert(value, column)
      byteLength += sizeOf(value)
    }
    this.#row++
    return { payload, byteLength }
  }

  #convert(value: unknown, { convert, name }: ValueColumn): unknown {
    if (value === null) return null
    const converted = convert(value)
    if (converted !== undefined) return converted
    throw new ZgqError(
      'ZGQ_BUILD_INPUT',
      `row ${this.#row} has about ${String(value)} in the column ${name}, expected integers from -(2^53 - 1) to ` +
        '2^53 - 1',
      { path: this.#path }
    )
  }
}

function sizeOf(value: unknown): number {
  if (typeof value === 'string' || value instanceof Uint8Array) return value.length
  return Array.isArray(value) ? value.reduce<number>((sum, element) => sum + sizeOf(element), 8) : 8
}
