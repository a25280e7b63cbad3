// What a comparison of two checkouts prints: a table of settings for each set, and the ratios that count at the end.

import { MIB, pairedRatio, printTable, showSpread, spread } from './report.ts'
import type { CompareBuildResult, CompareSearchResult } from './step-compare.ts'

/** Most that B may take of A's time. */
const GOAL = 1.05
/** Settings whose ratios count. */
const TARGETS = ['recall 0.95', 'recall 0.99']

/** What one side measured on one set; round by round. */
export interface SideResults {
  readonly builds: CompareBuildResult[]
  readonly searches: CompareSearchResult[]
}

export interface SetResults {
  readonly set: string
  readonly a: SideResults
  readonly b: SideResults
  /** A once more, in the same rounds: its ratio to A is noise. */
  readonly again: SideResults | undefined
}

/** Prints what the sides are, their times by setting and their builds. */
export function printSet({ set, a, b, again }: SetResults): void {
  console.log(`## ${set}\n`)
  const [factsA, factsB] = [a, b].map(({ searches }) => searches[0].facts)
  printTable(
    ['side', 'Node', 'format', 'zones', 'bits', 'kernel', 'reader', 'SQLite'],
    [
      ['A', ...Object.values(factsA).map(String)],
      ['B', ...Object.values(factsB).map(String)]
    ]
  )
  const labels = Object.keys(a.searches[0].rows).filter((label) => label in b.searches[0].rows)
  printTable(
    ['setting', 'recall@10 A', 'recall@10 B', 'A p50 us', 'B p50 us', 'B / A p50', 'B / A mean', ...head(again)],
    labels.map((label) => [
      label,
      recallOf(a, label),
      recallOf(b, label),
      showSpread(spread(times(a, label))),
      showSpread(spread(times(b, label))),
      showSpread(pairedRatio(times(b, label), times(a, label)), 2),
      showSpread(pairedRatio(times(b, label, 'meanUs'), times(a, label, 'meanUs')), 2),
      ...(again === undefined ? [] : [showSpread(pairedRatio(times(again, label), times(a, label)), 2)])
    ])
  )
  tellMissing('A', a, b)
  tellMissing('B', b, a)
  printTable(
    ['build', 'A', 'B', 'B / A', ...head(again)],
    [
      [
        'seconds',
        ...[a, b].map((side) => showSpread(spread(seconds(side)), 2)),
        showSpread(pairedRatio(seconds(b), seconds(a)), 2),
        ...(again === undefined ? [] : [showSpread(pairedRatio(seconds(again), seconds(a)), 2)])
      ],
      [
        'index MiB',
        ...[a, b].map(({ builds }) => (builds[0].bytes / MIB).toFixed(1)),
        (b.builds[0].bytes / a.builds[0].bytes).toFixed(3),
        ...(again === undefined ? [] : [(again.builds[0].bytes / a.builds[0].bytes).toFixed(3)])
      ]
    ]
  )
}

/** Prints the ratios that count, of all sets. */
export function printSummary(all: readonly SetResults[]): void {
  const rows = all.flatMap(({ set, a, b, again }) => [
    ...TARGETS.filter((label) => label in a.searches[0].rows && label in b.searches[0].rows).map((label) => ({
      cells: [set, label, recallOf(a, label), recallOf(b, label)],
      ratio: pairedRatio(times(b, label), times(a, label)),
      noise: again === undefined ? undefined : pairedRatio(times(again, label), times(a, label))
    })),
    {
      cells: [set, 'build', '', ''],
      ratio: pairedRatio(seconds(b), seconds(a)),
      noise: again === undefined ? undefined : pairedRatio(seconds(again), seconds(a))
    }
  ])
  console.log('## B / A, median of all rounds (spread)\n')
  printTable(
    ['set', 'target', 'recall@10 A', 'recall@10 B', 'B / A', 'A again / A', `<= ${GOAL}`],
    rows.map(({ cells, ratio, noise }) => [
      ...cells,
      showSpread(ratio, 3),
      noise === undefined ? 'not measured' : showSpread(noise, 3),
      ratio.median <= GOAL ? 'yes' : 'NO'
    ])
  )
}

function head(again: SideResults | undefined): string[] {
  return again === undefined ? [] : ['A again / A']
}

function recallOf({ searches }: SideResults, label: string): string {
  return searches[0].rows[label].recall.toFixed(4)
}

function times({ searches }: SideResults, label: string, of: 'p50Us' | 'meanUs' = 'p50Us'): number[] {
  return searches.map(({ rows }) => rows[label][of])
}

function seconds({ builds }: SideResults): number[] {
  return builds.map((build) => build.seconds)
}

function tellMissing(name: string, own: SideResults, other: SideResults): void {
  const missing = Object.keys(own.searches[0].rows).filter((label) => !(label in other.searches[0].rows))
  if (missing.length > 0) console.log(`Only ${name} has: ${missing.join(', ')}.\n`)
}
