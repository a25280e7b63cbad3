// Writes what the rows of a segment have besides vectors: their ids as a column beside them, fields and payloads as
// extents of their own. All of it comes from the input by the number of a row.

import type { Column } from '../format/columns.ts'
import { encodeFieldColumns } from '../format/field-columns.ts'
import { encodePayloadHead } from '../format/payload-extent.ts'
import { encodeStringIds } from '../format/string-ids.ts'
import { encodeColumns, encodeIds } from '../format/columns.ts'
import type { ExtentToWrite } from '../storage/extents-writer.ts'
import type { Documents } from './documents.ts'

/** Encodes the ids of rows as the column that stands beside them. */
export function idColumn(documents: Documents, rows: Float64Array): Column {
  return documents.idType === 'string'
    ? { kind: 'stringIds', bytes: encodeStringIds(Array.from(rows, (row) => documents.text(row))) }
    : { kind: 'ids', bytes: encodeIds(Float64Array.from(rows, (row) => documents.integer(row))) }
}

/** Encodes the declared fields of the rows of a segment. */
export function fieldsExtent(documents: Documents, segment: number, rows: Float64Array): ExtentToWrite {
  const values = Array.from(rows, (row) => documents.fieldValues(row))
  const columns = encodeFieldColumns(
    documents.fields.map(([, type], i) => ({ type, values: values.map((ofRow) => ofRow[i]) }))
  )
  const { bytes, headerCrc } = encodeColumns(segment, rows.length, columns)
  return { rowCount: rows.length, byteLength: bytes.byteLength, headerCrc, pieces: [bytes] }
}

/** Lists the payloads of the rows of a segment; they are read as they are written. */
export function payloadExtent(documents: Documents, segment: number, rows: Float64Array): ExtentToWrite {
  const described = Array.from(rows, (row) => documents.describePayload(row))
  const head = encodePayloadHead({
    segment,
    byteLengths: described.map(({ byteLength }) => byteLength),
    crcs: described.map(({ crc }) => crc)
  })
  const { byteLength, headerCrc } = head
  return { rowCount: rows.length, byteLength, headerCrc, pieces: piecesOf(head.bytes, documents, rows) }
}

function* piecesOf(head: Uint8Array, documents: Documents, rows: Float64Array): Generator<Uint8Array> {
  yield head
  for (const row of rows) yield documents.payload(row)
}
