// zgq check INDEX: verifies every byte that can change an answer.

import { checkIndex } from '../src/check.ts'
import { readArguments } from './arguments.ts'
import { formatBytes, formatCount, print, printJson } from './output.ts'
import { ProgressLine } from './progress.ts'

export const CHECK_USAGE = 'zgq check INDEX [--json]'

export async function runCheck(args: readonly string[]): Promise<void> {
  const {
    positionals: [path],
    given
  } = readArguments(args, ['INDEX'], { json: { type: 'boolean' } })
  const progress = new ProgressLine()
  try {
    const report = await checkIndex(path, {
      onProgress: (state) => {
        progress.show({ stage: 'check', ...state })
      }
    })
    progress.finish()
    if (given['json'] === true) {
      printJson(report)
      return
    }
    print(
      `${path} is sound: ${formatCount(report.count)} vectors in ${formatCount(report.zones)} zones, ` +
        `${formatBytes(report.bytesChecked)} in ${report.files + 1} files, ${formatCount(report.pagesChecked)} ` +
        'pages'
    )
    for (const note of report.notes) print(`note: ${note}`)
  } finally {
    progress.end()
  }
}
