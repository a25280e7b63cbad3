// What a written delta is made of: one file, its segments, and the centroids of their zones (spec, section 5.1). The
// catalogue takes it in, src/write/ makes it.

import type { FileRecord } from './file-record.ts'
import type { SegmentRecord } from './segment-record.ts'

/** Rows of a segment of a delta, the last one excepted. */
export const DELTA_SEGMENT_ROWS = 512

/** A delta file that is whole and synced, and not yet part of the index. */
export interface WrittenDelta {
  readonly file: FileRecord
  /** Each is the one segment of a zone of its own; zones and segments follow each other. */
  readonly segments: readonly SegmentRecord[]
  /** Of these zones: float32, segments * dim. */
  readonly centroids: Float32Array
}
