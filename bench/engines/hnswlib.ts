// hnswlib-node: one HNSW graph, held in memory whole. `native` is the same package compiled with -march=native (npm run
// native).

import { createRequire } from 'node:module'
import { join } from 'node:path'

import { nativeHnswlibFolder } from '../native-hnswlib.ts'
import type { HnswIndex } from '../packages.ts'
import {
  eachBatch,
  GRAPH_EFFORTS,
  sweepOf,
  type Engine,
  type OpenEngine,
  type OpenInput,
  type PeerMetric
} from './engine.ts'

const M = 16
const EF_CONSTRUCTION = 200

interface Hnswlib {
  HierarchicalNSW: new (space: PeerMetric, dim: number) => HnswIndex
}

export function hnswlib(build: 'installed' | 'native'): Engine {
  const load = (): Hnswlib =>
    createRequire(build === 'native' ? join(nativeHnswlibFolder(), 'package.json') : import.meta.url)('hnswlib-node')
  return {
    name: build === 'native' ? 'hnswlib-native' : 'hnswlib',
    packageName: 'hnswlib-node',
    settings:
      `HNSW, M ${M}, efConstruction ${EF_CONSTRUCTION}, ` +
      `${build === 'native' ? 'compiled with -march=native -O3' : 'as installed'}`,
    buildThreads: 1,
    cold: 'hnswlib-node reads the whole index into memory; it cannot search from its file',
    async build({ rows, metric, folder }) {
      const index = new (load().HierarchicalNSW)(metric, rows.dim)
      index.initIndex({ maxElements: rows.count, m: M, efConstruction: EF_CONSTRUCTION, randomSeed: 100 })
      await eachBatch(rows, 4096, (values, from, count) => {
        for (let row = 0; row < count; row++)
          index.addPoint(Array.from(values.subarray(row * rows.dim, (row + 1) * rows.dim)), from + row)
      })
      index.writeIndexSync(join(folder, 'index.hnsw'))
    },
    open: (input) => Promise.resolve(openHnswlib(new (load().HierarchicalNSW)(input.metric, input.dim), input))
  }
}

function openHnswlib(index: HnswIndex, { folder, queries, k }: OpenInput): OpenEngine {
  index.readIndexSync(join(folder, 'index.hnsw'))
  const plain = queries.map((query) => Array.from(query)) // hnswlib-node takes no typed arrays
  let ids: number[] = []
  return {
    knobs: sweepOf('ef', GRAPH_EFFORTS),
    select(knob) {
      index.setEf(GRAPH_EFFORTS[knob])
    },
    search(query) {
      ids = index.searchKnn(plain[query], k).neighbors
    },
    found: () => ids,
    close() {
      ids = []
    }
  }
}
