// Kernel memory of one open index besides its caches: the query, the centroids, the lists of zones and segments, the
// heap of hits.

import { ELEMENT_BYTES, METRIC_CODES } from '../format/layout.ts'
import type { Segment, SegmentTable } from '../format/segment-table.ts'
import type { KernelMemory } from '../kernels/kernel-memory.ts'
import { heapByteLength, heapDistances, heapIds } from '../kernels/addresses.ts'
import type { ScanQuery } from '../kernels/kernel.ts'
import { SELECT_SCRATCH_BYTES } from '../kernels/layouts.ts'
import { HEAP_CAPACITY_AT, HEAP_SIZE_AT } from '../kernels/layouts.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import { plannedIndex, type PlannedIndex } from './strategy.ts'

export class Workspace {
  readonly memory: KernelMemory
  readonly metric: Snapshot['meta']['metric']
  readonly dim: number
  /** The query as the probe sees it: unit length for cosine, negated for ip. float32, dim */
  readonly probeQuery: number
  readonly selectScratch: number
  readonly scanQuery: ScanQuery
  #zones: ZoneRegions
  #heapCapacity = 0

  constructor(snapshot: Snapshot, memory: KernelMemory) {
    const { dim, metric } = snapshot.meta
    this.memory = memory
    this.metric = metric
    this.dim = dim
    this.probeQuery = memory.allocate(dim * ELEMENT_BYTES)
    this.selectScratch = memory.allocate(SELECT_SCRATCH_BYTES)
    const query = memory.allocate(dim * ELEMENT_BYTES)
    this.scanQuery = { metric: METRIC_CODES[metric], dim, query, queryNorm2: 0, relative: 0, absolute: 0, heap: 0 }
    this.#zones = layOutZones(snapshot, memory)
  }

  /** Takes another snapshot; regions of the one before are given back. */
  adopt(snapshot: Snapshot): void {
    const { centroids, distances, list, segmentList, numbers } = this.#zones
    this.#zones = layOutZones(snapshot, this.memory)
    for (const region of [centroids, distances, list, segmentList, numbers]) this.memory.free(region)
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

  get queryNorm(): number {
    return Math.sqrt(this.scanQuery.queryNorm2)
  }

  /** The query as codes see it: unit length for cosine. float32, dim */
  get codesQuery(): number {
    return this.metric === 'cosine' ? this.probeQuery : this.scanQuery.query
  }

  /** Copies the query into kernel memory, once for the scan and once for the probe. */
  setQuery(query: Float32Array): void {
    let norm2 = 0
    for (let i = 0; i < query.length; i++) norm2 += query[i] * query[i]
    this.scanQuery.queryNorm2 = norm2
    const { floats } = this.memory
    const [exact, probe] = [this.scanQuery.query / 4, this.probeQuery / 4]
    const scale = this.metric === 'cosine' ? 1 / Math.sqrt(norm2) : this.metric === 'ip' ? -1 : 1
    for (let i = 0; i < query.length; i++) {
      floats[exact + i] = query[i]
      floats[probe + i] = query[i] * scale
    }
  }

  /** Returns where the numbers of all zones are: u32, 0, 1, 2, ... */
  zoneNumbers(): number {
    const zones = this.#zones
    if (zones.numbers === 0) {
      zones.numbers = this.memory.allocate(this.zoneCount * ELEMENT_BYTES)
      const numbers = this.memory.uint32At(zones.numbers, this.zoneCount)
      for (let zone = 0; zone < numbers.length; zone++) numbers[zone] = zone
    }
    return zones.numbers
  }

  /**
   * Takes the segments of the first `count` zones of the list, and lays out the list of their slots for the kernel:
   * with one segment a zone it is that of the zones.
   */
  takeSegments(count: number): TakenSegments {
    const { segments, list, segmentList } = this.#zones
    const { words, doubles } = this.memory
    // The list's ids are u64 zone numbers: their low words.
    const ids = heapIds(list, words[(list + HEAP_CAPACITY_AT) / 4]) / 4
    const taken: Segment[] = []
    if (segmentList === 0) {
      for (let i = 0; i < count; i++) taken.push(segments.at(words[ids + i * 2]))
      return { segments: taken, list }
    }
    const slots = heapIds(segmentList, segments.count) / 4
    const [zoneDistances, distances] = [heapDistances(list) / 8, heapDistances(segmentList) / 8]
    for (let i = 0; i < count; i++) {
      const distance = doubles[zoneDistances + i]
      segments.ofZone(words[ids + i * 2], (segment) => {
        doubles[distances + taken.length] = distance
        words[slots + taken.length * 2] = segment.slot
        taken.push(segment)
      })
    }
    words[(segmentList + HEAP_SIZE_AT) / 4] = taken.length
    return { segments: taken, list: segmentList }
  }

  /** Empties the heap of hits and makes room for `k` in it. */
  startHits(k: number): void {
    if (k > this.#heapCapacity) {
      const capacity = Math.max(k, this.#heapCapacity * 2, 64)
      this.scanQuery.heap = this.memory.replace(this.scanQuery.heap, heapByteLength(capacity))
      this.#heapCapacity = capacity // only once there is room
    }
    this.memory.kernel.heapInit(this.scanQuery.heap, k)
  }

  /**
   * Fills a heap of `k` entries with `distance`, so that only what is nearer gets in; the ids of such entries are above
   * any safe integer.
   */
  fillHeap(heap: number, k: number, distance: number): void {
    const { words } = this.memory
    words[(heap + HEAP_SIZE_AT) / 4] = k
    this.memory.float64At(heapDistances(heap), k).fill(distance)
    words.fill(0xffff_ffff, heapIds(heap, k) / 4, heapIds(heap, k) / 4 + k * 2)
  }
}

/** Segments of the zones that are probed, and the address of their list. */
export interface TakenSegments {
  readonly segments: Segment[]
  readonly list: number
}

/** Facts of a snapshot, and the regions that depend on how many zones and segments it has. */
interface ZoneRegions {
  readonly segments: SegmentTable
  readonly planned: PlannedIndex
  readonly maxNorm: number
  readonly ruleNorm: number
  readonly centroids: number
  readonly distances: number
  readonly list: number
  /** 0: the list of zones serves, for each zone has one segment, in the slot of its number. */
  readonly segmentList: number
  /** 0 before they are asked for. */
  numbers: number
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
    list: memory.allocate(heapByteLength(zoneCount)),
    segmentList: segments.isOnePerZone ? 0 : memory.allocate(heapByteLength(segments.count)),
    numbers: 0
  }
  memory.float32At(regions.centroids, centroids.length).set(centroids)
  if (regions.segmentList !== 0) memory.words[(regions.segmentList + HEAP_CAPACITY_AT) / 4] = segments.count
  return regions
}
