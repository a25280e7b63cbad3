// Searches where rows were deleted: what a calibration measured says little of a place where most rows are gone, and
// all of the nearest zones may be empty.

import { heapIds } from '../kernels/addresses.ts'
import { HEAP_CAPACITY_AT } from '../kernels/layouts.ts'
import type { SearchRequest } from './request.ts'
import type { SearchState } from './search-state.ts'

/** Part of the rows of the zones probed that must be live for the calibration to hold. */
const LEAST_LIVE = 0.5

/** Tells whether most rows of the zones that were probed are deleted, or fewer were found than there are. */
export function isMostlyDeleted(state: SearchState): boolean {
  const { live, workspace, zoneCount } = state
  if (live === undefined) return false
  if (state.hits.length < fewestHits(state)) return true
  const { zoneList, memory, segments } = workspace
  const zones = heapIds(zoneList, memory.words[(zoneList + HEAP_CAPACITY_AT) / 4]) / 4
  let [rows, deleted] = [0, 0]
  for (let i = 0; i < zoneCount; i++)
    segments.ofZone(memory.words[zones + i * 2], ({ rowCount, slot }) => {
      rows += rowCount
      deleted += live.of(slot)?.count ?? 0
    })
  return rows - deleted < rows * LEAST_LIVE
}

/** Hits of segments that any search for k must find. */
function fewestHits({ live, request, workspace }: SearchState): number {
  return Math.min(request.k, workspace.planned.count - (live?.deletedCount ?? 0))
}

/** A search of all zones, where the others still found fewer than there are; undefined: there is no need. */
export function widest(state: SearchState): SearchRequest | undefined {
  const { live, asked, workspace, zoneCount } = state
  if (live === undefined || zoneCount >= workspace.zoneCount || state.hits.length >= fewestHits(state)) return undefined
  return { ...asked, probe: { nprobe: workspace.zoneCount } }
}
