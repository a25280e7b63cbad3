// Where the recall that is promised is doubtful, and why: a sentence each, from facts that the catalogue has, and from
// the queries that an open index has seen.

import type { IndexMeta } from '../format/index-record.ts'
import type { SegmentTable } from '../format/segment-table.ts'
import type { SearchedQueries, SearchPlan } from '../info-types.ts'
import type { Calibration } from '../types.ts'
import { DEFAULT_RECALL } from './request.ts'

/** Share of rows with copies from which that is said. */
const MANY_COPIES = 0.2
/** Length of the longest row as a multiple of the usual one, from which products follow length. */
const UNEQUAL_NORMS = 5
/** Unlike queries from which they are mentioned: so many, and so many of all. */
const SOME_UNLIKE = 10
const SHARE_UNLIKE = 0.02

/** Facts that doubts follow from. */
export interface DoubtedIndex {
  readonly meta: Pick<IndexMeta, 'metric'>
  readonly segments: SegmentTable
  readonly calibration: Calibration | null
  readonly plan: SearchPlan
  readonly queries: SearchedQueries
}

/** Says where the promise of a recall is doubtful; nothing where every recall is met exactly. */
export function findDoubts(index: DoubtedIndex): string[] {
  const { calibration, plan, queries } = index
  if (calibration === null)
    return plan.kind === 'exact'
      ? []
      : ['No recall is promised: the index is not calibrated. Run `zgq calibrate` on it.']
  const doubts: string[] = []
  if (calibration.highestRecall < DEFAULT_RECALL && plan.kind !== 'exact')
    doubts.push(
      `Searches without a recall aim at ${floor(calibration.highestRecall)}, not ${DEFAULT_RECALL}: ` +
        `the calibration's ${calibration.queries} queries can promise no more. Calibrate with more queries.`
    )
  if (calibration.source === 'base') doubts.push(...doubtsOfRows(index, calibration))
  if (queries.unlike >= SOME_UNLIKE && queries.unlike >= queries.byRecall * SHARE_UNLIKE)
    doubts.push(
      `${queries.unlike} of ${queries.byRecall} queries were unlike those of the calibration, so their recall was ` +
        'not measured, and they took longer. Calibrate with queries like them.'
    )
  return doubts
}

/** Doubts about a calibration that took rows of the index for queries. */
function doubtsOfRows(index: DoubtedIndex, { copies = 0 }: Calibration): string[] {
  const doubts: string[] = []
  if (copies >= MANY_COPIES)
    doubts.push(
      `${Math.round(copies * 100)} % of the rows have exact or near copies, which your queries may not have. ` +
        'Calibrate with your own queries.'
    )
  const norms = index.meta.metric === 'ip' ? unequalNorms(index.segments) : 1
  if (norms >= UNEQUAL_NORMS)
    doubts.push(
      `The longest row is ${norms.toFixed(0)} times as long as usual, so under ip rows are poor examples of queries. ` +
        'Calibrate with your own queries.'
    )
  return doubts
}

/** Norm of the longest row as a multiple of the norm in the middle of an average segment. */
function unequalNorms(segments: SegmentTable): number {
  const ordered = [...segments].sort((a, b) => a.minNorm + a.maxNorm - b.minNorm - b.maxNorm)
  let left = ordered.reduce((sum, { rowCount }) => sum + rowCount, 0) / 2
  const median = ordered.find(({ rowCount }) => (left -= rowCount) <= 0)
  if (median === undefined || median.maxNorm === 0) return 1
  return ordered.reduce((most, { maxNorm }) => Math.max(most, maxNorm), 0) / ((median.minNorm + median.maxNorm) / 2)
}

function floor(recall: number): string {
  return (Math.floor(recall * 10_000) / 10_000).toString()
}
