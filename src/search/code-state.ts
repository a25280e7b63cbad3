// Kernel memory of one search of codes: the query's tables, the smallest estimates, the candidates, and rows that are
// being reranked.

import type { RowSlot } from '../cache/candidate-rows.ts'
import { METRIC_CODES } from '../format/layout.ts'
import type { KernelMemory } from '../kernels/kernel-memory.ts'
import { candidatesByteLength, heapByteLength, heapDistances } from '../kernels/addresses.ts'
import { type CodeScan } from '../kernels/kernel.ts'
import { CANDIDATES_CAPACITY_AT, CANDIDATES_SIZE_AT, HEAP_CAPACITY_AT, HEAP_SIZE_AT } from '../kernels/layouts.ts'
import { QueryCodes, type QueryRotation } from '../quantizer/query-codes.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'

/** Rows that are reranked in one call of the kernel, after the first k. */
export const RERANK_ROWS = 8
const SMALLEST_CAPACITY = 4096
/** Candidates for each hit wanted. */
const CANDIDATES_PER_HIT = 32
/**
 * Candidates that there is always room for, if so many rows are scanned: where one bit says little of a row nearly all
 * of them are candidates, and those that there is no room for are lost.
 */
const AMPLE_CAPACITY = 2 ** 20

export class CodeState {
  readonly queryCodes: QueryCodes
  readonly scan: CodeScan
  /** Rows at hand with their ids: float32, RERANK_ROWS * dim, and u64, RERANK_ROWS. */
  readonly rows: number
  readonly ids: number
  readonly #memory: KernelMemory
  readonly #rowBytes: number
  #slots: readonly RowSlot[] = []
  #heapCapacity = 0
  #candidateCapacity = 0

  constructor({ dim, metric, bits }: Snapshot['meta'], rotation: QueryRotation, memory: KernelMemory) {
    this.#memory = memory
    this.queryCodes = new QueryCodes(memory, rotation)
    const { width, tables, integers, scalars } = this.queryCodes
    this.#rowBytes = dim * 4
    this.rows = memory.allocate(RERANK_ROWS * this.#rowBytes)
    this.ids = memory.allocate(RERANK_ROWS * 8)
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
    if (this.#slots.length === 0 || this.#slots[0].bytes.buffer !== bytes.buffer) {
      this.#slots = Array.from({ length: RERANK_ROWS }, (_, i) => {
        const address = this.rows + i * this.#rowBytes
        return { address, bytes: bytes.subarray(address, address + this.#rowBytes) }
      })
    }
    return this.#slots[slot]
  }

  /**
   * Makes room for the `wanted` smallest estimates and the candidates that may come with them from `rowCount` rows, and
   * empties both.
   */
  start(wanted: number, rowCount: number): void {
    if (wanted > this.#heapCapacity) {
      const capacity = Math.max(wanted, this.#heapCapacity * 2, 64)
      this.scan.heap = this.#memory.replace(this.scan.heap, heapByteLength(capacity))
      this.#heapCapacity = capacity // only once there is room
    }
    const candidates = Math.max(wanted * CANDIDATES_PER_HIT, SMALLEST_CAPACITY, Math.min(rowCount, AMPLE_CAPACITY))
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

  /** Gives the kernel memory back. */
  close(): void {
    this.queryCodes.close()
    for (const region of [this.rows, this.ids, this.scan.heap, this.scan.candidates]) this.#memory.free(region)
  }

  /** Capacity of the heap of smallest estimates. */
  get size(): number {
    return this.#memory.words[(this.scan.heap + HEAP_CAPACITY_AT) / 4]
  }

  /** The largest of the smallest estimates; infinite until there are as many as wanted. */
  get limit(): number {
    const { words, doubles } = this.#memory
    const { heap } = this.scan
    const isFull = words[(heap + HEAP_SIZE_AT) / 4] === words[(heap + HEAP_CAPACITY_AT) / 4]
    return isFull ? doubles[heapDistances(heap) / 8] : Infinity
  }
}
