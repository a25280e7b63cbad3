// Kernel memory of one search of codes: the query's tables, the smallest estimates, the candidates, and rows that are
// being reranked.

import type { RowSlot } from '../cache/candidate-rows.ts'
import { METRIC_CODES } from '../format/layout.ts'
import type { KernelMemory } from '../kernels/kernel-memory.ts'
import { candidatesByteLength, heapByteLength, heapDistances } from '../kernels/addresses.ts'
import { type CodeScan } from '../kernels/kernel.ts'
import {
  BATCH_BYTES,
  BATCH_COUNT_AT,
  BATCH_IDS_AT,
  BATCH_MISSING_AT,
  BATCH_RERANKED_AT,
  BATCH_ROWS_AT,
  CANDIDATES_AMPLE,
  CANDIDATES_CAPACITY_AT,
  CANDIDATES_SIZE_AT,
  HEAP_CAPACITY_AT,
  HEAP_SIZE_AT,
  RERANK_ROWS,
  SEARCH_BYTES
} from '../kernels/layouts.ts'
import { QueryCodes, type QueryRotation } from '../quantizer/query-codes.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'

const SMALLEST_CAPACITY = 4096
/** Candidates for each hit wanted. */
const CANDIDATES_PER_HIT = 32

export class CodeState {
  readonly queryCodes: QueryCodes
  readonly scan: CodeScan
  /** Rows of a batch that were not kept: float32, RERANK_ROWS * dim. */
  readonly slots: number
  /** The batch that is being reranked; layouts.ts has its parts. */
  readonly batch: number
  /** A search in one call: SEARCH_BYTES. */
  readonly search: number
  readonly #memory: KernelMemory
  readonly #rowBytes: number
  #rowSlots: readonly RowSlot[] = []
  #heapCapacity = 0
  #candidateCapacity = 0

  constructor({ dim, metric, bits }: Snapshot['meta'], rotation: QueryRotation, memory: KernelMemory) {
    this.#memory = memory
    this.queryCodes = new QueryCodes(memory, rotation)
    const { width, tables, integers, scalars } = this.queryCodes
    this.#rowBytes = dim * 4
    this.slots = memory.allocate(RERANK_ROWS * this.#rowBytes)
    this.batch = memory.allocate(BATCH_BYTES)
    this.search = memory.allocate(SEARCH_BYTES)
    this.scan = {
      metric: METRIC_CODES[metric],
      bits,
      width,
      tables,
      integers,
      scalars,
      segments: 0,
      list: 0,
      heap: 0,
      candidates: 0
    }
  }

  /** Returns the memory of slot `slot` for a row that is being reranked. */
  rowSlot(slot: number): RowSlot {
    // Slots are views that are made once: making one takes as long as copying a row into it.
    const { bytes } = this.#memory
    if (this.#rowSlots.length === 0 || this.#rowSlots[0].bytes.buffer !== bytes.buffer) {
      this.#rowSlots = Array.from({ length: RERANK_ROWS }, (_, i) => {
        const address = this.slots + i * this.#rowBytes
        return { address, bytes: bytes.subarray(address, address + this.#rowBytes) }
      })
    }
    return this.#rowSlots[slot]
  }

  /**
   * Makes room for the `wanted` smallest estimates and the candidates that may come with them from `rowCount` rows, and
   * empties both.
   */
  start(wanted: number, rowCount: number): void {
    this.roomForEstimates(wanted)
    const candidates = Math.max(this.leastCandidates(wanted), Math.min(rowCount, CANDIDATES_AMPLE))
    if (candidates > this.#candidateCapacity) {
      const capacity = Math.max(candidates, this.#candidateCapacity * 2)
      this.scan.candidates = this.#memory.replace(this.scan.candidates, candidatesByteLength(capacity))
      this.#candidateCapacity = capacity
    }
    this.#memory.kernel.heapInit(this.scan.heap, wanted)
    const { words } = this.#memory
    words[(this.scan.candidates + CANDIDATES_SIZE_AT) / 4] = 0
    // not all there is room for: hits must not depend on searches before
    words[(this.scan.candidates + CANDIDATES_CAPACITY_AT) / 4] = candidates
  }

  /** Makes room for the `wanted` smallest estimates. */
  roomForEstimates(wanted: number): void {
    if (wanted <= this.#heapCapacity) return
    const capacity = Math.max(wanted, this.#heapCapacity * 2, 64)
    this.scan.heap = this.#memory.replace(this.scan.heap, heapByteLength(capacity))
    this.#heapCapacity = capacity // only once there is room
  }

  /** Candidates that may come with the `wanted` smallest estimates, at least. */
  leastCandidates(wanted: number): number {
    return Math.max(wanted * CANDIDATES_PER_HIT, SMALLEST_CAPACITY)
  }

  /** Candidates that there is room for now. */
  get candidatesRoom(): number {
    return this.#candidateCapacity
  }

  /** Starts a rerank: no candidate was taken yet. */
  startBatches(): void {
    this.#memory.words.fill(0, this.batch / 4, (this.batch + BATCH_ROWS_AT) / 4)
  }

  /** Candidates that there are. */
  get candidateCount(): number {
    return this.#memory.words[(this.scan.candidates + CANDIDATES_SIZE_AT) / 4]
  }

  /** Candidates that were taken to be reranked. */
  get reranked(): number {
    return this.#memory.words[(this.batch + BATCH_RERANKED_AT) / 4]
  }

  /** Candidates of the batch that waits for rows; 0: none does. */
  get batchCount(): number {
    return this.#memory.words[(this.batch + BATCH_COUNT_AT) / 4]
  }

  /** Tells whether the row of a candidate of the batch is missing. */
  isMissing(slot: number): boolean {
    return ((this.#memory.words[(this.batch + BATCH_MISSING_AT) / 4] >>> slot) & 1) === 1
  }

  /** Address of the id of a candidate of the batch: u64. */
  idSlot(slot: number): number {
    return this.batch + BATCH_IDS_AT + slot * 8
  }

  /** Notes that the row of a candidate of the batch was put into its slot. */
  found(slot: number): void {
    this.#memory.words[(this.batch + BATCH_MISSING_AT) / 4] &= ~(1 << slot)
  }

  /** Gives the kernel memory back. */
  close(): void {
    this.queryCodes.close()
    for (const region of [this.slots, this.batch, this.search, this.scan.heap, this.scan.candidates])
      this.#memory.free(region)
  }

  /** The largest of the smallest estimates; infinite until there are as many as wanted. */
  get limit(): number {
    const { words, doubles } = this.#memory
    const { heap } = this.scan
    const isFull = words[(heap + HEAP_SIZE_AT) / 4] === words[(heap + HEAP_CAPACITY_AT) / 4]
    return isFull ? doubles[heapDistances(heap) / 8] : Infinity
  }
}
