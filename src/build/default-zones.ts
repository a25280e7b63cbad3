// How many zones a build aims at when it is told nothing.

/** Bytes of rows below which a zone is not worth its own pages and its line in the catalogue. */
const SMALLEST_SEGMENT_BYTES = 32 * 1024
/**
 * Zones as a multiple of sqrt(count): 2 at this count, rising with its fourth root within limits (bench/README.md,
 * "Zones").
 */
const MIDDLE_COUNT = 50_000
const LEAST_FACTOR = 1.5
const MOST_FACTOR = 4

/**
 * sqrt(count) times a factor of 1.5 to 4 that rises with the count; small indexes get fewer, so that a segment has at
 * least 32 KiB.
 */
export function defaultZones(count: number, dim: number): number {
  const factor = Math.min(MOST_FACTOR, Math.max(LEAST_FACTOR, 2 * (count / MIDDLE_COUNT) ** 0.25))
  const worthwhile = (count * dim * 4) / SMALLEST_SEGMENT_BYTES
  return Math.max(1, Math.min(count, Math.round(Math.min(factor * Math.sqrt(count), worthwhile))))
}
