// One search under way: its query, its list of segments, its heaps in kernel memory, and how far it has come. Nothing
// of it is shared, so a search may wait for bytes while others go on.

import { ELEMENT_BYTES, METRIC_CODES } from '../format/layout.ts'
import type { Segment } from '../format/segment-table.ts'
import { heapByteLength, heapDistances, heapIds } from '../kernels/addresses.ts'
import type { ScanQuery } from '../kernels/kernel.ts'
import type { KernelMemory } from '../kernels/kernel-memory.ts'
import { HEAP_CAPACITY_AT, HEAP_SIZE_AT, LIST_MASK_AT, LIST_SEGMENT_AT } from '../kernels/layouts.ts'
import type { LiveMasks } from '../live/live-masks.ts'
import type { Patches } from '../live/patches.ts'
import type { QueryRotation } from '../quantizer/query-codes.ts'
import type { Explain, ExplainedFilter, Hit, Metric } from '../types.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import type { ReadCounters } from '../storage/segment-reads.ts'
import { CodeState } from './code-state.ts'
import type { FoundHit } from './found-hit.ts'
import { expectComparable, type SearchRequest } from './request.ts'
import type { FilterStop } from './request-filter.ts'
import type { Masks } from './row-masks.ts'
import type { Pass } from './unlike.ts'
import type { Workspace } from './workspace.ts'

/** What comes next: `done` ends a pass. */
export type Stage = 'probe' | 'scan rows' | 'scan codes' | 'rerank' | 'done'

const NO_REQUEST: SearchRequest = {
  k: 0,
  probe: { nprobe: 1 },
  explain: false,
  isExact: false,
  rerank: 0,
  confidence: { planes: 0, refined: 0, slack: 0, planesSlack: 0 }
}
const FEWEST_SEGMENTS = 64

export class SearchState {
  readonly workspace: Workspace
  readonly memory: KernelMemory
  readonly metric: Metric
  readonly dim: number
  /** The query as the probe sees it: unit length for cosine, negated for ip. float32, dim */
  readonly probeQuery: number
  readonly scanQuery: ScanQuery
  /** Undefined with `bits: 0`. */
  readonly codes: CodeState | undefined
  /** Segments to scan, nearest first. */
  readonly segments: Segment[] = []
  /** The same for the kernel, laid out as a heap, with their masks. */
  list = 0
  /** What was asked for, and what the pass at hand does for it. */
  asked = NO_REQUEST
  request = NO_REQUEST
  stage: Stage = 'probe'
  /** Built zones that were probed. */
  zoneCount = 0
  /** Zones of deltas that there were when the search began: it looks at all of them, and at none that came later. */
  deltaZoneCount = 0
  /** Segments of deltas at the start of the list, which stand there where there is a filter. */
  deltasFirst = 0
  /** Position in `segments` that the scan has reached, and the part of that segment. */
  reached = 0
  part = 0
  /** Position in `segments` before which the scan is to pause: for searches with a filter. */
  scanEnd = Infinity
  /** The workspace has had this search's distances of zones. */
  hasDistances = false
  /** Zones whose centroids the probe lacks. */
  lacking: readonly number[] | 'all' = []
  /** Zones that it will probably choose, by the codes of their centroids. */
  likely: readonly number[] = []
  /** How a search with a filter goes, and why it ended. */
  filterPlan: ExplainedFilter['plan'] = 'zones'
  stopped: FilterStop = 'no row matches'
  /** Zones of a search with a filter are listed by packed centroids, where there are some. */
  listsPacked = false
  /** A zone is so far away that the query is unlike those of the calibration. */
  isFar = false
  rowsConfirmed = 0
  /** Candidates that were taken to be reranked, of how many. */
  rowsReranked = 0
  candidateCount = 0
  /** Microseconds that the search took of the thread, as far as its driver measures them. */
  micros = 0
  /** When the scan is to pause, by `nowMicros`; the synchronous driver never pauses. */
  deadline = Infinity
  /** Rows are scanned, not codes. */
  byRows = false
  /** Dependent rounds of input of this pass. */
  ioRounds = 0
  readonly counters: ReadCounters = { bytesRead: 0, pagesVerified: 0 }
  startedAt = 0
  probedAt = 0
  scannedAt = 0
  /** Passes before this one, and what they tell; there are some only for queries unlike those of the calibration. */
  readonly passes: Pass[] = []
  readonly explains: Explain[] = []
  /** Of segments. */
  hits: Hit[] = []
  /** Hits among fresh rows. */
  freshHits: readonly FoundHit[] = []
  /** Fresh rows that were scanned. */
  freshScanned = 0
  /** Payloads that were updated, where hits are to have them. */
  patches: Patches | undefined
  /** Rows of segments that may be found, where no filter says; undefined: all. */
  masks: Masks | undefined
  /** Of segments with deleted rows, where no filter says; undefined: none is deleted. */
  live: LiveMasks | undefined
  isUnlike = false
  /** The query was scaled for the probe. */
  isScaled = false
  /** Hits in the heap, if they are in order already; else -1. */
  sortedHits = -1
  #listCapacity = 0
  #taken = 0
  #heapCapacity = 0

  constructor(meta: Snapshot['meta'], workspace: Workspace, rotation: QueryRotation | undefined) {
    const { dim, metric } = meta
    const { memory } = workspace
    this.workspace = workspace
    this.memory = memory
    this.metric = metric
    this.dim = dim
    this.probeQuery = memory.allocate(dim * ELEMENT_BYTES)
    const query = memory.allocate(dim * ELEMENT_BYTES)
    this.scanQuery = { metric: METRIC_CODES[metric], dim, query, queryNorm2: 0, relative: 0, absolute: 0, heap: 0 }
    this.codes = rotation && new CodeState(meta, rotation, memory)
  }

  /** Gives the kernel memory back. */
  close(): void {
    this.codes?.close()
    const { query, heap } = this.scanQuery
    for (const region of [this.probeQuery, query, heap, this.list]) this.memory.free(region)
  }

  get ruleNorm(): number {
    return this.workspace.ruleNorm
  }

  get queryNorm(): number {
    return Math.sqrt(this.scanQuery.queryNorm2)
  }

  /** The query as codes see it: unit length for cosine. float32, dim */
  get codesQuery(): number {
    return this.metric === 'cosine' ? this.probeQuery : this.scanQuery.query
  }

  /** Begins a search: copies the query into kernel memory. `live`: rows that are not deleted; a filter knows them. */
  start(query: Float32Array, request: SearchRequest, live?: LiveMasks): void {
    this.#copyQuery(query)
    request.filter?.masks.take()
    this.live = live?.areNone === false && request.filter === undefined ? live : undefined
    this.live?.take()
    this.masks = request.masks ?? this.live
    this.freshHits = []
    this.freshScanned = 0
    this.patches = undefined
    this.asked = request
    this.request = request
    this.stage = 'probe'
    this.deltaZoneCount = this.workspace.deltaZoneCount
    this.isUnlike = false
    this.deadline = Infinity
    this.micros = 0
    this.passes.length = 0
    this.explains.length = 0
    this.counters.bytesRead = 0
    this.counters.pagesVerified = 0
  }

  /** Ends a search: what it was asked for is not needed any more. */
  end(): void {
    this.asked.filter?.masks.giveBack()
    this.live?.giveBack()
    this.live = undefined
    this.masks = undefined
    this.asked = NO_REQUEST
    this.request = NO_REQUEST
  }

  /** Copies a query into kernel memory and scales it; throws as `scaleQuery` does. */
  setQuery(query: Float32Array): void {
    this.#copyQuery(query)
    this.scaleQuery()
  }

  #copyQuery(query: Float32Array): void {
    this.memory.floats.set(query, this.scanQuery.query / ELEMENT_BYTES)
    this.isScaled = false
  }

  /** Makes of the query what the probe sees, unless that is done; throws ZGQ_NON_FINITE or ZGQ_ZERO_VECTOR. */
  scaleQuery(): void {
    if (this.isScaled) return
    const { memory, scanQuery, probeQuery } = this
    scanQuery.queryNorm2 = memory.kernel.scaleQuery(scanQuery.metric, this.dim, scanQuery.query, probeQuery)
    this.expectComparable()
    this.isScaled = true
  }

  /** Throws ZGQ_NON_FINITE or ZGQ_ZERO_VECTOR, by the length of the query. */
  expectComparable(): void {
    const { memory, dim, metric, scanQuery } = this
    const { query, queryNorm2 } = scanQuery
    if (queryNorm2 > 0 && queryNorm2 < Infinity) return
    const vector = memory.float32At(query, dim)
    expectComparable({ query: vector, vector }, queryNorm2, metric)
  }

  /**
   * Takes the segments of the first `count` zones of the workspace's list that have rows which may be found, with their
   * masks; and those of deltas before or behind them.
   */
  takeSegments(count: number, masks: Masks | undefined, deltas: 'none' | 'first' | 'last' = 'none'): void {
    const { segments: table } = this.workspace
    this.#taken = 0
    this.#roomForList(table.isOnePerZone ? count + this.deltaZoneCount : table.count)
    if (deltas === 'first') this.#listDeltas(masks)
    this.deltasFirst = this.#taken
    if (table.isOnePerZone && masks === undefined) this.#copyList(count)
    else this.#listSegments(count, masks)
    if (deltas === 'last') this.#listDeltas(masks)
    // Not emptied before: an array that was emptied has to grow anew.
    if (this.segments.length > this.#taken) this.segments.length = this.#taken
    this.memory.words[(this.list + HEAP_SIZE_AT) / 4] = this.#taken
  }

  /** With one segment a zone, in the slot of its number, the list of zones is that of segments. */
  #copyList(count: number): void {
    const { segments: table, zoneList } = this.workspace
    const { words, doubles } = this.memory
    const from = heapIds(zoneList, words[(zoneList + HEAP_CAPACITY_AT) / 4]) / 4
    const to = heapIds(this.list, this.#listCapacity) / 4
    const [distancesFrom, distancesTo] = [heapDistances(zoneList) / 8, heapDistances(this.list) / 8]
    for (let i = 0; i < count; i++) {
      const zone = words[from + i * 2]
      doubles[distancesTo + i] = doubles[distancesFrom + i]
      words[to + i * 2] = zone
      words[to + i * 2 + 1] = 0
      this.segments[i] = table.at(zone)
    }
    this.#taken = count
  }

  #listDeltas(masks: Masks | undefined): void {
    const { deltaZoneCount, workspace, probeQuery } = this
    if (deltaZoneCount === 0) return
    const { segments: table, zoneCount } = workspace
    workspace.deltas.measure(probeQuery, deltaZoneCount)
    const distances = workspace.deltas.distances / 4
    const { floats } = this.memory
    for (let i = 0; i < deltaZoneCount; i++)
      table.ofZone(zoneCount + i, (segment) => {
        this.#listSegment(segment, floats[distances + i], masks)
      })
  }

  #listSegments(count: number, masks: Masks | undefined): void {
    const { segments: table, zoneList } = this.workspace
    const { words, doubles } = this.memory
    const zones = heapIds(zoneList, words[(zoneList + HEAP_CAPACITY_AT) / 4]) / 4
    const distances = heapDistances(zoneList) / 8
    for (let i = 0; i < count; i++) {
      table.ofZone(words[zones + i * 2], (segment) => {
        this.#listSegment(segment, doubles[distances + i], masks)
      })
    }
  }

  /** `distance`: of its zone. */
  #listSegment(segment: Segment, distance: number, masks: Masks | undefined): void {
    if (masks?.isEmpty(segment.slot) === true) return
    const { words, doubles } = this.memory
    const at = this.#taken++
    const id = heapIds(this.list, this.#listCapacity) + at * 8
    doubles[heapDistances(this.list) / 8 + at] = distance
    words[(id + LIST_SEGMENT_AT) / 4] = segment.slot
    words[(id + LIST_MASK_AT) / 4] = masks === undefined ? 0 : masks.addressOf(segment.slot)
    this.segments[at] = segment
  }

  /** Address of the mask of the segment at a position of the list; 0: all of its rows may be found. */
  maskAt(position: number): number {
    return this.memory.words[(heapIds(this.list, this.#listCapacity) + position * 8 + LIST_MASK_AT) / 4]
  }

  /** Slot of the segment at a position of the list. */
  slotAt(position: number): number {
    return this.memory.words[(heapIds(this.list, this.#listCapacity) + position * 8 + LIST_SEGMENT_AT) / 4]
  }

  /** Distance of the zone of the segment at a position of the list. */
  distanceAt(position: number): number {
    return this.memory.doubles[heapDistances(this.list) / 8 + position]
  }

  #roomForList(count: number): void {
    if (count <= this.#listCapacity) return
    const capacity = Math.max(count, this.#listCapacity * 2, FEWEST_SEGMENTS)
    this.list = this.memory.replace(this.list, heapByteLength(capacity))
    this.#listCapacity = capacity // only once there is room
    this.memory.words[(this.list + HEAP_CAPACITY_AT) / 4] = capacity
  }

  /** Empties the heap of hits and makes room for `k` in it. */
  startHits(k: number): void {
    this.roomForHits(k)
    this.memory.kernel.heapInit(this.scanQuery.heap, k)
  }

  /** Makes room for `k` hits. */
  roomForHits(k: number): void {
    if (k <= this.#heapCapacity) return
    const capacity = Math.max(k, this.#heapCapacity * 2, 64)
    this.scanQuery.heap = this.memory.replace(this.scanQuery.heap, heapByteLength(capacity))
    this.#heapCapacity = capacity // only once there is room
  }
}
