// zgq delete INDEX: removes rows, by ids or by a filter, in one transaction.

import { countOf } from '../src/describe.ts'
import type { Filter, Id, ZgqIndex } from '../src/index.ts'
import { flag, jsonFilter, text, textList, UsageError, type Given } from './arguments.ts'
import { INDEX, JSON_OPTION, NETWORK_OPTION, type Command, type CommandArguments } from './command.ts'
import { readId, readIdLines } from './id-lines.ts'
import { openForWriting } from './open-for-writing.ts'
import { print, printJson } from './output.ts'

export const DELETE: Command = {
  name: 'delete',
  summary: 'delete rows of an index, by ids or by a filter',
  positionals: [INDEX],
  options: {
    id: { value: 'ID', about: 'delete the row with this id; may be given more than once', isList: true },
    ids: {
      value: 'FILE',
      about:
        'delete the rows whose ids are in FILE, one id per line, as zgq export --ids writes them; - for standard input'
    },
    filter: { value: 'JSON', about: 'delete all rows that meet this filter on declared fields' },
    'allow-network-file-system': NETWORK_OPTION,
    json: JSON_OPTION
  },
  notes:
    'All rows are deleted in one transaction, or none. Unknown ids are no error: see the count that is printed.\n' +
    'Searches do not find deleted rows any more. docs/changing.md says when their bytes leave the files.',
  examples: ["zgq delete notes.zgq --id 'a.md#0' --id 'a.md#1'", `zgq delete notes.zgq --filter '{"path": "a.md"}'`],
  run: runDelete
}

async function runDelete({ positionals: [path], given }: CommandArguments): Promise<void> {
  const filter = jsonFilter(given, 'filter')
  expectOneChoice(given, filter)
  const index = openForWriting(path, given, null)
  try {
    const ids = filter === undefined ? readIds(index, given) : undefined
    const deleted = await index.delete(ids ?? { filter: filter ?? {} })
    const left = index.count()
    if (flag(given, 'json')) {
      printJson({ path, deleted, ...(ids === undefined ? {} : { ids: ids.length }), count: left })
      return
    }
    const asked = ids === undefined ? '' : ` for ${countOf(ids.length, 'id')}`
    print(`deleted ${countOf(deleted, 'row')}${asked}; ${path} has ${countOf(left, 'row')}`)
  } finally {
    index.close()
  }
}

function expectOneChoice(given: Given, filter: Filter | undefined): void {
  const ways = ['id', 'ids', 'filter'].filter((name) => given[name] !== undefined).map((name) => `--${name}`)
  if (ways.length === 0) throw new UsageError('expected --id, --ids or --filter, found none of them')
  if (ways.length > 1) throw new UsageError(`give one of --id, --ids and --filter, found ${ways.join(' and ')}`)
  if (filter !== undefined && Object.keys(filter).length === 0)
    throw new UsageError('--filter is empty and would match every row; give a condition')
}

function readIds(index: ZgqIndex<Id>, given: Given): Id[] {
  const { ids: idType } = index.info()
  const file = text(given, 'ids')
  if (file !== undefined) return readIdLines(file, idType)
  return (textList(given, 'id') ?? []).map((word) => readId(word, idType))
}
