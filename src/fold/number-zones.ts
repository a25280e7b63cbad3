// Numbers the zones that a step of a fold leaves: they are numbered from 0 without gaps, and as few as can be get
// another number, since what is known of a segment goes with it.

import type { AssignedZone } from './assign-rows.ts'

/** A zone that gets a segment, under its new number. */
export interface NumberedZone extends AssignedZone {
  readonly zone: number
}

export interface Numbering {
  readonly zoneCount: number
  /** In ascending order of number. */
  readonly written: readonly NumberedZone[]
  /** New number of each zone that keeps its segments, by its number before. */
  readonly kept: ReadonlyMap<number, number>
}

/**
 * zoneCount: of zones before. isKept: tells of each whether its segments stay; zones that do not stay and are not among
 * the assigned ones are gone.
 */
export function numberZones(
  assigned: readonly AssignedZone[],
  zoneCount: number,
  isKept: (zone: number) => boolean
): Numbering {
  const assignedBefore = new Map(assigned.flatMap((zone) => (zone.before === undefined ? [] : [[zone.before, zone]])))
  const numberOf = new Map<AssignedZone | number, number>()
  const holes: number[] = []
  for (let zone = 0; zone < zoneCount; zone++) {
    const found = assignedBefore.get(zone)
    if (isKept(zone)) numberOf.set(zone, zone)
    if (found !== undefined) numberOf.set(found, zone)
    if (!isKept(zone) && found === undefined) holes.push(zone)
  }
  let next = zoneCount
  for (const zone of assigned) if (zone.before === undefined) numberOf.set(zone, holes.shift() ?? next++)
  // Zones from the end fill what is left of the gaps.
  const total = next - holes.length
  const atEnd = [...numberOf].filter(([, number]) => number >= total)
  const moves = new Map<number, number>()
  for (const [key, number] of atEnd) {
    const to = moves.get(number) ?? holes.shift() ?? number
    moves.set(number, to)
    numberOf.set(key, to)
  }
  const kept = new Map<number, number>()
  const written: NumberedZone[] = []
  for (const [key, number] of numberOf) {
    if (typeof key === 'number') kept.set(key, number)
    else written.push({ ...key, zone: number })
  }
  written.sort((a, b) => a.zone - b.zone)
  return { zoneCount: total, written, kept }
}
