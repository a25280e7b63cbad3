// The rows of an index that is churned: which ids are live after each round, and the vector of each id. All of it
// follows from the numbers in ChurnSpec, so that every process finds the same rows.

import { join } from 'node:path'

import { livingQueries, livingRows } from './living-rows.ts'
import { loadZgqBuild } from './packages.ts'
import { normalRows, uniform } from './random.ts'

export interface ChurnSpec {
  readonly dim: number
  /** Folder of the data sets; undefined: made-up rows. */
  readonly data: string | undefined
  /** Live rows after each round. */
  readonly rows: number
  /** Share of them that goes and comes in a round. */
  readonly part: number
  /** `none`: random rows go, others of the set come. `drifting`: the oldest go, new ones lie ever farther away. */
  readonly drift: 'none' | 'drifting'
}

export interface ChurnedIds {
  /** Ascending. */
  readonly live: Int32Array
  /** Those that the last round deleted. */
  readonly deleted: Int32Array
}

/** Rows of the set that are read at once. */
const BLOCK_ROWS = 50_000
/** Rows whose mean length scales all offsets. */
const NORM_ROWS = 1000
/**
 * A row whose number is past the end of the set is a row of the set plus an offset that is so long, in lengths of a
 * row: about half as far away as its nearest neighbour.
 */
const AGAIN_OFFSET = 0.2
const AGAIN_ROWS = 256
/** How far the rows move from one round to the next, in lengths of a row, and how much the direction turns. */
const DRIFT_STEP = 0.05
const DRIFT_TURN = 0.3

export function rowsARound({ rows, part }: ChurnSpec): number {
  return Math.round(rows * part)
}

/** Ids are numbers of rows: the first `rows` are there before round 1, and each round adds the next. */
export function addedIds(spec: ChurnSpec, round: number): Int32Array {
  const count = rowsARound(spec)
  return Int32Array.from({ length: count }, (_, i) => spec.rows + (round - 1) * count + i)
}

/** The round that added a row; 0: it was there before. */
export function roundOf(spec: ChurnSpec, id: number): number {
  return id < spec.rows ? 0 : 1 + Math.floor((id - spec.rows) / rowsARound(spec))
}

/** Goes through all rounds up to `round` (0: none). */
export function churnedIds(spec: ChurnSpec, round: number): ChurnedIds {
  const { rows, drift } = spec
  const count = rowsARound(spec)
  const live = Int32Array.from({ length: rows }, (_, i) => i)
  let deleted: Int32Array = new Int32Array()
  for (let i = 1; i <= round; i++) {
    deleted = drift === 'none' ? drawRandom(live, count, i) : live.slice(0, count)
    if (drift === 'drifting') live.copyWithin(0, count)
    live.set(addedIds(spec, i), rows - count)
  }
  return { live: live.sort(), deleted }
}

/** Moves `count` random ids to the end, where the new ones replace them. */
function drawRandom(live: Int32Array, count: number, round: number): Int32Array {
  const next = uniform(7919 * round)
  for (let i = 0; i < count; i++) {
    const last = live.length - 1 - i
    const chosen = Math.floor(next() * (last + 1))
    const id = live[chosen]
    live[chosen] = live[last]
    live[last] = id
  }
  return live.slice(live.length - count)
}

/** Vectors of ids, which ascend: float32, ids.length * dim. */
export async function churnRows(spec: ChurnSpec, ids: Int32Array): Promise<Float32Array> {
  const { dim, data } = spec
  const known = await countOf(spec)
  const vectors = new Float32Array(ids.length * dim)
  for (let from = 0; from < ids.length;) {
    const lap = Math.floor(ids[from] / known)
    const first = ids[from] - lap * known
    let to = from + 1
    while (to < ids.length && ids[to] < (lap + 1) * known && ids[to] - ids[from] < BLOCK_ROWS) to++
    const block = await livingRows({ dim, data, from: first, count: ids[to - 1] - ids[from] + 1 })
    for (let i = from; i < to; i++) {
      const at = ids[i] - ids[from]
      vectors.set(block.subarray(at * dim, (at + 1) * dim), i * dim)
    }
    from = to
  }
  if (ids.at(-1)! >= known || spec.drift === 'drifting') await move(spec, { ids, vectors, known })
  return vectors
}

/** Queries like the live rows: where these drift, each follows a random one of them. */
export async function churnQueries(spec: ChurnSpec, round: number, count: number): Promise<Float32Array[]> {
  const { dim, data, rows } = spec
  const queries = await livingQueries(dim, count, data)
  if (spec.drift === 'none') return queries
  const shifts = driftShifts(dim, round, await lengthOfRows(spec))
  const next = uniform(31)
  const oldest = round * rowsARound(spec)
  for (const query of queries) addTo(query, shifts[roundOf(spec, oldest + Math.floor(next() * rows))])
  return queries
}

async function move(
  spec: ChurnSpec,
  { ids, vectors, known }: { readonly ids: Int32Array; readonly vectors: Float32Array; readonly known: number }
): Promise<void> {
  const { dim } = spec
  const length = await lengthOfRows(spec)
  const offsets = normalRows(17, AGAIN_ROWS * dim)
  const scale = (AGAIN_OFFSET * length) / Math.sqrt(2 * dim)
  const shifts = spec.drift === 'drifting' ? driftShifts(dim, roundOf(spec, ids.at(-1)!), length) : undefined
  for (const [i, id] of ids.entries()) {
    const row = vectors.subarray(i * dim, (i + 1) * dim)
    if (id >= known) {
      const next = uniform(id)
      const [a, b] = [next(), next()].map((share) => Math.floor(share * AGAIN_ROWS) * dim)
      for (let d = 0; d < dim; d++) row[d] += scale * (offsets[a + d] + offsets[b + d])
    }
    if (shifts !== undefined) addTo(row, shifts[roundOf(spec, id)])
  }
}

/** Where the rows of each round have moved to: a walk whose direction turns a little with every step. */
function driftShifts(dim: number, rounds: number, length: number): Float32Array[] {
  const shifts = [new Float32Array(dim)]
  let direction = unit(normalRows(101, dim))
  for (let round = 1; round <= rounds; round++) {
    const before = shifts[round - 1]
    shifts.push(before.map((value, d) => value + DRIFT_STEP * length * direction[d]))
    const turn = unit(normalRows(101 + round, dim))
    direction = unit(direction.map((value, d) => value + DRIFT_TURN * turn[d]))
  }
  return shifts
}

function unit(vector: Float32Array): Float32Array {
  const length = Math.hypot(...vector)
  return vector.map((value) => value / length)
}

function addTo(row: Float32Array, shift: Float32Array): void {
  for (let d = 0; d < row.length; d++) row[d] += shift[d]
}

async function lengthOfRows({ dim, data }: ChurnSpec): Promise<number> {
  const rows = await livingRows({ dim, data, from: 0, count: NORM_ROWS })
  let sum = 0
  for (let i = 0; i < NORM_ROWS; i++) sum += Math.hypot(...rows.subarray(i * dim, (i + 1) * dim))
  return sum / NORM_ROWS
}

/** Rows of the set. */
async function countOf({ dim, data }: ChurnSpec): Promise<number> {
  if (data === undefined) return Number.MAX_SAFE_INTEGER
  const { openVectorFile } = await loadZgqBuild()
  const source = openVectorFile(dim === 128 ? join(data, 'sift1m', 'base.u8bin') : join(data, 'use50k', 'base.f16bin'))
  try {
    return source.count
  } finally {
    source.close()
  }
}
