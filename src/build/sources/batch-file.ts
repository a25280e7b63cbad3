// Opens files that are read once, in batches, each by its format, and spools them so that a build can read them in any
// order.

import { setImmediate } from 'node:timers/promises'

import type { VectorBatch } from '../build-options.ts'
import { batchFormatOf, type BatchFileOptions, type BatchFormat } from './batch-format.ts'
import type { BatchSource } from './batch-source.ts'
import { openHdf5File } from './hdf5-file.ts'
import { openJsonLinesFile } from './jsonl-file.ts'
import { openParquetFile } from './parquet-file.ts'
import { spoolBatches, type Spooled, type SpoolTarget } from './spool.ts'
import { openSqliteQuery } from './sqlite-query.ts'

const OPENERS: Readonly<
  Record<BatchFormat, (path: string, options: BatchFileOptions) => Promise<BatchSource> | BatchSource>
> = {
  parquet: openParquetFile,
  jsonl: openJsonLinesFile,
  hdf5: openHdf5File,
  sqlite: openSqliteQuery
}

/**
 * Opens a file that is read in batches: Parquet, JSON lines, HDF5, or a query of a SQLite database; the caller closes
 * it. Rejects with ZGQ_NOT_FOUND, ZGQ_BUILD_INPUT, ZGQ_DIMENSION, ZGQ_TRUNCATED, ZGQ_IO, ZGQ_LOCKED, and
 * ZGQ_UNSUPPORTED where a package is missing.
 */
export async function openBatchFile(path: string, options: BatchFileOptions): Promise<BatchSource> {
  const format = batchFormatOf(path, options.query)
  if (format === undefined) throw new TypeError(`${path} is not a file that is read in batches`)
  return OPENERS[format](path, options)
}

/**
 * Reads a batch file whole into `target`. Rejects as `openBatchFile` and its batches do, and with TypeError if it
 * brings ids and `ids` are given too.
 */
export async function spoolBatchFile(
  path: string,
  options: BatchFileOptions & { readonly ids: unknown },
  target: Omit<SpoolTarget, 'dim'>
): Promise<Spooled & { readonly dim: number }> {
  const source = await openBatchFile(path, options)
  try {
    const { dim, hasIds } = source
    if (hasIds && options.ids !== undefined) throw new TypeError(`${path} has ids of its own: leave out the option ids`)
    return { dim, ...(await spoolBatches(lettingOthersRun(source.batches), { ...target, dim })) }
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
