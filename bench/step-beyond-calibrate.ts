// Calibrates a large index anew: by rows of its own, or by queries.

import { stepInput, stepResult } from './child.ts'
import { loadZgqBuild } from './packages.ts'

export interface BeyondCalibrateInput {
  readonly index: string
  readonly queries: string | undefined
}

const { index, queries } = stepInput<BeyondCalibrateInput>()
const { calibrateIndex } = await loadZgqBuild()
const { highestRecall } = await calibrateIndex(index, { queries })
stepResult({ highestRecall })
