// Spools what can be read only once: batches of vectors become raw files in the working folder, which can be read in
// any order.

import { createHash } from 'node:crypto'
import { closeSync, openSync } from 'node:fs'
import { types } from 'node:util'

import { onAbort } from '../abort.ts'
import { describe } from '../describe.ts'
import { wrapReadError, ZgqError } from '../errors.ts'
import { readFully } from '../storage/pread-reader.ts'
import { FileWriter } from '../storage/file-writer.ts'
import type { VectorBatch } from './vector-batch.ts'
import type { IdSource, RowSource } from './row-source.ts'

/** Where and as what batches are spooled. */
export interface SpoolTarget {
  readonly dim: number
  readonly rowsPath: string
  readonly idsPath: string
  /** Called after each batch with the rows so far. */
  readonly onRows: (rows: number) => void
  /** Ends the wait for the next batch, however long that takes. */
  readonly signal: AbortSignal | undefined
}

export interface Spooled {
  readonly count: number
  readonly hasIds: boolean
  /** Digest of all that was spooled, in hex. */
  readonly digest: string
}

/**
 * Writes all batches to files; throws ZGQ_DIMENSION for a batch that is not whole rows, ZGQ_BUILD_INPUT for a batch of
 * another shape, and what the iterable throws.
 */
export async function spoolBatches(batches: AsyncIterable<VectorBatch>, target: SpoolTarget): Promise<Spooled> {
  const rowsFile = new FileWriter(target.rowsPath)
  let idsFile: FileWriter | undefined
  const rowsHash = createHash('sha256')
  const idsHash = createHash('sha256')
  let count = 0
  let hasIds: boolean | undefined
  try {
    for await (const batch of untilAborted(batches, target.signal)) {
      const rows = checkBatch(batch, target.dim, count)
      if (hasIds !== undefined && hasIds !== (batch.ids !== undefined)) {
        throw new ZgqError(
          'ZGQ_BUILD_INPUT',
          `the batch at row ${count} ${hasIds ? 'has no ids' : 'has ids'}, unlike the batches before it`
        )
      }
      hasIds = batch.ids !== undefined
      const bytes = new Uint8Array(batch.vectors.buffer, batch.vectors.byteOffset, batch.vectors.byteLength)
      rowsHash.update(bytes)
      rowsFile.write(bytes)
      if (batch.ids !== undefined) {
        const ids = new Uint8Array(checkIds(batch.ids, count).buffer)
        idsHash.update(ids)
        idsFile ??= new FileWriter(target.idsPath)
        idsFile.write(ids)
      }
      count += rows
      target.onRows(count)
    }
    rowsFile.flush()
    idsFile?.flush()
  } finally {
    rowsFile.close()
    idsFile?.close()
  }
  if (count === 0) throw new ZgqError('ZGQ_BUILD_INPUT', 'the input has no vectors')
  return { count, hasIds: hasIds === true, digest: `${rowsHash.digest('hex')} ${idsHash.digest('hex')}` }
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

function checkIds(ids: ArrayLike<number>, firstRow: number): Float64Array {
  const checked = new Float64Array(ids.length)
  for (let i = 0; i < ids.length; i++) {
    const id: unknown = ids[i]
    if (typeof id !== 'number' || !Number.isSafeInteger(id) || id < 0) {
      throw new ZgqError(
        'ZGQ_BUILD_INPUT',
        `the id of row ${firstRow + i} is ${describe(id)}, expected a safe integer >= 0`
      )
    }
    checked[i] = id
  }
  return checked
}

function checkBatch(batch: unknown, dim: number, firstRow: number): number {
  if (typeof batch !== 'object' || batch === null || !('vectors' in batch) || !types.isFloat32Array(batch.vectors)) {
    throw new ZgqError('ZGQ_BUILD_INPUT', `the batch at row ${firstRow} is not { vectors: Float32Array, ids? }`)
  }
  const unknown = Object.keys(batch).find((key) => key !== 'vectors' && key !== 'ids')
  if (unknown !== undefined)
    throw new TypeError(
      `the batch at row ${firstRow} has an unknown key ${JSON.stringify(unknown)}; known are vectors, ids`
    )
  const { length } = batch.vectors
  if (length % dim !== 0)
    throw new ZgqError(
      'ZGQ_DIMENSION',
      `the batch at row ${firstRow} has ${length} values, which is not a multiple of dim ${dim}`
    )
  const ids = 'ids' in batch ? batch.ids : undefined
  if (ids === undefined) return length / dim
  if (typeof ids !== 'object' || ids === null || !('length' in ids) || ids.length !== length / dim) {
    throw new ZgqError(
      'ZGQ_BUILD_INPUT',
      `the batch at row ${firstRow} has ${length / dim} vectors and not as many ids`
    )
  }
  return length / dim
}

/** Opens raw float32 rows that this process wrote. */
export function openRawRows(path: string, shape: { dim: number; count: number; label: string }): RowSource {
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
