// Which rows a step of a calibration scans: ranges of segments, so that threads share one pass of queries. What is
// found does not depend on them (calibration-scan.ts).

import { ELEMENT_BYTES } from '../format/layout.ts'
import { SEGMENT_WORDS } from '../format/segment-record.ts'
import type { SegmentTable } from '../format/segment-table.ts'
import type { SearchContext } from '../search/search-context.ts'
import type { RowsToScan, ScannedPart } from './calibration-scan.ts'

/** Steps that each thread does, so that none waits long for the last one. */
const STEPS_PER_THREAD = 4
/** Of the rows of a range. A heap takes in many rows before it rules out most: fewer bytes would make that the work. */
const LEAST_BYTES = 16 * 2 ** 20
/** The passes of queries follow each other on a range: while that is in the system's cache of files. */
export const MOST_RANGE_BYTES = 256 * 2 ** 20

/** Segments of an index, by their positions: from `first` on, without `end`. */
export interface SegmentRange {
  readonly first: number
  readonly end: number
}

/** Chooses how many bytes of rows a range has. */
export function chooseRangeBytes(
  segments: Pick<SegmentTable, 'totals'>,
  of: { readonly dim: number; readonly passes: number; readonly threads: number }
): number {
  const ranges = Math.ceil((of.threads * STEPS_PER_THREAD) / of.passes)
  const even = (segments.totals.rows * of.dim * ELEMENT_BYTES) / ranges
  return Math.max(LEAST_BYTES, Math.min(MOST_RANGE_BYTES, even))
}

/** Cuts segments, of which the rows are given in their order, into ranges of about `rangeBytes` bytes of rows. */
export function cutSegments(
  rowCounts: Iterable<number>,
  of: { readonly dim: number; readonly rangeBytes: number }
): SegmentRange[] {
  const ranges: SegmentRange[] = []
  let [first, end, rows] = [0, 0, 0]
  for (const count of rowCounts) {
    end++
    rows += count
    if (rows * of.dim * ELEMENT_BYTES < of.rangeBytes) continue
    ranges.push({ first, end })
    ;[first, rows] = [end, 0]
  }
  if (end > first) ranges.push({ first, end })
  return ranges
}

/** Lists the rows of the segments of an index. */
export function rowCountsOf(segments: SegmentTable): Float64Array {
  return Float64Array.from({ length: segments.count }, (_, position) => segments.long(position, SEGMENT_WORDS.rowCount))
}

/** Rows of an open index, through its cache. */
export function rowsOfIndex({ workspace, cache }: SearchContext, range: SegmentRange): RowsToScan {
  const { memory, dim, metric, segments } = workspace
  function* partsOf(position: number): Generator<ScannedPart> {
    const segment = segments.at(position)
    for (let part = 0; part < cache.partCount(segment); part++) yield cache.load(segment, part)
  }
  function* segmentsOf(): ReturnType<RowsToScan['segments']> {
    for (let position = range.first; position < range.end; position++)
      yield { slot: segments.at(position).slot, parts: partsOf(position) }
  }
  return { memory, dim, metric, rowsPerPart: cache.rowsPerPart, segments: segmentsOf }
}
