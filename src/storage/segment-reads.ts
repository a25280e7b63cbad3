// What is read of segments: rows, extents, and the ranges that they lie in. No I/O.

import type { ColumnsExpectation } from '../format/columns.ts'
import type { IndexMeta } from '../format/index-record.ts'
import { PAGE_BYTES } from '../format/layout.ts'
import type { Segment } from '../format/segment-table.ts'
import type { FileRange } from './reader.ts'

/** Where a row is. */
export interface Ordinal {
  readonly segment: Segment
  readonly row: number
}

/** One kind of extent of the segments, to be asked for before it is read. */
export interface ExtentSource {
  /** Tells whether `prefetch` does anything with this reader. */
  canPrefetch(): boolean
  byteLength(segment: Segment): number
  /** Asks the system for the extents of all of these at once. */
  prefetch(segments: readonly Segment[]): void
}

/** Makes a source of the extents that `extentsOf` returns. */
export function extentSource(
  readers: { readonly isMapped: boolean; prefetch(ranges: readonly FileRange[]): void },
  extentsOf: (segment: Segment) => readonly FileRange[]
): ExtentSource {
  return {
    canPrefetch: () => readers.isMapped,
    byteLength: (segment) => extentsOf(segment).reduce((sum, { byteLength }) => sum + byteLength, 0),
    prefetch: (segments) => {
      readers.prefetch(segments.flatMap(extentsOf))
    }
  }
}

/** Reads of one search. */
export interface ReadCounters {
  bytesRead: number
  pagesVerified: number
}

/** Rows of a segment, and where their parts are to be copied. */
export interface RowsTarget {
  readonly segment: Segment
  readonly firstRow: number
  /** rows * dim * 4 bytes */
  readonly rows: Uint8Array
  /** rows * 8 bytes */
  readonly ids: Uint8Array
  /** rows * 4 bytes, cosine only */
  readonly inverseNorms: Uint8Array | undefined
}

/** Where a row of a segment lies, the pages around it, and their checksums, which begin with that of `firstPage`. */
export interface CandidateRanges {
  readonly row: FileRange
  readonly pages: FileRange
  readonly firstPage: number
  readonly crcs: FileRange
  /** Undefined where heaps hold ordinals. */
  readonly id: FileRange | undefined
}

/** Pages of a segment, and their range in a file. */
export interface Pages {
  readonly range: FileRange
  readonly firstPage: number
  readonly count: number
}

/** What an extent of columns must say. */
export function columnsExpected(
  of: { readonly segment: Segment; readonly kind: 'columns' | 'codes'; readonly path: string },
  { dim, metric, bits, idType }: IndexMeta
): ColumnsExpectation {
  const { segment, kind, path } = of
  const { offset, crc } = segment[kind]
  return {
    path,
    offset,
    segment: segment.segment,
    rowCount: segment.rowCount,
    dim,
    idType,
    hasInverseNorms: kind === 'columns' && metric === 'cosine',
    headerCrc: crc,
    bits: kind === 'codes' ? bits : 0
  }
}

/** The bytes of a row. */
export function rangeOfRow({ segment: { rows }, row }: Ordinal, byteLength: number): FileRange {
  return { file: rows.file, offset: rows.offset + row * byteLength, byteLength }
}

/** The pages of a segment that bytes of its rows lie in. */
export function pagesOf({ rows }: Segment, offset: number, byteLength: number): Pages {
  const firstPage = Math.floor(offset / PAGE_BYTES)
  const count = Math.ceil((offset + byteLength) / PAGE_BYTES) - firstPage
  const range = { file: rows.file, offset: rows.offset + firstPage * PAGE_BYTES, byteLength: count * PAGE_BYTES }
  return { range, firstPage, count }
}

/**
 * Facts of a segment that was read; offsets count from the start of the file. The CRCs of its pages lie beside the rows
 * and beside the codes: each kind of read takes them from where it reads the ids, whatever was read before, so that it
 * is known ahead which bytes that takes.
 */
export interface SegmentState {
  idsOffset: number
  inverseNormsOffset: number
  /** 0: the columns beside the rows were not verified. */
  pageCrcsOffset: number
  stringIdsOffset: number
  /** Offset of the ids in the codes file. */
  codesIdsOffset: number
  /** 0: the codes were not verified. */
  codesPageCrcsOffset: number
}

/** Where the ids of a segment's rows and the CRCs of its pages are in a file. */
export interface PlacesAtHand {
  readonly file: number
  readonly ids: number
  readonly crcs: number
}

/** Tells where they are, beside the codes of a segment or its rows; undefined: neither was read. */
export function placesAtHand({ codes, columns }: Segment, state: SegmentState): PlacesAtHand | undefined {
  const { codesIdsOffset, codesPageCrcsOffset, idsOffset, pageCrcsOffset } = state
  if (codesPageCrcsOffset !== 0) return { file: codes.file, ids: codesIdsOffset, crcs: codesPageCrcsOffset }
  return pageCrcsOffset === 0 ? undefined : { file: columns.file, ids: idsOffset, crcs: pageCrcsOffset }
}

/** Of a segment that was not read yet. */
export function newSegmentState(): SegmentState {
  return {
    idsOffset: 0,
    inverseNormsOffset: 0,
    pageCrcsOffset: 0,
    stringIdsOffset: 0,
    codesIdsOffset: 0,
    codesPageCrcsOffset: 0
  }
}
