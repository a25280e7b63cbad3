// The part of training that many threads can do: holding rows of the sample against the centroids of a round.

import { openSample } from './sample.ts'
import type { TaskContext } from './task-context.ts'

/**
 * A range of the sample, and the centroids of the round: float32, zones * dim, in shared memory where threads read
 * them.
 */
export interface SampleBlock {
  readonly round: number
  readonly isEarly: boolean
  readonly firstRow: number
  readonly count: number
  readonly centroids: Float32Array
}

/** Finds the nearest centroid of each row of a block. */
export function nearestOfSample(context: TaskContext, block: SampleBlock): Uint32Array {
  const assigner = context.openRoundAssigner(block.round, block.centroids)
  const sample = openSample(context.site, block.isEarly)
  try {
    const zones = new Uint32Array(block.count)
    for (let first = 0; first < block.count; first += assigner.shape.rowsPerCall) {
      const some = Math.min(assigner.shape.rowsPerCall, block.count - first)
      sample.readRows(block.firstRow + first, assigner.rowsView(some))
      zones.set(assigner.nearest(some), first)
    }
    return zones
  } finally {
    sample.close()
  }
}
