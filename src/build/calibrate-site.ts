// Calibrates the index that was just built, in its working folder, with the crew that built it.

import { readCatalogue } from '../catalogue/reader.ts'
import type { Calibration } from '../types.ts'
import { calibrate } from './calibrate.ts'
import { readQueries } from './calibration-queries.ts'
import { runInOrder, type Crew } from './crew.ts'
import type { Site } from './site.ts'

/** Keeps the choice of rows apart from the random numbers of the stages before. */
const CALIBRATION_SEED = 0xca11

/** What to calibrate with: the user's queries, or rows. */
export interface SiteCalibration {
  readonly queries: string | Float32Array | undefined
  readonly onQueries: (done: number, total: number) => void
}

export async function calibrateSite(site: Site, crew: Crew, plan: SiteCalibration): Promise<Calibration> {
  const { dim, seed } = site.recipe
  return calibrate(
    readCatalogue(site.path),
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
    { given: readQueries(plan.queries, dim), seed: seed + CALIBRATION_SEED, onQueries: plan.onQueries }
  )
}
