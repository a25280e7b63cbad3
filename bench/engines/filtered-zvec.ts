// zvec with filters: an inverted index on each number, with its optimisation for ranges.

import { join } from 'node:path'

import { BUILD_THREADS, eachBatch, GRAPH_EFFORTS, probesUpTo } from './engine.ts'
import { sqlOf, type FilteredEngine, type FilteredOpenInput, type OpenFiltered } from './filtered.ts'
import { load } from './zvec.ts'

type Kind = 'hnsw' | 'ivf'
const TYPE_OF = { hnsw: 'HNSW', ivf: 'IVF' } as const
const BATCH_ROWS = 1000

export function filteredZvec(kind: Kind): FilteredEngine {
  return {
    name: `zvec-${kind}`,
    packageName: '@zvec/zvec',
    settings: kind === 'hnsw' ? 'HNSW, its defaults, inverted indexes' : 'IVF, sqrt(count) lists, inverted indexes',
    async build({ rows, metric, columns, folder }) {
      const module = load()
      const indexParams = {
        indexType: module.ZVecIndexType[TYPE_OF[kind]],
        metricType: metric === 'l2' ? module.ZVecMetricType.L2 : module.ZVecMetricType.COSINE,
        ...(kind === 'ivf' ? { nList: lists(rows.count) } : {})
      }
      const vectors = { name: 'vector', dataType: module.ZVecDataType.VECTOR_FP32, dimension: rows.dim, indexParams }
      const fields = (['r', 'fine', 'coarse'] as const).map((name) => ({
        name,
        dataType: name === 'r' ? module.ZVecDataType.DOUBLE : module.ZVecDataType.INT64,
        indexParams: { indexType: module.ZVecIndexType.INVERT, enableRangeOptimization: true }
      }))
      const schema = new module.ZVecCollectionSchema({ name: 'bench', vectors, fields })
      const collection = module.ZVecCreateAndOpen(join(folder, 'collection'), schema)
      await eachBatch(rows, BATCH_ROWS, (values, from, count) => {
        const documents = Array.from({ length: count }, (_, i) => ({
          id: String(from + i),
          vectors: { vector: values.slice(i * rows.dim, (i + 1) * rows.dim) },
          fields: { r: columns.r[from + i], fine: columns.fine[from + i], coarse: columns.coarse[from + i] }
        }))
        const failed = collection.insertSync(documents).find(({ ok }) => !ok)
        if (failed !== undefined) throw new Error(failed.message)
      })
      collection.optimizeSync({ concurrency: BUILD_THREADS })
      collection.closeSync()
    },
    open: (input) => Promise.resolve(open(kind, input))
  }
}

function open(kind: Kind, { folder, count, queries, k }: FilteredOpenInput): OpenFiltered {
  const module = load()
  const collection = module.ZVecOpen(join(folder, 'collection'), { readOnly: true })
  const name = kind === 'ivf' ? 'nprobe' : 'ef'
  const efforts = kind === 'ivf' ? probesUpTo(lists(count)) : [...GRAPH_EFFORTS]
  const indexType = module.ZVecIndexType[TYPE_OF[kind]]
  let params = {}
  let filters: (string | undefined)[] = []
  let hits: { id: string }[] = []
  return {
    knobs: efforts.map((effort) => ({ label: `${name} ${effort}`, sweep: name })),
    take(conditions) {
      const spelled = conditions.map(sqlOf)
      filters = spelled.map((condition) => (condition === '' ? undefined : condition))
      return spelled.every((condition) => condition !== undefined)
    },
    select(knob) {
      params = { indexType, [name]: efforts[knob] }
    },
    search(query) {
      const filter = filters[query]
      hits = collection.querySync({
        fieldName: 'vector',
        topk: k,
        vector: queries[query],
        outputFields: [],
        params,
        ...(filter === undefined ? {} : { filter })
      })
    },
    found: () => hits.map(({ id }) => Number(id)),
    close() {
      collection.closeSync()
    }
  }
}

function lists(count: number): number {
  return Math.round(Math.sqrt(count))
}
