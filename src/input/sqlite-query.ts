// The rows of a SQLite query as batches: a float32 BLOB, perhaps an id, and columns for a payload. The database itself
// is opened in src/catalogue, by a process of its own.

import { ZgqError } from '../errors.ts'
import { openUserQuery } from '../catalogue/user-query.ts'
import type { IdType } from '../types.ts'
import type { BatchReadOptions } from './batch-format.ts'
import { checkId, idTypeOf, shorten, type BatchSource } from './batch-source.ts'
import { RowBatches } from './row-batches.ts'
import { checkDim } from './row-source.ts'
import { chooseQueryColumns, safeNumber, type QueryColumns } from './sqlite-columns.ts'
import type { VectorBatch } from './vector-batch.ts'

const ELEMENT_BYTES = 4

/**
 * Runs a SELECT on a SQLite database, read-only: columns id and vector, the vector alone, or more columns, of which
 * `column`, `idColumn` and `payloadColumns` say what they are; a vector is a BLOB of float32, little-endian. Rejects
 * with ZGQ_NOT_FOUND, ZGQ_IO, ZGQ_LOCKED, ZGQ_UNSUPPORTED, ZGQ_BUILD_INPUT, ZGQ_DIMENSION, and the reason of `signal`
 * once that is aborted; its batches reject with the same, naming the row, counted from 0.
 */
export async function openSqliteQuery(
  path: string,
  options: BatchReadOptions,
  signal?: AbortSignal
): Promise<BatchSource> {
  const query = await openUserQuery(path, options.query ?? '', signal)
  try {
    const rows = query.rows[Symbol.asyncIterator]()
    const first = await rows.next()
    const columns = chooseQueryColumns(query.columnNames, options, {
      path,
      first: first.done === true ? undefined : first.value
    })
    if (first.done === true) throw new ZgqError('ZGQ_BUILD_INPUT', 'the query gives no rows', { path })
    const byteLength = blobOf(first.value[columns.vector], { row: 0, path }).byteLength
    const dim = byteLength / ELEMENT_BYTES
    if (!Number.isInteger(dim))
      throw new ZgqError(
        'ZGQ_DIMENSION',
        `the vector of row 0 has ${byteLength} bytes, expected a multiple of ${ELEMENT_BYTES}: float32`,
        { path }
      )
    checkDim(dim, { path })
    const idType = columns.id === undefined ? undefined : idTypeOf(first.value[columns.id])
    return {
      dim,
      idType,
      hasPayloads: columns.payloadOf !== undefined,
      batches: readBatches(startingWith(first.value, rows), { path, dim, columns, idType }),
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
  facts: { path: string; dim: number; columns: QueryColumns; idType: IdType | undefined }
): AsyncGenerator<VectorBatch> {
  const { path, dim, columns, idType } = facts
  const batches = new RowBatches(dim, { idType, hasPayloads: columns.payloadOf !== undefined })
  const vector = new Float32Array(dim)
  const vectorBytes = new Uint8Array(vector.buffer)
  let row = 0
  for await (const values of rows) {
    const blob = blobOf(values[columns.vector], { row, path })
    if (blob.byteLength !== vectorBytes.byteLength) {
      throw new ZgqError(
        'ZGQ_DIMENSION',
        `the vector of row ${row} has ${blob.byteLength} bytes, expected ${vectorBytes.byteLength} as in row 0: ` +
          `${dim} float32`,
        { path }
      )
    }
    vectorBytes.set(blob)
    const id = columns.id === undefined ? undefined : safeNumber(values[columns.id])
    yield* batches.add({
      vector,
      id: idType === undefined ? undefined : checkId(id, { row: `row ${row}`, path }, idType),
      payload: columns.payloadOf?.(values, row),
      payloadBytes: columns.payloadOf === undefined ? 0 : byteLengthOf(values) - blob.byteLength
    })
    row++
  }
  yield* batches.rest()
}

function byteLengthOf(values: readonly unknown[]): number {
  let sum = 0
  for (const value of values) sum += value instanceof Uint8Array || typeof value === 'string' ? value.length : 8
  return sum
}

function blobOf(value: unknown, place: { row: number; path: string }): Uint8Array {
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
