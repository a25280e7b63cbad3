// The record of a segment in the catalogue (spec, section 7.3): its zone, its rows, and where its extents are. No I/O.

import type { Extent } from './layout.ts'
import { struct } from './struct.ts'

export const SEGMENT_RECORD = struct(176, {
  segment: { offset: 0, type: 'u64' },
  zone: { offset: 8, type: 'u32' },
  flags: { offset: 12, type: 'u32' },
  rowCount: { offset: 16, type: 'u64' },
  minNorm: { offset: 24, type: 'f64' },
  maxNorm: { offset: 32, type: 'f64' },
  radius: { offset: 40, type: 'f64' },
  spread: { offset: 48, type: 'f64' },
  rowsOffset: { offset: 56, type: 'u64' },
  rowsByteLength: { offset: 64, type: 'u64' },
  rowsFile: { offset: 72, type: 'u32' },
  rowsCrc: { offset: 76, type: 'u32' },
  columnsOffset: { offset: 80, type: 'u64' },
  columnsByteLength: { offset: 88, type: 'u64' },
  columnsFile: { offset: 96, type: 'u32' },
  columnsCrc: { offset: 100, type: 'u32' },
  codesOffset: { offset: 104, type: 'u64' },
  codesByteLength: { offset: 112, type: 'u64' },
  codesFile: { offset: 120, type: 'u32' },
  codesCrc: { offset: 124, type: 'u32' },
  fieldsOffset: { offset: 128, type: 'u64' },
  fieldsByteLength: { offset: 136, type: 'u64' },
  fieldsFile: { offset: 144, type: 'u32' },
  fieldsCrc: { offset: 148, type: 'u32' },
  payloadOffset: { offset: 152, type: 'u64' },
  payloadByteLength: { offset: 160, type: 'u64' },
  payloadFile: { offset: 168, type: 'u32' },
  payloadCrc: { offset: 172, type: 'u32' }
})

const FIELDS = SEGMENT_RECORD.fields

/** Where the fields of a record are, in words of 4 bytes. */
export const SEGMENT_WORDS = {
  segment: FIELDS.segment.offset / 4,
  zone: FIELDS.zone.offset / 4,
  flags: FIELDS.flags.offset / 4,
  rowCount: FIELDS.rowCount.offset / 4,
  minNorm: FIELDS.minNorm.offset / 4,
  maxNorm: FIELDS.maxNorm.offset / 4,
  radius: FIELDS.radius.offset / 4,
  spread: FIELDS.spread.offset / 4
}

/** Where the place of an extent begins in a record, and its parts in it, in words of 4 bytes. */
export const EXTENT_WORDS = {
  rows: FIELDS.rowsOffset.offset / 4,
  columns: FIELDS.columnsOffset.offset / 4,
  codes: FIELDS.codesOffset.offset / 4,
  fields: FIELDS.fieldsOffset.offset / 4,
  payload: FIELDS.payloadOffset.offset / 4
}
export const EXTENT_PART_WORDS = {
  offset: 0,
  byteLength: (FIELDS.rowsByteLength.offset - FIELDS.rowsOffset.offset) / 4,
  file: (FIELDS.rowsFile.offset - FIELDS.rowsOffset.offset) / 4,
  crc: (FIELDS.rowsCrc.offset - FIELDS.rowsOffset.offset) / 4
}

/** Where an extent of a segment is; a byteLength of 0: there is none. */
export interface FileExtent extends Extent {
  readonly file: number
  /** CRC of its header and entries; 0 for rows, whose pages have their own. */
  readonly crc: number
}

export const NO_EXTENT: FileExtent = { offset: 0, byteLength: 0, file: 0, crc: 0 }

/** Rows of one zone that lie together. */
export interface SegmentRecord {
  /** Never given again. */
  readonly segment: number
  readonly zone: number
  readonly rowCount: number
  readonly minNorm: number
  readonly maxNorm: number
  /** Largest distance of a row to the centroid of the zone. */
  readonly radius: number
  /** Root of the mean square of these distances. */
  readonly spread: number
  readonly rows: FileExtent
  readonly columns: FileExtent
  readonly codes: FileExtent
  readonly fields: FileExtent
  readonly payload: FileExtent
}

/** Encodes records of segments. */
export function encodeSegmentRecords(segments: readonly SegmentRecord[]): Uint8Array {
  const bytes = new Uint8Array(segments.length * SEGMENT_RECORD.byteLength)
  segments.forEach((segment, i) => {
    const { rows, columns, codes, fields, payload, ...facts } = segment
    const record = {
      ...facts,
      flags: 0,
      ...extentFields('rows', rows),
      ...extentFields('columns', columns),
      ...extentFields('codes', codes),
      ...extentFields('fields', fields),
      ...extentFields('payload', payload)
    }
    SEGMENT_RECORD.encode(record, bytes, i * SEGMENT_RECORD.byteLength)
  })
  return bytes
}

type ExtentFields<K extends string> = Record<`${K}Offset` | `${K}ByteLength` | `${K}File` | `${K}Crc`, number>

function extentFields<K extends string>(name: K, extent: FileExtent): ExtentFields<K> {
  return {
    [`${name}Offset`]: extent.offset,
    [`${name}ByteLength`]: extent.byteLength,
    [`${name}File`]: extent.file,
    [`${name}Crc`]: extent.crc
  } as ExtentFields<K>
}
