// Columns of declared fields over rows whose payloads are in memory: fresh rows, and rows that were updated. Filters
// match them as they match those of a segment.

import { ZgqError } from '../errors.ts'
import { decodeField } from '../format/decode-field.ts'
import { encodeFieldColumns, type EncodedField, type FieldColumn } from '../format/field-columns.ts'
import { faultOfValue, type DeclaredField } from '../format/fields.ts'
import { decodePayload } from '../format/payload.ts'
import type { FieldValue } from '../types.ts'
import type { SegmentFields } from '../filter/row-matcher.ts'

/** The fields of some rows, each decoded when it is first asked for. */
export class ChangedFields implements SegmentFields {
  readonly rowCount: number
  readonly #payloads: readonly (Uint8Array | undefined)[]
  readonly #of: { readonly fields: readonly DeclaredField[]; readonly path: string }
  readonly #columns = new Map<number, FieldColumn>()

  /** payloads: MessagePack of each row; undefined: it has none. fields: by number, from 1 on; path: for messages. */
  constructor(
    payloads: readonly (Uint8Array | undefined)[],
    of: { readonly fields: readonly DeclaredField[]; readonly path: string }
  ) {
    this.rowCount = payloads.length
    this.#payloads = payloads
    this.#of = of
  }

  /** Throws ZGQ_CORRUPT where a payload is none, or its field has another type. */
  column(number: number): FieldColumn {
    let column = this.#columns.get(number)
    if (column === undefined) {
      column = this.#decode(this.#of.fields[number - 1])
      this.#columns.set(number, column)
    }
    return column
  }

  #decode(field: DeclaredField): FieldColumn {
    const { path } = this.#of
    const { name, type } = field
    const wanted = new Set([name])
    const values = this.#payloads.map((payload) => {
      const value = payload === undefined ? undefined : decodePayload(payload, { path }, wanted)[name]
      if (isValueOf(field, value)) return value
      const fault = faultOfValue(type, value) ?? ''
      throw new ZgqError('ZGQ_CORRUPT', `the field ${name} of a changed row ${fault}`, { path })
    })
    return columnOf(field, values, path)
  }
}

/** Makes a column of values that were checked; undefined: the row does not have the field. */
export function columnOf(field: DeclaredField, values: readonly (FieldValue | undefined)[], path: string): FieldColumn {
  const encoded: EncodedField = {}
  for (const { kind, bytes } of encodeFieldColumns([field], [values], values.length)) encoded[kind] = bytes
  const { name, type } = field
  return decodeField(encoded, { path, segment: 0, rowCount: values.length, name, type })
}

function isValueOf({ type }: DeclaredField, value: unknown): value is FieldValue | undefined {
  return faultOfValue(type, value) === undefined
}
