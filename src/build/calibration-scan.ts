// The neighbours of many queries among all rows, segment by segment: every part of one that is read is held against all
// of the queries while the processor's caches have it. No row is left out; distances are those of float32. Where rows
// come from is the caller's business. The nearest are taken by distance, then ordinal: what several scans find, each of
// rows of its own, merges to what one finds (calibration-lists.ts).

import { ELEMENT_BYTES } from '../format/layout.ts'
import { heapByteLength, heapDistances, heapIds } from '../kernels/addresses.ts'
import type { QueriesRun } from '../kernels/kernel.ts'
import type { KernelMemory } from '../kernels/kernel-memory.ts'
import type { Metric } from '../types.ts'
import type { Neighbours } from './calibration-lists.ts'

/** Queries that are held against the rows in one pass, at most: their heaps and vectors stay in the caches as well. */
export const QUERIES_PER_SCAN = 256

/** Rows in kernel memory: until the next ones are asked for. */
export interface ScannedPart {
  /** float32, count * dim */
  readonly rows: number
  readonly count: number
  /** Number of the first row in the segment. */
  readonly firstRow: number
}

/** The rows of a segment, whose ordinals have this slot. */
export interface ScannedSegment {
  readonly slot: number
  readonly parts: Iterable<ScannedPart>
}

/** Rows that are scanned. */
export interface RowsToScan {
  readonly dim: number
  readonly metric: Metric
  /** That parts lie in. */
  readonly memory: KernelMemory
  /** Rows of a part, at most. */
  readonly rowsPerPart: number
  /** Goes through the segments, once each. */
  segments(): Iterable<ScannedSegment>
}

/** Where the queries of a pass lie in kernel memory. */
interface Rooms {
  readonly queries: number
  readonly limits: number
  readonly heaps: number
  readonly heapBytes: number
  /** For the rows of a part, where they are to be scaled. */
  readonly scaled: number
}

/** Finds the k nearest rows of each query; `turn` is called after each segment, and may throw to stop. */
export async function scanTogether(
  rows: RowsToScan,
  of: { readonly vectors: readonly Float32Array[]; readonly k: number },
  turn: () => Promise<void>
): Promise<Neighbours[]> {
  const { memory, dim, metric } = rows
  const count = of.vectors.length
  const heapBytes = aligned(heapByteLength(of.k))
  const [queryBytes, limitBytes] = [aligned(count * dim * ELEMENT_BYTES), aligned(count * ELEMENT_BYTES)]
  const scaledBytes = metric === 'cosine' ? rows.rowsPerPart * dim * ELEMENT_BYTES : 0
  const queries = memory.allocate(queryBytes + limitBytes + count * heapBytes + scaledBytes)
  const limits = queries + queryBytes
  const heaps = limits + limitBytes
  const rooms = { queries, limits, heaps, heapBytes, scaled: heaps + count * heapBytes }
  try {
    return await scanWithin(rows, { ...of, rooms }, turn)
  } finally {
    memory.free(queries)
  }
}

function aligned(byteLength: number): number {
  return Math.ceil(byteLength / 64) * 64
}

async function scanWithin(
  { memory, metric, dim, segments }: RowsToScan,
  of: { vectors: readonly Float32Array[]; k: number; rooms: Rooms },
  turn: () => Promise<void>
): Promise<Neighbours[]> {
  const { rooms, vectors, k } = of
  for (const [i, vector] of vectors.entries()) {
    memory.float32At(rooms.queries + i * dim * ELEMENT_BYTES, dim).set(vector)
    memory.kernel.heapInit(rooms.heaps + i * rooms.heapBytes, k)
  }
  memory.float32At(rooms.limits, vectors.length).fill(Infinity)
  // Of unit vectors, half of the squared distance is the cosine distance.
  const isScaled = metric === 'cosine'
  if (isScaled) memory.kernel.normalizeRows(rooms.queries, vectors.length, dim)
  const run: QueriesRun = {
    ...rooms,
    isProduct: metric === 'ip',
    rows: 0,
    count: 0,
    dim,
    queryCount: vectors.length,
    low: 0,
    high: 0
  }
  for (const { slot, parts } of segments()) {
    run.high = slot
    for (const { rows, count, firstRow } of parts) {
      run.rows = rows
      run.count = count
      run.low = firstRow
      if (isScaled) {
        memory.bytes.copyWithin(rooms.scaled, rows, rows + count * dim * ELEMENT_BYTES)
        memory.kernel.normalizeRows(rooms.scaled, count, dim)
        run.rows = rooms.scaled
      }
      memory.kernel.scanQueries(run)
    }
    await turn()
  }
  return vectors.map((_, i): Neighbours => {
    const heap = rooms.heaps + i * rooms.heapBytes
    const size = memory.kernel.heapSort(heap)
    const distances = memory.float64At(heapDistances(heap), size).slice()
    if (isScaled) for (let at = 0; at < size; at++) distances[at] /= 2
    return { distances, ordinals: readOrdinals(memory.uint32At(heapIds(heap, k), size * 2)) }
  })
}

function readOrdinals(words: Uint32Array): Float64Array {
  const ordinals = new Float64Array(words.length / 2)
  for (let i = 0; i < ordinals.length; i++) ordinals[i] = words[2 * i] + words[2 * i + 1] * 2 ** 32
  return ordinals
}
