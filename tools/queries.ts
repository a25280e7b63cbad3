// Queries from a file of any format that `zgq build` reads, or from standard input, one at a time.

import { openVectorFile, readVectors } from '../src/build.ts'
import { countOf, formatCount } from '../src/describe.ts'
import { ZgqError, ZgqIndex, type Id } from '../src/index.ts'
import { text, UsageError, type Given } from './arguments.ts'
import { fileOf } from './standard-input.ts'

export interface Queries {
  readonly count: number
  /** The array is reused by the next call. */
  read(row: number): Float32Array
  close(): void
}

/** Files whose rows lie one after the other; the others are read whole. */
const ROW_FILES = /\.(fvecs|bvecs|ivecs|fbin|u8bin|f16bin|npy)$/i

/** Opens an index and queries for it, and closes both after `use`; rejects with ZGQ_DIMENSION where they do not fit. */
export async function withQueries(
  from: { readonly path: string; readonly queriesPath: string; readonly given: Given },
  use: (index: ZgqIndex<Id>, queries: Queries) => void
): Promise<void> {
  const index = ZgqIndex.open<Id>(from.path)
  try {
    const queries = await openQueries(from.queriesPath, from.given, index.info().dim)
    try {
      use(index, queries)
    } finally {
      queries.close()
    }
  } finally {
    index.close()
  }
}

/** Opens queries for an index of `dim`; rejects with ZGQ_DIMENSION if they have another one. */
async function openQueries(path: string, given: Given, dim: number): Promise<Queries> {
  const file = await fileOf(path, given)
  try {
    const queries = isRowFile(file.path, given) ? openRows(file.path) : await readWhole(file.path, given)
    if (queries.dim !== dim) {
      queries.close()
      throw new ZgqError(
        'ZGQ_DIMENSION',
        `the queries have ${countOf(queries.dim, 'dimension')}, the index has ${formatCount(dim)}`,
        {
          path
        }
      )
    }
    return {
      count: queries.count,
      read: (row) => queries.read(row),
      close: () => {
        queries.close()
        file.release()
      }
    }
  } catch (error) {
    file.release()
    throw error
  }
}

/**
 * Returns what the library takes as queries: the path of a file whose rows lie one after the other, the values of all
 * others.
 */
export async function queriesFor(
  path: string | undefined,
  given: Given,
  signal: AbortSignal
): Promise<string | Float32Array | undefined> {
  if (path === undefined) return undefined
  const file = await fileOf(path, given, { signal })
  try {
    return isRowFile(file.path, given) && file.path === path
      ? path
      : (await readVectors(file.path, columnOf(given))).vectors
  } finally {
    file.release()
  }
}

/** Tells whether rows lie one after the other in a file; such a file has no columns to choose from. */
export function isRowFile(path: string, given: Given): boolean {
  if (!ROW_FILES.test(path)) return false
  if (given['column'] !== undefined) throw new UsageError('--column is for .jsonl, .parquet and .hdf5')
  return true
}

function columnOf(given: Given): { column?: string } {
  const column = text(given, 'column')
  return column === undefined ? {} : { column }
}

function openRows(path: string): Queries & { readonly dim: number } {
  const source = openVectorFile(path)
  const query = new Float32Array(source.dim)
  return {
    dim: source.dim,
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

async function readWhole(path: string, given: Given): Promise<Queries & { readonly dim: number }> {
  const { dim, vectors } = await readVectors(path, columnOf(given))
  return {
    dim,
    count: vectors.length / dim,
    read: (row) => vectors.subarray(row * dim, (row + 1) * dim),
    close: () => undefined
  }
}
