// The queries of a calibration: random rows of the index, or queries that the user gives.

import { countOf, formatCount } from '../describe.ts'
import { ZgqError } from '../errors.ts'
import { ELEMENT_BYTES } from '../format/layout.ts'
import type { Segment } from '../format/segment-table.ts'
import { checkQuery } from '../search/request.ts'
import type { SearchContext } from '../search/search-context.ts'
import type { Snapshot } from '../catalogue/snapshot.ts'
import { ordinalOf } from '../format/ordinals.ts'
import { sampleRows } from '../quantizer/random.ts'
import { openVectorFile } from '../input/vector-file.ts'

/** Queries that a calibration takes at most: enough to promise a recall of .997. */
const MOST_QUERIES = 1000
/** Fewest, where every query costs a scan of very many values: enough to promise .99. */
const FEWEST_QUERIES = 400
/** Values (rows * dim) that all scans together may take about: half a minute of a thread. */
const WORK = 4e11

/** A query and, if it is a row of the index, the ordinal of that row. */
export interface CalibrationQuery {
  readonly vector: Float32Array
  readonly row: number | undefined
}

/** Takes random rows, with where they are. */
export function sampleQueries(context: SearchContext, snapshot: Snapshot, random: () => number): CalibrationQuery[] {
  const { meta, segments } = snapshot
  const affordable = Math.max(FEWEST_QUERIES, Math.min(MOST_QUERIES, Math.floor(WORK / (meta.count * meta.dim))))
  const positions = sampleRows(meta.count, Math.min(meta.count, affordable), random)
  const queries: CalibrationQuery[] = []
  let at = 0
  let firstRow = 0
  for (const position of positions) {
    while (position - firstRow >= segments.at(at).rowCount) firstRow += segments.at(at++).rowCount
    const row = position - firstRow
    const segment = segments.at(at)
    queries.push({
      vector: readRow(context, segment, row),
      row: ordinalOf(segment.slot, row)
    })
  }
  return queries
}

/** Takes a row out of the cache: the scans to come will want what lies beside it. */
function readRow({ cache, workspace }: SearchContext, segment: Segment, row: number): Float32Array {
  const { memory, dim } = workspace
  const { rows, firstRow } = cache.load(segment, Math.floor(row / cache.rowsPerPart))
  return memory.float32At(rows + (row - firstRow) * dim * ELEMENT_BYTES, dim).slice()
}

/**
 * Reads the queries that a build is to be calibrated with, and checks them: now, not after the work is done. Throws
 * what `splitQueries` and reading the file throw.
 */
export function readCalibrationQueries(
  given: string | Float32Array | undefined,
  meta: QueriedMeta
): Float32Array | undefined {
  const vectors = readQueries(given, meta.dim)
  if (vectors !== undefined) splitQueries(vectors, meta)
  return vectors
}

type QueriedMeta = Pick<Snapshot['meta'], 'dim' | 'metric'>

/** Splits vectors into queries; throws ZGQ_DIMENSION, ZGQ_NON_FINITE, ZGQ_ZERO_VECTOR or ZGQ_BUILD_INPUT. */
export function splitQueries(vectors: Float32Array, meta: QueriedMeta): CalibrationQuery[] {
  const { dim, metric } = meta
  if (vectors.length % dim !== 0)
    throw new ZgqError(
      'ZGQ_DIMENSION',
      `queries have ${countOf(vectors.length, 'value')}, expected a multiple of ${formatCount(dim)}, the dimension ` +
        'of the index'
    )
  if (vectors.length === 0) throw new ZgqError('ZGQ_BUILD_INPUT', 'there are no queries to calibrate with')
  const queries: CalibrationQuery[] = []
  for (let at = 0; at < vectors.length; at += dim)
    queries.push({ vector: checkQuery(vectors.slice(at, at + dim), dim, metric), row: undefined })
  return queries
}

/**
 * Reads the vectors of queries from a file or takes them as they are; undefined: none were given. Throws ZGQ_DIMENSION,
 * or what reading the file throws.
 */
export function readQueries(input: string | Float32Array | undefined, dim: number): Float32Array | undefined {
  return typeof input === 'string' ? readFile(input, dim) : input
}

function readFile(path: string, dim: number): Float32Array {
  const file = openVectorFile(path)
  try {
    if (file.dim !== dim)
      throw new ZgqError(
        'ZGQ_DIMENSION',
        `queries have ${countOf(file.dim, 'dimension')}, the index has ${formatCount(dim)}`,
        {
          path
        }
      )
    const vectors = new Float32Array(file.count * dim)
    if (file.count > 0) file.readRows(0, vectors)
    return vectors
  } finally {
    file.close()
  }
}
