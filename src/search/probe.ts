// Stage 1, pure: from the query to the segments to scan.

import { ELEMENT_BYTES } from '../format/layout.ts'
import { heapDistances } from '../kernels/addresses.ts'
import type { CentroidCodes } from './centroid-codes.ts'
import type { CodeWorkspace } from './code-workspace.ts'
import { countZones } from './recall-rule.ts'
import type { ProbeWish, ZoneRange } from './probe-wish.ts'
import type { TakenSegments, Workspace } from './workspace.ts'

/** Zones that are listed at first, as a multiple of the mean that the calibration saw. */
const FIRST_LOOK = 1.5
/**
 * Zones whose distances are computed, as a multiple of those wanted, and how many more at least (bench/README.md,
 * "Probe").
 */
const SURPLUS = 3
const LEAST_SURPLUS = 16

/** Codes of the centroids, with the codes of the query that was set. */
export interface CodedProbe {
  readonly centroids: CentroidCodes
  readonly workspace: CodeWorkspace
}

/** The zones to scan, and their segments. */
export interface Probed extends TakenSegments {
  readonly zoneCount: number
}

/** Returns the segments to scan, those of the nearest zone first; equal distances: the lower zone. */
export function probe(workspace: Workspace, wish: ProbeWish, coded: CodedProbe | undefined): Probed {
  const zoneCount = countProbed(workspace, wish, coded)
  const { segments, list } = workspace.takeSegments(zoneCount)
  return { segments, list, zoneCount } // spelled out: a spread costs a tenth of a small search
}

/** Lists zones, nearest first; returns how many of them to probe. */
function countProbed(workspace: Workspace, wish: ProbeWish, coded: CodedProbe | undefined): number {
  if ('nprobe' in wish) return listNearest(workspace, wish.nprobe, coded)
  if ('firstZone' in wish) return listRange(workspace, wish)
  // More than the mean at first: most queries then need one look.
  for (let wanted = wish.zones * FIRST_LOOK + 4; ; wanted *= 4) {
    const listed = listNearest(workspace, Math.ceil(wanted), coded)
    const distances = workspace.memory.float64At(heapDistances(workspace.zoneList), listed)
    const count = countZones(distances, wish, workspace)
    if (count < listed || listed === workspace.zoneCount) return count
  }
}

/** Lists the zones of a range, nearest first; returns how many there are. */
function listRange(workspace: Workspace, range: ZoneRange): number {
  const { memory, dim, centroids, probeQuery, zoneDistances } = workspace
  const count = range.endZone - range.firstZone
  const numbers = workspace.zoneNumbers() + range.firstZone * ELEMENT_BYTES
  const first = centroids + range.firstZone * dim * ELEMENT_BYTES
  if (workspace.metric === 'ip') memory.kernel.innerProducts(first, count, dim, probeQuery, zoneDistances)
  else memory.kernel.l2Distances(first, count, dim, probeQuery, zoneDistances)
  memory.kernel.selectNearest(zoneDistances, count, count, numbers, workspace.zoneList, workspace.selectScratch)
  return count
}

/**
 * Lists the `nprobe` zones nearest to the query; returns how many there are.
 * With `coded` and many zones, their codes are looked at first.
 */
function listNearest(workspace: Workspace, nprobe: number, coded: CodedProbe | undefined): number {
  const { zoneCount } = workspace
  const wanted = Math.min(nprobe, zoneCount)
  if (coded === undefined || wanted * SURPLUS >= zoneCount) probeAll(workspace, wanted)
  else probeCodes(workspace, wanted, coded)
  return wanted
}

function probeAll(workspace: Workspace, wanted: number): void {
  const { memory, zoneCount, dim, centroids, probeQuery, zoneDistances } = workspace
  const { kernel } = memory
  if (workspace.metric === 'ip') kernel.innerProducts(centroids, zoneCount, dim, probeQuery, zoneDistances)
  else kernel.l2Distances(centroids, zoneCount, dim, probeQuery, zoneDistances)
  kernel.selectNearest(zoneDistances, zoneCount, wanted, 0, workspace.zoneList, workspace.selectScratch)
}

/**
 * Lists the nearest zones by way of their codes: those of smallest estimate, three times as many as wanted, are put in
 * order by their distances. A zone near the end of the list may be missed.
 */
function probeCodes(workspace: Workspace, wanted: number, coded: CodedProbe): void {
  const { memory, zoneCount, dim, centroids, probeQuery, zoneList, zoneDistances } = workspace
  const { kernel } = memory
  const { estimates, positions } = coded.centroids
  const looked = Math.min(zoneCount, Math.ceil(wanted * SURPLUS) + LEAST_SURPLUS)
  coded.centroids.estimate(workspace.codesQuery, coded.workspace.queryCodes, workspace.metric === 'ip')
  const count = kernel.selectSmallest(estimates, zoneCount, looked, positions, workspace.selectScratch)
  if (workspace.metric === 'ip') kernel.innerProductsAt(centroids, positions, count, dim, probeQuery, zoneDistances)
  else kernel.l2DistancesAt(centroids, positions, count, dim, probeQuery, zoneDistances)
  kernel.selectNearest(zoneDistances, count, wanted, positions, zoneList, workspace.selectScratch)
}
