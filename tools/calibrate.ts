// zgq calibrate INDEX [QUERIES]: measures anew how far searches must probe for a recall.

import { calibrateIndex } from '../src/build.ts'
import { readArguments, UsageError, wholeNumber } from './arguments.ts'
import { describeCalibration } from './inspect.ts'
import { print, printJson } from './output.ts'
import { ProgressLine } from './progress.ts'

export const CALIBRATE_USAGE = 'zgq calibrate INDEX [QUERIES] [--seed N] [--json]'

export async function runCalibrate(args: readonly string[]): Promise<void> {
  const {
    positionals: [path, queries],
    given
  } = readArguments(args, ['INDEX', '[QUERIES]'], { seed: { type: 'string' }, json: { type: 'boolean' } })
  if (queries !== undefined && given['seed'] !== undefined)
    throw new UsageError('--seed chooses rows of the index; with QUERIES there is nothing to choose')
  const progress = new ProgressLine()
  try {
    const calibration = await calibrateIndex(path, {
      queries,
      seed: wholeNumber(given, 'seed'),
      onProgress: (state) => {
        progress.show({ stage: 'calibrate', ...state })
      }
    })
    progress.finish()
    if (given['json'] === true) printJson({ path, calibration })
    else print(describeCalibration(calibration))
  } finally {
    progress.end()
  }
}
