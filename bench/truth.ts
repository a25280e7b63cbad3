// Exact neighbours by brute force in double precision, for small sets that come without.

import { existsSync, renameSync, writeFileSync } from 'node:fs'

import { loadZgqBuild } from './packages.ts'

const K = 10

export interface TruthInput {
  readonly base: string
  readonly queries: string
  readonly metric: 'l2' | 'cosine'
}

/**
 * Writes the ten nearest rows of each query as .ivecs, ties to the lower row, unless the file is there; returns its
 * path.
 */
export async function writeTruth({ base, queries, metric }: TruthInput, to: string): Promise<string> {
  if (existsSync(to)) return to
  const rows = await readAll(base)
  const asked = await readAll(queries)
  const squares = rows.map((row) => dotOf(row, row))
  const lines = asked.map((query) => {
    const square = dotOf(query, query)
    const distances = rows.map((row, i) =>
      metric === 'l2' ? squaredDistance(row, query) : 1 - dotOf(row, query) / Math.sqrt(squares[i] * square)
    )
    return Int32Array.of(K, ...nearest(distances))
  })
  writeFileSync(`${to}.new`, Buffer.concat(lines.map((line) => Buffer.from(line.buffer))))
  renameSync(`${to}.new`, to) // the whole file or nothing: what is there is used again
  return to
}

/** The rows of the K smallest distances, nearest first, ties to the lower row. */
function nearest(distances: readonly number[]): number[] {
  const found: number[] = []
  for (const [row, distance] of distances.entries()) {
    if (found.length === K && distance >= distances[found[K - 1]]) continue
    let at = found.length
    while (at > 0 && distances[found[at - 1]] > distance) at--
    found.splice(at, 0, row)
    if (found.length > K) found.pop()
  }
  return found
}

async function readAll(path: string): Promise<Float32Array[]> {
  const { openVectorFile } = await loadZgqBuild()
  const source = openVectorFile(path)
  try {
    return Array.from({ length: source.count }, (_, row) => {
      const vector = new Float32Array(source.dim)
      source.readRows(row, vector)
      return vector
    })
  } finally {
    source.close()
  }
}

function squaredDistance(a: Float32Array, b: Float32Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2
  return sum
}

function dotOf(a: Float32Array, b: Float32Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i]
  return sum
}
