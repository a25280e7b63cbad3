// The ids of a segment's rows as the column that stands beside them (spec, section 4). No I/O.

import { encodeIds, type Column } from './columns.ts'
import { encodeStringIds } from './string-ids.ts'

/** Ids of a segment, row after row: integers, or UTF-8 bytes. */
export type IdsOfRows = Float64Array | readonly Uint8Array[]

/** Encodes ids as the column that stands beside them. */
export function idColumn(ids: IdsOfRows): Column {
  return ids instanceof Float64Array
    ? { kind: 'ids', bytes: encodeIds(ids) }
    : { kind: 'stringIds', bytes: encodeStringIds(ids) }
}
