// Stage 1, pure: from the query to the zones to scan.

import type { CatalogueZone } from '../format/catalogue.ts'
import type { CentroidCodes } from './centroid-codes.ts'
import type { CodeWorkspace } from './code-workspace.ts'
import { countZones } from './recall-rule.ts'
import type { ProbeWish } from './request.ts'
import type { Workspace } from './workspace.ts'

/** Zones that are listed at first, as a multiple of the mean that the calibration saw. */
const FIRST_LOOK = 1.5

/** Codes of the centroids, with the codes of the query that was set. */
export interface CodedProbe {
  readonly centroids: CentroidCodes
  readonly workspace: CodeWorkspace
}

/** Returns the zones to scan, nearest first; equal distances: the lower zone. Their list in the workspace is as long or longer. */
export function probe(workspace: Workspace, wish: ProbeWish, coded: CodedProbe | undefined): CatalogueZone[] {
  const { zones } = workspace
  if ('nprobe' in wish) return takeZones(workspace, listNearest(workspace, wish.nprobe, coded))
  // More than the mean at first: most queries then need one look.
  for (let wanted = wish.zones * FIRST_LOOK + 4; ; wanted *= 4) {
    const listed = listNearest(workspace, Math.ceil(wanted), coded)
    const distances = workspace.memory.float64At(workspace.zoneList + 8, listed)
    const count = countZones(distances, wish, workspace)
    if (count < listed || listed === zones.length) return takeZones(workspace, count)
  }
}

function takeZones(workspace: Workspace, count: number): CatalogueZone[] {
  const { memory, zones, zoneList } = workspace
  const [listed] = memory.uint32At(zoneList, 1)
  // The list's ids are u64 zone numbers: their low words.
  const ids = memory.uint32At(zoneList + 8 + listed * 8, count * 2)
  const nearest: CatalogueZone[] = []
  for (let i = 0; i < count; i++) nearest.push(zones[ids[i * 2]])
  return nearest
}

/**
 * Lists the `nprobe` zones nearest to the query; returns how many there are.
 * With `coded`, distances are computed only for zones that could be among them, as far as the bound of their codes says.
 */
function listNearest(workspace: Workspace, nprobe: number, coded: CodedProbe | undefined): number {
  const { zones } = workspace
  const wanted = Math.min(nprobe, zones.length)
  const isListed = coded !== undefined && wanted < zones.length && probeCodes(workspace, wanted, coded)
  if (!isListed) probeAll(workspace, wanted)
  return wanted
}

function probeAll(workspace: Workspace, wanted: number): void {
  const { memory, zones, dim, centroids, probeQuery, zoneDistances } = workspace
  const { kernel } = memory
  if (workspace.metric === 'ip') kernel.innerProducts(centroids, zones.length, dim, probeQuery, zoneDistances)
  else kernel.l2Distances(centroids, zones.length, dim, probeQuery, zoneDistances)
  kernel.selectNearest(zoneDistances, zones.length, wanted, 0, workspace.zoneList, workspace.selectScratch)
}

/** Lists the nearest zones by way of their codes; returns false where the bounds say nothing. */
function probeCodes(workspace: Workspace, wanted: number, coded: CodedProbe): boolean {
  const { memory, zones, dim, zoneList, zoneDistances } = workspace
  const { kernel } = memory
  const { bounds, positions } = coded.centroids
  coded.centroids.bound(memory.float32At(workspace.codesQuery, dim), coded.workspace.queryCodes, workspace.metric === 'ip')
  kernel.selectNearest(bounds, zones.length, wanted, 0, zoneList, workspace.selectScratch)
  const largestBound = memory.float64At(zoneList + 8, wanted)[wanted - 1]
  // As many zones as wanted are surely within the largest distance of those with the smallest bounds; others only if their bound is.
  const first = measureBelow(workspace, coded, largestBound)
  const distances = memory.float32At(zoneDistances, first)
  let limit = -Infinity
  for (let i = 0; i < first; i++) limit = Math.max(limit, distances[i])
  if (!Number.isFinite(limit)) return false
  const count = measureBelow(workspace, coded, limit)
  kernel.selectNearest(zoneDistances, count, wanted, positions, zoneList, workspace.selectScratch)
  return true
}

/** Writes the distances of the zones whose bound is not above `limit`; returns how many there are. */
function measureBelow(workspace: Workspace, coded: CodedProbe, limit: number): number {
  const { memory, zones, dim, centroids, probeQuery, zoneDistances } = workspace
  const { bounds, positions } = coded.centroids
  const count = memory.kernel.selectBelow(bounds, zones.length, limit, positions)
  if (workspace.metric === 'ip') memory.kernel.innerProductsAt(centroids, positions, count, dim, probeQuery, zoneDistances)
  else memory.kernel.l2DistancesAt(centroids, positions, count, dim, probeQuery, zoneDistances)
  return count
}
