// Stage 1, pure: from the query to the zones to scan.

import type { CatalogueZone } from '../format/catalogue.ts'
import type { Workspace } from './workspace.ts'

/** Returns the `nprobe` zones nearest to the query, nearest first; equal distances: the lower zone. */
export function probe(workspace: Workspace, nprobe: number): CatalogueZone[] {
  const { memory, zones, dim } = workspace
  const { kernel } = memory
  if (workspace.metric === 'ip') {
    kernel.innerProducts(workspace.centroids, zones.length, dim, workspace.probeQuery, workspace.zoneDistances)
  } else {
    kernel.l2Distances(workspace.centroids, zones.length, dim, workspace.probeQuery, workspace.zoneDistances)
  }
  const wanted = Math.min(nprobe, zones.length)
  kernel.selectNearest(workspace.zoneDistances, zones.length, wanted, workspace.zoneHeap)
  // The heap's ids are u64 zone numbers: their low words.
  const ids = memory.uint32At(workspace.zoneHeap + 8 + wanted * 8, wanted * 2)
  const nearest: CatalogueZone[] = []
  for (let i = 0; i < wanted; i++) nearest.push(zones[ids[i * 2]])
  return nearest
}
