// Kernel memory that the searches of one open index share: centroids, and scratch that the probe leaves nothing in.
// What belongs to one search is in search-state.ts.

import { ELEMENT_BYTES } from '../format/layout.ts'
import type { SegmentTable } from '../format/segment-table.ts'
import type { KernelMemory } from '../kernels/kernel-memory.ts'
import { heapByteLength } from '../kernels/addresses.ts'
import { SELECT_SCRATCH_BYTES } from '../kernels/layouts.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import { plannedIndex, type PlannedIndex } from './strategy.ts'

export class Workspace {
  readonly memory: KernelMemory
  readonly metric: Snapshot['meta']['metric']
  readonly dim: number
  readonly selectScratch: number
  /** The search whose distances of zones are in `zoneDistances`, if it may go on with them. */
  distancesOf: object | undefined
  #zones: ZoneRegions

  constructor(snapshot: Snapshot, memory: KernelMemory) {
    const { dim, metric } = snapshot.meta
    this.memory = memory
    this.metric = metric
    this.dim = dim
    this.selectScratch = memory.allocate(SELECT_SCRATCH_BYTES)
    this.#zones = layOutZones(snapshot, memory)
  }

  /** Takes another snapshot; regions of the one before are given back. */
  adopt(snapshot: Snapshot): void {
    const { centroids, distances, list } = this.#zones
    this.distancesOf = undefined
    this.#zones = layOutZones(snapshot, this.memory)
    for (const region of [centroids, distances, list]) this.memory.free(region)
  }

  get segments(): SegmentTable {
    return this.#zones.segments
  }

  /** Facts that a plan follows from. */
  get planned(): PlannedIndex {
    return this.#zones.planned
  }

  /** Largest norm of a row. */
  get maxNorm(): number {
    return this.#zones.maxNorm
  }

  /** The norm that the recall rule counts from: a longer row that came later does not change what was measured. */
  get ruleNorm(): number {
    return this.#zones.ruleNorm
  }

  get zoneCount(): number {
    return this.#zones.planned.zoneCount
  }

  /** float32, zones * dim */
  get centroids(): number {
    return this.#zones.centroids
  }

  /** float32, zones */
  get zoneDistances(): number {
    return this.#zones.distances
  }

  /** List for as many zones as there are, laid out as a heap. */
  get zoneList(): number {
    return this.#zones.list
  }
}

/** Facts of a snapshot, and the regions that depend on how many zones it has. */
interface ZoneRegions {
  readonly segments: SegmentTable
  readonly planned: PlannedIndex
  readonly maxNorm: number
  readonly ruleNorm: number
  readonly centroids: number
  readonly distances: number
  readonly list: number
}

function layOutZones(snapshot: Snapshot, memory: KernelMemory): ZoneRegions {
  const { segments, centroids } = snapshot
  const { zoneCount } = segments
  const regions = {
    segments,
    planned: plannedIndex(snapshot.meta),
    maxNorm: segments.totals.maxNorm,
    ruleNorm: snapshot.calibration?.maxNorm ?? segments.totals.maxNorm,
    centroids: memory.allocate(centroids.byteLength),
    distances: memory.allocate(zoneCount * ELEMENT_BYTES),
    list: memory.allocate(heapByteLength(zoneCount))
  }
  memory.float32At(regions.centroids, centroids.length).set(centroids)
  return regions
}
