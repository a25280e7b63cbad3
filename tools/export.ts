// zgq export INDEX FILE: the rows of an index as a file that other programs read, and `zgq build` too.

import { extname } from 'node:path'
import { setImmediate } from 'node:timers/promises'

import { countOf } from '../src/describe.ts'
import { ZgqIndex, type DocumentsOptions, type Filter, type Id, type IndexInfo } from '../src/index.ts'
import { flag, jsonFilter, nameList, text, UsageError, type Given } from './arguments.ts'
import { FILTER_OPTION, INDEX, JSON_OPTION, type Command, type CommandArguments } from './command.ts'
import { lineOf } from './export-lines.ts'
import { exportVectors, type VectorFormat } from './export-vectors.ts'
import { interruptible } from './interrupt.ts'
import { NewFile } from './new-file.ts'
import { formatBytes, print, printJson, shellWord } from './output.ts'
import { ProgressLine } from './progress.ts'

const FORMATS = ['.jsonl', '.npy', '.fvecs']
/** Rows between two looks at signals and progress. */
const ROWS_PER_TURN = 256
const DEFAULT_BITS = 4

export const EXPORT: Command = {
  name: 'export',
  summary: 'write the rows of an index to a file, with ids and payloads as JSON lines',
  positionals: [
    INDEX,
    { name: 'FILE', about: 'the file to create: .jsonl (ids, vectors, payloads), .npy or .fvecs (vectors alone)' }
  ],
  options: {
    filter: FILTER_OPTION,
    payload: { value: 'NAME,...', about: 'for .jsonl: keys of payloads to write, or none (default all)' },
    column: { value: 'NAME', about: 'for .jsonl: the key of vectors (default vector)' },
    'id-column': { value: 'NAME', about: 'for .jsonl: the key of ids (default id)' },
    ids: { value: 'FILE', about: 'for .npy and .fvecs: write the ids to FILE, one id per line' },
    force: { about: 'replace files that exist' },
    json: JSON_OPTION
  },
  notes:
    '.npy and .fvecs with integer ids have the rows in the order of their ids, all others in that of the index.\n' +
    '.jsonl has the keys of a payload beside id and vector. It cannot hold bytes or infinite numbers.',
  examples: [
    'zgq export notes.zgq rows.jsonl',
    `zgq export notes.zgq drafts.jsonl --filter '{"draft": true}'`,
    'zgq export docs.zgq vectors.npy --ids ids.txt'
  ],
  run: runExport
}

interface Job {
  readonly index: ZgqIndex<Id>
  readonly info: IndexInfo
  readonly given: Given
  readonly filter: Filter | undefined
  /** To be written. */
  readonly rows: number
  readonly file: NewFile
  readonly ids: NewFile | undefined
  readonly onRow: () => void | Promise<void>
}

async function runExport({ positionals: [path, target], given }: CommandArguments): Promise<void> {
  const format = extname(target).toLowerCase()
  checkOptions(target, given)
  const filter = jsonFilter(given, 'filter')
  const index = ZgqIndex.open<Id>(path)
  const progress = new ProgressLine()
  const files: NewFile[] = []
  try {
    const info = index.info()
    const rows = index.count(filter)
    const create = (name: string): NewFile => {
      const file = NewFile.create(name, { force: flag(given, 'force'), index: info.path })
      files.push(file)
      return file
    }
    const file = create(target)
    const idsPath = text(given, 'ids')
    const ids = idsPath === undefined ? undefined : create(idsPath)
    await interruptible(
      async (signal) => {
        let done = 0
        progress.show({ stage: 'export', done, total: rows })
        const onRow = (): void | Promise<void> => {
          done++
          if (done % ROWS_PER_TURN !== 0 && done < rows) return
          progress.show({ stage: 'export', done, total: rows })
          return setImmediate().then(() => {
            signal.throwIfAborted()
          })
        }
        const job: Job = { index, info, given, filter, rows, file, ids, onRow }
        await (format === '.jsonl' ? exportLines(job) : exportVectors({ ...job, format: vectorFormat(format) }))
        for (const whole of files.toReversed()) whole.publish()
      },
      () => {
        progress.end()
        return 'interrupted; nothing was written'
      }
    )
    progress.finish()
    report({ info, given, rows, file, ids })
  } finally {
    progress.end()
    for (const file of files) file.discard()
    index.close()
  }
}

function checkOptions(target: string, given: Given): void {
  const format = extname(target).toLowerCase()
  if (!FORMATS.includes(format))
    throw new UsageError(`FILE must end with ${FORMATS.join(', ')}, found ${format === '' ? 'no ending' : format}`)
  const others = format === '.jsonl' ? ['ids'] : ['payload', 'column', 'id-column']
  const unused = others.find((name) => given[name] !== undefined)
  if (unused !== undefined) throw new UsageError(`--${unused} is not for ${format} files`)
  if (given['ids'] === target) throw new UsageError('--ids must name another file than FILE')
  if (keysOf(given).id === keysOf(given).vector) throw new UsageError('--column and --id-column must differ')
}

function vectorFormat(format: string): VectorFormat {
  return format === '.npy' ? 'npy' : 'fvecs'
}

function keysOf(given: Given): { readonly id: string; readonly vector: string } {
  return { id: text(given, 'id-column') ?? 'id', vector: text(given, 'column') ?? 'vector' }
}

function payloadsOf(given: Given): DocumentsOptions['payload'] {
  const names = nameList(given, 'payload') ?? ['all']
  if (names.length > 1) return names
  return names[0] === 'all' ? true : names[0] === 'none' ? false : names
}

async function exportLines({ index, given, filter, file, onRow }: Job): Promise<void> {
  const keys = keysOf(given)
  for (const row of index.documents({ filter, payload: payloadsOf(given) })) {
    file.append(lineOf(row, keys))
    await onRow()
  }
}

function report({ info, given, rows, file, ids }: Pick<Job, 'info' | 'given' | 'rows' | 'file' | 'ids'>): void {
  const build = buildCommand({ info, given, file, ids })
  if (flag(given, 'json')) {
    const { path, byteLength: bytes } = file
    printJson({ path, rows, dim: info.dim, bytes, ...(ids === undefined ? {} : { ids: ids.path }), build })
    return
  }
  print(
    `wrote ${file.path}: ${countOf(rows, 'row')} of ${countOf(info.dim, 'dimension')}, ${formatBytes(file.byteLength)}`
  )
  if (ids !== undefined) print(`wrote ${ids.path}: ${countOf(rows, 'id')}`)
  if (build !== undefined) print(`an index again: ${build.map(shellWord).join(' ')}`)
}

/** The command that builds an index like this one from the file; undefined where its ids are lost. */
function buildCommand({ info, given, file, ids }: Pick<Job, 'info' | 'given' | 'file' | 'ids'>): string[] | undefined {
  const isLines = file.path.toLowerCase().endsWith('.jsonl')
  if (!isLines && (info.ids === 'string' || Object.keys(info.fields).length > 0)) return undefined
  const payloads = isLines ? payloadsOf(given) : false
  const fields = Object.entries(info.fields).filter(([name]) =>
    Array.isArray(payloads) ? payloads.includes(name) : payloads === true
  )
  const hasPayloads = payloads !== false && info.files.some(({ kind }) => kind === 'payload')
  const option = (name: string, value: string | undefined): string[] =>
    value === undefined ? [] : [`--${name}`, value]
  return [
    'zgq',
    'build',
    file.path,
    'INDEX',
    ...option('metric', info.metric),
    ...option('bits', info.bits === DEFAULT_BITS ? undefined : String(info.bits)),
    ...option('ids', ids?.path),
    ...option('column', text(given, 'column')),
    ...option('id-column', text(given, 'id-column')),
    ...option('fields', fields.length === 0 ? undefined : fields.map(([name, type]) => `${name}:${type}`).join(',')),
    ...option('payload', hasPayloads ? 'all' : undefined),
    ...option('model', info.model),
    ...option('note', info.note === undefined ? undefined : JSON.stringify(info.note))
  ]
}
