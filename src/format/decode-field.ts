// Reading the columns of a declared field (spec, section 4.3). Files are not trusted: what is decoded here is in order,
// so that whoever evaluates filters checks nothing any more. Bytes are copied; they may stand anywhere.

import { ZgqError } from '../errors.ts'
import type { FieldType, FieldValue } from '../types.ts'
import { countBits, hasBit, lastWordMask, wordCount } from './bitmap.ts'
import {
  COLUMNS_OF_TYPE,
  MOST_FIELD_COLUMN_BYTES,
  type EncodedField,
  type FieldColumn,
  type FieldColumnKind
} from './field-columns.ts'
import { checkStarts, decodeStringTable, type StringTable } from './string-table.ts'

/** What is decoded, and where it was read, for messages. */
export interface FieldExpectation {
  readonly path: string
  readonly segment: number
  readonly rowCount: number
  /** Name of the field. */
  readonly name: string
  readonly type: FieldType
}

type Damage = (what: string) => ZgqError

/** A column as its extent describes it, before it is read. */
export interface FieldColumnLength {
  readonly kind: FieldColumnKind
  /** Where it begins in the file. */
  readonly offset: number
  readonly byteLength: number
}

/**
 * Checks the length that a column is said to have, before so much memory is taken: throws ZGQ_CORRUPT where rows give
 * another, and ZGQ_UNSUPPORTED for what is too long to be held.
 */
export function checkFieldLength(column: FieldColumnLength, expected: Omit<FieldExpectation, 'type'>): void {
  const { kind, offset, byteLength } = column
  const { path, segment, name, rowCount } = expected
  const what = `column ${kind} of field ${name}, segment ${segment}, has ${byteLength} bytes`
  const exact = bytesByRows(kind, rowCount)
  if (exact !== undefined && byteLength !== exact)
    throw new ZgqError('ZGQ_CORRUPT', `${what}, expected ${exact}`, { path, offset })
  if (byteLength > MOST_FIELD_COLUMN_BYTES)
    throw new ZgqError('ZGQ_UNSUPPORTED', `${what}, expected at most ${MOST_FIELD_COLUMN_BYTES}`, { path, offset })
}

/** How long a column is; undefined: that is for its values to say. */
function bytesByRows(kind: FieldColumnKind, rowCount: number): number | undefined {
  switch (kind) {
    case 'fieldNumbers':
      return rowCount * 8
    case 'fieldBits':
      return wordCount(rowCount) * 4
    case 'fieldPresence':
      return wordCount(rowCount) * 8
    case 'fieldStrings':
      return rowCount * 4
    case 'fieldLists':
    case 'fieldDictionary':
      return undefined
  }
}

/** Decodes and checks the columns of a field in a segment; throws ZGQ_CORRUPT. */
export function decodeField(encoded: EncodedField, expected: FieldExpectation): FieldColumn {
  const damageOf =
    (kind: FieldColumnKind): Damage =>
    (what) =>
      new ZgqError('ZGQ_CORRUPT', `column ${kind} of field ${expected.name}, segment ${expected.segment}, ${what}`, {
        path: expected.path
      })
  checkKinds(encoded, expected.type, damageOf)
  const { rowCount, type } = expected
  const bytesOf = (kind: FieldColumnKind): Uint8Array => encoded[kind] ?? new Uint8Array()
  const presence = decodePresence(encoded.fieldPresence, rowCount, damageOf('fieldPresence'))
  const rows = { rowCount, ...presence }
  switch (type) {
    case 'number':
      return { type, ...rows, numbers: decodeNumbers(bytesOf('fieldNumbers'), rows, damageOf('fieldNumbers')) }
    case 'boolean':
      return { type, ...rows, bits: decodeBits(bytesOf('fieldBits'), rows, damageOf('fieldBits')) }
    case 'string': {
      const dictionary = decodeDictionary(bytesOf('fieldDictionary'), damageOf)
      const codes = decodeCodes(bytesOf('fieldStrings'), { ...rows, dictionary }, damageOf('fieldStrings'))
      return { type, ...rows, codes, dictionary }
    }
    case 'string[]': {
      const dictionary = decodeDictionary(bytesOf('fieldDictionary'), damageOf)
      const lists = decodeLists(bytesOf('fieldLists'), { ...rows, dictionary }, damageOf('fieldLists'))
      return { type, ...rows, ...lists, dictionary }
    }
  }
}

/** Returns the value of a row; undefined: the row does not have the field. */
export function valueAt(column: FieldColumn, row: number): FieldValue | undefined {
  if (column.present !== undefined && !hasBit(column.present, row)) return undefined
  if (column.nulls !== undefined && hasBit(column.nulls, row)) return null
  switch (column.type) {
    case 'number':
      return column.numbers[row]
    case 'boolean':
      return hasBit(column.bits, row)
    case 'string':
      return column.dictionary.at(column.codes[row])
    case 'string[]':
      return Array.from(column.codes.subarray(column.starts[row], column.starts[row + 1]), (code) =>
        column.dictionary.at(code)
      )
  }
}

interface Rows {
  readonly rowCount: number
  readonly present: Uint32Array | undefined
  readonly nulls: Uint32Array | undefined
}

/** Tells whether a row has a value that is not null. */
function hasValue({ present, nulls }: Rows, row: number): boolean {
  return present === undefined || nulls === undefined || (hasBit(present, row) && !hasBit(nulls, row))
}

function checkKinds(encoded: EncodedField, type: FieldType, damageOf: (kind: FieldColumnKind) => Damage): void {
  const needed = COLUMNS_OF_TYPE[type]
  for (const kind of needed) if (encoded[kind] === undefined) throw damageOf(kind)('is missing')
  for (const kind of Object.keys(encoded) as FieldColumnKind[]) {
    if (encoded[kind] !== undefined && kind !== 'fieldPresence' && !needed.includes(kind))
      throw damageOf(kind)(`is there, though the field is of type ${type}`)
  }
}

/** Copies bytes; a Buffer's own slice would not. */
function copyOf(bytes: Uint8Array, byteLength: number, damage: Damage): ArrayBuffer {
  if (bytes.byteLength !== byteLength) throw damage(`has ${bytes.byteLength} bytes, expected ${byteLength}`)
  return new Uint8Array(bytes).buffer
}

function decodePresence(
  bytes: Uint8Array | undefined,
  rowCount: number,
  damage: Damage
): { present: Uint32Array | undefined; nulls: Uint32Array | undefined } {
  if (bytes === undefined) return { present: undefined, nulls: undefined }
  const words = wordCount(rowCount)
  const bitmaps = new Uint32Array(copyOf(bytes, words * 8, damage))
  const [present, nulls] = [bitmaps.subarray(0, words), bitmaps.subarray(words)]
  checkLastWord(present, rowCount, damage)
  for (let i = 0; i < words; i++) {
    if ((nulls[i] & ~present[i]) !== 0) throw damage('has a row that is null and missing')
  }
  if (countBits(present) - countBits(nulls) === rowCount) throw damage('is there, though every row has a value')
  return { present, nulls }
}

function checkLastWord(bitmap: Uint32Array, rowCount: number, damage: Damage): void {
  if (bitmap.length > 0 && bitmap[bitmap.length - 1] > lastWordMask(rowCount))
    throw damage(`has bits for more than ${rowCount} rows`)
}

function decodeNumbers(bytes: Uint8Array, rows: Rows, damage: Damage): Float64Array {
  const numbers = new Float64Array(copyOf(bytes, rows.rowCount * 8, damage))
  for (let row = 0; row < numbers.length; row++) {
    const value = numbers[row]
    if (Number.isNaN(value)) throw damage(`has NaN in row ${row}`)
    if (value !== 0 && !hasValue(rows, row)) throw damage(`has ${value} in row ${row}, which has no value`)
  }
  return numbers
}

function decodeBits(bytes: Uint8Array, rows: Rows, damage: Damage): Uint32Array {
  const bits = new Uint32Array(copyOf(bytes, wordCount(rows.rowCount) * 4, damage))
  checkLastWord(bits, rows.rowCount, damage)
  const { present, nulls } = rows
  if (present === undefined || nulls === undefined) return bits
  for (let i = 0; i < bits.length; i++) {
    if ((bits[i] & ~(present[i] & ~nulls[i])) !== 0) throw damage('has true in a row that has no value')
  }
  return bits
}

function decodeDictionary(bytes: Uint8Array, damageOf: (kind: FieldColumnKind) => Damage): StringTable {
  return decodeStringTable(bytes, damageOf('fieldDictionary'))
}

interface CodedRows extends Rows {
  readonly dictionary: StringTable
}

function decodeCodes(bytes: Uint8Array, rows: CodedRows, damage: Damage): Uint32Array {
  const codes = new Uint32Array(copyOf(bytes, rows.rowCount * 4, damage))
  const { count } = rows.dictionary
  for (let row = 0; row < codes.length; row++) {
    const code = codes[row]
    if (hasValue(rows, row)) checkCode(code, count, damage)
    else if (code !== 0) throw damage(`has code ${code} in row ${row}, which has no value`)
  }
  return codes
}

function decodeLists(bytes: Uint8Array, rows: CodedRows, damage: Damage): { starts: Uint32Array; codes: Uint32Array } {
  const { rowCount, dictionary } = rows
  if (bytes.byteLength % 4 !== 0 || bytes.byteLength < (rowCount + 1) * 4)
    throw damage(`has ${bytes.byteLength} bytes, expected a multiple of 4 from ${(rowCount + 1) * 4} on`)
  const words = new Uint32Array(copyOf(bytes, bytes.byteLength, damage))
  const [starts, codes] = [words.subarray(0, rowCount + 1), words.subarray(rowCount + 1)]
  checkStarts(starts, codes.length, damage)
  for (const code of codes) checkCode(code, dictionary.count, damage)
  for (let row = 0; row < rowCount; row++) {
    if (starts[row] !== starts[row + 1] && !hasValue(rows, row))
      throw damage(`has a list in row ${row}, which has no value`)
  }
  return { starts, codes }
}

function checkCode(code: number, count: number, damage: Damage): void {
  if (code >= count) throw damage(`has code ${code}, where the dictionary has ${count} strings`)
}
