// The neighbours of a calibration's queries among all rows, nearest first. They are what everything else is held
// against, so that none of them may be missed: the rows are scanned, or codes that are hardly trusted.

import type { Snapshot } from '../catalogue/snapshot.ts'
import { NEIGHBOURS, type Neighbours } from './calibration-lists.ts'
import type { CalibrationQuery } from './calibration-queries.ts'
import type { CalibrationStep, StepRunner } from './calibration-steps.ts'

/** Near copies of a query that may be left out, so that as many neighbours as are wanted remain. */
const MOST_COPIES = 50
/** Neighbours that are looked for; a query that is a row finds itself too. */
const SOUGHT = NEIGHBOURS + MOST_COPIES
/**
 * Zones that are held against all queries together: about this many bytes, which caches hold, of codes and of rows
 * (those of the smallest build too).
 */
const GROUP_BYTES = { codes: 8 * 2 ** 20, rows: 4 * 2 ** 20 }
/** Zones that are searched first where there are many groups: their hits bound what the others are searched for. */
const NEARBY_ZONES = { codes: 256, rows: 16 }
/** Queries of one step. */
const QUERIES_PER_STEP = 32
/**
 * Values (count * dim) up to which rows are scanned: above, codes of more than one bit cost less, though what they leave
 * must be read. One bit leaves too many rows.
 */
const ROW_VALUES = 2 ** 24

/** Finds up to 150 neighbours of each query, without the query itself. */
export async function findNeighbours(
  snapshot: Snapshot,
  run: StepRunner,
  plan: { queries: readonly CalibrationQuery[]; onQueries: (done: number, total: number) => void }
): Promise<Neighbours[]> {
  const { queries } = plan
  const { meta, zones } = snapshot
  const by = meta.bits <= 1 || meta.count * meta.dim <= ROW_VALUES ? 'rows' : 'codes'
  const shared = { k: SOUGHT + 1, isExact: by === 'rows' }
  const vectors = queries.map(({ vector }) => vector)
  const groups = groupZones(snapshot, by)
  const isOneGroup = groups.length === 1
  const found: Neighbours[] = []
  const nearby = Array.from({ length: Math.ceil(queries.length / QUERIES_PER_STEP) }, (_, i) => i * QUERIES_PER_STEP)
  const probe = { nprobe: isOneGroup ? zones.length : NEARBY_ZONES[by] }
  const steps = nearby.map((first): CalibrationStep => ({
    kind: 'search',
    ...shared,
    vectors: vectors.slice(first, first + QUERIES_PER_STEP),
    probe,
    bounds: undefined
  }))
  const total = steps.length + (isOneGroup ? 0 : groups.length)
  let done = 0
  const tell = (): void => {
    plan.onQueries(Math.floor((++done / total) * queries.length), queries.length)
  }
  plan.onQueries(0, queries.length)
  await run(steps, ({ neighbours = [] }) => {
    found.push(...neighbours)
    tell()
  })
  if (!isOneGroup) {
    const bounds = found.map(({ distances }) => (distances.length > SOUGHT ? distances[SOUGHT] : Infinity))
    await run(
      groups.map((group) => ({ kind: 'search', ...shared, vectors, probe: group, bounds })),
      ({ neighbours = [] }) => {
        neighbours.forEach((more, i) => {
          found[i] = join(found[i], more)
        })
        tell()
      }
    )
  }
  return found.map((of, i) => withoutId(of, queries[i].row?.id))
}

/** Cuts the zones into groups of about GROUP_BYTES. */
function groupZones(snapshot: Snapshot, by: 'rows' | 'codes'): { firstZone: number; endZone: number }[] {
  const { zones, meta } = snapshot
  const groups: { firstZone: number; endZone: number }[] = []
  let bytes = Infinity
  for (const zone of zones) {
    const more = by === 'rows' ? zone.rowCount * meta.dim * 4 : zone.codesByteLength
    if (bytes + more > GROUP_BYTES[by]) {
      groups.push({ firstZone: zone.zone, endZone: zone.zone })
      bytes = 0
    }
    bytes += more
    groups[groups.length - 1].endZone = zone.zone + 1
  }
  return groups
}

/** Joins two lists by (distance, id); what is in both is there once. */
function join(one: Neighbours, other: Neighbours): Neighbours {
  if (other.ids.length === 0) return one
  const size = one.ids.length + other.ids.length
  const ids = new Float64Array(size)
  const distances = new Float64Array(size)
  let count = 0
  for (let i = 0, j = 0; i < one.ids.length || j < other.ids.length;) {
    const order =
      i === one.ids.length
        ? 1
        : j === other.ids.length
          ? -1
          : one.distances[i] - other.distances[j] || one.ids[i] - other.ids[j]
    const [from, at] = order <= 0 ? [one, i] : [other, j]
    ids[count] = from.ids[at]
    distances[count++] = from.distances[at]
    if (order <= 0) i++
    if (order >= 0) j++
  }
  return { ids: ids.slice(0, Math.min(count, SOUGHT + 1)), distances: distances.slice(0, Math.min(count, SOUGHT + 1)) }
}

function withoutId({ ids, distances }: Neighbours, id: number | undefined): Neighbours {
  const at = id === undefined ? -1 : ids.indexOf(id)
  const isKept = (_: number, i: number): boolean => i !== at
  return { ids: ids.filter(isKept).slice(0, SOUGHT), distances: distances.filter(isKept).slice(0, SOUGHT) }
}
