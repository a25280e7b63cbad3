// An index as if nothing had been written to it: what a calibration is about. Every search looks at all rows of deltas
// and all fresh rows, so how far it must probe follows from the built zones alone.

import { nothingChanged } from '../catalogue/changes.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import { SEGMENT_WORDS } from '../format/segment-record.ts'
import { RECORD_WORDS, SegmentTable } from '../format/segment-table.ts'

/** Returns a snapshot as if no delta had come, and no row of a zone been deleted. */
export function withoutDeltas(snapshot: Snapshot): Snapshot {
  const { meta, segments, centroids } = snapshot
  const changes = nothingChanged(meta.commit)
  if (meta.deltaZoneCount === 0) return { ...snapshot, changes }
  const { words } = segments
  const kept: number[] = []
  for (let at = 0; at < words.length; at += RECORD_WORDS)
    if (words[at + SEGMENT_WORDS.zone] < meta.zoneCount) kept.push(at)
  const records = new Uint32Array(kept.length * RECORD_WORDS)
  for (const [i, at] of kept.entries()) records.set(words.subarray(at, at + RECORD_WORDS), i * RECORD_WORDS)
  return {
    ...snapshot,
    changes,
    meta: {
      ...meta,
      count: meta.count - segments.rowsFrom(meta.zoneCount),
      segmentCount: kept.length,
      deltaZoneCount: 0
    },
    segments: new SegmentTable(new Uint8Array(records.buffer), meta.zoneCount),
    centroids: centroids.subarray(0, meta.zoneCount * meta.dim)
  }
}
