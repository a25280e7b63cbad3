// Declared fields of a segment in memory, by way of the bytes that a file would have, and what a filter finds in them.

import { wordCount, hasBit } from '../../src/format/bitmap.ts'
import { decodeField } from '../../src/format/decode-field.ts'
import { encodeFieldColumns, type EncodedField, type FieldColumn } from '../../src/format/field-columns.ts'
import { checkFields, fieldsByName, type DeclaredField } from '../../src/format/fields.ts'
import { compileFilter } from '../../src/filter/compile-filter.ts'
import { RowMatcher } from '../../src/filter/row-matcher.ts'
import type { Fields, FieldValue } from '../../src/types.ts'

/** Values of a row by the names of fields; null-prototype, so that any name may be there. */
export type Row = Readonly<Record<string, FieldValue | undefined>>

/** Encodes rows and returns the bytes of each field's columns, by the number of the field. */
export function encodeRows(fields: readonly DeclaredField[], rows: readonly Row[]): Map<number, EncodedField> {
  const values = fields.map(({ name }) => rows.map((row) => (Object.hasOwn(row, name) ? row[name] : undefined)))
  const byField = new Map<number, EncodedField>(fields.map(({ number }) => [number, {}]))
  for (const { kind, field, bytes } of encodeFieldColumns(fields, values, rows.length))
    byField.get(field)![kind] = bytes
  return byField
}

/** A segment whose columns were encoded and decoded. */
export class FieldSegment {
  readonly rowCount: number
  readonly fields: readonly DeclaredField[]
  readonly #columns = new Map<number, FieldColumn>()
  readonly #matcher = new RowMatcher()

  constructor(declared: Fields, rows: readonly Row[]) {
    this.fields = checkFields(declared)
    this.rowCount = rows.length
    const encoded = encodeRows(this.fields, rows)
    for (const { number, name, type } of this.fields) {
      const expected = { path: 'fields.zgq', segment: 7, rowCount: rows.length, name, type }
      this.#columns.set(number, decodeField(encoded.get(number)!, expected))
    }
  }

  column(field: number): FieldColumn {
    return this.#columns.get(field)!
  }

  /** Returns the rows that a filter finds, after a look at the mask and the count. */
  find(filter: unknown): number[] {
    const compiled = compileFilter(filter, fieldsByName(this.fields))
    const asked = new Set<number>()
    const words = wordCount(this.rowCount)
    // Words that were used before, and more of them than there are rows.
    const mask = new Uint32Array(words + 1).fill(0xdead_beef)
    const column = (field: number): FieldColumn => {
      asked.add(field)
      return this.column(field)
    }
    const count = this.#matcher.match(compiled.predicate, { rowCount: this.rowCount, column }, mask)
    for (const field of asked) if (!compiled.fields.includes(field)) throw new Error(`field ${field} was not announced`)
    if (mask[words] !== 0xdead_beef) throw new Error('a word behind the mask was written')
    const found = Array.from({ length: words * 32 }, (_, row) => row).filter((row) => hasBit(mask, row))
    if (found.length !== count) throw new Error(`${found.length} rows are in the mask, ${count} were counted`)
    if (found.some((row) => row >= this.rowCount)) throw new Error('a row past the end is in the mask')
    return found
  }
}
