// zgq pack INDEX OUT: an index as one file, or as a folder of files, for any web server.

import { countOf } from '../src/describe.ts'
import { packIndex } from '../src/pack.ts'
import { flag } from './arguments.ts'
import { INDEX, JSON_OPTION, type Command, type CommandArguments } from './command.ts'
import { interruptible } from './interrupt.ts'
import { formatBytes, print, printJson } from './output.ts'
import { ProgressLine } from './progress.ts'

export const PACK: Command = {
  name: 'pack',
  summary: 'pack an index into one file, or a folder, that any web server can serve for searching',
  positionals: [INDEX, { name: 'OUT', about: 'the file to create; with --folder the folder to create or renew' }],
  options: {
    folder: { about: 'make a file for each part, for object stores: packing again writes only what is new' },
    force: { about: 'replace OUT where it is a file' },
    json: JSON_OPTION
  },
  notes:
    'INDEX stays as it is; where it was changed since it was built, a copy of it beside OUT is folded first.\n' +
    'The same index gives the same bytes. Serve OUT with ranges (zgq serve tries it) and open its address with\n' +
    'openRemote of zgq/remote; ZgqIndex.open and zgq search read the file from disk, too.',
  examples: ['zgq pack docs.zgq docs.zgqp', 'zgq pack docs.zgq docs-parts --folder'],
  run: runPack
}

async function runPack({ positionals: [index, output], given }: CommandArguments): Promise<void> {
  const progress = new ProgressLine()
  const layout = flag(given, 'folder') ? 'folder' : 'file'
  try {
    const report = await interruptible(
      (signal) =>
        packIndex({
          index,
          output,
          layout,
          force: flag(given, 'force'),
          signal,
          onProgress: (state) => {
            progress.show(state)
          }
        }),
      () => {
        progress.end()
        return layout === 'file' ? 'interrupted; nothing was left behind' : 'interrupted; readers see what was there'
      }
    )
    progress.finish()
    if (flag(given, 'json')) {
      printJson({ ...report, path: output })
      return
    }
    const { rows, bytes, bytesWritten, digest, manifest } = report
    const what = `${output} has ${countOf(rows, 'row')} in ${formatBytes(bytes)}`
    if (manifest === null) print(`${what}, digest ${digest}`)
    else if (bytesWritten === 0) print(`${what}; manifest ${manifest} says the same already: nothing was written`)
    else print(`${what}, ${formatBytes(bytesWritten)} of them written; manifest ${manifest}, digest ${digest}`)
  } finally {
    progress.end()
  }
}
