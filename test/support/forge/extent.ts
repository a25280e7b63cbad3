// A columns extent for a forger: its header, entries and columns, and their checksums.

import { crc32 } from 'node:zlib'

import { PAGE, padded } from './data-file.ts'
import { Fields } from './fields.ts'
import { COLUMN_ENTRY, COLUMNS_HEADER } from './structures.ts'

export const COLUMN = {
  ids: 1,
  inverseNorms: 2,
  pageCrcs: 3,
  stringIds: 4,
  planes: 16,
  refinedCodes: 17,
  fieldNumbers: 32,
  fieldBits: 33,
  fieldPresence: 34,
  fieldStrings: 35,
  fieldLists: 36,
  fieldDictionary: 37,
  payloadOffsets: 48,
  rowCrcs: 49,
  payloads: 50
} as const
/** After the planes of a block. */
export const BLOCK_FACTOR_BYTES = 272
const ALIGNMENT = 64

export type EntryFields = Fields<keyof typeof COLUMN_ENTRY.fields>

export class ExtentView {
  readonly view: DataView
  readonly bytes: Uint8Array
  readonly header: Fields<keyof typeof COLUMNS_HEADER.fields>

  constructor(view: DataView) {
    this.view = view
    this.bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
    this.header = new Fields(COLUMNS_HEADER, this.bytes)
  }

  /** Those that the extent has room for. */
  get entries(): EntryFields[] {
    const fitting = Math.floor((this.bytes.byteLength - COLUMNS_HEADER.byteLength) / COLUMN_ENTRY.byteLength)
    return Array.from(
      { length: Math.min(fitting, this.header.get('columnCount')) },
      (_, i) => new Fields(COLUMN_ENTRY, this.bytes.subarray(COLUMNS_HEADER.byteLength + i * COLUMN_ENTRY.byteLength))
    )
  }

  entry(kind: number): EntryFields {
    const found = this.entries.find((entry) => entry.get('kind') === kind)
    if (found === undefined) throw new Error(`there is no column ${kind}`)
    return found
  }

  column(kind: number): DataView {
    const entry = this.entry(kind)
    return new DataView(this.view.buffer, this.view.byteOffset + entry.get('offset'), entry.get('byteLength'))
  }
}

/** Encodes an extent, its checksums left to be mended. */
export function encodeExtent(
  of: { segment: number; rowCount: number },
  columns: readonly { kind: number; bytes: Uint8Array }[]
): Uint8Array {
  let end = COLUMNS_HEADER.byteLength + columns.length * COLUMN_ENTRY.byteLength
  const offsets = columns.map(({ bytes }) => {
    const offset = padded(end, ALIGNMENT)
    end = offset + bytes.byteLength
    return offset
  })
  const extent = new Uint8Array(end)
  new Fields(COLUMNS_HEADER, extent).change({ magic: Buffer.from('ZCOL'), columnCount: columns.length, ...of })
  columns.forEach(({ kind, bytes }, i) => {
    const at = COLUMNS_HEADER.byteLength + i * COLUMN_ENTRY.byteLength
    const entry = new Fields(COLUMN_ENTRY, extent.subarray(at))
    entry.change({ kind, flags: 1, offset: offsets[i], byteLength: bytes.byteLength })
    extent.set(bytes, offsets[i])
  })
  return extent
}

/** Computes the CRCs of pages anew, where the extent still has such a column; `file` starts with the rows. */
export function mendPages(extent: ExtentView, file: Uint8Array, byteLength: number): void {
  const crcs = findColumn(extent, COLUMN.pageCrcs)
  for (let page = 0; crcs !== undefined && page * PAGE < byteLength && page * 4 + 4 <= crcs.byteLength; page++)
    crcs.setUint32(page * 4, crc32(file.subarray(page * PAGE, (page + 1) * PAGE)), true)
}

function findColumn(extent: ExtentView, kind: number): DataView | undefined {
  try {
    return extent.column(kind)
  } catch {
    return undefined
  }
}

/** Computes the CRCs of payloads anew, as far as their offsets lie in order in the extent. */
export function mendRowCrcs(extent: ExtentView): void {
  const offsets = findColumn(extent, COLUMN.payloadOffsets)
  const crcs = findColumn(extent, COLUMN.rowCrcs)
  const payloads = findColumn(extent, COLUMN.payloads)
  if (offsets === undefined || crcs === undefined || payloads === undefined) return
  for (let row = 0; row * 4 < crcs.byteLength && (row + 2) * 8 <= offsets.byteLength; row++) {
    const [from, to] = [offsets.getBigUint64(row * 8, true), offsets.getBigUint64((row + 1) * 8, true)]
    if (from > to || to > BigInt(payloads.byteLength)) continue
    const bytes = new Uint8Array(payloads.buffer, payloads.byteOffset + Number(from), Number(to - from))
    crcs.setUint32(row * 4, crc32(bytes), true)
  }
}

/** Mends the CRCs of the columns that lie in the extent; returns that of header and entries, if they do. */
export function mendExtent(view: DataView): number | undefined {
  const extent = new ExtentView(view)
  const tableBytes = COLUMNS_HEADER.byteLength + extent.header.get('columnCount') * COLUMN_ENTRY.byteLength
  if (tableBytes > view.byteLength) return undefined
  for (const entry of extent.entries) {
    const [start, byteLength] = [entry.get('offset'), entry.get('byteLength')]
    if (start + byteLength > view.byteLength) continue
    // Payloads have a checksum for each row, in a column before them.
    if (entry.get('kind') === COLUMN.payloads) continue
    if (entry.get('kind') === COLUMN.rowCrcs) mendRowCrcs(extent)
    entry.set('crc', crc32(extent.bytes.subarray(start, start + byteLength)))
  }
  return crc32(extent.bytes.subarray(0, tableBytes))
}
