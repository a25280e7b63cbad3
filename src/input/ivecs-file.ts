// Ground truth: a whole .ivecs file in memory, as the integers that it holds. As vectors, .ivecs goes through
// vector-file.ts.

import { expectPath } from '../arguments.ts'
import { openRowFile } from './vector-file.ts'

/** Rows of integers. In a ground truth: the ids of the nearest neighbours of each query, nearest first. */
export interface IntegerRows {
  readonly count: number
  readonly dim: number
  /** int32, count * dim, row-major. */
  readonly values: Int32Array
}

/**
 * Reads a .ivecs file whole. Throws what `openVectorFile` throws: ZGQ_NOT_FOUND, ZGQ_BUILD_INPUT, ZGQ_TRUNCATED,
 * ZGQ_DIMENSION, ZGQ_IO.
 */
export function readIvecs(path: string | URL): IntegerRows {
  const rows = openRowFile(expectPath('path', path), ['.ivecs'])
  try {
    const values = new Int32Array(rows.count * rows.dim)
    rows.readRows(0, values)
    return { count: rows.count, dim: rows.dim, values }
  } finally {
    rows.close()
  }
}
