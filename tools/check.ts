// zgq check INDEX: verifies every byte that can change an answer.

import { checkIndex } from '../src/check.ts'
import { countOf, formatCount } from '../src/describe.ts'
import { INDEX, JSON_OPTION, type Command, type CommandArguments } from './command.ts'
import { formatBytes, print, printJson } from './output.ts'
import { ProgressLine } from './progress.ts'

export const CHECK: Command = {
  name: 'check',
  summary: 'verify every byte of an index that can change an answer',
  positionals: [INDEX],
  options: { json: JSON_OPTION },
  examples: ['zgq check docs.zgq'],
  run: runCheck
}

async function runCheck({ positionals: [path], given }: CommandArguments): Promise<void> {
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
    const deleted = report.deletedRows === 0 ? '' : ` (${formatCount(report.deletedRows)} more are deleted)`
    print(
      `${path} is sound: ${countOf(report.count, 'live row')}${deleted}, ${countOf(report.zones, 'zone')}, ` +
        `${formatBytes(report.bytesChecked)} in ` +
        `${countOf(report.files + 1, report.digest === null ? 'file' : 'part')}, ` +
        countOf(report.pagesChecked, 'page') +
        (report.digest === null ? '' : `, digest ${report.digest}`)
    )
    for (const note of report.notes) print(`note: ${note}`)
  } finally {
    progress.end()
  }
}
