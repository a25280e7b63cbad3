// One whole scan of a small problem, kernel calls and memory included.

import type { KernelMemory } from '../../src/kernels/kernel-memory.ts'
import { METRIC_CODES } from '../../src/format/layout.ts'
import { heapByteLength } from '../../src/kernels/addresses.ts'
import { norms, product, type Problem } from './brute-force.ts'
import { heapEntries, put, putIds, type Found } from './kernels.ts'

export interface ScanOptions {
  readonly k: number
  /** u32 for each block of 32 rows; none: all rows are live. */
  readonly mask?: Uint32Array | undefined
  /** Number of the first of the rows in its segment, whose mask that is. */
  readonly firstRow?: number
  readonly relative?: number
  readonly absolute?: number
}

/** The norms column of a file: 1 / norm, rounded to float32. */
export function inverseNorms(rows: Float32Array, dim: number): Float32Array {
  return Float32Array.from(norms(rows, dim), (norm) => 1 / norm)
}

/**
 * Scans all rows of a problem in one run; returns the hits, nearest first, and how many rows needed double precision.
 */
export function scanAll(
  memory: KernelMemory,
  problem: Problem,
  options: ScanOptions
): { found: Found[]; confirmed: number } {
  const { metric, rows, ids, query } = problem
  // Distances under ip may be negative: there a relative tolerance would be a stricter limit.
  const { k, mask, firstRow = 0, relative = metric === 'l2' ? 0.01 : 0, absolute = 0.01 } = options
  const heap = memory.allocate(heapByteLength(k))
  const run = {
    rows: put(memory, rows),
    ids: putIds(memory, ids),
    inverseNorms: metric === 'cosine' ? put(memory, inverseNorms(rows, query.length)) : 0,
    mask: mask === undefined ? 0 : put(memory, mask),
    firstRow,
    count: ids.length
  }
  const scanQuery = {
    metric: METRIC_CODES[metric],
    dim: query.length,
    query: put(memory, query),
    queryNorm2: product(query, query),
    relative,
    absolute,
    heap
  }
  memory.kernel.heapInit(heap, k)
  const confirmed = memory.kernel.scan(scanQuery, run)
  const size = memory.kernel.heapSort(heap)
  return { confirmed, found: heapEntries(memory, { pointer: heap, capacity: k, size }) }
}
