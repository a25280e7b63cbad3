// The seam between the library and its arithmetic: one interface, two implementations (WebAssembly SIMD, scalar TypeScript) with equal results.
// All pointers are byte offsets in the kernel's memory; KernelMemory lays that out.

import type { Metric } from '../types.ts'

/** Metric codes as the kernels know them; the same as in file headers. */
export const KERNEL_METRICS: Readonly<Record<Metric, number>> = { l2: 1, cosine: 2, ip: 3 }

/** Bytes of a heap for `capacity` entries. */
export function heapByteLength(capacity: number): number {
  return 8 + capacity * 16
}

/** What one call of `scan` works on. */
export interface ScanRun {
  /** float32, count * dim */
  rows: number
  /** u64, count */
  ids: number
  /** float32, count; only read for cosine */
  inverseNorms: number
  /** u32 for each block of 32 rows, or 0: all rows are live */
  mask: number
  count: number
}

/** What all calls of `scan` in one search share. */
export interface ScanQuery {
  metric: number
  dim: number
  /** float32, dim */
  query: number
  /** <q,q> */
  queryNorm2: number
  /** A row is ruled out if its float32 distance is above `worst kept * (1 + relative) + absolute`. */
  relative: number
  absolute: number
  heap: number
}

/** Rows against centroids, for `assign`. */
export interface AssignRun {
  /** float32, count * dim */
  rows: number
  count: number
  dim: number
  /** float32, zoneCount * dim */
  centroids: number
  /** float32, zoneCount: |c|^2 / 2 */
  halfNorms: number
  zoneCount: number
  /** u32, count: written */
  zones: number
  /** float32, count: written */
  scores: number
}

export interface Kernel {
  readonly kind: 'wasm' | 'scalar'
  /** The memory as it is now; growing replaces it, so never keep a view across `grow`. */
  readonly buffer: ArrayBuffer
  /** Makes the memory at least `byteLength` long. */
  grow(byteLength: number): void
  // Four or five plain numbers a call: an object for each would cost more than the arithmetic on small runs.
  /** Writes squared distances of `count` rows to the query: out is float32, count. */
  l2Distances(rows: number, count: number, dim: number, query: number, out: number): void
  /** Writes inner products: out is float32, count. */
  innerProducts(rows: number, count: number, dim: number, query: number, out: number): void
  /** Writes squared norms in double precision: out is float64, count. */
  squaredNorms(rows: number, count: number, dim: number, out: number): void
  heapInit(heap: number, capacity: number): void
  /** Sorts the heap, best first; returns its size. */
  heapSort(heap: number): number
  /** Puts the `wanted` smallest of `count` float32 values, as (value, position) ascending, into a heap; returns how many. */
  selectNearest(values: number, count: number, wanted: number, heap: number): number
  /** Offers rows to the heap of the query; returns how many needed double precision. */
  scan(query: ScanQuery, run: ScanRun): number
  assign(run: AssignRun): void
  /** Scales rows to unit length in place. */
  normalizeRows(rows: number, count: number, dim: number): void
  /** Subtracts one row from each row in place. */
  subtractRow(rows: number, count: number, dim: number, row: number): void
}
