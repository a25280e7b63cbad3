// Rows of a file, with ids and payloads, as batches that `add` and `upsert` take: any file that a build reads.

import { setImmediate } from 'node:timers/promises'

import { expectPath, isUrl } from '../arguments.ts'
import type { RowsToWrite } from '../change-types.ts'
import { countOf, describe } from '../describe.ts'
import { ZgqError } from '../errors.ts'
import { checkFields, type DeclaredField } from '../format/fields.ts'
import { ELEMENT_BYTES } from '../format/layout.ts'
import { checkOptionNames, expectWholeNumber } from '../options.ts'
import type { Fields, Id, Payload } from '../types.ts'
import { openBatchFile } from './batch-file.ts'
import { batchFormatOf, expectBatchOptions, hasColumns, type BatchFileOptions } from './batch-format.ts'
import { openIdFile } from './id-file.ts'
import type { PayloadColumns } from './payload-columns.ts'
import { expectVectorEnding } from './read-vectors.ts'
import type { VectorBatch } from './vector-batch.ts'
import { openVectorFile } from './vector-file.ts'

/** Rows and bytes of vectors of what is given out together. */
const MOST_ROWS = 8192
const MOST_BYTES = 16 * 2 ** 20
/** A reader ends a batch where its payloads have some MB, so that so many are not too much. */
const MOST_BATCHES = 8

/** Options of `readRows`. */
export interface ReadRowsOptions extends BatchFileOptions {
  /** Ids for a file without: a file (`.npy` of integers, or text of one integer a line), or an array. */
  readonly ids?: string | URL | readonly number[] | readonly string[] | undefined
  /** Rows of a file without ids are numbered from here on. */
  readonly firstId?: number | undefined
  /** Declared fields of the index, which are read into the payloads: `index.info().fields`. */
  readonly fields?: Fields | undefined
  /** Keys or columns that go into payloads besides the fields; `all`: all but the id and the vector. */
  readonly payload?: 'all' | readonly string[] | undefined
  readonly signal?: AbortSignal | undefined
}

const NAMES: readonly (keyof ReadRowsOptions)[] = [
  'column',
  'idColumn',
  'query',
  'ids',
  'firstId',
  'fields',
  'payload',
  'signal'
]

/** Batches as a file gives them, and their dimension. */
interface OpenRows {
  readonly dim: number
  /** Undefined where it is not known before the end. */
  readonly count?: number
  readonly batches: AsyncIterable<VectorBatch> | Iterable<VectorBatch>
  close(): void
}

/** Takes ids that do not stand in the file, as many as are asked for. */
interface GivenIds {
  take(count: number): readonly Id[]
  /** Throws ZGQ_BUILD_INPUT where there are more or fewer ids than rows. */
  expectAll(rows: number): void
  close(): void
}

/**
 * Reads the rows of any file that `buildIndex` takes as input, in batches of some thousands, for `add` and `upsert`:
 * `index.upsert(readRows('chunks.parquet'))`. Rejects as `buildIndex` does for its input; with ZGQ_BUILD_INPUT if the
 * file has no ids and neither `ids` nor `firstId` is given; with the reason of `signal`.
 */
export function readRows<I extends Id = number, P = Payload>(
  path: string | URL,
  options?: ReadRowsOptions
): AsyncGenerator<RowsToWrite<I, P>, void, undefined>
export function readRows(
  path: string | URL,
  options: ReadRowsOptions = {}
): AsyncGenerator<RowsToWrite<Id, object>, void, undefined> {
  checkOptionNames('readRows', options, NAMES)
  const file = expectPath('path', path)
  const { ids, firstId, query } = options
  expectBatchOptions({ ...options, input: file, ids })
  if (firstId !== undefined) expectWholeNumber('firstId', firstId, { least: 0 })
  if (ids !== undefined && firstId !== undefined) throw new TypeError('ids and firstId cannot be given together')
  if (ids !== undefined && !isUrl(ids) && typeof ids !== 'string' && !Array.isArray(ids))
    throw new TypeError(`ids must be a path, a file: URL or an array of integers or strings, found ${describe(ids)}`)
  const columns = payloadColumnsOf(options)
  if (options.payload !== undefined && !hasColumns(batchFormatOf(file, query)))
    throw new TypeError(
      `payload is for columns of .parquet, .jsonl and a SQLite database; the input is ${describe(file)}`
    )
  return readAll(file, options, columns)
}

function payloadColumnsOf({ fields = {}, payload }: ReadRowsOptions): PayloadColumns | undefined {
  const declared: readonly DeclaredField[] = checkFields(fields)
  if (payload !== undefined && payload !== 'all' && !Array.isArray(payload))
    throw new TypeError(`payload must be 'all' or an array of names, found ${describe(payload)}`)
  return declared.length === 0 && payload === undefined ? undefined : { fields: declared, others: payload ?? [] }
}

async function* readAll(
  path: string,
  options: ReadRowsOptions,
  columns: PayloadColumns | undefined
): AsyncGenerator<RowsToWrite<Id, object>, void, undefined> {
  const { signal } = options
  signal?.throwIfAborted()
  const rows = await openRows(path, options, columns)
  try {
    const ids = idsOf(options)
    try {
      if (rows.count !== undefined) ids?.expectAll(rows.count)
      let done = 0
      for await (const batch of joined(rows)) {
        // The readers of files never wait: others get their turn here.
        await setImmediate()
        signal?.throwIfAborted()
        const count = batch.vectors.length / rows.dim
        done += count
        yield { ids: batch.ids ?? takeIds(ids, count, path), vectors: batch.vectors, payloads: batch.payloads }
      }
      ids?.expectAll(done)
    } finally {
      ids?.close()
    }
  } finally {
    rows.close()
  }
}

function takeIds(ids: GivenIds | undefined, count: number, path: string): readonly Id[] {
  if (ids !== undefined) return ids.take(count)
  throw new ZgqError(
    'ZGQ_BUILD_INPUT',
    'the file has no ids: say where they are with the option ids or the option idColumn, or number the rows with ' +
      'the option firstId',
    { path }
  )
}

async function openRows(
  path: string,
  options: ReadRowsOptions,
  payloadColumns: PayloadColumns | undefined
): Promise<OpenRows> {
  if (batchFormatOf(path, options.query) === undefined) return openRowFile(path)
  const hasPayloads = hasColumns(batchFormatOf(path, options.query))
  const source = await openBatchFile(
    path,
    { ...options, payloadColumns: hasPayloads ? payloadColumns : undefined },
    options.signal
  )
  if (source.idType === undefined || (options.ids === undefined && options.firstId === undefined)) return source
  source.close()
  throw new TypeError(`${describe(path)} has ids of its own: leave out the option ids and the option firstId`)
}

function openRowFile(path: string): OpenRows {
  expectVectorEnding(path)
  const source = openVectorFile(path)
  const { dim, count } = source
  const step = Math.max(1, Math.min(MOST_ROWS, Math.floor(MOST_BYTES / (dim * ELEMENT_BYTES))))
  const batches = function* (): Generator<VectorBatch> {
    for (let row = 0; row < count; row += step) {
      const vectors = new Float32Array(Math.min(step, count - row) * dim)
      source.readRows(row, vectors)
      yield { vectors }
    }
  }
  return {
    dim,
    count,
    batches: batches(),
    close: () => {
      source.close()
    }
  }
}

/** A batch of a file with ids of one kind. */
interface JoinedBatch {
  readonly vectors: Float32Array
  readonly ids: readonly Id[] | undefined
  readonly payloads: readonly object[] | undefined
}

/** Joins batches: what is written together is a file of its own, and some large ones are better than many. */
async function* joined({ dim, batches }: OpenRows): AsyncGenerator<JoinedBatch> {
  let parts: VectorBatch[] = []
  let length = 0
  for await (const batch of batches) {
    const values = length + batch.vectors.length
    if (parts.length > 0 && (values > MOST_ROWS * dim || values * ELEMENT_BYTES > MOST_BYTES)) {
      yield join(parts, length)
      parts = []
      length = 0
    }
    parts.push(batch)
    length += batch.vectors.length
    if (parts.length === MOST_BATCHES) {
      yield join(parts, length)
      parts = []
      length = 0
    }
  }
  if (parts.length > 0) yield join(parts, length)
}

function join(parts: readonly VectorBatch[], length: number): JoinedBatch {
  const [first] = parts
  const vectors = parts.length === 1 ? first.vectors : new Float32Array(length)
  let at = 0
  for (const part of parts.length === 1 ? [] : parts) {
    vectors.set(part.vectors, at)
    at += part.vectors.length
  }
  return {
    vectors,
    ids: first.ids === undefined ? undefined : parts.flatMap(({ ids = [] }): Id[] => Array.from<Id>(ids)),
    payloads: first.payloads === undefined ? undefined : parts.flatMap(({ payloads = [] }) => payloads)
  }
}

function idsOf({ ids, firstId }: ReadRowsOptions): GivenIds | undefined {
  if (firstId !== undefined) return numberedIds(firstId)
  if (ids === undefined) return undefined
  return isUrl(ids) || typeof ids === 'string' ? fileIds(expectPath('ids', ids)) : listedIds(ids)
}

function numberedIds(firstId: number): GivenIds {
  let next = firstId
  return {
    take: (count) => Array.from({ length: count }, () => next++),
    expectAll: () => undefined,
    close: () => undefined
  }
}

function fileIds(path: string): GivenIds {
  const source = openIdFile(path)
  const { count: known } = source
  let row = 0
  return {
    take(count) {
      expectEnough({ known, wanted: row + count, label: path })
      const some = new Float64Array(count)
      source.readIds(row, some)
      row += count
      return Array.from(some)
    },
    expectAll(rows) {
      expectSameCount({ known, rows, label: path })
    },
    close() {
      source.close()
    }
  }
}

function listedIds(ids: readonly Id[]): GivenIds {
  let row = 0
  return {
    take(count) {
      expectEnough({ known: ids.length, wanted: row + count, label: 'ids' })
      row += count
      return ids.slice(row - count, row)
    },
    expectAll(rows) {
      expectSameCount({ known: ids.length, rows, label: 'ids' })
    },
    close: () => undefined
  }
}

function expectEnough({ known, wanted, label }: { known: number; wanted: number; label: string }): void {
  if (known >= wanted) return
  throw new ZgqError('ZGQ_BUILD_INPUT', `${label} has ${countOf(known, 'id')} for more rows, expected one each`)
}

function expectSameCount({ known, rows, label }: { known: number; rows: number; label: string }): void {
  if (known === rows) return
  throw new ZgqError(
    'ZGQ_BUILD_INPUT',
    `${label} has ${countOf(known, 'id')} for ${countOf(rows, 'row')}, expected one each`
  )
}
