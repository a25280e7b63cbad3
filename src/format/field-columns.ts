// The columns of declared fields in the fields extent of a segment (spec, section 4.3): encoding them from values, and
// what a decoded field is. Decoding lives in decode-field.ts.

import { ZgqError } from '../errors.ts'
import type { FieldType, FieldValue } from '../types.ts'
import { setBit, wordCount } from './bitmap.ts'
import type { DeclaredField } from './fields.ts'
import type { COLUMN_KINDS } from './kinds.ts'
import { encodeStringTable, makeStringTable, type StringTable } from './string-table.ts'

/** Kinds of columns that a field may have. */
export type FieldColumnKind = Extract<keyof typeof COLUMN_KINDS, `field${string}`>

/** Columns of a field by type; there is fieldPresence, too, where a row has no value. */
export const COLUMNS_OF_TYPE: Readonly<Record<FieldType, readonly FieldColumnKind[]>> = {
  number: ['fieldNumbers'],
  boolean: ['fieldBits'],
  string: ['fieldStrings', 'fieldDictionary'],
  'string[]': ['fieldLists', 'fieldDictionary']
}

/** A column of a field, to be written. */
export interface EncodedFieldColumn {
  readonly kind: FieldColumnKind
  /** Number of the field. */
  readonly field: number
  readonly bytes: Uint8Array
}

/** Bytes of the columns of one field in a segment, by kind. */
export type EncodedField = Partial<Record<FieldColumnKind, Uint8Array>>

/** A value for each row; undefined: the row does not have the field. */
export type FieldValues = readonly (FieldValue | undefined)[]

interface Rows {
  readonly rowCount: number
  /** Rows that have the field, null included; undefined: all have a value that is not null. */
  readonly present: Uint32Array | undefined
  /** Rows where it is null. */
  readonly nulls: Uint32Array | undefined
}

export interface NumberColumn extends Rows {
  readonly type: 'number'
  readonly numbers: Float64Array // 0 where there is no value
}

export interface BooleanColumn extends Rows {
  readonly type: 'boolean'
  readonly bits: Uint32Array // 0 where there is no value
}

export interface StringColumn extends Rows {
  readonly type: 'string'
  readonly codes: Uint32Array // places in the dictionary, 0 where there is no value
  readonly dictionary: StringTable
}

export interface ListColumn extends Rows {
  readonly type: 'string[]'
  readonly starts: Uint32Array // rowCount + 1, into codes; a row without a value has an empty list
  readonly codes: Uint32Array
  readonly dictionary: StringTable
}

/** A field over the rows of a segment. */
export type FieldColumn = NumberColumn | BooleanColumn | StringColumn | ListColumn

/** Longest column of a field in a segment: readers hold it in memory, with a copy while it is decoded. */
export const MOST_FIELD_COLUMN_BYTES = 2 ** 30

/** Encodes the columns of fields; values[i]: a value a row of fields[i], checked before. In the order of an extent. */
export function encodeFieldColumns(
  fields: readonly DeclaredField[],
  values: readonly FieldValues[],
  rowCount: number
): EncodedFieldColumn[] {
  const columns = fields.flatMap((field, i) => encodeField(field, values[i], rowCount))
  return columns.sort((left, right) => orderOf(left) - orderOf(right) || left.field - right.field)
}

/** By ascending codes, which is their order in an extent. */
const ORDER: readonly FieldColumnKind[] = [
  'fieldNumbers',
  'fieldBits',
  'fieldPresence',
  'fieldStrings',
  'fieldLists',
  'fieldDictionary'
]

function orderOf(column: EncodedFieldColumn): number {
  return ORDER.indexOf(column.kind)
}

function encodeField(field: DeclaredField, values: FieldValues, rowCount: number): EncodedFieldColumn[] {
  const encoded = encodeValues(field.type, values, rowCount)
  const presence = encodePresence(values, rowCount)
  if (presence !== undefined) encoded.fieldPresence = presence
  return ORDER.flatMap((kind) => {
    const bytes = encoded[kind]
    if (bytes === undefined) return []
    if (bytes.byteLength > MOST_FIELD_COLUMN_BYTES)
      throw new ZgqError(
        'ZGQ_BUILD_INPUT',
        `the field ${field.name} takes ${bytes.byteLength} bytes in a segment of ${rowCount} rows, expected at most ` +
          `${MOST_FIELD_COLUMN_BYTES}: put long values into the payload alone, or build more zones`
      )
    return { kind, field: field.number, bytes }
  })
}

function encodeValues(type: FieldType, values: FieldValues, rowCount: number): EncodedField {
  switch (type) {
    case 'number':
      return { fieldNumbers: bytesOf(Float64Array.from({ length: rowCount }, (_, row) => Number(values[row] ?? 0))) }
    case 'boolean': {
      const bits = new Uint32Array(wordCount(rowCount))
      for (let row = 0; row < rowCount; row++) if (values[row] === true) setBit(bits, row)
      return { fieldBits: bytesOf(bits) }
    }
    case 'string':
      return encodeStrings(values, rowCount)
    case 'string[]':
      return encodeLists(values, rowCount)
  }
}

function encodeStrings(values: FieldValues, rowCount: number): EncodedField {
  const { table, places } = makeStringTable(new Set(values.filter((value) => typeof value === 'string')))
  const codes = new Uint32Array(rowCount)
  for (let row = 0; row < rowCount; row++) {
    const value = values[row]
    if (typeof value === 'string') codes[row] = places.get(value) ?? 0
  }
  return { fieldStrings: bytesOf(codes), fieldDictionary: encodeStringTable(table) }
}

function encodeLists(values: FieldValues, rowCount: number): EncodedField {
  const lists = Array.from({ length: rowCount }, (_, row): readonly string[] => {
    const value = values[row]
    return typeof value === 'object' && value !== null ? value : []
  })
  const strings = lists.flat()
  const { table, places } = makeStringTable(new Set(strings))
  const words = new Uint32Array(rowCount + 1 + strings.length)
  lists.forEach((list, row) => {
    words[row + 1] = words[row] + list.length
  })
  strings.forEach((text, i) => {
    words[rowCount + 1 + i] = places.get(text) ?? 0
  })
  return { fieldLists: bytesOf(words), fieldDictionary: encodeStringTable(table) }
}

function encodePresence(values: FieldValues, rowCount: number): Uint8Array | undefined {
  const words = wordCount(rowCount)
  const bitmaps = new Uint32Array(words * 2)
  const [present, nulls] = [bitmaps.subarray(0, words), bitmaps.subarray(words)]
  let isNeeded = false
  for (let row = 0; row < rowCount; row++) {
    const value = values[row]
    if (value !== undefined) setBit(present, row)
    if (value === null) setBit(nulls, row)
    isNeeded ||= value === undefined || value === null
  }
  return isNeeded ? bytesOf(bitmaps) : undefined
}

function bytesOf(values: Uint32Array | Float64Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
}
