// Tables of engines side by side: queries a second at equal recall, builds, memory; and why an engine has no row.

import { MIB, printTable } from './report.ts'
import type { EngineResult } from './run-engine.ts'

export const RECALLS = [0.9, 0.95, 0.99] as const

export interface Limits {
  readonly floor: number
  readonly goal: number
}

/** What ZGQ must reach at .95 and .99: queries a second over those of the best of the others. By set. */
const LIMITS: Readonly<Record<string, Limits>> = {
  'sift1m-100k': { floor: 2.5, goal: 3 },
  'sift1m-1m': { floor: 1.8, goal: 3 },
  use50k: { floor: 2.2, goal: 3 },
  glove: { floor: 1.5, goal: 2 },
  fashion: { floor: 1.3, goal: 2 }
}
/** Of sets of 1,000 to 20,000 rows: all others. */
const SMALL: Limits = { floor: 1, goal: 1.3 }

export function limitsOf(set: string): Limits {
  return LIMITS[set] ?? SMALL
}

/** An engine on a data set: measured, or why not. */
export type Outcome = EngineResult | { readonly notMeasured: string }

interface Point {
  readonly recall: number
  readonly qps: number
}

/** Keeps the points that no other beats in both; by rising recall. */
export function frontier<T extends Point>(points: readonly T[]): T[] {
  const sorted = [...points].sort((a, b) => b.recall - a.recall || b.qps - a.qps)
  let best = 0
  return sorted
    .filter(({ qps }) => {
      if (qps <= best) return false
      best = qps
      return true
    })
    .reverse()
}

/**
 * Queries a second at a recall: log(qps) linear in recall between neighbours on the frontier; undefined where the
 * recall is not reached.
 */
export function qpsAt(points: readonly Point[], recall: number): number | undefined {
  const front = frontier(points)
  const above = front.find((point) => point.recall >= recall)
  if (above === undefined) return undefined
  const below = front.findLast((point) => point.recall < recall)
  if (below === undefined) return above.qps
  const share = (recall - below.recall) / (above.recall - below.recall)
  return Math.exp(Math.log(below.qps) + share * (Math.log(above.qps) - Math.log(below.qps)))
}

/** The line that names the error, of what a step wrote before it ended. */
export function reasonOf(error: unknown): string {
  const lines = (error instanceof Error ? error.message : String(error)).split('\n')
  const named = lines.find((line) => /^\s*(\w*Error|\[?cause)\b.*:/.test(line))
  return (named ?? lines.filter((line) => line.trim() !== '').at(-1) ?? 'unknown').trim().slice(0, 200)
}

export function printSetTable(outcomes: Readonly<Record<string, Outcome>>): void {
  const entries = Object.entries(outcomes)
  const head = [
    'engine',
    ...RECALLS.map((recall) => `q/s at ${recall.toFixed(2)}`),
    `us at ${RECALLS[1].toFixed(2)}`,
    'cpu/wall',
    'build s',
    'threads',
    'build peak MiB',
    'index MiB',
    'RSS + MiB'
  ]
  printTable(
    head,
    entries.map(([name, outcome]) => {
      if ('notMeasured' in outcome)
        return [
          name,
          `not measured: ${outcome.notMeasured.replaceAll('|', '/').split('\n')[0]}`,
          ...head.slice(2).map(() => '')
        ]
      const { build, search } = outcome
      const at = qpsAt(search.rows, RECALLS[1])
      return [
        name,
        ...RECALLS.map((recall) => showQps(search.rows, recall)),
        at === undefined ? '' : (1e6 / at).toFixed(0),
        showRange(search.rows.map(({ cpuPerWall }) => cpuPerWall)),
        build.seconds.toFixed(1),
        String(build.threads),
        mib(build.peakRss),
        mib(build.bytes),
        mib(search.after.rss - search.before.rss)
      ]
    })
  )
}

/** Ratio of the first engine to the best of the others, for each recall, beside what it must be on this set. */
export function printLeads(set: string, outcomes: Readonly<Record<string, Outcome>>, own: readonly string[]): void {
  const { floor, goal } = limitsOf(set)
  const measured = Object.entries(outcomes).flatMap(([name, outcome]) =>
    'notMeasured' in outcome ? [] : [{ name, rows: outcome.search.rows }]
  )
  const rows = RECALLS.flatMap((recall) => {
    const at = measured
      .flatMap(({ name, rows: points }) => {
        const qps = qpsAt(points, recall)
        return qps === undefined ? [] : [{ name, qps }]
      })
      .sort((a, b) => b.qps - a.qps)
    const mine = at.find(({ name }) => own.includes(name))
    const other = at.find(({ name }) => !own.includes(name))
    return mine === undefined || other === undefined
      ? []
      : [
          [
            recall.toFixed(2),
            mine.name,
            mine.qps.toFixed(0),
            other.name,
            other.qps.toFixed(0),
            (mine.qps / other.qps).toFixed(2),
            // Neither is asked for at .90.
            ...(recall === RECALLS[0] ? ['', ''] : [floor.toFixed(1), goal.toFixed(1)])
          ]
        ]
  })
  const head = ['recall@10', 'best ZGQ', 'q/s', 'best of the others', 'q/s', 'ZGQ / other', 'floor', 'goal']
  if (rows.length > 0) printTable(head, rows)
}

function showQps(rows: readonly Point[], recall: number): string {
  const qps = qpsAt(rows, recall)
  return qps === undefined ? `reaches ${Math.max(...rows.map((row) => row.recall)).toFixed(3)}` : qps.toFixed(0)
}

function showRange(values: readonly number[]): string {
  return `${Math.min(...values).toFixed(2)}-${Math.max(...values).toFixed(2)}`
}

function mib(bytes: number): string {
  return (bytes / MIB).toFixed(0)
}
