// The calibration of an index as it is stored: the value under `meta` key `calibration` (spec, section 7.6). No I/O.

import { ZgqError } from '../errors.ts'
import type { Calibration, CalibrationCurve, CalibrationPoint } from '../types.ts'
import { struct, type RecordOf } from './struct.ts'

export const CALIBRATION_HEADER = struct(104, {
  source: { offset: 0, type: 'u32' },
  flags: { offset: 4, type: 'u32' },
  queries: { offset: 8, type: 'u64' },
  confidence: { offset: 16, type: 'f64' },
  highestRecall: { offset: 24, type: 'f64' },
  scale: { offset: 32, type: 'f64' },
  copies: { offset: 40, type: 'f64' },
  nearestZone: { offset: 48, type: 'f64' },
  farthestZone: { offset: 56, type: 'f64' },
  farthestHit: { offset: 64, type: 'f64' },
  maxNorm: { offset: 72, type: 'f64' },
  pointCount: { offset: 80, type: 'u64' },
  alignment: { offset: 88, type: 'f64' },
  gain: { offset: 96, type: 'f64' }
})

export const CALIBRATION_POINT = struct(56, {
  k: { offset: 0, type: 'u64' },
  filter: { offset: 8, type: 'u32' },
  flags: { offset: 12, type: 'u32' },
  recall: { offset: 16, type: 'f64' },
  threshold: { offset: 24, type: 'f64' },
  mean: { offset: 32, type: 'f64' },
  zones: { offset: 40, type: 'f64' },
  trust: { offset: 48, type: 'f64' }
})

const SOURCES = { base: 1, queries: 2 } as const
const HAS_USUAL = 1
const HAS_COPIES = 2
const HAS_MAX_NORM = 4
const HAS_ALIGNMENT = 8
const HAS_GAIN = 16
const HAS_TRUST = 1
/** Points that a calibration may have; a writer needs 39. */
const MOST_POINTS = 16_384
/** Below it, logarithms of what a recall misses are lost in rounding. */
const LEAST_RECALL = 0.001
/** Standard deviations. */
const MOST_TRUST = 100

export function encodeCalibration(calibration: Calibration): Uint8Array {
  const { curves, usual, copies, maxNorm, alignment, gain, source, queries, confidence, highestRecall, scale } =
    calibration
  const points = curves.flatMap(({ k, points }) => points.map((point) => ({ k, point })))
  const bytes = new Uint8Array(CALIBRATION_HEADER.byteLength + points.length * CALIBRATION_POINT.byteLength)
  const header = {
    source: SOURCES[source],
    flags:
      (usual === undefined ? 0 : HAS_USUAL) +
      (copies === undefined ? 0 : HAS_COPIES) +
      (maxNorm === undefined ? 0 : HAS_MAX_NORM) +
      (alignment === undefined ? 0 : HAS_ALIGNMENT) +
      (gain === undefined ? 0 : HAS_GAIN),
    queries,
    confidence,
    highestRecall,
    scale,
    copies: copies ?? 0,
    ...(usual ?? { nearestZone: 0, farthestZone: 0, farthestHit: 0 }),
    maxNorm: maxNorm ?? 0,
    pointCount: points.length,
    alignment: alignment ?? 0,
    gain: gain ?? 0
  }
  CALIBRATION_HEADER.encode(header, bytes)
  points.forEach(({ k, point }, i) => {
    const { recall, threshold, mean, zones, trust } = point
    const record = {
      k,
      filter: 0,
      flags: trust === undefined ? 0 : HAS_TRUST,
      recall,
      threshold,
      mean,
      zones,
      trust: trust ?? 0
    }
    CALIBRATION_POINT.encode(record, bytes, CALIBRATION_HEADER.byteLength + i * CALIBRATION_POINT.byteLength)
  })
  return bytes
}

/** Decodes the calibration of an index of `zoneCount` zones; throws ZGQ_CORRUPT. */
export function decodeCalibration(bytes: Uint8Array, zoneCount: number, path: string): Calibration {
  const damage = (what: string): ZgqError => new ZgqError('ZGQ_CORRUPT', `meta value "calibration": ${what}`, { path })
  const inRange = (name: string, value: number, [least, most]: Range): number => {
    if (!(value >= least && value <= most)) throw damage(`${name} is ${value}, expected ${least} to ${most}`)
    return value
  }
  if (bytes.byteLength < CALIBRATION_HEADER.byteLength) throw damage(`${bytes.byteLength} bytes`)
  const header = CALIBRATION_HEADER.decode(bytes, 0, path)
  const { pointCount, flags } = header
  if (pointCount > MOST_POINTS) throw damage(`${pointCount} points, expected ${MOST_POINTS} at most`)
  const expected = CALIBRATION_HEADER.byteLength + pointCount * CALIBRATION_POINT.byteLength
  if (bytes.byteLength !== expected) throw damage(`${bytes.byteLength} bytes, expected ${expected}`)
  if (header.source !== SOURCES.base && header.source !== SOURCES.queries)
    throw damage(`source is ${header.source}, expected 1 or 2`)
  const records = Array.from({ length: pointCount }, (_, i) =>
    CALIBRATION_POINT.decode(bytes, CALIBRATION_HEADER.byteLength + i * CALIBRATION_POINT.byteLength, path)
  ).filter(({ filter }) => filter === 0)
  if (records.length === 0) throw damage('there is no point')
  for (const { k, recall, threshold, mean, zones, trust, flags } of records) {
    inRange('k', k, [1, Number.MAX_SAFE_INTEGER])
    inRange('recall', recall, RECALLS)
    inRange('threshold', threshold, FINITE)
    inRange('mean', mean, [0, 1])
    inRange('zones', zones, [1, zoneCount])
    if ((flags & HAS_TRUST) !== 0) inRange('trust', trust, [0, MOST_TRUST])
  }
  const curves = curvesOf(records, damage)
  const usual = {
    nearestZone: header.nearestZone,
    farthestZone: header.farthestZone,
    farthestHit: header.farthestHit
  }
  if ((flags & HAS_USUAL) !== 0) for (const [name, value] of Object.entries(usual)) inRange(name, value, FINITE)
  return {
    source: header.source === SOURCES.base ? 'base' : 'queries',
    curves,
    queries: inRange('queries', header.queries, [1, Number.MAX_SAFE_INTEGER]),
    confidence: inRange('confidence', header.confidence, [0, 1]),
    highestRecall: inRange('highestRecall', header.highestRecall, RECALLS),
    scale: inRange('scale', header.scale, FINITE),
    ...((flags & HAS_USUAL) !== 0 ? { usual } : {}),
    ...((flags & HAS_MAX_NORM) !== 0 ? { maxNorm: inRange('maxNorm', header.maxNorm, FINITE) } : {}),
    ...((flags & HAS_COPIES) !== 0 ? { copies: inRange('copies', header.copies, FINITE) } : {}),
    ...((flags & HAS_ALIGNMENT) !== 0 ? { alignment: inRange('alignment', header.alignment, [0, 1]) } : {}),
    ...((flags & HAS_GAIN) !== 0 ? { gain: inRange('gain', header.gain, [0, 1]) } : {})
  }
}

/** The least and the most that a number may be. */
type Range = readonly [least: number, most: number]

const RECALLS: Range = [LEAST_RECALL, 1 - Number.EPSILON]
const FINITE: Range = [0, Number.MAX_VALUE]

type PointRecord = RecordOf<typeof CALIBRATION_POINT.fields>

/** Groups points by k; they come by ascending k, then recall, and thresholds do not fall. */
function curvesOf(records: readonly PointRecord[], damage: (what: string) => ZgqError): CalibrationCurve[] {
  const curves: { k: number; points: CalibrationPoint[] }[] = []
  records.forEach((record, i) => {
    const { k, recall, threshold, mean, zones, trust, flags } = record
    const before = records.at(i - 1)
    if (i === 0 || before === undefined || k !== before.k) {
      if (i > 0 && before !== undefined && k < before.k) throw damage('points are not in order of k')
      curves.push({ k, points: [] })
    } else if (recall <= before.recall) {
      throw damage('points are not in order of recall')
    } else if (threshold < before.threshold) {
      throw damage('a threshold falls where the recall rises')
    }
    const point = { recall, threshold, mean, zones, ...((flags & HAS_TRUST) !== 0 ? { trust } : {}) }
    curves[curves.length - 1].points.push(point)
  })
  return curves
}
