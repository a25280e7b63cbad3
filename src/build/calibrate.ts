// Calibration: how far must a search probe, so that it reaches a recall? Queries are held against all rows once, and
// what that shows becomes curves. The work is cut into steps that threads can share; every step depends on the index
// and the queries alone, so that a calibration does not depend on memory or threads.

import { CALIBRATED_KS } from '../format/calibration.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import type { Calibration, Hit } from '../types.ts'
import type { CalibrationQuery } from './calibration-queries.ts'
import type { Losses } from './calibration-curves.ts'
import type { CalibrationAnswer, CalibrationStep } from './calibration-steps.ts'

const NEIGHBOURS = CALIBRATED_KS[CALIBRATED_KS.length - 1]
/**
 * Zones whose codes, or rows where there are none, are held against all queries together: about this many bytes, which
 * any cache holds.
 */
const GROUP_BYTES = 8 * 2 ** 20
/** Zones that are searched first where there are many groups: their hits bound what the others are searched for. */
const NEARBY_ZONES = 256
/** Queries of one step. */
const QUERIES_PER_STEP = 32
/** Queries whose searches are repeated with less trust in estimates. */
const LOSS_QUERIES = 60
/**
 * Below so many hits a query losses are too few to be measured: the recall alone then says how far estimates are
 * trusted.
 */
const FEWEST_HITS = 10

/** Does steps, some at a time, and hands out their answers in their order. */
export type StepRunner = (
  steps: readonly CalibrationStep[],
  onAnswer: (answer: CalibrationAnswer, step: number) => void
) => Promise<void>

/** What to calibrate with. */
export interface CalibrationPlan {
  /** Vectors of queries, n * dim; undefined: rows of the index. */
  readonly given: Float32Array | undefined
  readonly seed: number
  /** Called as the work goes on; may throw to stop. */
  readonly onQueries: (done: number, total: number) => void
}

/** Measures a calibration of an index. */
export async function calibrate(snapshot: Snapshot, run: StepRunner, plan: CalibrationPlan): Promise<Calibration> {
  const queries: CalibrationQuery[] = []
  await run([{ kind: 'queries', given: plan.given, seed: plan.seed }], (answer) => {
    queries.push(...(answer.queries ?? []))
  })
  const neighbours = await findNeighbours(snapshot, run, { ...plan, queries })
  const losses = CALIBRATED_KS.map((): Losses => [])
  const measured = [...CALIBRATED_KS.keys()].filter((i) => CALIBRATED_KS[i] >= FEWEST_HITS)
  const some = queries.slice(0, LOSS_QUERIES).map(({ vector }) => vector)
  await run(
    measured.map((i) => ({ kind: 'losses', vectors: some, k: CALIBRATED_KS[i] })),
    (answer, step) => {
      losses[measured[step]] = answer.losses ?? []
    }
  )
  const calibrations: Calibration[] = []
  await run(
    [
      {
        kind: 'curves',
        measured: { queries, neighbours, losses, source: plan.given === undefined ? 'base' : 'queries' }
      }
    ],
    ({ calibration }) => {
      if (calibration !== undefined) calibrations.push(calibration)
    }
  )
  plan.onQueries(queries.length, queries.length)
  return calibrations[0]
}

/** Finds the neighbours of each query among all rows, nearest first, without the query itself. */
async function findNeighbours(
  snapshot: Snapshot,
  run: StepRunner,
  plan: CalibrationPlan & { queries: readonly CalibrationQuery[] }
): Promise<Hit[][]> {
  const { queries } = plan
  const vectors = queries.map(({ vector }) => vector)
  const groups = groupZones(snapshot)
  const found: (readonly Hit[])[] = queries.map(() => [])
  const nearby = Array.from({ length: Math.ceil(queries.length / QUERIES_PER_STEP) }, (_, i) => i * QUERIES_PER_STEP)
  const nprobe = groups.length === 1 ? snapshot.zones.length : NEARBY_ZONES
  const steps = nearby.map((first): CalibrationStep => ({
    kind: 'search',
    vectors: vectors.slice(first, first + QUERIES_PER_STEP),
    k: NEIGHBOURS + 1,
    probe: { nprobe },
    bounds: undefined
  }))
  const total = steps.length + (groups.length === 1 ? 0 : groups.length)
  let done = 0
  const tell = (): void => {
    plan.onQueries(Math.floor((++done / total) * queries.length), queries.length)
  }
  plan.onQueries(0, queries.length)
  await run(steps, ({ hits = [] }, step) => {
    hits.forEach((ofQuery, i) => {
      found[nearby[step] + i] = ofQuery
    })
    tell()
  })
  if (groups.length > 1) {
    const bounds = found.map((hits) => (hits.length > NEIGHBOURS ? hits[NEIGHBOURS].distance : Infinity))
    const byId = found.map((hits) => new Map(hits.map((hit) => [hit.id, hit])))
    await run(
      groups.map((probe) => ({ kind: 'search', vectors, k: NEIGHBOURS + 1, probe, bounds })),
      ({ hits = [] }) => {
        hits.forEach((ofQuery, i) => {
          for (const hit of ofQuery) byId[i].set(hit.id, hit)
        })
        tell()
      }
    )
    byId.forEach((hits, i) => {
      found[i] = [...hits.values()].sort((a, b) => a.distance - b.distance || a.id - b.id)
    })
  }
  return found.map((hits, i) => hits.filter((hit) => hit.id !== queries[i].row?.id).slice(0, NEIGHBOURS))
}

/** Cuts the zones into groups of about GROUP_BYTES. */
function groupZones(snapshot: Snapshot): { firstZone: number; endZone: number }[] {
  const { zones, meta } = snapshot
  const groups: { firstZone: number; endZone: number }[] = []
  let bytes = Infinity
  for (const zone of zones) {
    const more = meta.bits === 0 ? zone.rowCount * meta.dim * 4 : zone.codesByteLength
    if (bytes + more > GROUP_BYTES) {
      groups.push({ firstZone: zone.zone, endZone: zone.zone })
      bytes = 0
    }
    bytes += more
    groups[groups.length - 1].endZone = zone.zone + 1
  }
  return groups
}
