// zvec: a collection with one vector field. HNSW and HNSW_RABITQ with its documented defaults (m 50, efConstruction
// 500), IVF with sqrt(count) lists instead of its default of 10. Codes are searched with and without its refiner, which
// re-ranks by the stored vectors.

import { createRequire } from 'node:module'
import { join } from 'node:path'

import {
  BUILD_THREADS,
  eachBatch,
  GRAPH_EFFORTS,
  probesUpTo,
  type Engine,
  type Knob,
  type OpenEngine,
  type OpenInput
} from './engine.ts'

export interface Collection {
  insertSync(documents: object[]): { ok: boolean; message: string }[]
  optimizeSync(options: { concurrency: number }): void
  querySync(query: object): { id: string }[]
  closeSync(): void
}
export interface Zvec {
  ZVecDataType: { VECTOR_FP32: number; DOUBLE: number; INT64: number; STRING: number }
  ZVecIndexType: Record<'HNSW' | 'HNSW_RABITQ' | 'IVF' | 'IVF_RABITQ' | 'DISKANN' | 'INVERT', number>
  ZVecLogLevel: { FATAL: number }
  ZVecMetricType: { L2: number; COSINE: number }
  ZVecCollectionSchema: new (options: object) => object
  ZVecInitialize(options: object): void
  ZVecCreateAndOpen(path: string, schema: object): Collection
  ZVecOpen(path: string, options: object): Collection
}

export type ZvecKind = 'hnsw' | 'hnsw-rabitq' | 'ivf' | 'ivf-rabitq' | 'diskann'
const TYPE_OF = {
  hnsw: 'HNSW',
  'hnsw-rabitq': 'HNSW_RABITQ',
  ivf: 'IVF',
  'ivf-rabitq': 'IVF_RABITQ',
  diskann: 'DISKANN'
} as const
const SETTINGS: Readonly<Record<ZvecKind, string>> = {
  hnsw: 'HNSW, m 50, efConstruction 500 (its defaults)',
  'hnsw-rabitq': 'HNSW_RABITQ, m 50, efConstruction 500, 7 bits, 16 clusters (its defaults)',
  ivf: 'IVF, sqrt(count) lists',
  'ivf-rabitq': 'IVF_RABITQ, sqrt(count) lists, 7 bits',
  diskann: 'DISKANN, its defaults'
}
const LISTED: readonly ZvecKind[] = ['ivf', 'ivf-rabitq']
const REFINED: readonly ZvecKind[] = ['hnsw-rabitq', 'ivf-rabitq']
const BATCH_ROWS = 1000

export function load(): Zvec {
  const zvec: Zvec = createRequire(import.meta.url)('@zvec/zvec')
  zvec.ZVecInitialize({ logLevel: zvec.ZVecLogLevel.FATAL, queryThreads: 1, optimizeThreads: BUILD_THREADS })
  return zvec
}

function lists(count: number): number {
  return Math.round(Math.sqrt(count))
}

export function zvec(kind: ZvecKind): Engine {
  return {
    name: `zvec-${kind}`,
    packageName: '@zvec/zvec',
    settings: SETTINGS[kind],
    buildThreads: BUILD_THREADS,
    cold: true,
    async build({ rows, metric, folder }) {
      const module = load()
      const indexParams = {
        indexType: module.ZVecIndexType[TYPE_OF[kind]],
        metricType: metric === 'l2' ? module.ZVecMetricType.L2 : module.ZVecMetricType.COSINE,
        ...(LISTED.includes(kind) ? { nList: lists(rows.count) } : {})
      }
      const vectors = { name: 'vector', dataType: module.ZVecDataType.VECTOR_FP32, dimension: rows.dim, indexParams }
      const collection = module.ZVecCreateAndOpen(
        join(folder, 'collection'),
        new module.ZVecCollectionSchema({ name: 'bench', vectors, fields: [] })
      )
      await eachBatch(rows, BATCH_ROWS, (values, from, count) => {
        const documents = Array.from({ length: count }, (_, row) => ({
          id: String(from + row),
          vectors: { vector: values.slice(row * rows.dim, (row + 1) * rows.dim) }
        }))
        const failed = collection.insertSync(documents).find(({ ok }) => !ok)
        if (failed !== undefined) throw new Error(failed.message)
      })
      collection.optimizeSync({ concurrency: BUILD_THREADS }) // builds the index
      collection.closeSync()
    },
    open: (input) => Promise.resolve(openZvec(kind, load(), input))
  }
}

function openZvec(kind: ZvecKind, module: Zvec, { folder, count, queries, k }: OpenInput): OpenEngine {
  const collection = module.ZVecOpen(join(folder, 'collection'), { readOnly: true })
  const name = LISTED.includes(kind) ? 'nprobe' : kind === 'diskann' ? 'listSize' : 'ef'
  const efforts = LISTED.includes(kind) ? probesUpTo(lists(count)) : GRAPH_EFFORTS
  const settings = (REFINED.includes(kind) ? [false, true] : [false]).flatMap((isUsingRefiner) =>
    efforts.map((effort) => ({ effort, isUsingRefiner }))
  )
  const knobs = settings.map(({ effort, isUsingRefiner }): Knob => ({
    label: `${name} ${effort}${isUsingRefiner ? ', refined' : ''}`,
    sweep: isUsingRefiner ? 'refined' : ''
  }))
  const indexType = module.ZVecIndexType[TYPE_OF[kind]]
  let params = {}
  let hits: { id: string }[] = []
  return {
    knobs,
    select(knob) {
      const { effort, isUsingRefiner } = settings[knob]
      params = { indexType, [name]: effort, ...(isUsingRefiner ? { isUsingRefiner } : {}) }
    },
    search(query) {
      hits = collection.querySync({ fieldName: 'vector', topk: k, vector: queries[query], outputFields: [], params })
    },
    found: () => hits.map(({ id }) => Number(id)),
    close() {
      collection.closeSync()
    }
  }
}
