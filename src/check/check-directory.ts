// Holds directory and footer of a vectors or delta file against the catalogue: with them the file stands alone.

import type { Snapshot } from '../catalogue/snapshot.ts'
import { ZgqError } from '../errors.ts'
import {
  decodeFooter,
  decodeSuperseded,
  DIRECTORY_ENTRY,
  directoryBytes,
  directoryRecordBytes,
  encodeDirectory,
  FOOTER,
  type StandingKind
} from '../format/directory.ts'
import type { FileRecord } from '../format/file-record.ts'
import { alignUp, bytesEqual, checksum, PAGE_BYTES } from '../format/layout.ts'
import type { Segment } from '../format/segment-table.ts'
import { u64At } from '../format/u64.ts'
import { fileOf, type DataFiles, type Reader } from '../storage/reader.ts'

const { reserved: RESERVED, zone: ZONE } = DIRECTORY_ENTRY.fields
/** Bytes of superseded segment numbers that are read at a time. */
const NUMBERS_BYTES = 2 ** 16

/** Throws ZGQ_CORRUPT or ZGQ_MISMATCH. */
export function checkDirectory(
  record: FileRecord & { readonly kind: StandingKind },
  snapshot: Snapshot,
  from: { files: DataFiles; reader: Reader; segments: readonly Segment[] }
): void {
  const { file, kind, byteLength } = record
  const { meta } = snapshot
  const { dim } = meta
  const { path } = fileOf(from.files, file)
  const damage = (what: string, offset: number): ZgqError => new ZgqError('ZGQ_CORRUPT', what, { path, offset })
  const read = (offset: number, length: number): Uint8Array => {
    const bytes = new Uint8Array(length)
    from.reader.read(file, offset, bytes)
    return bytes
  }
  const footerOffset = byteLength - FOOTER.byteLength
  const footer = decodeFooter(read(footerOffset, FOOTER.byteLength), kind, { path, offset: footerOffset })
  const { directoryOffset, directoryByteLength } = footer
  if (!bytesEqual(footer.indexId, meta.indexId))
    throw new ZgqError('ZGQ_MISMATCH', 'the footer is of another index', { path, offset: footerOffset })
  if (footer.segmentCount !== record.segmentCount)
    throw damage(`the footer says ${footer.segmentCount} segments, the catalogue ${record.segmentCount}`, footerOffset)
  const end = directoryOffset + directoryByteLength
  if (
    directoryByteLength !== directoryBytes(dim, footer) ||
    directoryOffset < PAGE_BYTES ||
    directoryOffset % PAGE_BYTES !== 0 ||
    alignUp(end + FOOTER.byteLength, PAGE_BYTES) !== byteLength
  )
    throw damage(`the footer says ${directoryByteLength} bytes of directory at ${directoryOffset}`, footerOffset)
  const recordBytes = directoryRecordBytes(dim)
  const live = [...from.segments].sort((a, b) => a.rows.offset - b.rows.offset) // numbers need not ascend within a file
  let found = 0
  let computed = 0
  for (let i = 0; i < footer.segmentCount; i++) {
    const offset = directoryOffset + i * recordBytes
    const bytes = read(offset, recordBytes)
    computed = checksum(bytes, computed)
    bytes.fill(0, RESERVED.offset, RESERVED.offset + 4)
    // Segments that were superseded since are still in the directory, but not in the catalogue.
    const segment = live.at(found)
    if (segment?.segment !== u64At(new Uint32Array(bytes.buffer), 0)) continue
    found++
    // A fold may have given the zone another number since; its centroid tells which it is.
    new DataView(bytes.buffer).setUint32(ZONE.offset, segment.zone, true)
    if (!bytesEqual(bytes, encodeDirectory([directoryRecordOf(segment, snapshot)], dim)))
      throw damage(`the directory and the catalogue differ about segment ${segment.segment}`, offset)
  }
  if (found !== live.length)
    throw damage(`the directory lacks segment ${live[found].segment}, which the catalogue has`, directoryOffset)
  let dropped: number | undefined
  for (let at = directoryOffset + footer.segmentCount * recordBytes; at < end; at += NUMBERS_BYTES) {
    const bytes = read(at, Math.min(NUMBERS_BYTES, end - at))
    computed = checksum(bytes, computed)
    dropped ??= decodeSuperseded(bytes).find((number) => snapshot.segments.find(number) !== -1)
  }
  if (computed !== footer.directoryCrc)
    throw damage(`the directory has CRC ${computed}, expected ${footer.directoryCrc}`, directoryOffset)
  if (dropped !== undefined)
    throw damage(`the directory says that segment ${dropped} was superseded, the catalogue has it`, directoryOffset)
}

function directoryRecordOf(segment: Segment, snapshot: Snapshot): Parameters<typeof encodeDirectory>[0][number] {
  const { rows, columns, ...facts } = segment
  const { dim } = snapshot.meta
  return {
    ...facts,
    rowsOffset: rows.offset,
    columnsOffset: columns.offset,
    columnsByteLength: columns.byteLength,
    columnsCrc: columns.crc,
    centroid: snapshot.centroids.subarray(segment.zone * dim, (segment.zone + 1) * dim)
  }
}
