// From the neighbours of queries to the curves of a calibration: for every neighbour the score of its zone is known,
// and a threshold on scores (search/recall-rule.ts) gives the recall that it would reach.

import { CALIBRATED_KS, CALIBRATED_RECALLS } from '../format/calibration.ts'
import { lossAllowed, recallOfZones, trustFor } from '../search/confidence.ts'
import { ruleDistance, scoreZone } from '../search/recall-rule.ts'
import type { SearchContext } from '../search/search.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import type { Calibration, CalibrationCurve, CalibrationPoint, Hit } from '../types.ts'
import type { CalibrationQuery } from './calibration-queries.ts'

/** Quantile of the normal distribution for a one-sided lower bound of 95 %. */
const CONFIDENCE_LEVEL = 0.95
const NORMAL_QUANTILE = 1.645
/** n queries without a miss promise a recall of n / (n + 2.7) at 95 %: the normal form of the rule of three. */
const WITHOUT_MISS = NORMAL_QUANTILE ** 2
/**
 * Part of what may be missed that a calibration by rows under ip leaves unused: rows ask for their like, queries for
 * what is long, and reached .01 to .025 less than was calibrated on one of three sets (bench/README.md).
 */
const PRODUCT_MARGIN = 0.2
/** Queries that tell how many zones a threshold means. */
const COUNTED_QUERIES = 64

/** What share of the hits estimates lose, for each trust that was tried. */
export type Losses = readonly { readonly trust: number; readonly loss: number }[]

/** What was measured. */
export interface Measured {
  readonly queries: readonly CalibrationQuery[]
  readonly source: Calibration['source']
  /** Of each query, nearest first, without the query itself. */
  readonly neighbours: readonly (readonly Hit[])[]
  /** For each of CALIBRATED_KS. */
  readonly losses: readonly Losses[]
}

/** Draws the curves for the index that was measured. */
export function drawCurves(context: SearchContext, snapshot: Snapshot, measured: Measured): Calibration {
  const { queries, source, neighbours, losses } = measured
  const zoneOfId = locate(context, snapshot, neighbours)
  const geometry = new ZoneGeometry(context, snapshot, queries)
  const self = neighbours.map((hits, i) => geometry.scoresOf(queries[i], hits, zoneOfId))
  // Where rows have exact copies, a query like them but not among them finds its neighbours farther away than a copy
  // does.
  const strangers = neighbours.map((hits, i) => geometry.scoresWithoutCopies(queries[i], hits, zoneOfId))
  const highest = queries.length / (queries.length + WITHOUT_MISS)
  const margin = source === 'base' && snapshot.meta.metric === 'ip' ? PRODUCT_MARGIN : 0
  const curves = CALIBRATED_KS.map((k, i): CalibrationCurve => {
    const sets = [self, strangers].map((scores) => ({ scores, sorted: sortedScores(scores, k) }))
    // The highest too: what may be asked for must have been measured.
    const points = [...CALIBRATED_RECALLS.filter((recall) => recall < highest), highest].map(
      (recall): CalibrationPoint => {
        const wanted = Math.min(recallOfZones(recall) + (1 - recall) * margin, highest)
        const threshold = Math.max(
          ...sets.map(({ scores, sorted }) => smallestThreshold(scores, sorted, { k, recall: wanted }))
        )
        const trust = Math.min(
          trustFor(recall),
          losses[i].find(({ loss }) => loss <= lossAllowed(recall))?.trust ?? Infinity
        )
        return {
          recall,
          threshold,
          mean: recallAt(self, k, threshold).mean,
          zones: geometry.meanZones(threshold),
          trust
        }
      }
    )
    return { k, points }
  })
  return {
    source,
    queries: queries.length,
    confidence: CONFIDENCE_LEVEL,
    scale: geometry.scale,
    highestRecall: highest,
    curves
  }
}

/** Finds the zones of all neighbours in one pass over the ids of the index. */
function locate(
  context: SearchContext,
  snapshot: Snapshot,
  neighbours: readonly (readonly Hit[])[]
): Map<number, number> {
  const wanted = new Set(neighbours.flatMap((hits) => hits.map((hit) => hit.id)))
  const zoneOfId = new Map<number, number>()
  for (const zone of snapshot.zones) {
    const words = context.files.readIdWords(zone)
    for (let i = 0; i < zone.rowCount; i++) {
      const id = words[i * 2] + words[i * 2 + 1] * 2 ** 32
      if (wanted.has(id)) zoneOfId.set(id, zone.zone)
    }
  }
  return zoneOfId
}

/** Distances of queries to zones, and the scores that follow from them. */
class ZoneGeometry {
  /** Unit of the rule: mean distance of a query to its nearest zone. */
  readonly scale: number
  readonly #context: SearchContext
  readonly #snapshot: Snapshot
  /** Sorted distances of the first queries. */
  readonly #counted: Float64Array[] = []

  constructor(context: SearchContext, snapshot: Snapshot, queries: readonly CalibrationQuery[]) {
    this.#context = context
    this.#snapshot = snapshot
    this.scale = this.#meanNearest(queries)
    for (const query of queries.slice(0, COUNTED_QUERIES)) this.#counted.push(this.#distances(query, 1).sort())
  }

  /** The score of the zone of each neighbour; a query that is a row of the index is taken out of its zone first. */
  scoresOf(query: CalibrationQuery, hits: readonly Hit[], zoneOfId: ReadonlyMap<number, number>): Float64Array {
    return this.#scores(this.#distances(query, 1), hits, zoneOfId)
  }

  /** The same with all exact copies of the query taken out, from the zone and from the neighbours. */
  scoresWithoutCopies(
    query: CalibrationQuery,
    hits: readonly Hit[],
    zoneOfId: ReadonlyMap<number, number>
  ): Float64Array {
    if (this.#snapshot.meta.metric === 'ip') return this.scoresOf(query, hits, zoneOfId)
    const others = hits.filter((hit) => hit.distance > COPY_DISTANCE)
    const inZone = query.row?.zone
    const copies = hits.filter((hit) => hit.distance <= COPY_DISTANCE && zoneOfId.get(hit.id) === inZone).length
    return this.#scores(this.#distances(query, 1 + copies), others, zoneOfId)
  }

  /** Mean number of zones that a threshold probes. */
  meanZones(threshold: number): number {
    let zones = 0
    for (const sorted of this.#counted) {
      let count = 1
      while (
        count < sorted.length &&
        scoreZone(sorted[0], sorted[count], { rank: count + 1, scale: this.scale }) <= threshold
      )
        count++
      zones += count
    }
    return zones / Math.max(1, this.#counted.length)
  }

  #scores(distances: Float64Array, hits: readonly Hit[], zoneOfId: ReadonlyMap<number, number>): Float64Array {
    const sorted = distances.slice().sort()
    return Float64Array.from(hits, (hit) => {
      const distance = distances[zoneOfId.get(hit.id) ?? 0]
      const rank = rankOf(sorted, distance)
      return rank === 1 ? 0 : scoreZone(sorted[0], distance, { rank, scale: this.scale })
    })
  }

  /** Distances of all zones as the rule counts them, with `without` rows equal to the query taken out of its zone. */
  #distances(query: CalibrationQuery, without: number): Float64Array {
    const { workspace } = this.#context
    const { memory, zones, dim, metric } = workspace
    workspace.setQuery(query.vector)
    if (metric === 'ip')
      memory.kernel.innerProducts(workspace.centroids, zones.length, dim, workspace.probeQuery, workspace.zoneDistances)
    else
      memory.kernel.l2Distances(workspace.centroids, zones.length, dim, workspace.probeQuery, workspace.zoneDistances)
    const distances = Float64Array.from(memory.float32At(workspace.zoneDistances, zones.length))
    if (query.row !== undefined) {
      const { zone, rowCount } = query.row
      distances[zone] = leaveOut(distances[zone], {
        rowCount,
        without,
        norm2: metric === 'ip' ? workspace.scanQuery.queryNorm2 : undefined
      })
    }
    return distances.map((distance) => ruleDistance(workspace, distance))
  }

  #meanNearest(queries: readonly CalibrationQuery[]): number {
    const nearest = queries
      .map((query) => this.#distances(query, 1).reduce((least, distance) => Math.min(least, distance), Infinity))
      .filter(Number.isFinite)
    return nearest.length === 0 ? 0 : Math.max(0, nearest.reduce((sum, distance) => sum + distance, 0) / nearest.length)
  }
}

/** Distances up to this are taken for copies: rounding keeps the cosine distance of equal vectors above zero. */
const COPY_DISTANCE = 1e-12

/**
 * The distance of a zone to one of its rows x, as if `without` rows equal to x were not in it; norm2: <x, x>, with
 * minus the product for distance.
 */
function leaveOut(distance: number, of: { rowCount: number; without: number; norm2: number | undefined }): number {
  const { rowCount, without, norm2 } = of
  const left = rowCount - without
  if (left < 1) return Infinity
  return norm2 === undefined ? distance * (rowCount / left) ** 2 : (rowCount * distance + without * norm2) / left
}

/** One more than the number of sorted values below `value`. */
function rankOf(sorted: Float64Array, value: number): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (sorted[middle] < value) low = middle + 1
    else high = middle
  }
  return low + 1
}

/** Mean recall at k over the queries that have neighbours, and its lower bound. */
function recallAt(scores: readonly Float64Array[], k: number, threshold: number): { mean: number; bound: number } {
  let count = 0
  let sum = 0
  let squares = 0
  for (const ofQuery of scores) {
    const wanted = Math.min(k, ofQuery.length)
    if (wanted === 0) continue
    let found = 0
    for (let i = 0; i < wanted; i++) if (ofQuery[i] <= threshold) found++
    const recall = found / wanted
    count++
    sum += recall
    squares += recall * recall
  }
  if (count === 0) return { mean: 1, bound: 1 }
  const mean = sum / count
  const variance = Math.max(0, squares / count - mean * mean)
  return { mean, bound: mean - NORMAL_QUANTILE * Math.sqrt(variance / count) }
}

/**
 * The smallest threshold whose recall has a lower bound of at least `wanted`, or the largest score that any neighbour
 * needs.
 */
function smallestThreshold(
  scores: readonly Float64Array[],
  sorted: Float64Array,
  wanted: { k: number; recall: number }
): number {
  let low = 0
  let high = sorted.length - 1
  if (high < 0) return 0
  while (low < high) {
    const middle = (low + high) >>> 1
    if (recallAt(scores, wanted.k, sorted[middle]).bound >= wanted.recall) high = middle
    else low = middle + 1
  }
  return sorted[low]
}

/** Scores of the k nearest neighbours of all queries, ascending: thresholds between them change nothing. */
function sortedScores(scores: readonly Float64Array[], k: number): Float64Array {
  const joined = new Float64Array(scores.reduce((sum, ofQuery) => sum + Math.min(k, ofQuery.length), 0))
  let at = 0
  for (const ofQuery of scores) {
    joined.set(ofQuery.subarray(0, k), at)
    at += Math.min(k, ofQuery.length)
  }
  const sorted = joined.sort()
  const infinite = sorted.indexOf(Infinity)
  return infinite === -1 ? sorted : sorted.subarray(0, infinite)
}
