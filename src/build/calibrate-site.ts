// Calibrates the index that was just built, in its working folder.

import { openContext } from '../search/open-context.ts'
import { readCatalogue } from '../storage/catalogue-reader.ts'
import type { Calibration } from '../types.ts'
import { calibrate } from './calibrate.ts'
import { readQueries, sampleQueries } from './calibration-queries.ts'
import type { Crew } from './crew.ts'
import { seededRandom } from './random.ts'
import type { Site } from './site.ts'

const CALIBRATION_SEED = 0xca11
const CALIBRATION_SHARE = 0.5

export async function calibrateSite(site: Site, _crew: Crew, plan: { queries: string | Float32Array | undefined; onQueries: (done: number, total: number) => Promise<void> }): Promise<Calibration> {
  const snapshot = readCatalogue(site.path)
  const { readers, context: opened } = openContext(snapshot, { mapping: 'pread', cacheBytes: Math.floor(site.recipe.memoryBytes * CALIBRATION_SHARE), verify: 'none' })
  try {
    const queries = plan.queries === undefined ? sampleQueries(opened, snapshot, seededRandom(site.recipe.seed + CALIBRATION_SEED)) : readQueries(plan.queries, snapshot.meta)
    return await calibrate(opened, snapshot, { queries, source: plan.queries === undefined ? 'base' : 'queries', onQueries: plan.onQueries })
  } finally {
    readers.close()
  }
}
