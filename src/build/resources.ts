// Memory and disk of a build: shares of the budget, and refusals before work starts rather than in the middle of it.

import { statfsSync } from 'node:fs'

import { ZgqError } from '../errors.ts'
import { KEY_OVERHEAD_BYTES, runCount } from './runs.ts'
import { ROWS_PER_ZONE } from './sample.ts'

const MIB = 2 ** 20

/** How the memory of a build is shared out, in bytes. */
export interface MemoryShares {
  /** Rows and keys of the run that is being written. */
  readonly run: number
  /** Buffers of all run files together. */
  readonly buffers: number
}

/** Shares out the budget; what is left is for the kernel, the catalogue and the engine itself. */
export function memoryShares(memoryBytes: number): MemoryShares {
  return { run: Math.floor(memoryBytes / 4), buffers: Math.floor(memoryBytes / 8) }
}

/** Throws RangeError if centroids or one zone cannot fit into the budget, saying what would. */
export function checkMemory(build: { count: number; dim: number; zones: number; memoryBytes: number }): void {
  const { count, dim, zones, memoryBytes } = build
  // float32 centroids three times, float64 sums, and the catalogue's copy
  const centroidBytes = zones * dim * 24
  const zoneBytes = Math.min(count, Math.ceil((2 * count) / zones)) * KEY_OVERHEAD_BYTES
  const needed = Math.max(centroidBytes, zoneBytes) * 2
  if (needed > memoryBytes) {
    const cause = centroidBytes > zoneBytes ? 'fewer zones' : 'more zones'
    throw new RangeError(`${zones} zones of ${count} vectors with ${dim} dimensions need memoryBytes of ${Math.ceil(needed / MIB)} MB, found ${Math.floor(memoryBytes / MIB)} MB; give more memory or ask for ${cause}`)
  }
}

/** Throws ZGQ_IO if the disk cannot hold the index and the temporary files beside it. */
export function checkFreeSpace(folder: string, data: { count: number; dim: number; zones: number; memoryBytes: number }): void {
  const { count, dim, zones, memoryBytes } = data
  const dataBytes = count * (dim * 4 + 32)
  // Runs are removed as their zones are written, so the data stands there once, and the run in work twice. The samples are gone by then.
  const runs = runCount({ count, dim, zones, memoryBytes: memoryShares(memoryBytes).run })
  const writeBytes = dataBytes * (1 + 1 / runs)
  const sampleBytes = Math.min(count, zones * ROWS_PER_ZONE) * dim * 4 * 2.25
  const needed = Math.ceil(Math.max(writeBytes, sampleBytes) * 1.05)
  const free = freeBytes(folder)
  if (free < needed) {
    throw new ZgqError('ZGQ_IO', `the build needs about ${Math.ceil(needed / MIB)} MB of free disk, found ${Math.floor(free / MIB)} MB`, { path: folder })
  }
}

/** Asks the file system; one that does not say is taken to have room, and a write will tell. */
function freeBytes(folder: string): number {
  try {
    const { bavail, bsize } = statfsSync(folder)
    return bavail * bsize
  } catch {
    return Infinity
  }
}
