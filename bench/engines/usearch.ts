// usearch: one HNSW graph in one file, vectors stored as f32, bf16, f16 or i8. The graph is loaded into memory; cold it
// is viewed (mapped). expansion_add is usearch's default of 128: on sift1m-100k 200 gave the same recall at the same
// time and took 1.35 times as long to build. i8: the package scales every row to length 1 before it rounds, which for
// l2 changes the distances; its users are told so by the recall.

import { createRequire } from 'node:module'
import { join } from 'node:path'

import {
  BUILD_THREADS,
  eachBatch,
  GRAPH_EFFORTS,
  sweepOf,
  type Engine,
  type OpenEngine,
  type OpenInput,
  type PeerMetric
} from './engine.ts'

interface UsearchIndex {
  add(keys: BigUint64Array, vectors: Float32Array, threads: number): void
  search(query: Float32Array, k: number, threads: number): { keys: BigUint64Array }
  save(path: string): void
  load(path: string): void
  view(path: string): void
}

interface Usearch {
  Index: new (options: Record<string, unknown>) => UsearchIndex
}

type Scalar = 'f32' | 'bf16' | 'f16' | 'i8'

const EFFORTS = GRAPH_EFFORTS
const BATCH_ROWS = 16_384

function create(scalar: Scalar, metric: PeerMetric, dimensions: number, expansion_search: number): UsearchIndex {
  const { Index }: Usearch = createRequire(import.meta.url)('usearch')
  return new Index({
    dimensions,
    metric: metric === 'l2' ? 'l2sq' : 'cos',
    quantization: scalar,
    connectivity: 16,
    expansion_add: 128,
    expansion_search,
    multi: false
  })
}

export function usearch(scalar: Scalar): Engine {
  const file = (folder: string): string => join(folder, 'index.usearch')
  return {
    name: `usearch-${scalar}`,
    packageName: 'usearch',
    settings: `HNSW, ${scalar}, connectivity 16, expansion_add 128`,
    buildThreads: BUILD_THREADS,
    cold: true,
    async build({ rows, metric, folder }) {
      const index = create(scalar, metric, rows.dim, 0)
      await eachBatch(rows, BATCH_ROWS, (values, from, count) => {
        index.add(
          BigUint64Array.from({ length: count }, (_, row) => BigInt(from + row)),
          values,
          BUILD_THREADS
        )
      })
      index.save(file(folder))
    },
    open: (input) => Promise.resolve(openUsearch(scalar, input, file(input.folder)))
  }
}

function openUsearch(scalar: Scalar, { metric, dim, queries, k, isCold }: OpenInput, path: string): OpenEngine {
  let index: UsearchIndex | undefined
  let keys: BigUint64Array = new BigUint64Array()
  return {
    knobs: sweepOf('expansion_search', EFFORTS),
    select(knob) {
      // The knob is an option of the constructor, so the file is loaded anew; the garbage collection frees the one
      // before.
      index = undefined
      globalThis.gc?.()
      index = create(scalar, metric, dim, EFFORTS[knob])
      if (isCold) index.view(path)
      else index.load(path)
    },
    search(query) {
      keys = index!.search(queries[query], k, 1).keys
    },
    found: () => Array.from(keys, Number),
    close() {
      index = undefined
      globalThis.gc?.()
    }
  }
}
