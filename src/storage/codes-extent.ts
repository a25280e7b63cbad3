// The codes of a segment as an extent (spec, section 8): codes, and what of its vectors file is repeated beside them.

import { encodeColumns, type Column } from '../format/columns.ts'
import type { ExtentToWrite } from './extents-writer.ts'

/** The codes of a segment, and what of its vectors file is repeated beside them. */
export interface CodesToWrite {
  readonly segment: number
  readonly rowCount: number
  /** u64, rowCount; undefined where ids are strings. */
  readonly ids: Uint8Array | undefined
  readonly pageCrcs: Uint32Array
  readonly planes: Uint8Array
  /** Undefined with one bit a dimension. */
  readonly refinedCodes: Uint8Array | undefined
}

/** Encodes the codes of a segment. */
export function encodeCodes(codes: CodesToWrite): ExtentToWrite {
  const { segment, rowCount, ids, pageCrcs, planes, refinedCodes } = codes
  const columns: Column[] = []
  if (ids !== undefined) columns.push({ kind: 'ids', bytes: ids })
  columns.push({
    kind: 'pageCrcs',
    bytes: new Uint8Array(pageCrcs.buffer, pageCrcs.byteOffset, pageCrcs.byteLength)
  })
  columns.push({ kind: 'planes', bytes: planes })
  if (refinedCodes !== undefined) columns.push({ kind: 'refinedCodes', bytes: refinedCodes })
  const { bytes, headerCrc } = encodeColumns(segment, rowCount, columns)
  return { rowCount, byteLength: bytes.byteLength, headerCrc, pieces: [bytes] }
}
