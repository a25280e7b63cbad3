// What one open index keeps in kernel memory besides the cache of zones: the query, the centroids, the heaps.

import type { CatalogueZone } from '../format/catalogue.ts'
import { ELEMENT_BYTES } from '../format/layout.ts'
import type { KernelMemory } from '../kernels/kernel-memory.ts'
import { heapByteLength, KERNEL_METRICS, SELECT_SCRATCH_BYTES, type ScanQuery } from '../kernels/kernel.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import { plannedIndex, type PlannedIndex } from './strategy.ts'

export class Workspace {
  readonly memory: KernelMemory
  readonly zones: readonly CatalogueZone[]
  readonly metric: Snapshot['meta']['metric']
  readonly dim: number
  /** What a plan follows from. */
  readonly planned: PlannedIndex
  /** float32, zones * dim */
  readonly centroids: number
  /** The query as the probe sees it: unit length for cosine, negated for ip. float32, dim */
  readonly probeQuery: number
  /** float32, zones */
  readonly zoneDistances: number
  /** List for as many zones as there are, laid out as a heap. */
  readonly zoneList: number
  readonly selectScratch: number
  readonly scanQuery: ScanQuery
  /** 0 before they are asked for. */
  #zoneNumbers = 0
  #heapCapacity = 0

  constructor(snapshot: Snapshot, memory: KernelMemory) {
    const { dim, metric } = snapshot.meta
    const zoneCount = snapshot.zones.length
    this.memory = memory
    this.zones = snapshot.zones
    this.metric = metric
    this.dim = dim
    this.planned = plannedIndex(snapshot)
    this.maxNorm = snapshot.zones.reduce((most, zone) => Math.max(most, zone.maxNorm), 0)
    this.centroids = memory.allocate(zoneCount * dim * ELEMENT_BYTES)
    this.probeQuery = memory.allocate(dim * ELEMENT_BYTES)
    this.zoneDistances = memory.allocate(zoneCount * ELEMENT_BYTES)
    this.zoneList = memory.allocate(heapByteLength(zoneCount))
    this.selectScratch = memory.allocate(SELECT_SCRATCH_BYTES)
    const query = memory.allocate(dim * ELEMENT_BYTES)
    this.scanQuery = { metric: KERNEL_METRICS[metric], dim, query, queryNorm2: 0, relative: 0, absolute: 0, heap: 0 }
    memory.float32At(this.centroids, zoneCount * dim).set(snapshot.centroids)
  }

  /** Largest norm of a row. */
  readonly maxNorm: number

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
    if (this.#zoneNumbers === 0) {
      this.#zoneNumbers = this.memory.allocate(this.zones.length * ELEMENT_BYTES)
      const numbers = this.memory.uint32At(this.#zoneNumbers, this.zones.length)
      for (let zone = 0; zone < numbers.length; zone++) numbers[zone] = zone
    }
    return this.#zoneNumbers
  }

  /** Empties the heap of hits and makes room for `k` in it. */
  startHits(k: number): void {
    if (k > this.#heapCapacity) {
      // Regions are never given back: doubling keeps what is lost below what is used.
      const capacity = Math.max(k, this.#heapCapacity * 2, 64)
      this.scanQuery.heap = this.memory.allocate(heapByteLength(capacity))
      this.#heapCapacity = capacity // only once there is room
    }
    this.memory.kernel.heapInit(this.scanQuery.heap, k)
  }

  /**
   * Fills a heap of `k` places with `distance`, so that only what is nearer gets in; the ids of such places are above
   * any safe integer.
   */
  fillHeap(heap: number, k: number, distance: number): void {
    const { words } = this.memory
    words[heap / 4] = k
    this.memory.float64At(heap + 8, k).fill(distance)
    words.fill(0xffff_ffff, heap / 4 + 2 + k * 2, heap / 4 + 2 + k * 4)
  }
}
