// Opens files that are read once, in batches, each by its format, and spools them so that a build can read them in any
// order.

import { setImmediate } from 'node:timers/promises'

import type { VectorBatch } from './vector-batch.ts'
import { batchFormatOf, type BatchFormat, type BatchReadOptions } from './batch-format.ts'
import type { BatchSource } from './batch-source.ts'
import { rowName } from './document-spool.ts'
import { openHdf5File } from './hdf5-file.ts'
import { openJsonLinesFile } from './jsonl-file.ts'
import { openParquetFile } from './parquet-file.ts'
import { spoolBatches, type Spooled, type SpoolTarget } from './spool.ts'
import { openSqliteQuery } from './sqlite-query.ts'

/** Opens a file of one format. What may take long before it gives a row ends when `signal` is aborted. */
type Opener = (path: string, options: BatchReadOptions, signal?: AbortSignal) => Promise<BatchSource> | BatchSource

const OPENERS: Readonly<Record<BatchFormat, Opener>> = {
  parquet: openParquetFile,
  jsonl: openJsonLinesFile,
  hdf5: openHdf5File,
  sqlite: openSqliteQuery
}

/**
 * Opens a file that is read in batches: Parquet, JSON lines, HDF5, or a query of a SQLite database; the caller closes
 * it. Rejects with ZGQ_NOT_FOUND, ZGQ_BUILD_INPUT, ZGQ_DIMENSION, ZGQ_TRUNCATED, ZGQ_IO, ZGQ_LOCKED,
 * ZGQ_UNSUPPORTED where a package is missing, and the reason of `signal` where that is aborted while a query runs.
 */
export async function openBatchFile(
  path: string,
  options: BatchReadOptions,
  signal?: AbortSignal
): Promise<BatchSource> {
  const format = batchFormatOf(path, options.query)
  if (format === undefined) throw new TypeError(`${path} is not a file that is read in batches`)
  return OPENERS[format](path, options, signal)
}

/**
 * Reads a batch file whole into `target`. Rejects as `openBatchFile` and its batches do, and with TypeError if it
 * brings ids and `ids` are given too.
 */
export async function spoolBatchFile(
  path: string,
  options: BatchReadOptions & { readonly ids: unknown },
  target: Omit<SpoolTarget, 'dim' | 'origin'>
): Promise<Spooled & { readonly dim: number }> {
  const source = await openBatchFile(path, options, target.signal)
  try {
    const { dim, idType, nameOfRow = rowName } = source
    if (idType !== undefined && options.ids !== undefined)
      throw new TypeError(`${path} has ids of its own: leave out the option ids`)
    return {
      dim,
      ...(await spoolBatches(lettingOthersRun(source.batches), { ...target, dim, origin: { path, nameOfRow } }))
    }
  } finally {
    source.close()
  }
}

/** The readers of files never wait: without this, a signal to abort would not be seen before the end. */
async function* lettingOthersRun(batches: AsyncIterable<VectorBatch>): AsyncGenerator<VectorBatch> {
  for await (const batch of batches) {
    await setImmediate()
    yield batch
  }
}
