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
 * Writes `base.fbin` and `queries.fbin` to `work` unless they are there. `from` has vectors of at least 384 dimensions,
 * of which the first 384 values count. Row i is row i mod n plus half of a random row; queries are further rows, which
 * are not in the base.
 */
export async function makeMixed(
  from: string,
  work: string,
  rows: number = MIXED_SET.rows
): Promise<{ readonly base: string; readonly queries: string }> {
  const source = await readUnit(from)
  const file = (what: string): string => join(work, `mixed384-${rows}.${what}.fbin`)
  const [random, later] = [uniform(rows), uniform(rows + 1)]
  const pick = (next: () => number): Float32Array => source[Math.floor(next() * source.length)]
  write(file('base'), rows, (i) => mix(source[i % source.length], pick(random)))
  write(file('queries'), MIXED_SET.queries, (i) => mix(source[(7 * i) % source.length], pick(later)))
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
