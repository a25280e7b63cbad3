// The neighbours of a calibration's queries among all rows, nearest first. They are what everything else is held
// against, so that none of them may be missed: the rows are scanned, or codes that are hardly trusted.

import type { Snapshot } from '../catalogue/snapshot.ts'
import { QUERIES_PER_SCAN } from './calibration-scan.ts'
import { NEIGHBOURS, type Neighbours } from './calibration-lists.ts'
import type { CalibrationQuery } from './calibration-queries.ts'
import type { CalibrationStep, StepRunner } from './calibration-steps.ts'

/** Near copies of a query that may be left out, so that as many neighbours as are wanted remain. */
const MOST_COPIES = 50
/** Neighbours that are looked for; a query that is a row finds itself too. */
const SOUGHT = NEIGHBOURS + MOST_COPIES
/** Zones whose codes are held against all queries together: about this many bytes, which caches hold. */
const GROUP_BYTES = 8 * 2 ** 20
/** Zones that are searched first where there are many groups: their hits bound what the others are searched for. */
const NEARBY_ZONES = 64
/** Queries of one step. */
const QUERIES_PER_STEP = 32
/**
 * Values (count * dim) up to which rows are scanned: above, codes of more than one bit cost less, though what they
 * leave must be read. One bit leaves too many rows.
 */
const ROW_VALUES = 2 ** 21

/** The queries of a calibration, and who is told how many of them are done. */
interface NeighboursPlan {
  readonly queries: readonly CalibrationQuery[]
  readonly onQueries: (done: number, total: number) => void
}

/** Finds up to 150 neighbours of each query, without the query itself. */
export async function findNeighbours(snapshot: Snapshot, run: StepRunner, plan: NeighboursPlan): Promise<Neighbours[]> {
  const { queries } = plan
  const { bits, count, dim } = snapshot.meta
  plan.onQueries(0, queries.length)
  const byRows = bits <= 1 || count * dim <= ROW_VALUES
  const found = byRows ? await scanRows(run, plan) : await searchCodes(snapshot, run, plan)
  return found.map((of, i) => withoutId(of, queries[i].row?.id))
}

async function scanRows(run: StepRunner, { queries, onQueries }: NeighboursPlan): Promise<Neighbours[]> {
  const found: Neighbours[] = []
  const steps = chunks(queries, QUERIES_PER_SCAN).map((some): CalibrationStep => ({
    kind: 'scan',
    vectors: some.map(({ vector }) => vector),
    k: SOUGHT + 1
  }))
  await run(steps, ({ neighbours = [] }) => {
    found.push(...neighbours)
    onQueries(found.length, queries.length)
  })
  return found
}

async function searchCodes(snapshot: Snapshot, run: StepRunner, plan: NeighboursPlan): Promise<Neighbours[]> {
  const { queries, onQueries } = plan
  const vectors = queries.map(({ vector }) => vector)
  const groups = groupZones(snapshot)
  const isOneGroup = groups.length === 1
  const found: Neighbours[] = []
  const probe = { nprobe: isOneGroup ? snapshot.meta.zoneCount : NEARBY_ZONES }
  const steps = chunks(vectors, QUERIES_PER_STEP).map((some): CalibrationStep => ({
    kind: 'search',
    vectors: some,
    k: SOUGHT + 1,
    probe,
    bounds: undefined
  }))
  const total = steps.length + (isOneGroup ? 0 : groups.length)
  let done = 0
  const tell = (): void => {
    onQueries(Math.floor((++done / total) * queries.length), queries.length)
  }
  await run(steps, ({ neighbours = [] }) => {
    found.push(...neighbours)
    tell()
  })
  if (isOneGroup) return found
  const bounds = found.map(({ distances }) => (distances.length > SOUGHT ? distances[SOUGHT] : Infinity))
  await run(
    groups.map((group) => ({ kind: 'search', vectors, k: SOUGHT + 1, probe: group, bounds })),
    ({ neighbours = [] }) => {
      neighbours.forEach((more, i) => {
        found[i] = join(found[i], more)
      })
      tell()
    }
  )
  return found
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size))
}

/** Cuts the zones into groups of about GROUP_BYTES of codes. */
function groupZones({ segments, meta }: Snapshot): { firstZone: number; endZone: number }[] {
  const groups: { firstZone: number; endZone: number }[] = []
  let bytes = Infinity
  for (let zone = 0; zone < meta.zoneCount; zone++) {
    let codesByteLength = 0
    segments.ofZone(zone, ({ codes }) => {
      codesByteLength += codes.byteLength
    })
    if (bytes + codesByteLength > GROUP_BYTES) {
      groups.push({ firstZone: zone, endZone: zone })
      bytes = 0
    }
    bytes += codesByteLength
    groups[groups.length - 1].endZone = zone + 1
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
