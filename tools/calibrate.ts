// zgq calibrate INDEX [QUERIES]: measures again how many zones a recall needs.

import { calibrateIndex } from '../src/build.ts'
import { UsageError, wholeNumber } from './arguments.ts'
import { INDEX, QUERY_OPTIONS, VECTOR_FILES, type Command, type CommandArguments } from './command.ts'
import { describeCalibration } from './inspect.ts'
import { interruptible } from './interrupt.ts'
import { print, printJson } from './output.ts'
import { ProgressLine } from './progress.ts'
import { queriesFor } from './queries.ts'

export const CALIBRATE: Command = {
  name: 'calibrate',
  summary: 'measure again how many zones a recall needs, with your own queries if you like',
  positionals: [
    INDEX,
    {
      name: 'QUERIES',
      about: `a few hundred queries like those you will search for (default: rows of the index): ${VECTOR_FILES}`,
      isOptional: true
    }
  ],
  options: {
    seed: { value: 'N', about: 'seed that chooses the rows of the index (default 1); not with QUERIES' },
    ...QUERY_OPTIONS
  },
  examples: ['zgq calibrate docs.zgq my-queries.fbin'],
  run: runCalibrate
}

async function runCalibrate({ positionals: [path, queries], given }: CommandArguments): Promise<void> {
  if (queries !== undefined && given['seed'] !== undefined)
    throw new UsageError('--seed chooses rows of the index: leave it out, or leave out QUERIES')
  const progress = new ProgressLine()
  try {
    const calibration = await interruptible(
      async (signal) =>
        calibrateIndex(path, {
          queries: await queriesFor(queries, given, signal),
          seed: wholeNumber(given, 'seed'),
          signal,
          onProgress: (state) => {
            progress.show({ stage: 'calibrate', ...state })
          }
        }),
      () => {
        progress.end()
        return 'interrupted; the index keeps the calibration that it had'
      }
    )
    progress.finish()
    if (given['json'] === true) printJson({ path, calibration })
    else print(describeCalibration(calibration))
  } finally {
    progress.end()
  }
}
