// Exact neighbours by brute force in double precision, for small sets that come without.

import { existsSync, writeFileSync } from 'node:fs'

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
  const lines = asked.map((query) => {
    const distances = rows.map((row) => (metric === 'l2' ? squaredDistance(row, query) : cosineDistance(row, query)))
    const order = distances.map((_, row) => row).sort((a, b) => distances[a] - distances[b] || a - b)
    return Int32Array.of(K, ...order.slice(0, K))
  })
  writeFileSync(to, Buffer.concat(lines.map((line) => Buffer.from(line.buffer))))
  return to
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

function cosineDistance(a: Float32Array, b: Float32Array): number {
  let dot = 0,
    squaredA = 0,
    squaredB = 0
  for (let i = 0; i < a.length; i++) {
    dot += a[i] * b[i]
    squaredA += a[i] ** 2
    squaredB += b[i] ** 2
  }
  return 1 - dot / Math.sqrt(squaredA * squaredB)
}
