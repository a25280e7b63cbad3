// zgq add INDEX INPUT: rows of a file into an index, in batches, each a transaction.

import { countOf, formatCount } from '../src/describe.ts'
import { openVectorFile, readRows } from '../src/build.ts'
import { ZgqError, type Filter, type Id, type Payload, type RowsToWrite, type ZgqIndex } from '../src/index.ts'
import { flag, jsonFilter, nameList, text, UsageError, wholeNumber, type Given } from './arguments.ts'
import {
  FORMAT_OPTION,
  IDS_COLUMN,
  INDEX,
  JSON_OPTION,
  NETWORK_OPTION,
  VECTOR_FILES,
  VECTORS_COLUMN,
  type Command,
  type CommandArguments
} from './command.ts'
import { readIdLines } from './id-lines.ts'
import { interruptible } from './interrupt.ts'
import { openForWriting } from './open-for-writing.ts'
import { formatDuration, print, printJson } from './output.ts'
import { ProgressLine } from './progress.ts'
import { isRowFile } from './queries.ts'
import { fileOf } from './standard-input.ts'

/** Rows that --replace puts into one transaction are held in memory. */
const MOST_REPLACING_BYTES = 256 * 2 ** 20

export const ADD: Command = {
  name: 'add',
  summary: 'add the rows of a file to an index, or replace rows with the same ids',
  positionals: [
    INDEX,
    { name: 'INPUT', about: `a file: ${VECTOR_FILES}; or a SQLite database (see --query)`, library: 'input' }
  ],
  options: {
    upsert: { about: 'replace rows that have the same ids; without this option an id that exists is an error' },
    replace: {
      value: 'JSON',
      about: 'with --upsert: also remove the rows that meet this filter, in the same transaction'
    },
    ids: {
      value: 'FILE',
      about: 'for files without ids: a file of ids, text of one id per line or .npy of integers'
    },
    'first-id': { value: 'N', about: 'for files without ids: number the rows from N on', library: 'firstId' },
    column: { value: 'NAME', about: VECTORS_COLUMN },
    'id-column': { value: 'NAME', about: IDS_COLUMN, library: 'idColumn' },
    query: {
      value: 'SELECT',
      about: 'for a SQLite database: a SELECT of ids, float32 vectors and columns for the fields and --payload'
    },
    payload: {
      value: 'NAME,...',
      about: 'further columns or keys to keep with each vector, or all (default: the fields of the index alone)'
    },
    model: { value: 'NAME', about: 'the model that made the vectors; required if the index names one' },
    format: FORMAT_OPTION,
    'allow-network-file-system': NETWORK_OPTION,
    json: JSON_OPTION
  },
  notes:
    'Rows are written in batches of some thousands. Each batch is on disk before the next begins. If the command\n' +
    'fails or is stopped, the batches before stay. Repeat it with --upsert to add the rest.',
  examples: [
    'zgq add docs.zgq more.fbin --first-id 100000',
    'zgq add notes.zgq notes.jsonl --upsert --payload body',
    `zgq add notes.zgq a.jsonl --upsert --replace '{"path": "a.md"}'`
  ],
  run: runAdd
}

/** What was written so far. */
interface Done {
  rows: number
  removed: number
}

async function runAdd({ positionals: [path, source], given }: CommandArguments): Promise<void> {
  const replace = jsonFilter(given, 'replace')
  if (replace !== undefined && !flag(given, 'upsert')) throw new UsageError('--replace needs --upsert')
  if (replace !== undefined && Object.keys(replace).length === 0)
    throw new UsageError('--replace is empty and would remove every row; give a condition')
  const startedAt = performance.now()
  const progress = new ProgressLine()
  const done: Done = { rows: 0, removed: 0 }
  const index = openForWriting(path, given, text(given, 'model'))
  try {
    await interruptible(
      (signal) => addFile(index, { source, given, replace, signal, done, progress }),
      () => {
        progress.end()
        return done.rows === 0
          ? 'interrupted; nothing was added'
          : `interrupted; ${addedWords(done.rows)} and stay; repeat with --upsert to add the rest`
      }
    )
    progress.finish()
    const elapsedMs = Math.round(performance.now() - startedAt)
    const count = index.count()
    if (flag(given, 'json')) printJson({ path, ...done, count, elapsedMs })
    else {
      const replaced = done.removed === 0 ? '' : `, removed ${countOf(done.removed, 'row')}`
      print(
        `wrote ${countOf(done.rows, 'row')}${replaced} in ${formatDuration(elapsedMs)}; ` +
          `${path} has ${countOf(count, 'row')}`
      )
    }
  } finally {
    progress.end()
    index.close()
  }
}

interface Work {
  readonly source: string
  readonly given: Given
  readonly replace: Filter | undefined
  readonly signal: AbortSignal
  readonly done: Done
  readonly progress: ProgressLine
}

async function addFile(index: ZgqIndex<Id>, { source, given, replace, signal, done, progress }: Work): Promise<void> {
  const file = await fileOf(source, given, { signal })
  try {
    const total = countRows(file.path, given)
    const batches = readRows<Id>(file.path, { ...readOptions(index, given), signal })
    for await (const rows of replace === undefined ? batches : allAtOnce(batches, file.path)) {
      expectDim(rows, index.info().dim, file.path)
      progress.show({ stage: 'add', done: done.rows, total })
      try {
        const written = flag(given, 'upsert') ? await index.upsert(rows, { replace }) : await index.add(rows)
        done.rows += written.rows
        done.removed += written.removed
      } catch (error) {
        throw ofFile(error, done.rows, file.path)
      }
      progress.show({ stage: 'add', done: done.rows, total })
      signal.throwIfAborted()
    }
  } finally {
    file.release()
  }
}

function readOptions(index: ZgqIndex<Id>, given: Given): Parameters<typeof readRows>[1] {
  const { ids: idType, fields } = index.info()
  const ids = text(given, 'ids')
  return {
    column: text(given, 'column'),
    idColumn: text(given, 'id-column'),
    query: text(given, 'query'),
    ids: ids === undefined || idType === 'integer' ? ids : readIdLines(ids, idType).map(String),
    firstId: wholeNumber(given, 'first-id'),
    fields,
    payload: text(given, 'payload') === 'all' ? 'all' : nameList(given, 'payload')
  }
}

/** 0 where it is not known before the end. */
function countRows(path: string, given: Given): number {
  if (!isRowFile(path, given)) return 0
  const file = openVectorFile(path)
  const { count } = file
  file.close()
  return count
}

/** Joins all batches, so that they are written in one transaction. */
async function* allAtOnce(batches: AsyncIterable<RowsToWrite<Id>>, path: string): AsyncGenerator<RowsToWrite<Id>> {
  const ids: Id[] = []
  const payloads: (Payload | undefined)[] = []
  const parts: Float32Array[] = []
  let length = 0
  for await (const batch of batches) {
    const vectors = Float32Array.from(batch.vectors)
    length += vectors.length
    if (length * 4 > MOST_REPLACING_BYTES)
      throw new ZgqError(
        'ZGQ_UNSUPPORTED',
        `--replace writes all rows in one transaction, which takes files of up to 256 MB of vectors; this one has ` +
          `more: ` +
          'delete first with zgq delete --filter, then add without --replace',
        { path }
      )
    for (const id of batch.ids) ids.push(id)
    for (const [i] of batch.ids.entries()) payloads.push(batch.payloads?.[i])
    parts.push(vectors)
  }
  const vectors = new Float32Array(length)
  let at = 0
  for (const part of parts) {
    vectors.set(part, at)
    at += part.length
  }
  yield { ids, vectors, payloads }
}

function expectDim({ ids, vectors }: RowsToWrite<Id>, expected: number, path: string): void {
  const dim = vectors.length / ids.length
  if (dim === expected) return
  throw new ZgqError(
    'ZGQ_DIMENSION',
    `the vectors have ${countOf(dim, 'dimension')}, the index has ${formatCount(expected)}`,
    { path }
  )
}

function addedWords(rows: number): string {
  return rows === 1 ? '1 row was added' : `${countOf(rows, 'row')} were added`
}

/** Says of an error in a batch which row of the file it means, and what was written before. What is wrong with a row of
 * a file is no wrong usage of the command. */
function ofFile(error: unknown, rowsBefore: number, path: string): unknown {
  const isOfRow = error instanceof TypeError || error instanceof RangeError
  if (!(error instanceof ZgqError) && !isOfRow) return error
  const row = (number: string): string => String(Number(number) + rowsBefore)
  const message = error.message
    .replace(/^row (\d+)/, (_, number: string) => `row ${row(number)}`)
    .replace(/in rows (\d+) and (\d+) of the call$/, (_, a: string, b: string) => `in rows ${row(a)} and ${row(b)}`)
    .replace(/; upsert replaces its row\. Nothing of this call was added$/, '; --upsert replaces its row')
  const before = rowsBefore === 0 ? 'nothing was added' : `${addedWords(rowsBefore)} before and stay`
  return new ZgqError(isOfRow ? 'ZGQ_BUILD_INPUT' : error.code, `${message}; ${before}`, { path, cause: error })
}
