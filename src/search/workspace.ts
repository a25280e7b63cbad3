// Kernel memory that the searches of one open index share: centroids, and scratch that the probe leaves nothing in.
// What belongs to one search is in search-state.ts.

import { bytesEqual, ELEMENT_BYTES } from '../format/layout.ts'
import type { SegmentTable } from '../format/segment-table.ts'
import type { KernelMemory } from '../kernels/kernel-memory.ts'
import { heapByteLength } from '../kernels/addresses.ts'
import { HEAP_CAPACITY_AT, SELECT_SCRATCH_BYTES } from '../kernels/layouts.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import { DeltaZones } from './delta-zones.ts'
import { PartialCentroids, type CentroidSource } from './partial-centroids.ts'
import { plannedIndex, type PlannedIndex } from './strategy.ts'

export class Workspace {
  readonly memory: KernelMemory
  readonly metric: Snapshot['meta']['metric']
  readonly dim: number
  readonly selectScratch: number
  /** The search whose distances of zones are in `zoneDistances`, if it may go on with them. */
  distancesOf: object | undefined
  #zones: ZoneRegions
  /** Zones of deltas. */
  readonly deltas: DeltaZones
  #segmentList = 0
  #listCapacity = 0
  /** Of `#slotsOf`; address 0: the slot of a zone is its number. */
  #zoneSlots: ZoneSlots = { starts: 0, slots: 0 }
  #slotsOf: SegmentTable | undefined
  /** Undefined: all centroids are in memory. */
  readonly #partial: PartialCentroids | undefined

  /** `centroids`: where those come from that the snapshot does not have. */
  constructor(snapshot: Snapshot, memory: KernelMemory, centroids?: CentroidSource) {
    const { dim, metric } = snapshot.meta
    this.memory = memory
    this.metric = metric
    this.dim = dim
    this.selectScratch = memory.allocate(SELECT_SCRATCH_BYTES)
    this.#zones = { ...factsOf(snapshot), ...layOutZones(snapshot, memory) }
    const { zoneCount } = snapshot.meta
    this.#partial =
      centroids && new PartialCentroids(centroids, { memory, address: this.centroids, zones: zoneCount, dim })
    this.deltas = new DeltaZones(snapshot.meta, memory)
    this.deltas.take(snapshot)
  }

  /** Centroids of which some are missing; undefined: none is. */
  get partial(): PartialCentroids | undefined {
    return this.#partial?.areWhole === false ? this.#partial : undefined
  }

  /** Takes another snapshot; regions of the one before are given back. */
  adopt(snapshot: Snapshot): void {
    const { centroids, distances, list } = this.#zones
    this.distancesOf = undefined
    this.#zones = { ...factsOf(snapshot), ...layOutZones(snapshot, this.memory) }
    for (const region of [centroids, distances, list]) this.memory.free(region)
    this.deltas.take(snapshot)
  }

  /** Takes a snapshot that has more segments and zones of deltas, and the built zones as they are. */
  extend(snapshot: Snapshot): void {
    this.#zones = { ...this.#zones, ...factsOf(snapshot) }
    this.deltas.take(snapshot)
  }

  /** Tells whether the built zones have these centroids, of all zones: float32, zones * dim. */
  hasCentroids(centroids: Float32Array): boolean {
    const byteLength = this.zoneCount * this.dim * ELEMENT_BYTES
    if (centroids.byteLength < byteLength) return false
    const others = new Uint8Array(centroids.buffer, centroids.byteOffset, byteLength)
    return bytesEqual(this.memory.bytesAt(this.centroids, byteLength), others)
  }

  /** Zones of deltas: numbered after the built ones. */
  get deltaZoneCount(): number {
    return this.deltas.count
  }

  /** A list with room for all segments, laid out as a heap: for who fills and reads it in one call. */
  segmentList(): number {
    const wanted = this.segments.count
    if (wanted > this.#listCapacity) {
      const capacity = Math.max(wanted, this.#listCapacity * 2)
      this.#segmentList = this.memory.replace(this.#segmentList, heapByteLength(capacity))
      this.#listCapacity = capacity // only once there is room
      this.memory.words[(this.#segmentList + HEAP_CAPACITY_AT) / 4] = capacity
    }
    return this.#segmentList
  }

  /** The slots of the segments of each zone, for who reads them in one call. */
  zoneSlots(): ZoneSlots {
    const { segments } = this
    if (this.#slotsOf !== segments) {
      const before = this.#zoneSlots
      this.#zoneSlots = layOutSlots(segments, this.memory)
      this.memory.free(before.starts)
      this.#slotsOf = segments
    }
    return this.#zoneSlots
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

  /** Built zones. */
  get zoneCount(): number {
    return this.#zones.planned.zoneCount
  }

  /** Of the built zones: float32, zones * dim */
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

/** Addresses of u32: where the slots of each zone start, one number more; and the slots, zone by zone. */
interface ZoneSlots {
  readonly starts: number
  readonly slots: number
}

function layOutSlots(segments: SegmentTable, memory: KernelMemory): ZoneSlots {
  if (segments.isOnePerZone) return { starts: 0, slots: 0 }
  const { zoneCount, count } = segments
  const starts = memory.allocate((zoneCount + 1 + count) * 4)
  const slots = starts + (zoneCount + 1) * 4
  segments.writeZoneSlots(memory.uint32At(starts, zoneCount + 1), memory.uint32At(slots, count))
  return { starts, slots }
}

/** Facts of a snapshot. */
interface ZoneFacts {
  readonly segments: SegmentTable
  readonly planned: PlannedIndex
  readonly maxNorm: number
  readonly ruleNorm: number
}

/** With the regions that depend on how many zones were built. */
interface ZoneRegions extends ZoneFacts {
  readonly centroids: number
  readonly distances: number
  readonly list: number
}

function factsOf(snapshot: Snapshot): ZoneFacts {
  const { maxNorm } = snapshot.segments.totals
  return {
    segments: snapshot.segments,
    planned: plannedIndex(snapshot),
    maxNorm,
    ruleNorm: snapshot.calibration?.maxNorm ?? maxNorm
  }
}

function layOutZones(
  { meta, centroids }: Snapshot,
  memory: KernelMemory
): Pick<ZoneRegions, 'centroids' | 'distances' | 'list'> {
  const { zoneCount, dim } = meta
  const built = centroids.subarray(0, zoneCount * dim)
  const regions = {
    centroids: memory.allocate(zoneCount * dim * ELEMENT_BYTES),
    distances: memory.allocate(zoneCount * ELEMENT_BYTES),
    list: memory.allocate(heapByteLength(zoneCount))
  }
  memory.float32At(regions.centroids, built.length).set(built)
  return regions
}
