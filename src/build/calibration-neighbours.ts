// The neighbours of a calibration's queries among all rows, nearest first. They are what everything else is held
// against, so all rows are scanned.

import { QUERIES_PER_SCAN } from './calibration-scan.ts'
import { NEIGHBOURS, type Neighbours } from './calibration-lists.ts'
import type { CalibrationQuery } from './calibration-queries.ts'
import type { CalibrationStep, StepRunner } from './calibration-steps.ts'

/** Near copies of a query that may be left out, so that as many neighbours as are wanted remain. */
const MOST_COPIES = 50
/** Neighbours that are looked for; a query that is a row finds itself too. */
const SOUGHT = NEIGHBOURS + MOST_COPIES

/** The queries of a calibration, and who is told how many of them are done. */
interface NeighboursPlan {
  readonly queries: readonly CalibrationQuery[]
  readonly onQueries: (done: number, total: number) => void
}

/** Finds up to 150 neighbours of each query, without the query itself. */
export async function findNeighbours(run: StepRunner, { queries, onQueries }: NeighboursPlan): Promise<Neighbours[]> {
  onQueries(0, queries.length)
  const found: Neighbours[] = []
  const steps = chunks(queries, QUERIES_PER_SCAN).map((some): CalibrationStep => ({
    kind: 'scan',
    vectors: some.map(({ vector }) => vector),
    k: SOUGHT + 1
  }))
  await run(steps, ({ neighbours = [] }) => {
    for (const of of neighbours) found.push(withoutOrdinal(of, queries[found.length].row))
    onQueries(found.length, queries.length)
  })
  return found
}

/** Cuts a list into as few chunks as there must be, of about the same size. */
function chunks<T>(items: readonly T[], most: number): T[][] {
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
