// Stage 1: from the query to the segments to scan.

import { ELEMENT_BYTES } from '../format/layout.ts'
import { heapDistances } from '../kernels/addresses.ts'
import { LEAST_SURPLUS, LOOK_GROWTH } from '../kernels/layouts.ts'
import type { CentroidCodes } from './centroid-codes.ts'
import type { PackedCentroids } from './packed-centroids.ts'
import { countZones } from './recall-rule.ts'
import type { ProbeWish } from './probe-wish.ts'
import type { CodesContext } from './search-context.ts'
import type { SearchState } from './search-state.ts'

/** Zones that are listed at first, as a multiple of the mean that the calibration saw, and how many more. */
export const LOOK_FACTOR = 1.5
export const FIRST_ZONES = 4
/** Zones whose distances are computed, as a multiple of those wanted; some more are (bench/README.md, "Probe"). */
export const SURPLUS = 3

/** Centroids in other forms than float32. */
export type CodedCentroids = Pick<CodesContext, 'centroids' | 'packed'>

/** In the place of a number of zones: centroids are lacking. */
const LACKING = -1

/**
 * Lists the segments to scan, those of the nearest zone first; equal distances: the lower zone; behind them those of
 * all deltas. `coded`: there are other forms of the centroids, and the query's codes are set. Tells whether it could:
 * else the state says which centroids are lacking.
 */
export function probe(state: SearchState, coded: CodedCentroids | undefined): boolean {
  const count = countProbed(state, state.request.probe, coded)
  if (count === LACKING) return false
  state.zoneCount = count
  state.takeSegments(count, state.masks, 'last')
  return true
}

/** Notes that all centroids are needed; tells whether some are lacking. */
export function lacksCentroids(state: SearchState): boolean {
  if (state.workspace.partial === undefined) return false
  state.lacking = 'all'
  state.likely = []
  return true
}

/** Lists zones, nearest first; returns how many of them to probe, or LACKING. */
function countProbed(state: SearchState, wish: ProbeWish, coded: CodedCentroids | undefined): number {
  if ('nprobe' in wish) return listNearest(state, wish.nprobe, coded)
  const { workspace } = state
  // More than the mean at first: most queries then need one look.
  for (let wanted = wish.zones * LOOK_FACTOR + FIRST_ZONES; ; wanted *= LOOK_GROWTH) {
    const listed = listNearest(state, Math.ceil(wanted), coded)
    if (listed === LACKING) return LACKING
    const distances = workspace.memory.float64At(heapDistances(workspace.zoneList), listed)
    const count = countZones(distances, wish, state)
    if (count < listed || listed === workspace.zoneCount) return count
  }
}

/**
 * Lists the `nprobe` zones nearest to the query; returns how many there are, or LACKING.
 * With `coded` and many zones, their codes are looked at first.
 */
function listNearest(state: SearchState, nprobe: number, coded: CodedCentroids | undefined): number {
  const { zoneCount } = state.workspace
  const wanted = Math.min(nprobe, zoneCount)
  if (coded?.centroids !== undefined && wanted * SURPLUS < zoneCount)
    return probeCodes(state, wanted, { ...coded, centroids: coded.centroids })
  if (lacksCentroids(state)) return LACKING
  probeAll(state, wanted, coded?.packed)
  return wanted
}

/**
 * Lists the `wanted` nearest zones of those at the positions (u32) of `zones`, or of the first where that is 0; returns
 * how many there are. By all of their distances: a longer list begins with the same zones.
 */
export function listMatching(
  state: SearchState,
  of: {
    readonly wanted: number
    readonly zones: { readonly positions: number; readonly count: number }
    readonly packed: PackedCentroids | undefined
  }
): number {
  const { workspace } = state
  const { packed } = of
  const { positions, count } = of.zones
  // Of a search that waited others may have taken the place.
  if (!state.hasDistances || workspace.distancesOf !== state) {
    if (positions === 0) allDistances(state, packed)
    else distancesAt(state, { positions, count, packed })
    workspace.distancesOf = state
    state.hasDistances = true
  }
  const { memory, zoneList, zoneDistances, selectScratch } = workspace
  const wanted = Math.min(of.wanted, count)
  memory.kernel.selectNearest(zoneDistances, count, wanted, positions, zoneList, selectScratch)
  return wanted
}

/** Writes the distances of some zones to those of the workspace. */
function distancesAt(
  state: SearchState,
  of: { readonly positions: number; readonly count: number; readonly packed: PackedCentroids | undefined }
): void {
  const { workspace, probeQuery } = state
  const { memory, dim, centroids, zoneDistances } = workspace
  const { positions, count, packed } = of
  if (packed !== undefined) packed.distances(state, positions, count)
  else if (workspace.metric === 'ip')
    memory.kernel.innerProductsAt(centroids, positions, count, dim, probeQuery, zoneDistances)
  else memory.kernel.l2DistancesAt(centroids, positions, count, dim, probeQuery, zoneDistances)
}

function probeAll(state: SearchState, wanted: number, packed: PackedCentroids | undefined): void {
  const { memory, zoneCount, zoneDistances, zoneList, selectScratch } = state.workspace
  allDistances(state, packed)
  memory.kernel.selectNearest(zoneDistances, zoneCount, wanted, 0, zoneList, selectScratch)
}

/** Writes the distances of all zones to those of the workspace. */
function allDistances(state: SearchState, packed: PackedCentroids | undefined): void {
  const { workspace, probeQuery } = state
  const { memory, zoneCount, dim, centroids, zoneDistances } = workspace
  workspace.distancesOf = undefined
  if (packed !== undefined) packed.distances(state, 0, zoneCount)
  else if (workspace.metric === 'ip') memory.kernel.innerProducts(centroids, zoneCount, dim, probeQuery, zoneDistances)
  else memory.kernel.l2Distances(centroids, zoneCount, dim, probeQuery, zoneDistances)
}

/**
 * Lists the nearest zones by way of their codes: those of smallest estimate, three times as many as wanted, are put in
 * order by their distances. A zone near the end of the list may be missed. Returns how many there are, or LACKING.
 */
function probeCodes(
  state: SearchState,
  wanted: number,
  { centroids: coded, packed }: { readonly centroids: CentroidCodes; readonly packed: PackedCentroids | undefined }
): number {
  const { workspace, probeQuery, codes } = state
  if (codes === undefined) throw new TypeError('the query has no codes')
  const { memory, zoneCount, dim, centroids, zoneList, zoneDistances } = workspace
  const { kernel } = memory
  const { estimates, positions } = coded
  workspace.distancesOf = undefined
  const looked = Math.min(zoneCount, Math.ceil(wanted * SURPLUS) + LEAST_SURPLUS)
  coded.estimate(codes.queryCodes, workspace.metric === 'ip')
  const count = kernel.selectSmallest(estimates, zoneCount, looked, positions, workspace.selectScratch)
  if (workspace.partial?.haveAt(positions, count) === false) {
    noteLacking(state, coded, count)
    return LACKING
  }
  if (packed !== undefined) packed.distances(state, positions, count)
  else if (workspace.metric === 'ip')
    kernel.innerProductsAt(centroids, positions, count, dim, probeQuery, zoneDistances)
  else kernel.l2DistancesAt(centroids, positions, count, dim, probeQuery, zoneDistances)
  kernel.selectNearest(zoneDistances, count, wanted, positions, zoneList, workspace.selectScratch)
  return wanted
}

/** Notes which centroids are needed, and of which zones the codes will probably be. */
function noteLacking(state: SearchState, { positions, estimates }: CentroidCodes, count: number): void {
  const { memory } = state.workspace
  const zones = [...memory.uint32At(positions, count)]
  state.lacking = zones
  const { probe: wish } = state.request
  const expected = 'nprobe' in wish ? wish.nprobe : Math.ceil(wish.zones)
  const estimateOf = (zone: number): number => memory.floats[estimates / ELEMENT_BYTES + zone]
  state.likely = [...zones].sort((a, b) => estimateOf(a) - estimateOf(b)).slice(0, expected)
}
