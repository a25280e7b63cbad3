// How many zones a build aims at when it is told nothing.

/** Bytes of rows below which a zone is not worth its own pages and its line in the catalogue. */
const SMALLEST_SEGMENT_BYTES = 32 * 1024

/** Twice the square root of the count balances probe and scan; small indexes get fewer, so that a segment has at least 32 KiB. */
export function defaultZones(count: number, dim: number): number {
  const balanced = 2 * Math.sqrt(count)
  const worthwhile = (count * dim * 4) / SMALLEST_SEGMENT_BYTES
  return Math.max(1, Math.min(count, Math.round(Math.min(balanced, worthwhile))))
}
