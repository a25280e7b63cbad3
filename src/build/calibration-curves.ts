// From the neighbours of queries to the curves of a calibration: for every neighbour the score of its zone is known,
// and a threshold on scores (search/recall-rule.ts) gives the recall that it would reach.

import { CALIBRATED_KS, CALIBRATED_RECALLS } from '../format/calibration.ts'
import { recallOfZones } from '../search/confidence.ts'
import { ruleDistance } from '../search/recall-rule.ts'
import type { SearchContext } from '../search/search-context.ts'
import type { Calibration, CalibrationCurve, CalibrationPoint } from '../types.ts'
import { findCopies } from './calibration-copies.ts'
import {
  meanZones,
  scoresOf,
  zoneDistances,
  zonesOfNeighbours,
  type Surroundings,
  type ZonesOfNeighbours
} from './calibration-geometry.ts'
import { trustOf, type Losses, type LossQuery } from './calibration-losses.ts'
import { evenly, NEIGHBOURS, type Neighbours } from './calibration-lists.ts'
import type { CalibrationQuery } from './calibration-queries.ts'
import {
  CONFIDENCE_LEVEL,
  NORMAL_QUANTILE,
  recallsAt,
  smallestThresholds,
  sortScores
} from './calibration-thresholds.ts'
import { findUsual } from './calibration-usual.ts'

/** n queries without a miss promise a recall of n / (n + 2.7) at 95 %: the normal form of the rule of three. */
const WITHOUT_MISS = NORMAL_QUANTILE ** 2
/**
 * Part of what may be missed that a calibration by rows under ip leaves unused: rows ask for their like, queries for
 * what is long, and reached .01 to .025 less than was calibrated on one of three sets (bench/README.md).
 */
const PRODUCT_MARGIN = 0.2
/** Queries that tell how many zones a threshold means. */
const COUNTED_QUERIES = 64
/** Queries that tell what codes lose: with 10 hits, of which 1,500 then show it. */
const LOSS_QUERIES = 150

export interface Measured {
  readonly queries: readonly CalibrationQuery[]
  readonly source: Calibration['source']
  /** Of each query, nearest first, without the query itself. */
  readonly neighbours: readonly Neighbours[]
}

/** Curves that trust estimates as far as the normal distribution says, and what shows whether that is right. */
export interface Drawn {
  readonly calibration: Calibration
  readonly lossQueries: readonly LossQuery[]
}

/** Draws the curves for the index that was measured. */
export function drawCurves(context: SearchContext, measured: Measured): Drawn {
  const { queries, source, neighbours } = measured
  const { metric } = context.workspace
  const copies = findCopies(context, queries, neighbours)
  const all = neighbours.map(({ ordinals }): Surroundings => ({ copies: [], neighbours: ordinals }))
  // A query like a row that has copies, but without any itself, finds its neighbours farther away than a copy does.
  const without = neighbours.map((of, i): Surroundings => leaveOutCopies(of, copies[i]))
  const zones = queries.map((query, i) => surround(context, query, all[i]))
  const nearest = zones.map((of) => of.nearest).filter(Number.isFinite)
  const scale = nearest.length === 0 ? 0 : Math.max(0, nearest.reduce((sum, one) => sum + one, 0) / nearest.length)
  const scores = zones.map((of) => scoresOf(of, scale))
  const sets = [scores]
  if (copies.some(({ length }) => length > 0))
    sets.push(
      queries.map((query, i) =>
        copies[i].length === 0 ? scores[i] : scoresOf(surround(context, query, without[i]), scale)
      )
    )
  const independent = shareOfIndependent(copies, context.workspace.planned.count)
  const counted = evenly(queries, COUNTED_QUERIES).map((query) => zoneDistances(context, query, []).sort())
  const highest = queries.length / (queries.length + WITHOUT_MISS)
  const margin = source === 'base' && metric === 'ip' ? PRODUCT_MARGIN : 0
  // The highest too: what may be asked for must have been measured.
  const recalls = [...CALIBRATED_RECALLS.filter((recall) => recall < highest), highest]
  const wanted = recalls.map((recall) => Math.min(recallOfZones(recall) + (1 - recall) * margin, highest))
  const sorted = sets.map(sortScores)
  const curves = CALIBRATED_KS.map((k): CalibrationCurve => {
    const ofSets = sorted.map((set) => smallestThresholds(set, wanted, { k, independent }))
    const thresholds = recalls.map((_, i) => Math.max(...ofSets.map((ofSet) => ofSet[i])))
    const means = sorted.map((set) => recallsAt(set, thresholds, k))
    const points = recalls.map((recall, i): CalibrationPoint => {
      const threshold = thresholds[i]
      return {
        recall,
        threshold,
        mean: Math.min(...means.map((ofSet) => ofSet[i])),
        zones: meanZones(counted, { threshold, scale }),
        trust: trustOf([], recall)
      }
    })
    return { k, points }
  })
  const calibration = {
    source,
    queries: queries.length,
    confidence: CONFIDENCE_LEVEL,
    scale,
    highestRecall: highest,
    curves,
    maxNorm: context.workspace.maxNorm,
    ...describeQueries(context, measured, { nearest, copies })
  }
  return {
    calibration,
    lossQueries: evenly([...queries.keys()], LOSS_QUERIES).map((i) => ({
      vector: queries[i].vector,
      leftOut: [...ownOrdinal(queries[i]), ...without[i].copies],
      ordinals: without[i].neighbours,
      distances: neighbours[i].distances.filter((_, at) => !copies[i].includes(at))
    }))
  }
}

/** Says what is usual for the queries, and how many of them have copies. */
function describeQueries(
  { states, workspace: { metric } }: SearchContext,
  { queries, neighbours }: Measured,
  of: { nearest: readonly number[]; copies: readonly (readonly number[])[] }
): Pick<Calibration, 'usual' | 'copies'> {
  const hits = states.use((state) =>
    queries.flatMap(({ vector }, i) => {
      const distance = neighbours[i].distances.find((_, at) => !of.copies[i].includes(at))
      if (metric === 'ip') state.setQuery(vector) // the rule asks for its norm
      return distance === undefined ? [] : ruleDistance(state, distance)
    })
  )
  const usual = findUsual(metric, of.nearest, hits)
  const copies = of.copies.filter(({ length }) => length > 0).length / Math.max(1, queries.length)
  return { ...(usual === undefined ? {} : { usual }), copies }
}

/** Estimates what share of random rows are not copies of others among them: of equal ones, one counts. */
function shareOfIndependent(copies: readonly (readonly number[])[], count: number): number {
  const chosen = copies.length / count
  const distinct = copies.reduce((sum, of) => sum + 1 / Math.max(1, (of.length + 1) * chosen), 0)
  return copies.length === 0 ? 1 : distinct / copies.length
}

/** Returns the calibration with the trust that was measured; losses: for each of its curves. */
export function withTrust(calibration: Calibration, losses: readonly Losses[]): Calibration {
  const curves = calibration.curves.map(({ k, points }, i) => ({
    k,
    points: points.map((point) => ({ ...point, trust: trustOf(losses[i], point.recall) }))
  }))
  return { ...calibration, curves }
}

function surround(context: SearchContext, query: CalibrationQuery, of: Surroundings): ZonesOfNeighbours {
  return zonesOfNeighbours(context, zoneDistances(context, query, of.copies), of.neighbours.subarray(0, NEIGHBOURS))
}

function ownOrdinal({ row }: CalibrationQuery): number[] {
  return row === undefined ? [] : [row]
}

function leaveOutCopies({ ordinals: all }: Neighbours, copies: readonly number[]): Surroundings {
  if (copies.length === 0) return { copies: [], neighbours: all }
  const isCopy = new Set(copies)
  return { copies: copies.map((at) => all[at]), neighbours: all.filter((_, at) => !isCopy.has(at)) }
}
