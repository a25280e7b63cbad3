// Spools what can be read only once: batches of vectors become raw files in the working folder, which can be read in
// any order.

import { createHash } from 'node:crypto'
import { closeSync, openSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { types } from 'node:util'

import { onAbort } from '../abort.ts'
import { wrapReadError, ZgqError } from '../errors.ts'
import type { DeclaredField } from '../format/fields.ts'
import { readFully } from '../storage/pread-reader.ts'
import { FileWriter } from '../storage/file-writer.ts'
import type { IdType } from '../types.ts'
import {
  IdSpool,
  PayloadSpool,
  rowName,
  type DocumentOrigin,
  type DocumentPaths,
  type SpooledColumn
} from './document-spool.ts'
import type { VectorBatch } from './vector-batch.ts'
import type { IdSource, PlacedRows } from './row-source.ts'

/** Payloads of one batch that are spooled before others may run. */
const ROWS_AT_ONCE = 4096

/** Where and as what batches are spooled. */
export interface SpoolTarget {
  readonly dim: number
  readonly rowsPath: string
  readonly documentPaths: DocumentPaths
  /** Declared fields: batches then have payloads. */
  readonly fields: readonly DeclaredField[]
  /** Where the batches come from; default: they are arguments. */
  readonly origin?: DocumentOrigin
  /** Called after each batch with the rows so far. */
  readonly onRows: (rows: number) => void
  /** Ends the wait for the next batch, however long that takes. */
  readonly signal: AbortSignal | undefined
}

export interface Spooled {
  readonly count: number
  readonly idType: IdType | undefined
  readonly payloads: SpooledColumn | undefined
  readonly texts: SpooledColumn | undefined
  readonly fields: SpooledColumn | undefined
  /** Digest of all that was spooled, in hex. */
  readonly digest: string
}

/**
 * Writes all batches to files; throws ZGQ_DIMENSION for a batch that is not whole rows, ZGQ_BUILD_INPUT for a batch of
 * another shape, for ids that are none and for fields of another type, TypeError for payloads that are none, and what
 * the iterable throws.
 */
export async function spoolBatches(batches: AsyncIterable<VectorBatch>, target: SpoolTarget): Promise<Spooled> {
  const { documentPaths, fields, origin = { path: undefined, nameOfRow: rowName } } = target
  const rowsFile = new FileWriter(target.rowsPath)
  const rowsHash = createHash('sha256')
  const idSpool = new IdSpool(documentPaths, origin)
  let payloadSpool: PayloadSpool | undefined
  let count = 0
  let has: BatchColumns | undefined
  try {
    for await (const batch of untilAborted(batches, target.signal)) {
      const rows = checkBatch(batch, target.dim, count)
      has = checkColumns(batch, has, { row: count, wantsPayloads: fields.length > 0 })
      const bytes = new Uint8Array(batch.vectors.buffer, batch.vectors.byteOffset, batch.vectors.byteLength)
      rowsHash.update(bytes)
      rowsFile.write(bytes)
      if (batch.ids !== undefined) idSpool.append(batch.ids)
      if (batch.payloads !== undefined) {
        payloadSpool ??= new PayloadSpool(documentPaths, origin, fields)
        for (let i = 0; i < rows; i++) {
          if (i % ROWS_AT_ONCE === ROWS_AT_ONCE - 1) await letOthersRun(target.signal)
          payloadSpool.append(batch.payloads[i])
        }
      }
      count += rows
      target.onRows(count)
    }
    if (count === 0) throw new ZgqError('ZGQ_BUILD_INPUT', 'the input has no vectors')
    rowsFile.flush()
    const ids = idSpool.finish()
    const spooled = payloadSpool?.finish()
    const { idType } = idSpool
    const digests = [ids.digest, spooled?.payloads.digest, spooled?.fields?.digest, idType]
    return {
      count,
      idType,
      texts: idType === 'string' ? ids : undefined,
      payloads: spooled?.payloads,
      fields: spooled?.fields,
      digest: [rowsHash.digest('hex'), ...digests].join(' ')
    }
  } finally {
    rowsFile.close()
    idSpool.close()
    payloadSpool?.close()
  }
}

/** Lets the event loop turn in a long piece of work; throws the signal's reason once that is aborted. */
export async function letOthersRun(signal: AbortSignal | undefined): Promise<void> {
  await setImmediate()
  signal?.throwIfAborted()
}

/** Which columns every batch has. */
interface BatchColumns {
  readonly ids: boolean
  readonly payloads: boolean
}

const COLUMN_NAMES: readonly (keyof BatchColumns)[] = ['ids', 'payloads']

/** Throws ZGQ_BUILD_INPUT for a batch that has other columns than the ones before it. */
function checkColumns(
  batch: VectorBatch,
  before: BatchColumns | undefined,
  of: { row: number; wantsPayloads: boolean }
): BatchColumns {
  const has = { ids: batch.ids !== undefined, payloads: batch.payloads !== undefined }
  for (const name of before === undefined ? [] : COLUMN_NAMES) {
    if (before?.[name] === has[name]) continue
    throw new ZgqError(
      'ZGQ_BUILD_INPUT',
      `the batch at row ${of.row} has ${has[name] ? '' : 'no '}${name}, unlike the batches before it`
    )
  }
  if (of.wantsPayloads && !has.payloads)
    throw new ZgqError('ZGQ_BUILD_INPUT', `the batch at row ${of.row} has no payloads, which the fields need`)
  return has
}

/** Passes batches on; rejects with the signal's reason as soon as it is aborted, even in the middle of a wait. */
async function* untilAborted<T>(batches: AsyncIterable<T>, signal: AbortSignal | undefined): AsyncGenerator<T> {
  const iterator = batches[Symbol.asyncIterator]()
  let isDone = false
  try {
    for (;;) {
      signal?.throwIfAborted()
      const next = await orAborted(Promise.resolve(iterator.next()), signal)
      isDone = next.done === true
      if (next.done === true) return
      yield next.value
    }
  } finally {
    // Not awaited: an iterable that never answers must not hold the build.
    if (!isDone) void endQuietly(iterator)
  }
}

/** The iterable's own trouble with ending early must not hide why it was ended. */
async function endQuietly(iterator: AsyncIterator<unknown>): Promise<void> {
  try {
    await iterator.return?.()
  } catch {
    return
  }
}

/** A promise for each wait: a race against one that lives as long as the build would hold every batch until its end. */
function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      reject(signal.reason)
    }
    if (signal.aborted) stop() // by the very call that made `work`
    work.then(resolve, reject).finally(onAbort(signal, stop))
  })
}

const BATCH_KEYS = ['vectors', 'ids', 'payloads']

function checkBatch(batch: unknown, dim: number, firstRow: number): number {
  if (typeof batch !== 'object' || batch === null || !('vectors' in batch) || !types.isFloat32Array(batch.vectors)) {
    throw new ZgqError(
      'ZGQ_BUILD_INPUT',
      `the batch at row ${firstRow} is not { vectors: Float32Array, ids?, payloads? }`
    )
  }
  const unknown = Object.keys(batch).find((key) => !BATCH_KEYS.includes(key))
  if (unknown !== undefined)
    throw new TypeError(
      `the batch at row ${firstRow} has an unknown key ${JSON.stringify(unknown)}; known are ${BATCH_KEYS.join(', ')}`
    )
  const { length } = batch.vectors
  if (length % dim !== 0)
    throw new ZgqError(
      'ZGQ_DIMENSION',
      `the batch at row ${firstRow} has ${length} values, which is not a multiple of dim ${dim}`
    )
  for (const name of COLUMN_NAMES) {
    const column: unknown = Reflect.get(batch, name)
    if (column === undefined) continue
    if (typeof column !== 'object' || column === null || !('length' in column) || column.length !== length / dim)
      throw new ZgqError(
        'ZGQ_BUILD_INPUT',
        `the batch at row ${firstRow} has ${length / dim} vectors and another number of ${name}`
      )
  }
  return length / dim
}

/** Opens raw float32 rows that this process wrote. */
export function openRawRows(path: string, shape: { dim: number; count: number; label: string }): PlacedRows {
  const descriptor = openRaw(path)
  return {
    ...shape,
    readRows(firstRow, target) {
      readFully(
        { descriptor, path },
        firstRow * shape.dim * 4,
        new Uint8Array(target.buffer, target.byteOffset, target.byteLength)
      )
    },
    rangesOf: (firstRow, rowCount) => [{ offset: firstRow * shape.dim * 4, byteLength: rowCount * shape.dim * 4 }],
    close: () => {
      closeSync(descriptor)
    }
  }
}

/** Opens raw float64 ids that the build wrote. */
export function openRawIds(path: string, shape: { count: number; label: string }): IdSource {
  const descriptor = openRaw(path)
  return {
    ...shape,
    readIds(firstRow, target) {
      readFully({ descriptor, path }, firstRow * 8, new Uint8Array(target.buffer, target.byteOffset, target.byteLength))
    },
    rangesOf: (firstRow, rowCount) => [{ offset: firstRow * 8, byteLength: rowCount * 8 }],
    close: () => {
      closeSync(descriptor)
    }
  }
}

function openRaw(path: string): number {
  try {
    return openSync(path, 'r')
  } catch (error) {
    throw wrapReadError(error, path, 'open a temporary file')
  }
}
