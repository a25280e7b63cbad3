// How many zones a search probes when it is told nothing.

/**
 * 8 + 2 sqrt(zones), at most all: 26 of 78, 50 of 448, 98 of 2,019. bench/README.md shows what recall that gave on
 * which data.
 */
export function defaultNprobe(zoneCount: number): number {
  return Math.min(zoneCount, 8 + Math.round(2 * Math.sqrt(zoneCount)))
}
