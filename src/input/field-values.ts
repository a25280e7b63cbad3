// The values of declared fields: taken from payloads and checked, and as a build keeps them between its stages, a list
// of plain MessagePack for each row (nil for null, an empty map where the row does not have the field).

import { ZgqError } from '../errors.ts'
import { faultOfValue, type DeclaredField } from '../format/fields.ts'
import { MessagePackReader } from '../format/message-pack-reader.ts'
import { MessagePackWriter } from '../format/message-pack-writer.ts'
import { MOST_PAYLOAD_BYTES } from '../format/payload.ts'
import type { FieldValue } from '../types.ts'

/** The values come from a payload, which is smaller: there is one byte more for each that is missing. */
const MOST_BYTES = MOST_PAYLOAD_BYTES + 2 ** 16
const LIMITS = { depth: 2, items: MOST_BYTES }

/** Takes fields out of payloads. */
export class FieldEncoder {
  readonly #fields: readonly DeclaredField[]
  readonly #writer = new MessagePackWriter(MOST_BYTES, () => {
    throw new Error('the fields of a payload are larger than any payload')
  })

  constructor(fields: readonly DeclaredField[]) {
    this.#fields = fields
  }

  /**
   * Encodes the values of the fields in a payload that was checked; returns a view that is good until the next call.
   * Throws ZGQ_BUILD_INPUT, naming `row` (such as `row 7`) and the field, for a value of another type.
   */
  encode(payload: object, row: string, path: string | undefined): Uint8Array {
    const writer = this.#writer
    writer.reset()
    writer.beginList(this.#fields.length)
    for (const { name, type } of this.#fields) {
      const value: unknown = Object.hasOwn(payload, name) ? Reflect.get(payload, name) : undefined
      const fault = faultOfValue(type, value)
      if (fault !== undefined) throw new ZgqError('ZGQ_BUILD_INPUT', `${row}: the field ${name} ${fault}`, { path })
      if (value === undefined) writer.beginMap(0)
      else write(writer, value)
    }
    return writer.written
  }
}

/** Writes a value that was checked. */
function write(writer: MessagePackWriter, value: unknown): void {
  if (typeof value === 'string') writer.writeText(value)
  else if (typeof value === 'number') writer.writeNumber(value)
  else if (typeof value === 'boolean') writer.writeBoolean(value)
  else if (Array.isArray(value)) {
    writer.beginList(value.length)
    for (const element of value) write(writer, element)
  } else writer.writeNull()
}

/** Decodes what `FieldEncoder` of this build encoded, in the order of declaration; undefined: the row has it not. */
export function decodeFieldValues(bytes: Uint8Array): (FieldValue | undefined)[] {
  const values = new MessagePackReader(bytes, LIMITS).readValue()
  if (!Array.isArray(values)) throw new Error('the fields of a row are no list')
  return values.map(fieldValueOf)
}

function fieldValueOf(value: unknown): FieldValue | undefined {
  if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return value
  return Array.isArray(value) ? value.map(String) : undefined
}
