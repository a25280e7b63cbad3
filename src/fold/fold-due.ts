// When an index is folded without being asked: what is written costs every search a little until it is in zones.

import type { OpenIndex } from '../search/open-index.ts'

/** Rows of deltas: every search looks at all of them. */
const FEWEST_DELTA_ROWS = 2000
const DELTA_PART = 0.04
/** Deleted rows: they are passed over, but take room. */
const FEWEST_DELETED = 1000
const DELETED_PART = 0.2
/** Updated payloads: they are in the memory of everybody who has the index open. */
const FEWEST_PATCHES = 1000
const PATCHED_PART = 0.05

/** Tells whether an automatic fold has enough to do. */
export function isFoldDue({ snapshot, context }: OpenIndex): boolean {
  const { meta, segments } = snapshot
  const { masks, patches } = context.documents.live
  const deltaRows = segments.rowsFrom(meta.zoneCount)
  const builtRows = meta.count - deltaRows
  return (
    deltaRows >= Math.max(FEWEST_DELTA_ROWS, builtRows * DELTA_PART) ||
    masks.deletedCount >= Math.max(FEWEST_DELETED, meta.count * DELETED_PART) ||
    arePatchesMany(patches.count, meta.count)
  )
}

/** Tells whether updated payloads are to be written beside their rows. */
export function arePatchesMany(count: number, rows: number): boolean {
  return count >= Math.max(FEWEST_PATCHES, rows * PATCHED_PART)
}
