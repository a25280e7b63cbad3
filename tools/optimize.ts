// zgq optimize INDEX: folds what was written to an index into its zones.

import { countOf } from '../src/describe.ts'
import { byteSize, declareOptions, flag, libraryOptions } from './arguments.ts'
import { INDEX, JSON_OPTION, NETWORK_OPTION, type Command, type CommandArguments } from './command.ts'
import { interruptible } from './interrupt.ts'
import { openForWriting } from './open-for-writing.ts'
import { formatBytes, print, printJson } from './output.ts'
import { ProgressLine } from './progress.ts'

const OPTIONS = declareOptions({
  all: {
    about: 'rewrite every zone that has a deleted or updated row, so that all their bytes leave the disk',
    read: flag
  },
  memory: {
    value: 'SIZE',
    about: 'memory to use, about, such as 1GB (default 256MB, at least 1MB)',
    library: 'memoryBytes',
    isSize: true,
    read: byteSize
  }
})

export const OPTIMIZE: Command = {
  name: 'optimize',
  summary: 'fold added and deleted rows into the zones of an index',
  positionals: [INDEX],
  options: {
    ...OPTIONS,
    'allow-network-file-system': NETWORK_OPTION,
    json: JSON_OPTION
  },
  notes:
    'Others may read and write the index meanwhile. What is done by the time of an interrupt stays done.\n' +
    'An index that is open for writing does this by itself (docs/changing.md).',
  examples: ['zgq optimize notes.zgq', 'zgq optimize notes.zgq --all'],
  run: runOptimize
}

async function runOptimize({ positionals: [path], given }: CommandArguments): Promise<void> {
  const progress = new ProgressLine()
  const index = openForWriting(path, given, null)
  try {
    const done = await interruptible(
      (signal) =>
        index.optimize({
          signal,
          ...libraryOptions(OPTIONS, given),
          onProgress: (state) => {
            progress.show(state)
          }
        }),
      () => {
        progress.end()
        return 'interrupted; what was folded by then stays'
      }
    )
    progress.finish()
    const { bytes } = index.info()
    if (flag(given, 'json')) printJson({ path, ...done, bytes })
    else if (done.steps === 0) print(`${path}: nothing to fold`)
    else
      print(
        `folded ${countOf(done.rows, 'row')} into ${countOf(done.zones, 'zone')}: ` +
          `${formatBytes(done.bytesWritten)} written, ${path} has ${formatBytes(bytes)}`
      )
  } finally {
    progress.end()
    index.close()
  }
}
