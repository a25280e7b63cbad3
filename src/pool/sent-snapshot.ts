// A snapshot on its way to a worker thread: the segments as their packed records. Cloning thousands of objects would
// hold up the caller's thread for tens of milliseconds, and once more for each thread.

import type { Snapshot } from '../catalogue/snapshot.ts'
import { nothingChanged } from '../catalogue/changes.ts'
import { SegmentTable } from '../format/segment-table.ts'

/** All of a snapshot that a search needs. */
export interface SentSnapshot extends Omit<Snapshot, 'segments' | 'encodedBuildFacts' | 'changes'> {
  readonly segments: Uint8Array
}

export function packSnapshot(snapshot: Snapshot): SentSnapshot {
  const { segments, encodedBuildFacts: _, changes: _changes, ...rest } = snapshot
  return { ...rest, segments: segments.records }
}

export function unpackSnapshot(sent: SentSnapshot): Snapshot {
  const segments = new SegmentTable(sent.segments, sent.meta.zoneCount + sent.meta.deltaZoneCount)
  return { ...sent, segments, encodedBuildFacts: undefined, changes: nothingChanged(sent.meta.commit) }
}
