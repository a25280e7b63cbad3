// Writes what the rows of a segment have besides vectors and ids: fields and payloads as extents of their own. All of
// it comes from the input by the numbers of rows, which are in ascending order.

import type { DeclaredField } from '../format/fields.ts'
import { encodePayloadHead } from '../format/payload-extent.ts'
import { encodeFieldsExtent } from '../storage/documents-extents.ts'
import type { ExtentToWrite } from '../storage/extents-writer.ts'
import type { Documents } from './documents.ts'

/** Encodes the declared fields of the rows of a segment. */
export function fieldsExtent(
  documents: Documents,
  of: { readonly segment: number; readonly fields: readonly DeclaredField[] },
  rows: Float64Array
): ExtentToWrite {
  const { segment, fields } = of
  return encodeFieldsExtent(segment, fields, [...documents.fieldValuesOf(rows)])
}

/** Describes the payloads of the rows of a segment; they are read as they are written. */
export function payloadExtent(documents: Documents, segment: number, rows: Float64Array): ExtentToWrite {
  const head = encodePayloadHead({
    segment,
    byteLengths: Array.from(rows, (row) => documents.payloadByteLength(row)),
    crcs: Array.from(rows, (row) => documents.payloadCrc(row))
  })
  const { byteLength, headerCrc } = head
  return { rowCount: rows.length, byteLength, headerCrc, pieces: piecesOf(head.bytes, documents, rows) }
}

function* piecesOf(head: Uint8Array, documents: Documents, rows: Float64Array): Generator<Uint8Array> {
  yield head
  yield* documents.payloads(rows)
}
