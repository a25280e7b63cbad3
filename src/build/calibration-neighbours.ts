// The neighbours of a calibration's queries among all rows, nearest first. They are what everything else is held
// against, so all rows are scanned.

import type { Snapshot } from '../catalogue/snapshot.ts'
import { QUERIES_PER_SCAN } from './calibration-scan.ts'
import { mergeNeighbours, NEIGHBOURS, type Neighbours } from './calibration-lists.ts'
import type { CalibrationQuery } from './calibration-queries.ts'
import { chooseRangeBytes, cutSegments, rowCountsOf, type SegmentRange } from './calibration-ranges.ts'
import type { ScanStep, StepRunner } from './calibration-steps.ts'

/** Near copies of a query that may be left out, so that as many neighbours as are wanted remain. */
const MOST_COPIES = 50
/** Neighbours that are looked for; a query that is a row finds itself too. */
const SOUGHT = NEIGHBOURS + MOST_COPIES

/** Finds the k nearest rows of each query among all rows of an index, as one scan of them all does. */
export type NeighbourScan = (queries: readonly Float32Array[], k: number) => Promise<Neighbours[]>

/** Queries of a calibration, and how their neighbours are found. */
interface NeighboursPlan {
  readonly queries: readonly CalibrationQuery[]
  readonly scan: NeighbourScan
}

/** Finds up to 150 neighbours of each query, without the query itself. */
export async function findNeighbours({ queries, scan }: NeighboursPlan): Promise<Neighbours[]> {
  const found = await scan(
    queries.map(({ vector }) => vector),
    SOUGHT + 1
  )
  return found.map((of, i) => withoutOrdinal(of, queries[i].row))
}

/** An index whose rows are scanned in steps, and who is told how many queries are done, as far as that can be said. */
interface StepsPlan {
  readonly run: StepRunner
  readonly index: Pick<Snapshot, 'segments' | 'meta'>
  /** Steps that are done side by side. */
  readonly threads: number
  readonly onQueries: (done: number, total: number) => void
}

/** Scans all rows in steps: each of them is about some of the queries and a range of the rows. */
export function scanInSteps({ run, index, threads, onQueries }: StepsPlan): NeighbourScan {
  const { segments, meta } = index
  return async (queries, k) => {
    const passes = chunks(queries, QUERIES_PER_SCAN)
    const { dim } = meta
    const rangeBytes = chooseRangeBytes(segments, { dim, passes: passes.length, threads })
    // All passes over a range follow each other: so its rows are read from the disk once.
    const rowCounts = rowCountsOf(segments)
    const steps = cutSegments(rowCounts, { dim, rangeBytes }).flatMap((range) =>
      passes.map((vectors): ScanStep => ({ kind: 'scan', vectors, k, range }))
    )
    const found: Neighbours[][] = passes.map(() => [])
    let scanned = 0
    onQueries(0, queries.length)
    await run(steps, ({ neighbours = [] }, step) => {
      const pass = step % passes.length
      found[pass] = found[pass].length === 0 ? [...neighbours] : mergeNeighbours([found[pass], neighbours], k)
      scanned += neighbours.length * rowsIn(rowCounts, steps[step].range)
      onQueries(Math.floor(queries.length * (scanned / (queries.length * segments.totals.rows))), queries.length)
    })
    return found.flat()
  }
}

function rowsIn(rowCounts: Float64Array, { first, end }: SegmentRange): number {
  return rowCounts.subarray(first, end).reduce((sum, count) => sum + count, 0)
}

/** Cuts a list into as few chunks as there must be, of about the same size. */
export function chunks<T>(items: readonly T[], most: number): T[][] {
  const count = Math.ceil(items.length / most)
  const start = (chunk: number): number => Math.floor((chunk * items.length) / count)
  return Array.from({ length: count }, (_, chunk) => items.slice(start(chunk), start(chunk + 1)))
}

function withoutOrdinal({ ordinals, distances }: Neighbours, ordinal: number | undefined): Neighbours {
  const at = ordinal === undefined ? -1 : ordinals.indexOf(ordinal)
  if (at !== -1) {
    ordinals.copyWithin(at, at + 1)
    distances.copyWithin(at, at + 1)
  }
  const count = Math.min(SOUGHT, ordinals.length - (at === -1 ? 0 : 1))
  return { ordinals: ordinals.subarray(0, count), distances: distances.subarray(0, count) }
}
