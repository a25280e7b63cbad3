// Decides which zones there are after a step of a fold, and which of the rows that it took are in which: new rows join
// the nearest zone; zones that are rewritten are split where they grew and given up where they shrank, and rows move
// between them (after LIRE: Xu et al., "SPFresh", SOSP 2023, section 3.3).

import { splitZone } from '../build/split-zone.ts'
import { scaleToUnit } from '../quantizer/scale-to-unit.ts'
import type { Metric } from '../types.ts'
import type { FoldRows } from './fold-rows.ts'
import { nearestZones, trainRows } from './train-rows.ts'
import type { BookedZone } from './zone-book.ts'

/** A zone as a step leaves it. */
export interface AssignedZone {
  /** Its number before; undefined: it is new. */
  readonly before: number | undefined
  /** Indexes of rows that are written. */
  readonly members: Uint32Array
  /** The centroid that it keeps, and its segments; undefined: the rows are all of it, with their mean for centroid. */
  readonly around: Float32Array | undefined
}

/** A zone above this many times the rows that one should have is split; below this part of them it is given up. */
export const LARGE = 2
export const SMALL = 0.25

export interface AssignedFor {
  readonly metric: Metric
  readonly rowsPerZone: number
}

/** Trains zones anew on all rows of an index. */
export function assignAnew(
  rows: FoldRows,
  of: AssignedFor & { readonly zones: number; readonly seed: number },
  onRound: (round: number, rounds: number) => void
): { readonly zones: AssignedZone[]; readonly origin: Float32Array } {
  const { zones, seed, metric } = of
  const { origin, centroids } = trainRows(rows, { zones, seed, metric }, onRound)
  const all = Array.from({ length: rows.count }, (_, index) => index)
  const members = dealt(all, nearestZones(rows, all, { centroids, metric }), zones)
  const found = members.filter(({ length }) => length > 0).flatMap((some) => evenPieces(rows, some, of))
  return { origin, zones: found.map((some) => ({ before: undefined, members: some, around: undefined })) }
}

/** Zones that are rewritten, with the rows of theirs that were taken. */
export interface RewrittenZone {
  readonly booked: BookedZone
  /** Their own rows and those that join them. */
  readonly members: readonly number[]
}

/**
 * Assigns rows where some zones are rewritten and others get further segments: `joining` has the rows that come to each
 * of the others. centroids: of all built zones, float32.
 */
export function assignAmong(
  rows: FoldRows,
  of: AssignedFor & { readonly centroids: Float32Array; readonly zoneCount: number },
  given: { readonly rewritten: readonly RewrittenZone[]; readonly joining: ReadonlyMap<number, readonly number[]> }
): AssignedZone[] {
  const { centroids, zoneCount, metric, rowsPerZone } = of
  const { dim } = rows
  const centroidOf = (zone: number): Float32Array => centroids.subarray(zone * dim, (zone + 1) * dim)
  const isGivenUp = ({ members }: RewrittenZone): boolean => members.length < rowsPerZone * SMALL
  // The last zone of all is not given up, or its rows had none.
  const isAll = given.rewritten.length === zoneCount
  const givenUp = given.rewritten.filter((zone, i) => isGivenUp(zone) && !(isAll && i === 0))
  const isGone = new Set(givenUp)
  const others = given.rewritten.filter((zone) => !isGone.has(zone))
  const joining = new Map(Array.from(given.joining, ([zone, members]) => [zone, [...members]]))
  // Pieces of zones that are too large, and the zones that stay as they are.
  const pieces = others.flatMap(({ booked, members }) =>
    members.length > rowsPerZone * LARGE
      ? evenPieces(rows, Uint32Array.from(members), of).map((some, i) => ({
          before: i === 0 ? booked.zone : undefined,
          centroid: meanOf(rows, some, metric)
        }))
      : [{ before: booked.zone, centroid: centroidOf(booked.zone) }]
  )
  const own = others.flatMap(({ members }) => members)
  const inPieces = dealt(own, nearestZones(rows, own, { centroids: joined(pieces, dim), metric }), pieces.length)
  const assigned = inPieces.map((members) => [...members])
  settle(rows, givenUp, { metric, pieces, assigned, joining, kept: keptZones(given.rewritten, zoneCount), centroidOf })
  const result = assigned.flatMap((members, i): AssignedZone[] => {
    if (members.length === 0) return []
    return [{ before: pieces[i].before, members: Uint32Array.from(members), around: undefined }]
  })
  for (const [zone, members] of joining)
    if (members.length > 0)
      result.push({ before: zone, members: Uint32Array.from(members), around: centroidOf(zone).slice() })
  return result
}

interface Piece {
  readonly before: number | undefined
  readonly centroid: Float32Array
}

/** Gives the rows of zones that are given up to the nearest of all that stay. */
function settle(
  rows: FoldRows,
  givenUp: readonly RewrittenZone[],
  of: {
    readonly metric: Metric
    readonly pieces: readonly Piece[]
    readonly assigned: number[][]
    readonly joining: Map<number, number[]>
    readonly kept: readonly number[]
    readonly centroidOf: (zone: number) => Float32Array
  }
): void {
  const homeless = givenUp.flatMap(({ members }) => members)
  if (homeless.length === 0) return
  const { metric, pieces, assigned, joining, kept, centroidOf } = of
  const all = [...pieces, ...kept.map((zone) => ({ before: zone, centroid: centroidOf(zone) }))]
  const nearest = nearestZones(rows, homeless, { centroids: joined(all, rows.dim), metric })
  for (const [i, index] of homeless.entries()) {
    if (nearest[i] < pieces.length) {
      assigned[nearest[i]].push(index)
      continue
    }
    const zone = kept[nearest[i] - pieces.length]
    const members = joining.get(zone)
    if (members === undefined) joining.set(zone, [index])
    else members.push(index)
  }
}

function keptZones(rewritten: readonly RewrittenZone[], zoneCount: number): number[] {
  const gone = new Set(rewritten.map(({ booked }) => booked.zone))
  return Array.from({ length: zoneCount }, (_, zone) => zone).filter((zone) => !gone.has(zone))
}

function joined(pieces: readonly { readonly centroid: Float32Array }[], dim: number): Float32Array {
  const all = new Float32Array(pieces.length * dim)
  for (const [i, { centroid }] of pieces.entries()) all.set(centroid, i * dim)
  return all
}

/** Deals rows out to the zones that were found for them. */
function dealt(indexes: readonly number[], zoneOf: Uint32Array, zones: number): Uint32Array[] {
  const members = Array.from({ length: zones }, (): number[] => [])
  for (const [i, index] of indexes.entries()) members[zoneOf[i]].push(index)
  return members.map((some) => Uint32Array.from(some))
}

/** Returns a zone, or the pieces of one that is too large. */
function evenPieces(rows: FoldRows, members: Uint32Array, { rowsPerZone, metric }: AssignedFor): Uint32Array[] {
  const count = members.length
  if (count <= LARGE * rowsPerZone) return [members]
  const pieces = Math.max(2, Math.floor(count / rowsPerZone))
  const largest = Math.max(Math.floor(LARGE * rowsPerZone), Math.ceil(count / pieces))
  const zone = {
    count,
    dim: rows.dim,
    readRow(position: number, target: Float32Array): void {
      target.set(rows.vectorAt(members[position]))
      if (metric === 'cosine') scaleToUnit(target)
    }
  }
  return splitZone(zone, pieces, largest).map((some) => some.map((position) => members[position]))
}

function meanOf(rows: FoldRows, members: Uint32Array, metric: Metric): Float32Array {
  const sums = new Float64Array(rows.dim)
  const row = new Float32Array(rows.dim)
  for (const index of members) {
    row.set(rows.vectorAt(index))
    if (metric === 'cosine') scaleToUnit(row)
    for (let i = 0; i < row.length; i++) sums[i] += row[i]
  }
  return Float32Array.from(sums, (sum) => sum / members.length)
}
