// zgq backup INDEX TO: a copy of an index as it is at one moment, while others write to it.

import { countOf } from '../src/describe.ts'
import { ZgqIndex, type Id } from '../src/index.ts'
import { flag } from './arguments.ts'
import { INDEX, JSON_OPTION, type Command, type CommandArguments } from './command.ts'
import { interruptible } from './interrupt.ts'
import { formatBytes, print, printJson } from './output.ts'
import { ProgressLine } from './progress.ts'

export const BACKUP: Command = {
  name: 'backup',
  summary: 'copy an index as it is now, while others may write to it',
  positionals: [INDEX, { name: 'TO', about: 'the folder to create' }],
  options: { json: JSON_OPTION },
  notes:
    'The copy is made whole or not at all. It is an index like any other: open it, search it, or move it into place.',
  examples: ['zgq backup notes.zgq notes-copy.zgq'],
  run: runBackup
}

async function runBackup({ positionals: [path, to], given }: CommandArguments): Promise<void> {
  const progress = new ProgressLine()
  const index = ZgqIndex.open<Id>(path)
  try {
    await interruptible(
      async (signal) => {
        progress.show({ stage: 'backup', done: 0, total: 0 })
        await index.backup(to, {
          signal,
          onProgress: ({ bytes, totalBytes }) => {
            progress.show({ stage: 'backup', done: bytes, total: totalBytes })
          }
        })
      },
      () => {
        progress.end()
        return 'interrupted; nothing was left behind'
      }
    )
    progress.finish()
  } finally {
    progress.end()
    index.close()
  }
  const copy = ZgqIndex.open<Id>(to)
  try {
    const { count, bytes } = copy.info()
    if (flag(given, 'json')) printJson({ path, to, count, bytes })
    else print(`copied ${path} to ${to}: ${countOf(count, 'row')}, ${formatBytes(bytes)}`)
  } finally {
    copy.close()
  }
}
