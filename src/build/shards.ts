// How zones are dealt out to shards before any row is assigned: by their shares of the sample, so that it depends on
// the input and the options alone.

import { SHARD_BYTES } from '../format/layout.ts'

/**
 * A build is cut into at least so many shards, for threads to share and for a build that goes on to keep, unless they
 * would be smaller than SMALLEST_BYTES.
 */
const WANTED_SHARDS = 16
const SMALLEST_BYTES = 2 ** 27
/** Leaves room for columns and for what the sample did not foresee. */
const LARGEST_BYTES = SHARD_BYTES * 0.85

/** Returns the first zone of each shard, and the end. `sizes`: rows of the sample in each zone. */
export function planShards(sizes: Float64Array, data: { count: number; dim: number }): number[] {
  const bytes = data.count * data.dim * 4
  const target = Math.min(LARGEST_BYTES, Math.max(SMALLEST_BYTES, bytes / WANTED_SHARDS))
  const shards = Math.min(sizes.length, Math.max(1, Math.ceil(bytes / target)))
  const total = sizes.reduce((sum, size) => sum + size + 1, 0)
  const starts = [0]
  let before = 0
  for (const [zone, size] of sizes.entries()) {
    if (starts.length < shards && zone > 0 && before >= (total * starts.length) / shards) starts.push(zone)
    before += size + 1
  }
  return [...starts, sizes.length]
}
