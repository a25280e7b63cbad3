// Segments of a vectors or delta file by its own directory, which no catalogue is needed for (spec, section 5). Nothing
// that it says is believed before it lies in the file; rows are believed by their checksums alone.

import { ZgqError } from '../errors.ts'
import {
  decodeFooter,
  DIRECTORY_ENTRY,
  directoryBytes,
  directoryRecordBytes,
  FOOTER,
  type Footer,
  type StandingKind
} from '../format/directory.ts'
import { alignUp, checksum, ELEMENT_BYTES, PAGE_BYTES } from '../format/layout.ts'
import { NO_EXTENT, type FileExtent, type SegmentRecord } from '../format/segment-record.ts'
import { u64At } from '../format/u64.ts'
import type { Losses } from './losses.ts'
import type { RemainingFiles } from './remaining-files.ts'

/** Rows of a segment (spec, section 7.3). */
const MOST_ROWS = 2 ** 31 - 1
/** Numbers of superseded segments that are read at a time. */
const NUMBERS_AT_A_TIME = 8192

/** A file that stands alone. */
export interface StandingFile {
  readonly file: number
  readonly kind: StandingKind
  readonly generation: number
}

/** What a directory says. */
export interface Directory {
  /** In the order of their rows, which do not overlap. */
  readonly segments: readonly SegmentRecord[]
  /** Numbers of older segments that these replace. */
  readonly superseded: ReadonlySet<number>
  /** Where it begins: extents end there. */
  readonly offset: number
  readonly indexId: Uint8Array
}

interface DirectoryPlace {
  readonly files: RemainingFiles
  readonly losses: Losses
  readonly dim: number
}

/** Reads the footer of a file; throws ZGQ_CORRUPT, ZGQ_TRUNCATED or ZGQ_IO. */
export function readFooter({ file, kind }: StandingFile, files: RemainingFiles): Footer {
  const path = files.pathOf(file)
  const offset = files.byteLengthOf(file) - FOOTER.byteLength
  if (offset < PAGE_BYTES) throw new ZgqError('ZGQ_TRUNCATED', 'the file ends before its footer', { path })
  return decodeFooter(readBytes(files, { file, offset, byteLength: FOOTER.byteLength }), kind, { path, offset })
}

/** Reads the directory of a file; undefined, which is noted: it has none that can be used. */
export function readDirectory(of: StandingFile, place: DirectoryPlace): Directory | undefined {
  const { files, losses, dim } = place
  const path = files.pathOf(of.file)
  const footer = losses.attempt(path, () => readFooter(of, files))
  if (footer === undefined) return undefined
  const { directoryOffset, directoryByteLength, segmentCount, supersededCount, indexId } = footer
  const end = directoryOffset + directoryByteLength
  if (directoryByteLength !== directoryBytes(dim, footer) || end > files.byteLengthOf(of.file)) {
    losses.note(path, directoryOffset, `the footer says ${directoryByteLength} bytes of directory`)
    return undefined
  }
  const recordBytes = directoryRecordBytes(dim)
  const found: SegmentRecord[] = []
  const superseded = new Set<number>()
  const isWhole = losses.attempt(path, () => {
    let computed = 0
    for (let i = 0; i < segmentCount; i++) {
      const bytes = readBytes(files, {
        file: of.file,
        offset: directoryOffset + i * recordBytes,
        byteLength: recordBytes
      })
      computed = checksum(bytes, computed)
      const segment = segmentOf(bytes, { ...place, file: of.file, path, end: directoryOffset })
      if (segment !== undefined) found.push(segment)
    }
    for (let i = 0; i < supersededCount; i += NUMBERS_AT_A_TIME) {
      const offset = directoryOffset + segmentCount * recordBytes + i * 8
      const byteLength = Math.min(NUMBERS_AT_A_TIME, supersededCount - i) * 8
      const bytes = readBytes(files, { file: of.file, offset, byteLength })
      computed = checksum(bytes, computed)
      const words = new Uint32Array(bytes.buffer)
      for (let number = 0; number * 2 < words.length; number++) superseded.add(u64At(words, number))
    }
    if (computed === footer.directoryCrc) return true
    throw new ZgqError('ZGQ_CORRUPT', `the directory has CRC ${computed}, expected ${footer.directoryCrc}`, {
      path,
      offset: directoryOffset
    })
  })
  // A number of a damaged list may be that of any segment.
  if (isWhole !== true) superseded.clear()
  return { segments: withoutOverlaps(found), superseded, offset: directoryOffset, indexId }
}

/** Decodes a record; undefined: its segment does not lie in the file. */
function segmentOf(
  bytes: Uint8Array,
  of: DirectoryPlace & { readonly file: number; readonly path: string; readonly end: number }
): SegmentRecord | undefined {
  const { dim, file, losses, path, end } = of
  const record = losses.attempt(path, () => DIRECTORY_ENTRY.decode(bytes, 0, path))
  if (record === undefined) return undefined
  const { segment, zone, rowCount, minNorm, maxNorm, radius } = record
  const rows = { file, offset: record.rowsOffset, byteLength: rowCount * dim * ELEMENT_BYTES, crc: 0 }
  const columns = { file, offset: record.columnsOffset, byteLength: record.columnsByteLength, crc: record.columnsCrc }
  if (rowCount < 1 || rowCount > MOST_ROWS || !liesIn(rows, end) || !liesIn(columns, end)) return undefined
  return {
    ...{ segment, zone, rowCount, minNorm, maxNorm, radius, spread: 0, rows, columns },
    ...{ codes: NO_EXTENT, fields: NO_EXTENT, payload: NO_EXTENT }
  }
}

function liesIn({ offset, byteLength }: FileExtent, end: number): boolean {
  return offset >= PAGE_BYTES && offset % PAGE_BYTES === 0 && alignUp(offset + byteLength, PAGE_BYTES) <= end
}

/** Rows that two segments claim would be given out twice: those that begin first have them. */
function withoutOverlaps(segments: readonly SegmentRecord[]): SegmentRecord[] {
  let end = 0
  return [...segments]
    .sort((a, b) => a.rows.offset - b.rows.offset)
    .filter(({ rows }) => {
      if (rows.offset < end) return false
      end = rows.offset + rows.byteLength
      return true
    })
}

function readBytes(
  files: RemainingFiles,
  { file, offset, byteLength }: { readonly file: number; readonly offset: number; readonly byteLength: number }
): Uint8Array {
  const bytes = new Uint8Array(byteLength)
  files.read(file, offset, bytes)
  return bytes
}
