// Queries from a vector file, one at a time.

import { openVectorFile } from '../src/build.ts'
import { ZgqError } from '../src/index.ts'

/** Opens a file of queries for an index of `dim`; throws ZGQ_DIMENSION if it has another one. */
export function openQueries(
  path: string,
  dim: number
): { count: number; read(row: number): Float32Array; close(): void } {
  const source = openVectorFile(path)
  if (source.dim !== dim) {
    source.close()
    throw new ZgqError('ZGQ_DIMENSION', `the queries have ${source.dim} values, the index has vectors of ${dim}`, {
      path
    })
  }
  const query = new Float32Array(dim)
  return {
    count: source.count,
    read(row) {
      source.readRows(row, query)
      return query
    },
    close: () => {
      source.close()
    }
  }
}
