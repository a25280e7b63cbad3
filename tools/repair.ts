// zgq repair INDEX OUT: a new index of what is left of a damaged one, and what was lost.

import { repairIndex, type RepairReport } from '../src/check.ts'
import { countOf, formatCount } from '../src/describe.ts'
import { fieldList, flag, libraryOptions } from './arguments.ts'
import { INDEX, JSON_OPTION, type Command, type CommandArguments } from './command.ts'
import { interruptible } from './interrupt.ts'
import { inWordsOf } from './messages.ts'
import { print, printJson } from './output.ts'
import { ProgressLine } from './progress.ts'

const OPTIONS = {
  'accept-loss': {
    about: 'go on without a catalogue that cannot be read: rows, deletions and updates that it alone has are lost',
    library: 'acceptLoss',
    read: flag
  },
  fields: {
    value: 'NAME:TYPE,...',
    about:
      'with --accept-loss: declare fields anew, which were in the catalogue; types string, number, boolean, string[]',
    read: fieldList
  },
  json: JSON_OPTION
}

export const REPAIR: Command = {
  name: 'repair',
  summary: 'make a new index of what is left of a damaged one',
  positionals: [INDEX, { name: 'OUT', about: 'the folder to make', library: 'output' }],
  options: OPTIONS,
  notes:
    'INDEX stays as it is. OUT appears whole or not at all. What was lost is listed; the exit code is 0 all the same.',
  examples: [
    'zgq repair notes.zgq repaired.zgq',
    'zgq repair notes.zgq repaired.zgq --accept-loss --fields path:string'
  ],
  run: runRepair
}

async function runRepair({ positionals: [input, output], given }: CommandArguments): Promise<void> {
  const progress = new ProgressLine()
  const onProgress = (state: Parameters<ProgressLine['show']>[0]): void => {
    progress.show(state)
  }
  try {
    const report = await interruptible(
      (signal) => repairIndex({ input, output, ...libraryOptions(OPTIONS, given), onProgress, signal }),
      () => {
        progress.end()
        return 'interrupted; nothing was left behind'
      }
    )
    progress.finish()
    if (flag(given, 'json')) printJson(report)
    else for (const line of linesOf(report)) print(line)
  } finally {
    progress.end()
  }
}

/** What people read of a report. */
function linesOf({ path, rows, lost, damage, notes }: RepairReport): string[] {
  return [
    damage.length === 0 ? 'nothing is damaged' : `${countOf(damage.length, 'place')} damaged or missing:`,
    ...damage.map(({ file, offset, what }) => `  ${file}${offset === null ? '' : ` at byte ${offset}`}: ${what}`),
    ...linesOfLosses(lost),
    ...notes.map((note) => `note: ${inWordsOf(REPAIR, note)}`),
    `${path} has ${countOf(rows, 'row')}`
  ]
}

/** Segments, or ids, that one line names. */
const MOST_NAMED = 10

function linesOfLosses(lost: RepairReport['lost']): string[] {
  const { rows, ids, segments, payloads, freshRows } = lost
  const lines: string[] = []
  if (rows > 0) lines.push(`lost: ${countOf(rows, 'row')}`)
  for (const { segment, file, rows: ofSegment } of segments.slice(0, MOST_NAMED))
    lines.push(`  ${countOf(ofSegment, 'row')} of segment ${segment} in ${file}`)
  if (segments.length > MOST_NAMED) lines.push(`  and of ${countOf(segments.length - MOST_NAMED, 'more segment')}`)
  if (ids.length > 0) {
    const named = ids.slice(0, MOST_NAMED).map((id) => JSON.stringify(id))
    const more = rows > named.length ? `, and ${formatCount(rows - named.length)} more (--json lists up to 1,000)` : ''
    lines.push(`  ids: ${named.join(', ')}${more}`)
  }
  if (payloads > 0) lines.push(`lost: the ${payloads === 1 ? 'payload' : 'payloads'} of ${countOf(payloads, 'row')}`)
  if (freshRows === null)
    lines.push('lost: rows, deletions and updates that only the catalogue had (how many is not known)')
  return lines.length === 0 ? ['nothing was lost'] : lines
}
