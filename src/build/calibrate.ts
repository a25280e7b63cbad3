// Calibration: how far must a search probe, so that it reaches a recall? Queries are held against all rows once, and
// what that shows becomes curves; then it is measured what codes lose of it. The work is cut into steps that threads
// can share; every step depends on the index and the queries alone, so that a calibration does not depend on memory or
// threads.

import type { Snapshot } from '../catalogue/snapshot.ts'
import type { Calibration } from '../types.ts'
import { withTrust, type Drawn } from './calibration-curves.ts'
import type { Losses } from './calibration-losses.ts'
import { findNeighbours, scanInSteps, type NeighbourScan } from './calibration-neighbours.ts'
import type { CalibrationQuery } from './calibration-queries.ts'
import type { StepRunner } from './calibration-steps.ts'

export interface CalibrationPlan {
  /** Vectors of queries, n * dim; undefined: rows of the index. */
  readonly given: Float32Array | undefined
  readonly seed: number
  /** Steps that are done side by side; 1 by default. What comes out is the same. */
  readonly threads?: number
  /** Takes the place of the steps that scan all rows. */
  readonly scan?: NeighbourScan
  /** Called as the work goes on; may throw to stop. */
  readonly onQueries: (done: number, total: number) => void
}

/** Measures a calibration of an index. */
export async function calibrate(snapshot: Snapshot, run: StepRunner, plan: CalibrationPlan): Promise<Calibration> {
  const { given, seed, threads = 1, onQueries } = plan
  const queries: CalibrationQuery[] = []
  await run([{ kind: 'queries', given, seed }], (answer) => {
    queries.push(...(answer.queries ?? []))
  })
  const { scan = scanInSteps({ run, index: snapshot, threads, onQueries }) } = plan
  const neighbours = await findNeighbours({ queries, scan })
  const source = given === undefined ? 'base' : 'queries'
  const drawings: Drawn[] = []
  await run([{ kind: 'curves', measured: { queries, neighbours, source } }], ({ drawn }) => {
    if (drawn !== undefined) drawings.push(drawn)
  })
  const [{ calibration, lossQueries }] = drawings
  const { curves, scale } = calibration
  const losses = curves.map((): Losses => [])
  await run(
    curves.map(({ k, points }) => {
      // the farthest that is searched: where fewer zones are, less is lost
      const { recall, threshold, zones } = points[points.length - 1]
      return { kind: 'losses', queries: lossQueries, k, probe: { recall, threshold, zones, scale } }
    }),
    (answer, step) => {
      losses[step] = answer.losses ?? []
    }
  )
  let alignment: number | undefined
  await run([{ kind: 'alignment', queries }], (answer) => {
    alignment = answer.alignment
  })
  const trusted = withTrust(calibration, losses)
  let gain: number | undefined
  if (alignment !== undefined)
    await run([{ kind: 'gain', queries: lossQueries, calibration: trusted, alignment }], (answer) => {
      gain = answer.gain
    })
  onQueries(queries.length, queries.length)
  return { ...trusted, alignment, gain }
}
