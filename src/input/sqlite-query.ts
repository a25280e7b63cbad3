// The rows of a SQLite query as batches: an id and a float32 BLOB, or the BLOB alone. The database itself is opened in
// src/catalogue, by a process of its own.

import { ZgqError } from '../errors.ts'
import { openUserQuery } from '../catalogue/user-query.ts'
import type { VectorBatch } from './vector-batch.ts'
import type { BatchFileOptions } from './batch-format.ts'
import { BatchBuffer, checkId, shorten, type BatchSource } from './batch-source.ts'
import { checkDim } from './row-source.ts'

const ELEMENT_BYTES = 4

/**
 * Runs a SELECT on a SQLite database, read-only: columns id and vector, or the vector alone; a vector is a BLOB of
 * float32, little-endian. Rejects with ZGQ_NOT_FOUND, ZGQ_IO, ZGQ_LOCKED, ZGQ_UNSUPPORTED, ZGQ_BUILD_INPUT,
 * ZGQ_DIMENSION, and the reason of `signal` once that is aborted; its batches reject with the same, naming the row,
 * counted from 0.
 */
export async function openSqliteQuery(
  path: string,
  options: BatchFileOptions,
  signal?: AbortSignal
): Promise<BatchSource> {
  const query = await openUserQuery(path, options.query ?? '', signal)
  try {
    const { columnNames } = query
    if (columnNames.length !== 1 && columnNames.length !== 2) {
      throw new ZgqError(
        'ZGQ_BUILD_INPUT',
        `the query gives ${columnNames.length} columns (${shorten(columnNames.join(', '))}), expected an id and ` +
          'a vector, or a vector',
        { path }
      )
    }
    const rows = query.rows[Symbol.asyncIterator]()
    const first = await rows.next()
    if (first.done === true) throw new ZgqError('ZGQ_BUILD_INPUT', 'the query gives no rows', { path })
    const byteLength = blobOf(first.value, { row: 0, path }).byteLength
    const dim = byteLength / ELEMENT_BYTES
    if (!Number.isInteger(dim))
      throw new ZgqError(
        'ZGQ_DIMENSION',
        `the vector of row 0 has ${byteLength} bytes, expected a multiple of ${ELEMENT_BYTES}: float32`,
        { path }
      )
    checkDim(dim, { path })
    const hasIds = columnNames.length === 2
    return {
      dim,
      hasIds,
      batches: readBatches(startingWith(first.value, rows), { path, dim, hasIds }),
      close: () => {
        query.close()
      }
    }
  } catch (error) {
    query.close()
    throw error
  }
}

async function* startingWith<T>(first: T, rest: AsyncIterator<T>): AsyncGenerator<T> {
  yield first
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value
}

async function* readBatches(
  rows: AsyncIterable<readonly unknown[]>,
  facts: { path: string; dim: number; hasIds: boolean }
): AsyncGenerator<VectorBatch> {
  const { path, dim, hasIds } = facts
  const buffer = new BatchBuffer(dim)
  const vector = new Float32Array(dim)
  const vectorBytes = new Uint8Array(vector.buffer)
  let ids: number[] = []
  const withIds = (vectors: Float32Array): VectorBatch => {
    const batch = hasIds ? { vectors, ids } : { vectors }
    ids = []
    return batch
  }
  let row = 0
  for await (const values of rows) {
    const blob = blobOf(values, { row, path })
    if (blob.byteLength !== vectorBytes.byteLength) {
      throw new ZgqError(
        'ZGQ_DIMENSION',
        `the vector of row ${row} has ${blob.byteLength} bytes, expected ${vectorBytes.byteLength} as in row 0: ` +
          `${dim} float32`,
        { path }
      )
    }
    vectorBytes.set(blob)
    if (hasIds) ids.push(checkId(toNumber(values[0]), { row: `row ${row}`, path }))
    for (const vectors of buffer.append(vector)) yield withIds(vectors)
    row++
  }
  for (const vectors of buffer.rest()) yield withIds(vectors)
}

/** Integers come as bigint; beyond the safe range they stay so, and are refused as ids with all their digits. */
function toNumber(value: unknown): unknown {
  return typeof value === 'bigint' && Number.isSafeInteger(Number(value)) ? Number(value) : value
}

/** The vector is the last column. */
function blobOf(values: readonly unknown[], place: { row: number; path: string }): Uint8Array {
  const value = values.at(-1)
  if (value instanceof Uint8Array) return value
  const found =
    value === null
      ? 'NULL'
      : typeof value === 'string'
        ? `the text ${JSON.stringify(shorten(value))}`
        : `the number ${String(value)}`
  throw new ZgqError(
    'ZGQ_BUILD_INPUT',
    `the vector of row ${place.row} is ${found}, expected a BLOB of float32; a query gives the id first, then ` +
      'the vector',
    { path: place.path }
  )
}
