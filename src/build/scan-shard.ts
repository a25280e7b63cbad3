// Calibration on many machines: the neighbours of all queries among the rows of one written shard. Those of all shards
// merge to what a scan of the index finds (calibration-lists.ts).

import { ELEMENT_BYTES } from '../format/layout.ts'
import { heapByteLength } from '../kernels/addresses.ts'
import { KernelMemory } from '../kernels/kernel-memory.ts'
import { loadKernel } from '../kernels/load-kernel.ts'
import type { Metric } from '../types.ts'
import { mergeNeighbours, type Neighbours } from './calibration-lists.ts'
import { chunks } from './calibration-neighbours.ts'
import { cutSegments, MOST_RANGE_BYTES } from './calibration-ranges.ts'
import { QUERIES_PER_SCAN, scanTogether } from './calibration-scan.ts'
import { WrittenRows } from './written-rows.ts'

/** Share of the memory for queries and their heaps; the system keeps the rows that the next queries meet. */
const QUERIES_SHARE = 0.5

/** A shard that a build wrote, and the queries that are held against its rows. */
export interface ShardScan {
  /** Where `writeShard` left it. */
  readonly folder: string
  readonly dim: number
  readonly metric: Metric
  readonly queries: readonly Float32Array[]
  /** Neighbours that are looked for. */
  readonly k: number
  /** What comes out does not depend on it. */
  readonly memoryBytes: number
}

/**
 * Finds the k nearest rows of a written shard for each query, with the ordinals that they have in the index that the
 * shards of the build make; `turn` is called after each segment, and may throw to stop. Throws ZGQ_NOT_FOUND where the
 * shard or a file of it is missing, ZGQ_TRUNCATED, ZGQ_CORRUPT, ZGQ_MISMATCH, ZGQ_UNSUPPORTED or ZGQ_IO.
 */
export async function scanShard(of: ShardScan, turn: () => Promise<void>): Promise<Neighbours[]> {
  const { folder, dim, metric, queries, k, memoryBytes } = of
  const rows = new WrittenRows({ folder, dim, metric, memory: new KernelMemory(loadKernel()) })
  try {
    const passes = chunks(queries, queriesPerPass(of))
    const ranges = cutSegments(
      rows.segments.map(({ rowCount }) => rowCount),
      { dim, rangeBytes: Math.min(MOST_RANGE_BYTES, memoryBytes) }
    )
    const found = passes.map((vectors) => vectors.map(noNeighbours))
    for (const range of ranges) {
      for (const [pass, vectors] of passes.entries()) {
        const more = await scanTogether(rows.rowsOf(range), { vectors, k }, turn)
        found[pass] = mergeNeighbours([found[pass], more], k)
      }
    }
    return found.flat()
  } finally {
    rows.close()
  }
}

function noNeighbours(): Neighbours {
  return { ordinals: new Float64Array(0), distances: new Float64Array(0) }
}

function queriesPerPass({ dim, k, memoryBytes }: ShardScan): number {
  const bytes = dim * ELEMENT_BYTES + heapByteLength(k)
  return Math.max(1, Math.min(QUERIES_PER_SCAN, Math.floor((memoryBytes * QUERIES_SHARE) / bytes)))
}
