// Memory and disk of a build: shares of the budget, and refusals before work starts rather than in the middle of it.

import { statfsSync } from 'node:fs'
import { availableParallelism } from 'node:os'

import { ZgqError } from '../errors.ts'
import { SHARD_BYTES } from '../format/layout.ts'
import { sampleCount } from './site.ts'

const MIB = 2 ** 20
/** Bytes that sorting a row takes besides the row itself. */
export const KEY_OVERHEAD_BYTES = 48
/** Shards that are written side by side, as far as free space is foreseen. */
const MOST_SHARDS_IN_WORK = 2

/** A thread takes so much besides rows, codes and centroids: its heap, its code, its kernel. */
const THREAD_BYTES = 48 * MIB
/** Bytes for each value of the centroids in a thread: their text, what it is decoded to, the kernel's copy. */
const THREAD_CENTROID_BYTES = 12
/** Of a sum, for each value of the centroids. */
const SUM_BYTES = 8
/** Each thread gets at least so much for rows and codes, and the first one so much for itself. */
const SMALLEST_SHARE_BYTES = 8 * MIB
const MAIN_BYTES = 64 * MIB
/** Values (rows * dim) of an input that is worth worker threads: some tens of milliseconds of work. */
const THREADED_VALUES = 2 ** 22
/** Share of the memory for the rows of a part, of each thread; and the limits of that. */
const PART_SHARE = 1 / 32
const SMALLEST_PART_BYTES = 4 * MIB
const LARGEST_PART_BYTES = 64 * MIB
/** The same where machines share the work. */
const SHARED_PART_SHARE = 1 / 16
const SHARED_PARTS = 64
/** Parts that an input is cut into at least, where they would not be too small. */
const WANTED_PARTS = 16

/**
 * Chooses how many threads build: as many as were asked for or the machine has, fewer where memory is short, none where
 * it is very short or the input is small.
 */
export function chooseThreads(
  asked: number | undefined,
  data: { count: number; dim: number; zones: number; memoryBytes: number }
): number {
  if (data.count * data.dim < THREADED_VALUES) return 0
  // While zones are trained, sums of rows take the place of rows and codes.
  const shareBytes = Math.max(SMALLEST_SHARE_BYTES, data.zones * data.dim * SUM_BYTES)
  const affordable = Math.floor((data.memoryBytes - MAIN_BYTES) / (threadBytes(data) + shareBytes))
  return Math.min(asked ?? availableParallelism(), Math.max(0, affordable))
}

/** Memory for rows and codes of all threads together. */
export function sharedBytes(data: { dim: number; zones: number; memoryBytes: number }, threads: number): number {
  return data.memoryBytes - threads * threadBytes(data)
}

function threadBytes(data: { dim: number; zones: number }): number {
  return THREAD_BYTES + data.zones * data.dim * THREAD_CENTROID_BYTES
}

/**
 * Chooses how many rows are assigned in one task, in multiples of `rowsPerBlock`. isShared: parts leave a file for each
 * shard in a store, which may be a bucket: fewer and larger ones.
 */
export function chooseRowsPerPart(data: {
  count: number
  dim: number
  memoryBytes: number
  rowsPerBlock: number
  isShared: boolean
}): number {
  const { count, dim, memoryBytes, rowsPerBlock, isShared } = data
  const most = isShared ? memoryBytes * SHARED_PART_SHARE : Math.min(LARGEST_PART_BYTES, memoryBytes * PART_SHARE)
  const wanted = isShared ? SHARED_PARTS : WANTED_PARTS
  const bytes = Math.min(Math.max(SMALLEST_PART_BYTES, most), Math.max(SMALLEST_PART_BYTES, (count * dim * 4) / wanted))
  return Math.max(1, Math.floor(bytes / (rowsPerBlock * dim * 4))) * rowsPerBlock
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
    throw new RangeError(
      `${zones} zones of ${count} vectors with ${dim} dimensions need memoryBytes of ${Math.ceil(needed / MIB)} ` +
        `MB, found ${Math.floor(memoryBytes / MIB)} MB; give more memory or ask for ${cause}`
    )
  }
}

/**
 * Throws ZGQ_IO if the disk cannot hold the index and the temporary files beside it. documentBytes: of string ids and
 * payloads, which were spooled and are written once more.
 */
export function checkFreeSpace(
  folder: string,
  data: { count: number; dim: number; zones: number },
  documentBytes: number
): void {
  const { count, dim, zones } = data
  const dataBytes = count * (dim * 4 + 32) + documentBytes
  // Parts of the input are removed shard by shard, so the data stands there once, and the shard in work twice. The
  // samples are gone by then.
  const writeBytes = dataBytes + Math.min(dataBytes, MOST_SHARDS_IN_WORK * SHARD_BYTES)
  const sampleBytes = sampleCount({ count, zones }) * dim * 4 * 2.25
  const needed = Math.ceil(Math.max(writeBytes, sampleBytes) * 1.05)
  const free = freeBytes(folder)
  if (free < needed) {
    throw new ZgqError(
      'ZGQ_IO',
      `the build needs about ${Math.ceil(needed / MIB)} MB of free disk, found ${Math.floor(free / MIB)} MB: free ` +
        'some space, or choose another output',
      { path: folder }
    )
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
