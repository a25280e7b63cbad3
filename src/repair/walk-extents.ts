// Extents with columns that follow each other in a file, found without a catalogue: each says where it ends, and the
// next begins on the page behind it (spec, sections 4.2, 4.3, 5.1 and 8.3). Behind damage the next one is looked for
// page by page.

import { COLUMN_ENTRY, COLUMNS_HEADER, COLUMNS_MAGIC, columnsTableBytes, MOST_COLUMNS } from '../format/columns.ts'
import { COLUMN_KINDS, type ExtentKind } from '../format/kinds.ts'
import { alignUp, bytesEqual, checksum, PAGE_BYTES } from '../format/layout.ts'
import type { FileExtent } from '../format/segment-record.ts'
import { isDamage } from './losses.ts'
import type { RemainingFiles } from './remaining-files.ts'

/** An extent that was found. */
export interface FoundExtent extends FileExtent {
  readonly kind: Exclude<ExtentKind, 'rows'>
  readonly segment: number
  readonly rowCount: number
  /** Columns by their kinds: byteLength. */
  readonly columns: ReadonlyMap<number, number>
  /** It stands behind another one, or where the first must: bytes of a payload cannot pass for it. */
  readonly isInOrder: boolean
}

/** Where extents are looked for. */
interface Range {
  readonly file: number
  readonly from: number
  readonly to: number
}

/** Gives the extents of a range in order. `onDamage` is told where none is found though one should be. */
export function* walkExtents(
  files: RemainingFiles,
  { file, from, to }: Range,
  onDamage: (offset: number) => void
): Generator<FoundExtent> {
  let isInOrder = true
  for (let offset = from; offset + COLUMNS_HEADER.byteLength <= to;) {
    const found = readExtent(files, { file, from: offset, to })
    // The last one of a file that was cut short has its beginning; elsewhere its length is wrong.
    const mayBeCut = isInOrder && to === files.byteLengthOf(file)
    if (found === undefined || (offset + found.byteLength > to && !mayBeCut)) {
      if (isInOrder) onDamage(offset)
      isInOrder = false
      offset += PAGE_BYTES
      continue
    }
    yield { ...found, isInOrder }
    offset = alignUp(offset + found.byteLength, PAGE_BYTES)
    isInOrder = true
  }
}

/** Reads the table of an extent; undefined: there is none. */
export function readExtent(
  files: RemainingFiles,
  { file, from, to }: Range
): Omit<FoundExtent, 'isInOrder'> | undefined {
  try {
    const head = new Uint8Array(COLUMNS_HEADER.byteLength)
    files.read(file, from, head)
    const view = new DataView(head.buffer)
    const columnCount = view.getUint32(COLUMNS_HEADER.fields.columnCount.offset, true)
    const tableBytes = columnsTableBytes(columnCount)
    if (!bytesEqual(head.subarray(0, COLUMNS_MAGIC.byteLength), COLUMNS_MAGIC)) return undefined
    if (columnCount < 1 || columnCount > MOST_COLUMNS || from + tableBytes > to) return undefined
    const table = new Uint8Array(tableBytes)
    files.read(file, from, table)
    const path = files.pathOf(file)
    const { segment, rowCount } = COLUMNS_HEADER.decode(table, 0, path)
    const columns = new Map<number, number>()
    let end = tableBytes
    for (let i = 0; i < columnCount; i++) {
      const entry = COLUMN_ENTRY.decode(table, COLUMNS_HEADER.byteLength + COLUMN_ENTRY.byteLength * i, path)
      if (entry.offset < end) return undefined
      end = entry.offset + entry.byteLength
      columns.set(entry.kind, entry.byteLength)
    }
    const kind = kindOf(columns)
    if (kind === undefined) return undefined
    return { file, offset: from, byteLength: end, crc: checksum(table), kind, segment, rowCount, columns }
  } catch (error) {
    if (!isDamage(error)) throw error
    return undefined
  }
}

/** Tells extents apart by the columns that each kind alone has. */
function kindOf(columns: ReadonlyMap<number, number>): FoundExtent['kind'] | undefined {
  if (columns.has(COLUMN_KINDS.payloads.code)) return 'payload'
  if (columns.has(COLUMN_KINDS.planes.code)) return 'codes'
  const first = Math.min(...columns.keys())
  if (first >= COLUMN_KINDS.fieldNumbers.code && first <= COLUMN_KINDS.fieldDictionary.code) return 'fields'
  return columns.has(COLUMN_KINDS.pageCrcs.code) ? 'columns' : undefined
}
