// Vectors of a file, whole, in memory: queries of any format that a build reads.

import { expectPath } from '../../arguments.ts'
import { batchFormatOf, type BatchFileOptions } from './batch-format.ts'
import { openBatchFile } from './batch-file.ts'
import { openVectorFile } from './vector-file.ts'

/** Vectors read from a file. */
export interface FileVectors {
  /** Values of a vector. */
  readonly dim: number
  /** float32, count * dim, row-major. */
  readonly vectors: Float32Array
}

/**
 * Reads all vectors of a file that `buildIndex` takes as input: vector files, Parquet, JSON lines, HDF5, or a query of
 * a SQLite database. Ids are left out. Meant for queries: everything is held in memory. Rejects as `buildIndex` does
 * for its input: ZGQ_NOT_FOUND, ZGQ_BUILD_INPUT, ZGQ_DIMENSION, ZGQ_TRUNCATED, ZGQ_IO, ZGQ_UNSUPPORTED.
 */
export async function readVectors(path: string | URL, options: BatchFileOptions = {}): Promise<FileVectors> {
  const file = expectPath('path', path)
  return batchFormatOf(file, options.query) === undefined ? readRows(file) : readBatches(file, options)
}

function readRows(path: string): FileVectors {
  const source = openVectorFile(path)
  try {
    const vectors = new Float32Array(source.count * source.dim)
    source.readRows(0, vectors)
    return { dim: source.dim, vectors }
  } finally {
    source.close()
  }
}

async function readBatches(path: string, options: BatchFileOptions): Promise<FileVectors> {
  const source = await openBatchFile(path, options)
  try {
    const parts: Float32Array[] = []
    let length = 0
    for await (const { vectors } of source.batches) {
      parts.push(Float32Array.from(vectors))
      length += vectors.length
    }
    const vectors = new Float32Array(length)
    let at = 0
    for (const part of parts) {
      vectors.set(part, at)
      at += part.length
    }
    return { dim: source.dim, vectors }
  } finally {
    source.close()
  }
}
