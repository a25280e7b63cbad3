// The tables of `npm run churn`, and what they are made of.

import { rowsARound, type ChurnSpec } from './churn-rows.ts'
import { printTable, showMib } from './report.ts'
import type { ChurnBuildResult } from './step-churn-build.ts'
import type { ChurnSearchRow } from './step-churn-search.ts'
import type { ChurnWriteResult } from './step-churn-write.ts'
import type { FoldResult } from './step-fold.ts'

export interface RoundRow {
  readonly round: number
  /** Undefined before the first round. */
  readonly written: ChurnWriteResult | undefined
  /** Undefined where folds are automatic. */
  readonly folded: FoldResult | undefined
  /** Of the folder, right after the round. */
  readonly bytes: number
  /** Only after some rounds. */
  readonly search?: ChurnSearchRow
}

export interface FreshRow {
  readonly round: number
  readonly build: ChurnBuildResult
  /** The fresh build, in a process of its own. */
  readonly alone: ChurnSearchRow
  /** Both in one process, in turn. */
  readonly inTurn: ChurnSearchRow
  readonly freshInTurn: ChurnSearchRow
  /** Queries whose exact neighbours differ. */
  readonly otherTruths: number
}

export interface ChurnRun {
  readonly spec: ChurnSpec
  readonly mode: 'optimize' | 'automatic'
  readonly rounds: readonly RoundRow[]
  readonly fresh: readonly FreshRow[]
  /** Of the folder a minute after the last fold, once superseded files have gone. */
  readonly settledBytes: number
}

export function printChurn(run: ChurnRun): void {
  const { spec, mode } = run
  const rows = `${spec.rows.toLocaleString('en-US')} x ${spec.dim}`
  const folds = mode === 'optimize' ? 'optimize() after each round' : 'automatic folds only'
  console.log(`## ${rows}, ${spec.part * 100} % a round, drift: ${spec.drift}, ${folds}\n`)
  printRounds(run)
  printFresh(run)
  console.log(
    `Bytes written / bytes of new vectors, all rounds: ${amplification(run).toFixed(2)}. On disk once superseded ` +
      `files have gone: ${showMib(run.settledBytes)} MiB.\n`
  )
}

function printRounds({ spec, rounds }: ChurnRun): void {
  printTable(
    [
      'round',
      'recall@10 asked .90, .95, .99',
      'us a query',
      'zones',
      'delta, deleted rows',
      'MiB of the index',
      'MiB of the folder',
      'rss MiB',
      'delete, add s',
      'fold s',
      'fold peak MiB',
      'fold wrote MiB: says, system',
      'all written / new'
    ],
    rounds.map((row) => {
      const { round, written, folded, bytes, search } = row
      return [
        String(round),
        search === undefined ? '' : search.asked.map(({ recall }) => recall.toFixed(4)).join(', '),
        search === undefined ? '' : search.asked.map(({ meanUs }) => meanUs.toFixed(0)).join(', '),
        search === undefined ? '' : String(search.zones),
        search === undefined ? '' : `${search.deltaRows + search.freshRows}, ${search.deletedRows}`,
        search === undefined ? '' : showMib(search.bytes),
        showMib(bytes),
        search === undefined ? '' : showMib(search.rss),
        written === undefined ? '' : `${written.deleteSeconds.toFixed(2)}, ${written.addSeconds.toFixed(2)}`,
        (folded?.seconds ?? written?.idleSeconds)?.toFixed(2) ?? '',
        folded === undefined ? '' : showMib(folded.peakRss),
        folded === undefined ? '' : `${showMib(folded.bytesWritten)}, ${showMib(folded.writtenBytes)}`,
        written === undefined ? '' : (writtenBytes(row) / newBytes(spec)).toFixed(2)
      ]
    })
  )
}

function printFresh({ fresh, rounds }: ChurnRun): void {
  console.log('Against a fresh build of the same rows, searched in turn (goals: recall -.01, time 1.2, disk 1.5)\n')
  printTable(
    [
      'round',
      'recall@10 asked',
      'churned',
      'fresh',
      'difference',
      'us: churned, fresh',
      'time / fresh',
      'disk / fresh',
      'rss / fresh',
      'fold / build s',
      'exact answers that differ'
    ],
    fresh.flatMap(({ round, build, alone, inTurn, freshInTurn, otherTruths }) => {
      const { search, folded } = rounds[round]
      return inTurn.asked.map((own, i) => {
        const other = freshInTurn.asked[i]
        return [
          String(round),
          own.asked.toFixed(2),
          own.recall.toFixed(4),
          other.recall.toFixed(4),
          (own.recall - other.recall).toFixed(4),
          [own, other].map(({ meanUs }) => meanUs.toFixed(0)).join(', '),
          (own.meanUs / other.meanUs).toFixed(2),
          search === undefined ? '' : (search.bytes / alone.bytes).toFixed(2),
          search === undefined ? '' : (search.rss / alone.rss).toFixed(2),
          folded === undefined ? '' : (folded.seconds / build.seconds).toFixed(2),
          String(otherTruths)
        ]
      })
    })
  )
}

function writtenBytes({ written, folded }: RoundRow): number {
  return (written?.writtenBytes ?? 0) + (folded?.writtenBytes ?? 0)
}

function newBytes(spec: ChurnSpec): number {
  return rowsARound(spec) * spec.dim * 4
}

function amplification({ spec, rounds }: ChurnRun): number {
  const total = rounds.reduce((sum, row) => sum + writtenBytes(row), 0)
  return total / (newBytes(spec) * (rounds.length - 1))
}
