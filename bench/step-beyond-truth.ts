// Exact neighbours of some queries among the rows of a large .u8bin file, in one pass over it: integers, so sums are
// exact.

import { closeSync, openSync, readSync, writeFileSync } from 'node:fs'

import { stepInput, stepResult } from './child.ts'

export interface BeyondTruthInput {
  readonly input: string
  readonly queries: string
  /** Queries to look at, from the first on. */
  readonly count: number
  readonly to: string
}

export interface BeyondTruth {
  readonly rows: number
}

const K = 10
const CHUNK_ROWS = 8192

const { input, queries, count, to } = stepInput<BeyondTruthInput>()
const asked = readRows(queries, 0, count)
const { rows, dim } = readShape(input)
const distances = Array.from({ length: count }, () => new Float64Array(K).fill(Infinity))
const ids = Array.from({ length: count }, () => new Int32Array(K))
const descriptor = openSync(input, 'r')
const chunk = new Uint8Array(CHUNK_ROWS * dim)
for (let first = 0; first < rows; first += CHUNK_ROWS) {
  const some = readSync(descriptor, chunk, { position: 8 + first * dim }) / dim
  for (let query = 0; query < count; query++) scan(query, first, some)
}
closeSync(descriptor)
writeFileSync(to, JSON.stringify(ids.map((list) => [...list])))
const result: BeyondTruth = { rows }
stepResult(result)

function scan(query: number, first: number, some: number): void {
  const best = distances[query]
  const names = ids[query]
  const offset = query * dim
  for (let row = 0, at = 0; row < some; row++, at += dim) {
    let sum = 0
    const limit = best[K - 1]
    for (let i = 0; i < dim && sum < limit; i += 32) {
      for (let j = i; j < i + 32; j++) {
        const difference = chunk[at + j] - asked[offset + j]
        sum += difference * difference
      }
    }
    if (sum >= limit) continue
    let place = K - 1
    for (; place > 0 && best[place - 1] > sum; place--) {
      best[place] = best[place - 1]
      names[place] = names[place - 1]
    }
    best[place] = sum
    names[place] = first + row
  }
}

function readShape(path: string): { rows: number; dim: number } {
  const file = openSync(path, 'r')
  const header = Buffer.alloc(8)
  readSync(file, header)
  closeSync(file)
  return { rows: header.readUInt32LE(0), dim: header.readUInt32LE(4) }
}

function readRows(path: string, first: number, some: number): Uint8Array {
  const { dim: width } = readShape(path)
  const file = openSync(path, 'r')
  const bytes = new Uint8Array(some * width)
  readSync(file, bytes, { position: 8 + first * width })
  closeSync(file)
  return bytes
}
