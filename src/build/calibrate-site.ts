// Calibrates the index that was just built, in its working folder, with the crew that built it.

import type { Snapshot } from '../catalogue/snapshot.ts'
import type { Calibration } from '../types.ts'
import { calibrate } from './calibrate.ts'
import type { NeighbourScan } from './calibration-neighbours.ts'
import { runInOrder, type Crew } from './crew.ts'

/** Keeps the choice of rows apart from the random numbers of the stages before. */
const CALIBRATION_SEED = 0xca11

export interface SiteCalibration {
  /** The user's; undefined: rows of the index. */
  readonly queries: Float32Array | undefined
  /** Of the build. */
  readonly seed: number
  /** Finds the neighbours of the queries elsewhere; undefined: the crew does. */
  readonly scan?: NeighbourScan | undefined
  readonly onQueries: (done: number, total: number) => void
}

export async function calibrateSite(snapshot: Snapshot, crew: Crew, plan: SiteCalibration): Promise<Calibration> {
  return calibrate(
    snapshot,
    (steps, onAnswer) =>
      runInOrder(
        crew,
        steps.map((step) => ({ kind: 'calibrate', step })),
        {
          done: () => undefined,
          answer({ calibration }, step) {
            if (calibration !== undefined) onAnswer(calibration, step)
          }
        }
      ),
    {
      given: plan.queries,
      seed: plan.seed + CALIBRATION_SEED,
      threads: crew.size,
      ...(plan.scan === undefined ? {} : { scan: plan.scan }),
      onQueries: plan.onQueries
    }
  )
}
