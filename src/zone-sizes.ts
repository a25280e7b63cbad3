// Sums up the sizes of the zones, for info().

import type { ZoneSizes } from './info-types.ts'

const BINS = 12

/** Counts zones by their rows, in bins of equal width. */
export function summarizeZones(zoneCount: number, rowsOf: (zone: number) => number): ZoneSizes {
  const counts = Array.from({ length: zoneCount }, (_, zone) => rowsOf(zone))
  const total = counts.reduce((sum, count) => sum + count, 0)
  const min = counts.reduce((least, count) => Math.min(least, count), Infinity)
  const max = counts.reduce((most, count) => Math.max(most, count), 0)
  const width = Math.max(1, Math.ceil((max - min + 1) / BINS))
  const histogram: { from: number; to: number; zones: number }[] = []
  for (let from = min; from <= max; from += width) histogram.push({ from, to: from + width, zones: 0 })
  for (const count of counts) histogram[Math.floor((count - min) / width)].zones++
  return { min: counts.length === 0 ? 0 : min, mean: counts.length === 0 ? 0 : total / counts.length, max, histogram }
}
