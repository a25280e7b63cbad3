// A Parquet file as batches: vectors of one column, and ids and payloads of others. Columns are chosen in
// parquet-columns.ts, pages are read in parquet-pages.ts, and put together as rows in parquet-rows.ts.

import type { SchemaTree } from 'hyparquet'

import type { BatchReadOptions } from './batch-format.ts'
import { BatchBuffer, wrapFormatError, type BatchSource } from './batch-source.ts'
import { InputFile } from './input-file.ts'
import { toFloat32 } from './number-kinds.ts'
import {
  findIds,
  findPayloadColumn,
  findVectors,
  type IdColumn,
  type NumberColumn,
  type ValueColumn
} from './parquet-columns.ts'
import { loadParquetLibrary } from './parquet-library.ts'
import { readPages, type ParquetFile } from './parquet-pages.ts'
import { IdReader, PayloadReader, RowChecker } from './parquet-rows.ts'
import { DAMAGED, measureFirst, readTable } from './parquet-table.ts'
import { chooseColumns, PAYLOAD_BATCH_BYTES } from './payload-columns.ts'
import type { VectorBatch } from './vector-batch.ts'

/**
 * Opens a Parquet file: vectors from `column` (default: the only column of lists of numbers), ids from `idColumn`
 * (default: none), payloads from the columns that `payloadColumns` says. Rejects with ZGQ_NOT_FOUND, ZGQ_IO,
 * ZGQ_BUILD_INPUT, ZGQ_TRUNCATED and ZGQ_DIMENSION; its batches reject with the same, naming the row, counted from 0.
 */
export async function openParquetFile(path: string, options: BatchReadOptions): Promise<BatchSource> {
  const library = await loadParquetLibrary()
  const file = InputFile.open(path)
  try {
    const { parquet, columns } = await readTable(library, file)
    const vectors = findVectors(columns, options.column, path)
    const ids = options.idColumn === undefined ? undefined : findIds(columns, options.idColumn, path)
    const others = findOthers(columns, options, { vectors: vectors.name, path })
    const dim = measureFirst(parquet, vectors)
    return {
      dim,
      idType: ids?.idType,
      hasPayloads: others !== undefined,
      batches: readBatches(parquet, { vectors, ids, others, dim }),
      close: () => {
        file.close()
      }
    }
  } catch (error) {
    file.close()
    throw wrapFormatError(error, path, DAMAGED)
  }
}

/** Finds the columns that go into payloads. */
function findOthers(
  columns: readonly SchemaTree[],
  { payloadColumns, idColumn }: BatchReadOptions,
  of: { vectors: string; path: string }
): ValueColumn[] | undefined {
  if (payloadColumns === undefined) return undefined
  const found = columns.map(({ element }) => element.name)
  return chooseColumns(payloadColumns, found, { left: [of.vectors, idColumn], path: of.path }).map((name) =>
    findPayloadColumn(columns, name, of.path)
  )
}

interface ChosenColumns {
  readonly vectors: NumberColumn
  readonly ids: IdColumn | undefined
  readonly others: readonly ValueColumn[] | undefined
  readonly dim: number
}

async function* readBatches(parquet: ParquetFile, columns: ChosenColumns): AsyncGenerator<VectorBatch> {
  const { path } = parquet.file
  const { vectors: column, dim } = columns
  const buffer = new BatchBuffer(dim)
  const withColumns = columnAdder(parquet, columns)
  try {
    const rows = new RowChecker(column, path, dim)
    for (const page of readPages(parquet, column)) {
      rows.check(page)
      for (const numbers of page.values) {
        for (const vectors of buffer.append(toFloat32(numbers))) yield* withColumns(vectors)
      }
    }
    for (const vectors of buffer.rest()) yield* withColumns(vectors)
    if (rows.count !== Number(parquet.metadata.num_rows))
      throw new Error(`it has ${rows.count} rows, expected ${parquet.metadata.num_rows}`)
  } catch (error) {
    throw wrapFormatError(error, path, DAMAGED)
  }
}

/** Adds what else the rows of vectors have; where that is payloads, in batches as large as these allow. */
function columnAdder(parquet: ParquetFile, columns: ChosenColumns): (vectors: Float32Array) => Iterable<VectorBatch> {
  const { dim } = columns
  const ids = columns.ids === undefined ? undefined : new IdReader(parquet, columns.ids)
  const others = columns.others === undefined ? undefined : new PayloadReader(parquet, columns.others)
  const idsOfNext = (rows: number): Pick<VectorBatch, 'ids'> => (ids === undefined ? {} : { ids: ids.take(rows) })
  return function* (vectors) {
    const count = vectors.length / dim
    if (others === undefined) {
      yield { vectors, ...idsOfNext(count) }
      return
    }
    for (let first = 0; first < count;) {
      const payloads: object[] = []
      for (let bytes = 0; first + payloads.length < count && bytes < PAYLOAD_BATCH_BYTES;) {
        const { payload, byteLength } = others.take()
        payloads.push(payload)
        bytes += byteLength
      }
      const end = first + payloads.length
      yield { vectors: vectors.subarray(first * dim, end * dim), ...idsOfNext(payloads.length), payloads }
      first = end
    }
  }
}
