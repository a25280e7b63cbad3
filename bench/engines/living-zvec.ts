// zvec: a collection with one vector field, IVF where it was built; rows that came later are scanned. A call writes to
// its log, which it does not sync.

import { createRequire } from 'node:module'
import { join } from 'node:path'

import { BUILD_THREADS } from './engine.ts'
import type { LivingEngine, LivingInput, LivingRows, OpenLiving } from './living.ts'
import type { Collection, Zvec } from './zvec.ts'

interface Status {
  ok: boolean
  message: string
}
interface LivingCollection extends Collection {
  upsertSync(documents: object[]): Status[]
  updateSync(documents: object[]): Status[]
  deleteSync(ids: string[]): Status[]
  deleteByFilterSync(filter: string): Status
}

interface LivingZvec extends Omit<Zvec, 'ZVecCreateAndOpen' | 'ZVecOpen'> {
  ZVecCreateAndOpen(path: string, schema: object): LivingCollection
  ZVecOpen(path: string, options: object): LivingCollection
}

/** It refuses more in a call. */
const MOST_ROWS = 1000

export const livingZvec: LivingEngine = {
  name: 'zvec',
  packageName: '@zvec/zvec',
  settings: 'not synced; IVF, sqrt(count) lists, nprobe 10 (its default)',
  efforts: [5, 10, 20, 40, 80, 160, 320],
  create: (input) => wrap(make(input, 0), input),
  async build(input, rows) {
    const collection = make(input, rows.ids.length)
    const opened = wrap(collection, input)
    await opened.add(rows)
    collection.optimizeSync({ concurrency: BUILD_THREADS })
    await opened.close()
  },
  open: (input) => wrap(load().ZVecOpen(pathOf(input), {}), input)
}

let isInitialized = false

function load(): LivingZvec {
  const zvec: LivingZvec = createRequire(import.meta.url)('@zvec/zvec')
  if (!isInitialized)
    zvec.ZVecInitialize({ logLevel: zvec.ZVecLogLevel.FATAL, queryThreads: 1, optimizeThreads: BUILD_THREADS })
  isInitialized = true
  return zvec
}

function pathOf({ folder }: LivingInput): string {
  return join(folder, 'collection')
}

function make(input: LivingInput, count: number): LivingCollection {
  const zvec = load()
  const { dim, metric, hasTags } = input
  const metricType = metric === 'l2' ? zvec.ZVecMetricType.L2 : zvec.ZVecMetricType.COSINE
  const indexParams =
    count === 0
      ? { indexType: zvec.ZVecIndexType.HNSW, metricType }
      : { indexType: zvec.ZVecIndexType.IVF, metricType, nList: Math.round(Math.sqrt(count)) }
  const schema = new zvec.ZVecCollectionSchema({
    name: 'bench',
    vectors: { name: 'vector', dataType: zvec.ZVecDataType.VECTOR_FP32, dimension: dim, indexParams },
    fields: hasTags
      ? [{ name: 'tag', dataType: zvec.ZVecDataType.INT64, indexParams: { indexType: zvec.ZVecIndexType.INVERT } }]
      : []
  })
  return zvec.ZVecCreateAndOpen(pathOf(input), schema)
}

function wrap(collection: LivingCollection, { dim, hasTags, effort }: LivingInput): OpenLiving {
  const params = effort === undefined ? {} : { params: { indexType: load().ZVecIndexType.IVF, nprobe: effort } }
  const write = (rows: LivingRows, put: (documents: object[]) => Status[]): void => {
    const { ids, vectors, tags } = rows
    for (let from = 0; from < ids.length; from += MOST_ROWS) {
      const documents = ids.slice(from, from + MOST_ROWS).map((id, i) => ({
        id: String(id),
        vectors: { vector: vectors.slice((from + i) * dim, (from + i + 1) * dim) },
        ...(hasTags ? { fields: { tag: tags?.[from + i] ?? id } } : {})
      }))
      expectOk(put(documents))
    }
  }
  return {
    add(rows) {
      write(rows, (documents) => collection.insertSync(documents))
    },
    upsert(rows) {
      write(rows, (documents) => collection.upsertSync(documents))
    },
    update(ids, tag) {
      expectOk(collection.updateSync(ids.map((id) => ({ id: String(id), fields: { tag } }))))
    },
    delete(ids) {
      expectOk(collection.deleteSync(ids.map(String)))
    },
    deleteTag(tag) {
      expectOk([collection.deleteByFilterSync(`tag = ${tag}`)])
    },
    compact() {
      collection.optimizeSync({ concurrency: BUILD_THREADS })
    },
    search: (vector, k) =>
      collection
        .querySync({ fieldName: 'vector', topk: k, vector, outputFields: [], ...params })
        .map(({ id }) => Number(id)),
    close() {
      collection.closeSync()
    }
  }
}

function expectOk(statuses: readonly Status[]): void {
  const failed = statuses.find(({ ok }) => !ok)
  if (failed !== undefined) throw new Error(failed.message)
}
