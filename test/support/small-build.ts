// A small build and what its tests share: where it goes, what it rejects with, batches to feed it.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'

import { buildIndex, type BuildOptions, type VectorBatch } from '../../src/build.ts'
import { ZgqError } from '../../src/errors.ts'
import type { OpenOptions } from '../../src/types.ts'
import { ZgqIndex } from '../../src/zgq-index.ts'
import { rowOf } from './brute-force.ts'
import { makeVectors } from './datasets.ts'

/** Makes an empty folder and names an output in it. */
export function placeIn(temp: { fresh(name: string): string }): { folder: string; output: string } {
  const folder = temp.fresh('place')
  mkdirSync(folder)
  return { folder, output: join(folder, 'index') }
}

/** Returns what a promise rejects with. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => {
      throw new Error('it resolved')
    },
    (reason: unknown) => reason
  )
}

/** Returns the ZgqError that a promise rejects with. */
export async function errorFrom(promise: Promise<unknown>): Promise<ZgqError> {
  const reason = await rejection(promise)
  if (reason instanceof ZgqError) return reason
  throw reason
}

export async function* batchesOf(
  vectors: Float32Array,
  dim: number,
  sizes: readonly number[],
  ids?: readonly number[]
): AsyncGenerator<VectorBatch> {
  const count = vectors.length / dim
  for (let row = 0, batch = 0; row < count; batch++) {
    const end = Math.min(count, row + sizes[batch % sizes.length])
    await setImmediate()
    yield { vectors: vectors.slice(row * dim, end * dim), ...(ids === undefined ? {} : { ids: ids.slice(row, end) }) }
    row = end
  }
}

export const DIM = 8
export const SMALL = makeVectors('clustered', { count: 500, dim: DIM }, 1)

export const buildSmall = (output: string, options: Partial<BuildOptions> = {}): ReturnType<typeof buildIndex> =>
  buildIndex({ input: SMALL, dim: DIM, zones: 10, output, ...options })

/** Opens a small index and says what it answers by its codes and by its rows: tells one index from another. */
export function answerOf(path: string, options: OpenOptions = {}): string {
  const index = ZgqIndex.open(path, options)
  try {
    const query = rowOf(SMALL, DIM, 0)
    return JSON.stringify([index.search(query, { nprobe: 100, rerank: 1 }), index.search(query, { exact: true })])
  } finally {
    index.close()
  }
}
