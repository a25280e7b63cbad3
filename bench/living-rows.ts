// Rows to write, of any number of dimensions: SIFT features where there are 128, else sentence vectors of neighbouring
// rows end to end and cut off; without --data made-up clusters.

import { join } from 'node:path'

import { loadZgqBuild, type BuildEntry } from './packages.ts'
import { normalRows, uniform } from './random.ts'

export interface RowsWanted {
  readonly dim: number
  /** Number of the first row. */
  readonly from: number
  readonly count: number
  /** Folder of the data sets; undefined: made-up rows. */
  readonly data: string | undefined
}

/** Rows of a cluster of made-up rows, and how far they are from its middle. */
const CLUSTER_ROWS = 256
const CLUSTER_RADIUS = 0.5
/** Dimensions of use50k. */
const TEXT_DIM = 512

export function metricOf(dim: number): 'l2' | 'cosine' {
  return dim === 128 ? 'l2' : 'cosine'
}

/** Returns rows [from, from + count): float32, count * dim. The same rows on every call. */
export async function livingRows(wanted: RowsWanted): Promise<Float32Array> {
  const { dim, data } = wanted
  if (data === undefined) return madeUp(wanted)
  return dim === 128 ? await fileRows(join(data, 'sift1m', 'base.u8bin'), wanted) : await joinedRows(data, wanted)
}

/** Queries like the rows, but not of them. */
export async function livingQueries(dim: number, count: number, data: string | undefined): Promise<Float32Array[]> {
  const file = dim === 128 ? 'queries.u8bin' : 'queries.f16bin'
  const rows =
    data === undefined
      ? madeUp({ dim, from: 0, count, data, seed: 77 })
      : dim === 128
        ? await fileRows(join(data, 'sift1m', file), { dim, from: 0, count, data })
        : await joinedRows(data, { dim, from: 0, count, data, file, firstRow: 1000 })
  return Array.from({ length: count }, (_, i) => rows.slice(i * dim, (i + 1) * dim))
}

async function fileRows(path: string, { dim, from, count }: RowsWanted): Promise<Float32Array> {
  const { openVectorFile }: BuildEntry = await loadZgqBuild()
  const source = openVectorFile(path)
  try {
    if (source.dim !== dim) throw new Error(`${path} has ${source.dim} dimensions, expected ${dim}`)
    const rows = new Float32Array(count * dim)
    source.readRows(from, rows)
    return rows
  } finally {
    source.close()
  }
}

/** Row i: parts i, i + step, i + 2 step, ... of the file; the step grows each time that the file has been used up. */
async function joinedRows(
  data: string,
  {
    dim,
    from,
    count,
    file = 'base.f16bin',
    firstRow = 0
  }: RowsWanted & { readonly file?: string; readonly firstRow?: number }
): Promise<Float32Array> {
  const { openVectorFile }: BuildEntry = await loadZgqBuild()
  const source = openVectorFile(join(data, 'use50k', file))
  try {
    const parts = new Float32Array((source.count - firstRow) * TEXT_DIM)
    source.readRows(firstRow, parts)
    const partCount = parts.length / TEXT_DIM
    const rows = new Float32Array(count * dim)
    for (let row = 0; row < count; row++) {
      const number = from + row
      const step = 1 + 6 * Math.floor(number / partCount)
      for (let at = 0; at < dim; at += TEXT_DIM) {
        const part = (number + step * (at / TEXT_DIM)) % partCount
        const length = Math.min(TEXT_DIM, dim - at)
        rows.set(parts.subarray(part * TEXT_DIM, part * TEXT_DIM + length), row * dim + at)
      }
    }
    return rows
  } finally {
    source.close()
  }
}

/** Rows about the middles of clusters, which are the same for every seed. */
function madeUp({ dim, from, count, seed = 1 }: RowsWanted & { readonly seed?: number }): Float32Array {
  const clusters = 400
  const middles = normalRows(5, clusters * dim)
  const noise = normalRows(9, CLUSTER_ROWS * dim)
  const rows = new Float32Array(count * dim)
  for (let row = 0; row < count; row++) {
    const next = uniform((from + row) * 31 + seed)
    const middle = Math.floor(next() * clusters) * dim
    const [first, second] = [Math.floor(next() * CLUSTER_ROWS) * dim, Math.floor(next() * CLUSTER_ROWS) * dim]
    for (let i = 0; i < dim; i++)
      rows[row * dim + i] = middles[middle + i] + CLUSTER_RADIUS * (noise[first + i] + noise[second + i] * next())
  }
  return rows
}
