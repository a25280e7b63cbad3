// The app on zvec.
import zvec from '@zvec/zvec'

const { ZVecDataType: Type, ZVecIndexType: Kind } = zvec

export async function load(folder, { vectors, dim, documents }) {
  const index = { indexType: Kind.HNSW, metricType: zvec.ZVecMetricType.COSINE }
  const invert = { indexType: Kind.INVERT }
  const schema = new zvec.ZVecCollectionSchema({
    name: 'documents',
    vectors: { name: 'vector', dataType: Type.VECTOR_FP32, dimension: dim, indexParams: index },
    fields: [
      { name: 'source', dataType: Type.STRING, indexParams: invert },
      { name: 'line', dataType: Type.INT64, indexParams: invert },
      { name: 'text', dataType: Type.STRING }
    ]
  })
  const collection = zvec.ZVecCreateAndOpen(folder, schema)
  for (let from = 0; from < documents.length; from += 1000) {
    const batch = documents.slice(from, from + 1000).map(({ id, source, line, text }, i) => ({
      id,
      vectors: { vector: vectors.slice((from + i) * dim, (from + i + 1) * dim) },
      fields: { source, line, text }
    }))
    collection.insertSync(batch)
  }
  collection.optimizeSync()
  collection.closeSync()
}

export function open(folder) {
  const collection = zvec.ZVecOpen(folder, { readOnly: true })
  const params = { indexType: Kind.HNSW, ef: 40 }
  const search = (vector, filter) =>
    collection.querySync({
      fieldName: 'vector',
      topk: 10,
      vector,
      outputFields: ['text'],
      params,
      ...(filter && { filter })
    })
  return {
    search,
    bySource: (query, source) => search(query, `source = '${source}'`),
    byLine: (query, line) => search(query, `line = ${line}`),
    close: () => collection.closeSync()
  }
}

export const textOf = (hit) => hit.fields.text
