// Directory and footer of a vectors file (spec, section 5): with them the file stands alone. No I/O.

import { ZgqError } from '../errors.ts'
import { MAGICS } from './header.ts'
import { alignUp, bytesEqual, checksum, ELEMENT_BYTES, FORMAT_VERSION } from './layout.ts'
import { struct, type RecordOf } from './struct.ts'
import { highWord, lowWord, u64At } from './u64.ts'
import { expectVersion } from './version.ts'

export const DIRECTORY_ENTRY = struct(80, {
  segment: { offset: 0, type: 'u64' },
  zone: { offset: 8, type: 'u32' },
  flags: { offset: 12, type: 'u32' },
  rowCount: { offset: 16, type: 'u64' },
  rowsOffset: { offset: 24, type: 'u64' },
  columnsOffset: { offset: 32, type: 'u64' },
  columnsByteLength: { offset: 40, type: 'u64' },
  minNorm: { offset: 48, type: 'f64' },
  maxNorm: { offset: 56, type: 'f64' },
  radius: { offset: 64, type: 'f64' },
  columnsCrc: { offset: 72, type: 'u32' },
  reserved: { offset: 76, type: 'u32' }
})

export const FOOTER = struct(72, {
  directoryOffset: { offset: 0, type: 'u64' },
  directoryByteLength: { offset: 8, type: 'u64' },
  segmentCount: { offset: 16, type: 'u64' },
  supersededCount: { offset: 24, type: 'u64' },
  indexId: { offset: 32, type: 'bytes16' },
  directoryCrc: { offset: 48, type: 'u32' },
  reserved: { offset: 52, type: 'u32' },
  magic: { offset: 56, type: 'bytes8' },
  version: { offset: 64, type: 'u32' },
  crc: { offset: 68, type: 'u32' }
})

export type Footer = RecordOf<typeof FOOTER.fields>

/** A segment as the directory of its file describes it. Offsets count from the start of the file. */
export interface DirectoryRecord extends Omit<RecordOf<typeof DIRECTORY_ENTRY.fields>, 'flags' | 'reserved'> {
  /** Of the segment's zone: float32, `dim` values. */
  readonly centroid: Float32Array
}

/** Computes the length of one directory record, centroid and padding included. */
export function directoryRecordBytes(dim: number): number {
  return alignUp(DIRECTORY_ENTRY.byteLength + dim * ELEMENT_BYTES, 8)
}

/** Computes the length of a directory: its records, then the numbers of superseded segments (u64). */
export function directoryBytes(dim: number, counts: { segmentCount: number; supersededCount: number }): number {
  return counts.segmentCount * directoryRecordBytes(dim) + counts.supersededCount * 8
}

/** Encodes the directory of a file, which takes the place of segments of older files: their numbers end it. */
export function encodeDirectory(
  records: readonly DirectoryRecord[],
  dim: number,
  superseded: readonly number[] = []
): Uint8Array {
  const recordBytes = directoryRecordBytes(dim)
  const counts = { segmentCount: records.length, supersededCount: superseded.length }
  const bytes = new Uint8Array(directoryBytes(dim, counts))
  records.forEach((record, i) => {
    DIRECTORY_ENTRY.encode({ ...record, flags: 0, reserved: 0 }, bytes, i * recordBytes)
    const { centroid } = record
    bytes.set(
      new Uint8Array(centroid.buffer, centroid.byteOffset, centroid.byteLength),
      i * recordBytes + DIRECTORY_ENTRY.byteLength
    )
  })
  const view = new DataView(bytes.buffer, records.length * recordBytes)
  superseded.forEach((segment, i) => {
    view.setUint32(i * 8, lowWord(segment), true)
    view.setUint32(i * 8 + 4, highWord(segment), true)
  })
  return bytes
}

/**
 * Decodes numbers of superseded segments, of which `bytes` are some; one above 2^53 - 1, which is damage, comes out as
 * no safe integer.
 */
export function decodeSuperseded(bytes: Uint8Array): Float64Array {
  const words = new Uint32Array(bytes.slice().buffer)
  return Float64Array.from({ length: bytes.byteLength / 8 }, (_, i) => u64At(words, i))
}

/** Kinds of files that stand alone. */
export type StandingKind = 'vectors' | 'delta'

/** Encodes the footer of a file. */
export function encodeFooter(
  kind: StandingKind,
  facts: Pick<Footer, 'directoryOffset' | 'directoryByteLength' | 'segmentCount' | 'indexId' | 'directoryCrc'> & {
    /** Numbers behind the records of the directory; none by default. */
    readonly supersededCount?: number
  }
): Uint8Array {
  const bytes = new Uint8Array(FOOTER.byteLength)
  const record = {
    ...facts,
    supersededCount: facts.supersededCount ?? 0,
    reserved: 0,
    magic: MAGICS[kind],
    version: FORMAT_VERSION,
    crc: 0
  }
  FOOTER.encode(record, bytes)
  FOOTER.encode({ ...record, crc: checksum(bytes.subarray(0, FOOTER.fields.crc.offset)) }, bytes)
  return bytes
}

/** Decodes and verifies the footer of a file of a kind, and where that is. Throws ZGQ_CORRUPT. */
export function decodeFooter(bytes: Uint8Array, kind: StandingKind, place: { path: string; offset: number }): Footer {
  const { fields } = FOOTER
  const { path, offset } = place
  const computed = checksum(bytes.subarray(0, fields.crc.offset))
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  const stored = view.getUint32(fields.crc.offset, true)
  if (computed !== stored || !bytesEqual(bytes.subarray(fields.magic.offset, fields.version.offset), MAGICS[kind])) {
    throw new ZgqError('ZGQ_CORRUPT', `the footer is damaged: CRC ${stored}, its bytes give ${computed}`, {
      path,
      offset
    })
  }
  expectVersion(view.getUint32(fields.version.offset, true), { path, offset })
  return FOOTER.decode(bytes, 0, path)
}
