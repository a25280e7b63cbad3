// Parts of writing a file that stands alone: the rows of a segment with the checksums of their pages, what stands
// beside them, and at the end of the file its directory and footer.

import type { Column } from '../format/columns.ts'
import { encodeDirectory, encodeFooter, FOOTER, type StandingKind } from '../format/directory.ts'
import { alignUp, checksum, PAGE_BYTES, pageCount } from '../format/layout.ts'
import type { SegmentRecord } from '../format/segment-record.ts'
import type { FileWriter } from './file-writer.ts'

/** Writes rows and the zeros after them; returns the CRC of each page. */
export function writePages(file: FileWriter, rowRuns: Iterable<Float32Array>, segmentBytes: number): Uint32Array {
  const crcs = new Uint32Array(pageCount(segmentBytes))
  const page = new Uint8Array(PAGE_BYTES)
  let inPage = 0
  let pages = 0
  for (const run of rowRuns) {
    const bytes = bytesOf(run)
    for (let done = 0; done < bytes.byteLength;) {
      const taken = Math.min(PAGE_BYTES - inPage, bytes.byteLength - done)
      page.set(bytes.subarray(done, done + taken), inPage)
      done += taken
      inPage += taken
      if (inPage < PAGE_BYTES) continue
      crcs[pages++] = checksum(page)
      file.write(page)
      inPage = 0
    }
  }
  if (inPage > 0) {
    page.fill(0, inPage)
    crcs[pages] = checksum(page)
    file.write(page)
  }
  return crcs
}

/** Lists the columns beside the rows of a segment, in the order of their kinds. */
export function columnsBeside(of: {
  /** A column of kind `ids` or `stringIds`. */
  readonly ids: Column
  /** float32, rowCount; cosine only */
  readonly inverseNorms: Float32Array | undefined
  readonly pageCrcs: Uint32Array
}): Column[] {
  const { ids, inverseNorms, pageCrcs } = of
  const columns: Column[] = [{ kind: 'pageCrcs', bytes: bytesOf(pageCrcs) }]
  if (inverseNorms !== undefined) columns.unshift({ kind: 'inverseNorms', bytes: bytesOf(inverseNorms) })
  if (ids.kind === 'ids') columns.unshift(ids)
  else columns.push(ids)
  return columns
}

/** What a directory says of a segment. */
export interface DirectorySegment extends Omit<SegmentRecord, 'codes' | 'fields' | 'payload'> {
  /** Of its zone: float32, dim */
  readonly centroid: Float32Array
}

/** Writes directory and footer: the end of a file. */
export function writeDirectory(
  file: FileWriter,
  segments: readonly DirectorySegment[],
  of: {
    readonly kind: StandingKind
    readonly indexId: Uint8Array
    readonly dim: number
    /** Segments of older files that this one supersedes; none by default. */
    readonly superseded?: readonly number[]
  }
): void {
  const { superseded = [] } = of
  const directory = encodeDirectory(
    segments.map(({ rows, columns, spread: _, ...facts }) => ({
      ...facts,
      rowsOffset: rows.offset,
      columnsOffset: columns.offset,
      columnsByteLength: columns.byteLength,
      columnsCrc: columns.crc
    })),
    of.dim,
    superseded
  )
  const directoryOffset = file.byteLength
  file.write(directory)
  file.write(
    new Uint8Array(alignUp(file.byteLength + FOOTER.byteLength, PAGE_BYTES) - FOOTER.byteLength - file.byteLength)
  )
  file.write(
    encodeFooter(of.kind, {
      directoryOffset,
      directoryByteLength: directory.byteLength,
      segmentCount: segments.length,
      supersededCount: superseded.length,
      indexId: of.indexId,
      directoryCrc: checksum(directory)
    })
  )
}

function bytesOf(values: Float32Array | Uint32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
}
