// What rows of a segment have besides vectors and ids, as extents that are ready to be written: declared fields, and
// payloads that are in memory.

import { encodeColumns } from '../format/columns.ts'
import { encodeFieldColumns } from '../format/field-columns.ts'
import type { DeclaredField } from '../format/fields.ts'
import { checksum } from '../format/layout.ts'
import { encodePayloadHead } from '../format/payload-extent.ts'
import type { FieldValue } from '../types.ts'
import type { ExtentToWrite } from './extents-writer.ts'

/** Encodes declared fields; `values`: of each row those of all fields, undefined where the row does not have one. */
export function encodeFieldsExtent(
  segment: number,
  fields: readonly DeclaredField[],
  values: readonly (readonly (FieldValue | undefined)[])[]
): ExtentToWrite {
  const rowCount = values.length
  const byField = fields.map((_, i) => values.map((ofRow) => ofRow[i]))
  const { bytes, headerCrc } = encodeColumns(segment, rowCount, encodeFieldColumns(fields, byField, rowCount))
  return { rowCount, byteLength: bytes.byteLength, headerCrc, pieces: [bytes] }
}

const NOTHING = new Uint8Array(0)

/** Encodes payloads (MessagePack); undefined: the row has none. */
export function encodePayloadExtent(segment: number, payloads: readonly (Uint8Array | undefined)[]): ExtentToWrite {
  const all = payloads.map((payload) => payload ?? NOTHING)
  const { bytes, byteLength, headerCrc } = encodePayloadHead({
    segment,
    byteLengths: all.map((payload) => payload.byteLength),
    crcs: all.map((payload) => checksum(payload))
  })
  return { rowCount: all.length, byteLength, headerCrc, pieces: [bytes, ...all] }
}
