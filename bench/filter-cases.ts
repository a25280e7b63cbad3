// The filters that are measured: which rows of a query pass, as data that every engine spells in its own way.

import { COARSE, FINE, pathOf, type Labels } from './labels.ts'

/** All of what is given holds. */
export interface Condition {
  /** The random number is below. */
  readonly below?: number
  /** The fine cluster is one of these. */
  readonly fine?: readonly number[]
  /** The coarse cluster is this. */
  readonly coarse?: number
  /** The path begins so. */
  readonly prefix?: string
  /** The path is one of these. */
  readonly paths?: readonly string[]
}

export interface FilterCase {
  readonly name: string
  /** `random`: the same rows for each query, and they have nothing to do with the vectors. */
  readonly kind: 'random' | 'near' | 'far' | 'mixed'
  of(query: QueryPlace, labels: Labels): Condition
}

/** Where a query is among the clusters. */
export interface QueryPlace {
  /** Fine clusters that have rows, the nearest first. */
  readonly clusters: readonly number[]
  /** Rows of each fine cluster. */
  readonly sizes: readonly number[]
}

const SHARES = [0.5, 0.1, 0.01, 0.001, 0.0001]
/** Those of VectorDBBench's label filters. */
export const NINE_SHARES = [0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001]
const MOST_SURPLUS = 1.1
const LISTED_PATHS = 1000

export const CASES: readonly FilterCase[] = [
  ...[1, ...new Set([...SHARES, ...NINE_SHARES])].map(random),
  ...SHARES.map((share) => correlated('near', share)),
  ...SHARES.map((share) => correlated('far', share)),
  ...(['near', 'far'] as const).flatMap((kind) => [
    single(kind, 'coarse cluster', (cluster) => ({ coarse: Math.floor(cluster / COARSE) })),
    single(kind, 'fine cluster', (cluster) => ({ fine: [cluster] }))
  ]),
  {
    name: 'coarse cluster and random 10 %',
    kind: 'mixed',
    of: ({ clusters }) => ({ coarse: Math.floor(clusters[0] / COARSE), below: 0.1 })
  },
  { name: 'random 50 % and $startsWith d1', kind: 'mixed', of: () => ({ below: 0.5, prefix: 'd1' }) },
  { name: '$startsWith d1', kind: 'mixed', of: () => ({ prefix: 'd1' }) },
  { name: '$startsWith d12/', kind: 'mixed', of: () => ({ prefix: 'd12/' }) },
  { name: '$in of 1,000 paths', kind: 'mixed', of: (_, { fine }) => ({ paths: spreadPaths(fine.length) }) }
]

export function findCase(name: string): FilterCase {
  const found = CASES.find((candidate) => candidate.name === name)
  if (found === undefined)
    throw new Error(`${name} is no filter; expected one of ${CASES.map((known) => known.name).join(', ')}`)
  return found
}

export function shareName(share: number): string {
  return `${Number((share * 100).toPrecision(3))} %`
}

/** Tells whether a row passes, as fast as rows of a million can be asked. */
export function matcherOf(condition: Condition, { random: numbers, fine }: Labels): (row: number) => boolean {
  const { below = Infinity, coarse, prefix } = condition
  const isListed = new Uint8Array(FINE).fill(condition.fine === undefined ? 1 : 0)
  for (const cluster of condition.fine ?? []) isListed[cluster] = 1
  if (coarse !== undefined)
    for (let cluster = 0; cluster < FINE; cluster++) if (Math.floor(cluster / COARSE) !== coarse) isListed[cluster] = 0
  const byLabels = (row: number): boolean => numbers[row] < below && isListed[fine[row]] === 1
  if (prefix !== undefined) return (row) => byLabels(row) && pathOf(row).startsWith(prefix)
  if (condition.paths === undefined) return byLabels
  const paths = new Set(condition.paths)
  return (row) => byLabels(row) && paths.has(pathOf(row))
}

function random(share: number): FilterCase {
  return { name: `random ${shareName(share)}`, kind: 'random', of: () => (share === 1 ? {} : { below: share }) }
}

/** Whole clusters, the nearest or the farthest first, until they have so many rows; of one that has more, some. */
function correlated(kind: 'near' | 'far', share: number): FilterCase {
  return {
    name: `${kind} ${shareName(share)}`,
    kind,
    of({ clusters, sizes }, { fine: { length: count } }) {
      const ordered = kind === 'near' ? clusters : clusters.toReversed()
      const taken: number[] = []
      let rows = 0
      for (const cluster of ordered) {
        if (rows >= share * count) break
        taken.push(cluster)
        rows += sizes[cluster]
      }
      const surplus = rows / (share * count)
      return { fine: taken, ...(surplus > MOST_SURPLUS ? { below: 1 / surplus } : {}) }
    }
  }
}

function single(kind: 'near' | 'far', name: string, take: (cluster: number) => Condition): FilterCase {
  return {
    name: `${kind}, one ${name}`,
    kind,
    of: ({ clusters }) => take(clusters[kind === 'near' ? 0 : clusters.length - 1])
  }
}

function spreadPaths(count: number): string[] {
  return Array.from({ length: LISTED_PATHS }, (_, i) => pathOf(Math.floor(((i + 0.5) * count) / LISTED_PATHS)))
}
