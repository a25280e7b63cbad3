// Sets of the sizes that most apps have: some thousand rows of 512 to 1,536 dimensions, made of the vectors of another
// set. A row is the vectors of one, two or three neighbouring rows, end to end; queries are made the same way of rows
// that are in no base.

import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { writeTruth } from './truth.ts'

const HEADER_BYTES = 8
const F16_BYTES = 2
const SOURCE_DIM = 512

export interface JoinedSet {
  readonly name: string
  /** Set whose `.f16bin` base is joined. */
  readonly source: 'use50k' | 'wordnet'
  /** Rows of the source in one row. */
  readonly parts: number
  readonly rows: number
  /** Row of the source at which the base begins. */
  readonly firstRow: number
  /** Row of the source at which queries begin. */
  readonly firstQuery: number
  readonly queries: number
}

/** Sets below --data. */
export const JOINED_SETS: readonly JoinedSet[] = [1, 2, 3].flatMap((parts) =>
  [1000, 5000, 20_000].map((rows) => ({
    name: `use${parts * SOURCE_DIM}-${rows / 1000}k`,
    source: 'use50k',
    parts,
    rows,
    firstRow: 0,
    firstQuery: 45_000,
    queries: 1000
  }))
)

/**
 * Their stand-ins in this repository (test/data). Queries are the first rows: the last 400 are about eight subjects
 * (test/data/README.md), and queries like those alone are unlike the base.
 */
export const JOINED_QUICK_SETS: readonly JoinedSet[] = [2, 3].map((parts) => ({
  name: `wordnet${parts * SOURCE_DIM}`,
  source: 'wordnet',
  parts,
  rows: 1498,
  firstRow: 300,
  firstQuery: 0,
  queries: 298
}))

export interface JoinedFiles {
  readonly base: string
  readonly queries: string
  /** The ten nearest rows of each query by cosine. */
  readonly truth: string
}

/** Makes a set from the source's base file, in `work`, unless it is there. */
export async function makeJoined(set: JoinedSet, sourceBase: string, work: string): Promise<JoinedFiles> {
  const { name, parts, rows, firstRow, firstQuery, queries: queryCount } = set
  const file = (ending: string): string => join(work, `${name}.${ending}`)
  const base = joinRows(sourceBase, { from: firstRow, count: rows, parts }, file('base.f16bin'))
  const queries = joinRows(sourceBase, { from: firstQuery, count: queryCount, parts }, file('queries.f16bin'))
  return { base, queries, truth: await writeTruth({ base, queries, metric: 'cosine' }, file('truth.ivecs')) }
}

/**
 * Writes rows [from, from + parts), [from + 1, from + 1 + parts), ... of a .f16bin file (u32 n, u32 d, n * d float16)
 * as one row each, unless the file is there; returns its path.
 */
function joinRows(
  source: string,
  { from, count, parts }: { from: number; count: number; parts: number },
  to: string
): string {
  if (existsSync(to)) return to
  const bytes = readFileSync(source)
  const [total, dim] = [bytes.readUInt32LE(0), bytes.readUInt32LE(4)]
  const rowBytes = dim * F16_BYTES
  const last = from + count + parts - 1
  if (dim !== SOURCE_DIM || last > total || bytes.length !== HEADER_BYTES + total * rowBytes)
    throw new Error(`${source} is ${total} x ${dim}, expected at least ${last} x ${SOURCE_DIM} and nothing behind them`)
  const out = Buffer.alloc(HEADER_BYTES + count * parts * rowBytes)
  out.writeUInt32LE(count, 0)
  out.writeUInt32LE(parts * dim, 4)
  for (let row = 0; row < count; row++) {
    const start = HEADER_BYTES + (from + row) * rowBytes
    bytes.copy(out, HEADER_BYTES + row * parts * rowBytes, start, start + parts * rowBytes)
  }
  writeFileSync(`${to}.new`, out)
  renameSync(`${to}.new`, to) // the whole file or nothing: what is there is used again
  return to
}
