// Directory and footer of a vectors file (spec, section 5): with them the file stands alone. No I/O.

import { ZgqError } from '../errors.ts'
import { VECTORS_MAGIC } from './header.ts'
import { alignUp, bytesEqual, checksum, ELEMENT_BYTES, FORMAT_VERSION } from './layout.ts'
import { struct, type RecordOf } from './struct.ts'
import { expectVersion } from './version.ts'

export const DIRECTORY_ENTRY = struct(80, {
  zone: { offset: 0, type: 'u64' },
  segment: { offset: 8, type: 'u64' },
  rowCount: { offset: 16, type: 'u64' },
  segmentOffset: { offset: 24, type: 'u64' },
  columnsOffset: { offset: 32, type: 'u64' },
  columnsByteLength: { offset: 40, type: 'u64' },
  minNorm: { offset: 48, type: 'f64' },
  maxNorm: { offset: 56, type: 'f64' },
  radius: { offset: 64, type: 'f64' },
  columnsCrc: { offset: 72, type: 'u32' },
  reserved: { offset: 76, type: 'u32' }
})

export const FOOTER = struct(64, {
  directoryOffset: { offset: 0, type: 'u64' },
  directoryByteLength: { offset: 8, type: 'u64' },
  zoneCount: { offset: 16, type: 'u64' },
  indexId: { offset: 24, type: 'bytes16' },
  directoryCrc: { offset: 40, type: 'u32' },
  reserved: { offset: 44, type: 'u32' },
  magic: { offset: 48, type: 'bytes8' },
  version: { offset: 56, type: 'u32' },
  crc: { offset: 60, type: 'u32' }
})

export type Footer = RecordOf<typeof FOOTER.fields>

/** A zone as directory and catalogue describe it. Offsets count from the start of its file. */
export interface ZoneRecord extends Omit<RecordOf<typeof DIRECTORY_ENTRY.fields>, 'reserved'> {
  /** float32, `dim` values. */
  readonly centroid: Float32Array
}

/** Computes the length of one directory record, centroid and padding included. */
export function directoryRecordBytes(dim: number): number {
  return alignUp(DIRECTORY_ENTRY.byteLength + dim * ELEMENT_BYTES, 8)
}

/** Encodes the directory of a file. */
export function encodeDirectory(zones: readonly ZoneRecord[], dim: number): Uint8Array {
  const recordBytes = directoryRecordBytes(dim)
  const bytes = new Uint8Array(recordBytes * zones.length)
  zones.forEach((zone, i) => {
    DIRECTORY_ENTRY.encode({ ...zone, reserved: 0 }, bytes, i * recordBytes)
    const centroid = new Uint8Array(zone.centroid.buffer, zone.centroid.byteOffset, zone.centroid.byteLength)
    bytes.set(centroid, i * recordBytes + DIRECTORY_ENTRY.byteLength)
  })
  return bytes
}

/** Decodes a directory whose CRC and length were verified. */
export function decodeDirectory(bytes: Uint8Array, dim: number, path: string): ZoneRecord[] {
  const recordBytes = directoryRecordBytes(dim)
  const zones: ZoneRecord[] = []
  for (let offset = 0; offset + recordBytes <= bytes.byteLength; offset += recordBytes) {
    const { reserved: _, ...entry } = DIRECTORY_ENTRY.decode(bytes, offset, path)
    const start = offset + DIRECTORY_ENTRY.byteLength
    const centroid = new Float32Array(bytes.slice(start, start + dim * ELEMENT_BYTES).buffer)
    zones.push({ ...entry, centroid })
  }
  return zones
}

/** Encodes the footer. */
export function encodeFooter(
  facts: Pick<Footer, 'directoryOffset' | 'directoryByteLength' | 'zoneCount' | 'indexId' | 'directoryCrc'>
): Uint8Array {
  const bytes = new Uint8Array(FOOTER.byteLength)
  const record = { ...facts, reserved: 0, magic: VECTORS_MAGIC, version: FORMAT_VERSION, crc: 0 }
  FOOTER.encode(record, bytes)
  FOOTER.encode({ ...record, crc: checksum(bytes.subarray(0, FOOTER.fields.crc.offset)) }, bytes)
  return bytes
}

/** Decodes and verifies a footer; `offset` is where it stands in `path`. Throws ZGQ_CORRUPT. */
export function decodeFooter(bytes: Uint8Array, path: string, offset: number): Footer {
  const { fields } = FOOTER
  const computed = checksum(bytes.subarray(0, fields.crc.offset))
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  const stored = view.getUint32(fields.crc.offset, true)
  if (computed !== stored || !bytesEqual(bytes.subarray(fields.magic.offset, fields.version.offset), VECTORS_MAGIC)) {
    throw new ZgqError('ZGQ_CORRUPT', `the footer is damaged: CRC ${stored}, its bytes give ${computed}`, {
      path,
      offset
    })
  }
  expectVersion(view.getUint32(fields.version.offset, true), { path, offset })
  return FOOTER.decode(bytes, 0, path)
}
