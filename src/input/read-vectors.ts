// Vectors of a file, whole, in memory: queries of any format that a build reads.

import { extname } from 'node:path'

import { expectPath } from '../arguments.ts'
import { ZgqError } from '../errors.ts'
import { BATCH_ENDINGS, batchFormatOf, type BatchFileOptions } from './batch-format.ts'
import { openBatchFile } from './batch-file.ts'
import { openVectorFile, VECTOR_ENDINGS } from './vector-file.ts'

/** Vectors read from a file. */
export interface FileVectors {
  /** Values per vector. */
  readonly dim: number
  /** float32, count * dim, row-major. */
  readonly vectors: Float32Array
}

/**
 * Reads all vectors of a file that `buildIndex` takes as input: vector files, Parquet, JSON lines, HDF5, or a query of
 * a SQLite database. Leaves ids out. Holds all vectors in memory, so it is meant for queries. Rejects as `buildIndex`
 * does for its input: ZGQ_NOT_FOUND, ZGQ_BUILD_INPUT, ZGQ_DIMENSION, ZGQ_TRUNCATED, ZGQ_IO, ZGQ_UNSUPPORTED.
 */
export async function readVectors(path: string | URL, options: BatchFileOptions = {}): Promise<FileVectors> {
  const file = expectPath('path', path)
  return batchFormatOf(file, options.query) === undefined ? readRows(file) : readBatches(file, options)
}

/** Throws ZGQ_BUILD_INPUT unless the name of a file that is not read in batches says that it holds rows of vectors. */
export function expectVectorEnding(path: string): void {
  const ending = extname(path).toLowerCase()
  if (VECTOR_ENDINGS.includes(ending)) return
  const known = [...VECTOR_ENDINGS, ...BATCH_ENDINGS].join(' ')
  throw new ZgqError('ZGQ_BUILD_INPUT', `the file ends in "${ending}", expected one of ${known}`, { path })
}

function readRows(path: string): FileVectors {
  expectVectorEnding(path)
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
