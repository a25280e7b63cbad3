// usearch: one HNSW graph in memory. It has no write that lasts but saving the whole graph, so each call saves it.

import { closeSync, fsyncSync, openSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

import { BUILD_THREADS } from './engine.ts'
import type { LivingEngine, LivingInput, LivingRows, OpenLiving } from './living.ts'

interface Index {
  add(keys: BigUint64Array, vectors: Float32Array, threads: number): void
  remove(keys: BigUint64Array): unknown
  search(query: Float32Array, k: number, threads: number): { keys: BigUint64Array }
  save(path: string): void
  load(path: string): void
}

export const livingUsearch: LivingEngine = {
  name: 'usearch',
  packageName: 'usearch',
  settings: 'each call saves the whole graph and syncs the file; HNSW, f32, its defaults',
  efforts: [16, 32, 64, 96, 128, 192, 256, 384],
  create: (input) => wrap(make(input), input),
  async build(input, rows) {
    const opened = wrap(make(input), input)
    await opened.add(rows)
    await opened.close()
  },
  open(input) {
    const index = make(input)
    index.load(pathOf(input))
    return wrap(index, input)
  }
}

function pathOf({ folder }: LivingInput): string {
  return join(folder, 'index.usearch')
}

function make({ dim, metric, effort = 64 }: LivingInput): Index {
  const { Index: Graph }: { Index: new (options: object) => Index } = createRequire(import.meta.url)('usearch')
  return new Graph({
    dimensions: dim,
    metric: metric === 'l2' ? 'l2sq' : 'cos',
    quantization: 'f32',
    connectivity: 16,
    expansion_add: 128,
    expansion_search: effort,
    multi: false
  })
}

function wrap(index: Index, input: LivingInput): OpenLiving {
  const path = pathOf(input)
  const keysOf = (ids: readonly number[]): BigUint64Array => BigUint64Array.from(ids, BigInt)
  const save = (): void => {
    index.save(path)
    const file = openSync(path, 'r+')
    fsyncSync(file)
    closeSync(file)
  }
  const put = ({ ids, vectors }: LivingRows): void => {
    index.add(keysOf(ids), vectors, ids.length < 2 ? 1 : BUILD_THREADS)
    save()
  }
  return {
    add: put,
    upsert(rows) {
      index.remove(keysOf(rows.ids))
      put(rows)
    },
    delete(ids) {
      index.remove(keysOf(ids))
      save()
    },
    search: (query, k) => Array.from(index.search(query, k, 1).keys, Number),
    close() {
      // Nothing is to be closed; the process ends soon.
    }
  }
}
