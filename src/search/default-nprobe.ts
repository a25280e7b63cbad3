// How many zones a search probes when it is told nothing.

/** A quarter of the zones up to 64 of them, growing as the square root from there: 16 of 64, 64 of 1,024, 89 of 2,000. */
export function defaultNprobe(zoneCount: number): number {
  return Math.max(1, Math.ceil(zoneCount <= 64 ? zoneCount / 4 : 2 * Math.sqrt(zoneCount)))
}
