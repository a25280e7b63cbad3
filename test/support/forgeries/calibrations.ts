// Forged calibrations.

import type { Fields, FieldValue } from '../forge/fields.ts'
import type { Parts, PointFields } from '../forge/parts.ts'
import type { CALIBRATION_HEADER } from '../forge/structures.ts'
import { HUGE, parts, type Forgery } from './forgery.ts'

type HeaderField = keyof typeof CALIBRATION_HEADER.fields
type PointField = Parameters<PointFields['set']>[0]

const header = (title: string, changes: Partial<Record<HeaderField, FieldValue>>): Forgery =>
  parts('open', `calibration: ${title}`, (found) => {
    found.calibration.header.change(changes)
  })

/** Changes points in place: those of all curves, by k. */
const points = (title: string, change: (points: PointFields[]) => void): Forgery =>
  parts('open', `calibration: ${title}`, (found) => {
    change(found.calibration.points)
  })

/** Puts other points into the calibration. */
const otherPoints = (title: string, make: (points: PointFields[]) => PointFields[]): Forgery =>
  parts('open', `calibration: ${title}`, (found) => {
    found.setPoints(make(found.calibration.points.map((point) => point.copy())))
  })

/** Every curve by itself. */
function curvesOf(all: readonly PointFields[]): PointFields[][] {
  return [...new Set(all.map((point) => point.get('k')))].map((k) => all.filter((point) => point.get('k') === k))
}

const DOUBLES: readonly HeaderField[] = [
  'confidence',
  'highestRecall',
  'scale',
  'nearestZone',
  'farthestZone',
  'farthestHit'
]
const POINT_DOUBLES: readonly PointField[] = ['recall', 'threshold', 'mean', 'zones', 'trust']
const NO_NUMBERS = [NaN, Infinity, -Infinity, -1] as const

const cut =
  (byteLength: (whole: number) => number) =>
  (found: Parts): void => {
    const whole = found.meta.get('calibration') ?? new Uint8Array(0)
    const bytes = new Uint8Array(byteLength(whole.byteLength))
    bytes.set(whole.subarray(0, bytes.byteLength))
    found.meta.set('calibration', bytes)
  }

const setFlags = (header: Fields<HeaderField>): void => {
  header.set('flags', 3)
}

export const CALIBRATIONS: readonly Forgery[] = [
  ...DOUBLES.flatMap((name) =>
    NO_NUMBERS.map((value) =>
      parts('open', `calibration: ${name} of ${value}`, (found) => {
        setFlags(found.calibration.header)
        found.calibration.header.set(name, value)
      })
    )
  ),
  ...NO_NUMBERS.map((value) => header(`copies of ${value}`, { flags: 2, copies: value })),
  ...POINT_DOUBLES.flatMap((name) =>
    NO_NUMBERS.map((value) =>
      points(`${name} of ${value} in a point`, (all) => {
        all[1].change({ flags: 1, [name]: value })
      })
    )
  ),
  ...(['recall', 'zones'] as const).map((name) =>
    points(`${name} of 1e-20`, (all) => {
      for (const point of all) point.set(name, 1e-20)
    })
  ),
  parts('open', 'calibration: everything 1e-20', (found) => {
    for (const name of DOUBLES) found.calibration.header.set(name, 1e-20)
    const firsts = curvesOf(found.calibration.points).map(([first]) => first.copy())
    for (const point of firsts) for (const name of POINT_DOUBLES) point.set(name, 1e-20)
    found.setPoints(firsts)
  }),
  header('highestRecall of 1', { highestRecall: 1 }),
  header('no queries', { queries: 0 }),
  ...HUGE.map(([title, value]) => header(`queries of ${title}`, { queries: value })),
  header('a confidence of 2', { confidence: 2 }),
  header('source 0', { source: 0 }),
  header('source 3', { source: 3 }),
  ...HUGE.map(([title, value]) => header(`${title} points`, { pointCount: value })),
  header('2^40 points', { pointCount: 2 ** 40 }),
  header('a point fewer than there are', { pointCount: 1 }),
  otherPoints('no points', () => []),
  otherPoints('20,000 points', ([first]) =>
    Array.from({ length: 20_000 }, (_, i) => {
      const point = first.copy()
      point.set('recall', 0.1 + i * 1e-5)
      return point
    })
  ),
  otherPoints('nothing but points with a filter', (all) => {
    for (const point of all) point.set('filter', 1)
    return all
  }),
  points('a k of 0', (all) => {
    all[0].set('k', 0)
  }),
  ...HUGE.map(([title, value]) =>
    points(`a k of ${title}`, (all) => {
      all[all.length - 1].set('k', value)
    })
  ),
  otherPoints('curves out of order', (all) => curvesOf(all).reverse().flat()),
  otherPoints('points out of order', (all) => curvesOf(all).flatMap((curve) => curve.reverse())),
  otherPoints('a point twice', (all) => [all[0], ...all]),
  points('a threshold that falls', (all) => {
    all[0].set('threshold', 1e30)
  }),
  points('more zones than there are', (all) => {
    all[0].set('zones', 7)
  }),
  points('a mean recall of 2', (all) => {
    all[0].set('mean', 2)
  }),
  points('a trust of 1e300', (all) => {
    all[0].change({ flags: 1, trust: 1e300 })
  }),
  parts(
    'open',
    'calibration: a byte too few',
    cut((whole) => whole - 1)
  ),
  parts(
    'open',
    'calibration: a byte too many',
    cut((whole) => whole + 1)
  ),
  parts(
    'open',
    'calibration: half a header',
    cut(() => 40)
  ),
  parts('nobody', 'calibration: thresholds of 1e308', (found) => {
    for (const point of found.calibration.points) point.set('threshold', 1e308)
  }),
  parts('nobody', 'calibration: a scale of 1e308', (found) => {
    found.calibration.header.set('scale', 1e308)
  }),
  parts('nobody', 'calibration: a point with a filter that nobody knows, and whatever it says', (found) => {
    const { points: all } = found.calibration
    const other = all[all.length - 1].copy()
    other.change({ filter: 7, recall: NaN, threshold: -1, k: 1 })
    found.setPoints([...all.map((point) => point.copy()), other])
  }),
  parts('nobody', 'calibration: bounds, copies and trusts that no flag names', (found) => {
    found.calibration.header.change({ flags: 0, copies: NaN, nearestZone: -1, farthestZone: Infinity })
    for (const point of found.calibration.points) point.change({ flags: 0, trust: NaN })
  })
]
