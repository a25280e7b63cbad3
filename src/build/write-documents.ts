// Writes what the rows of a segment have besides vectors: their ids as a column beside them, fields and payloads as
// extents of their own. All of it comes from the input by the numbers of rows, which are in ascending order.

import { encodeColumns, encodeIds, type Column } from '../format/columns.ts'
import { encodeFieldColumns } from '../format/field-columns.ts'
import type { DeclaredField } from '../format/fields.ts'
import { encodePayloadHead } from '../format/payload-extent.ts'
import { encodeStringIds } from '../format/string-ids.ts'
import type { ExtentToWrite } from '../storage/extents-writer.ts'
import type { Documents } from './documents.ts'
import type { IdsOfRows } from './id-run.ts'

/** Encodes ids as the column that stands beside them. */
export function idColumn(ids: IdsOfRows): Column {
  return ids instanceof Float64Array
    ? { kind: 'ids', bytes: encodeIds(ids) }
    : { kind: 'stringIds', bytes: encodeStringIds(ids) }
}

/** Encodes the declared fields of the rows of a segment. */
export function fieldsExtent(
  documents: Documents,
  of: { readonly segment: number; readonly fields: readonly DeclaredField[] },
  rows: Float64Array
): ExtentToWrite {
  const { segment, fields } = of
  const values = [...documents.fieldValuesOf(rows)]
  const byField = fields.map((_, i) => values.map((ofRow) => ofRow[i]))
  const { bytes, headerCrc } = encodeColumns(segment, rows.length, encodeFieldColumns(fields, byField, rows.length))
  return { rowCount: rows.length, byteLength: bytes.byteLength, headerCrc, pieces: [bytes] }
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
