// A made-up set of many rows of 384 dimensions from a small real one: a text in it is about one subject for two thirds
// and about another for one third. So rows have near copies, neighbours of both subjects, and a long tail.

import { closeSync, existsSync, openSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'

import { loadZgqBuild } from './packages.ts'
import { uniform } from './random.ts'

export const MIXED_SET = { name: 'mixed384-200k', rows: 200_000, dim: 384, queries: 1000, metric: 'cosine' } as const
/** Of the length of the first vector. */
const SECOND_SHARE = 0.5
const BATCH_ROWS = 10_000

/**
 * Writes `base.fbin` and `queries.fbin` to `work` unless they are there. `base` and `queries` are files of vectors of at
 * least 384 dimensions, of which the first 384 values count. Row i is row i mod n plus half of a random other one; a
 * query is one of the last queries plus half of a random row.
 */
export async function makeMixed(
  from: { readonly base: string; readonly queries: string },
  work: string,
  rows: number = MIXED_SET.rows
): Promise<{ readonly base: string; readonly queries: string }> {
  const [source, asked] = [await readUnit(from.base), await readUnit(from.queries)]
  const file = (what: string): string => join(work, `mixed384-${rows}.${what}.fbin`)
  const random = uniform(rows)
  const pick = (): Float32Array => source[Math.floor(random() * source.length)]
  write(file('base'), rows, (i) => mix(source[i % source.length], pick()))
  const count = Math.min(MIXED_SET.queries, asked.length)
  write(file('queries'), count, (i) => mix(asked[asked.length - count + i], pick()))
  return { base: file('base'), queries: file('queries') }
}

/** Reads the first values of all rows, each scaled to length 1. */
async function readUnit(path: string): Promise<Float32Array[]> {
  const { openVectorFile } = await loadZgqBuild()
  const source = openVectorFile(path)
  try {
    const row = new Float32Array(source.dim)
    return Array.from({ length: source.count }, (_, i) => {
      source.readRows(i, row)
      const part = row.slice(0, MIXED_SET.dim)
      const norm = Math.hypot(...part)
      return part.map((value) => value / norm)
    })
  } finally {
    source.close()
  }
}

function mix(first: Float32Array, second: Float32Array): Float32Array {
  return first.map((value, i) => value + SECOND_SHARE * second[i])
}

/** Writes a .fbin file: u32 n, u32 d, n * d float32. */
function write(path: string, rows: number, make: (row: number) => Float32Array): void {
  if (existsSync(path)) return
  const descriptor = openSync(`${path}.new`, 'w')
  writeSync(descriptor, Uint32Array.of(rows, MIXED_SET.dim))
  const batch = new Float32Array(BATCH_ROWS * MIXED_SET.dim)
  for (let from = 0; from < rows; from += BATCH_ROWS) {
    const count = Math.min(BATCH_ROWS, rows - from)
    for (let i = 0; i < count; i++) batch.set(make(from + i), i * MIXED_SET.dim)
    writeSync(descriptor, batch.subarray(0, count * MIXED_SET.dim))
  }
  closeSync(descriptor)
  renameSync(`${path}.new`, path) // the whole file or nothing: what is there is used again
}
