// The app on LanceDB.
import { connect, Index } from '@lancedb/lancedb'

export async function load(folder, { vectors, dim, documents }) {
  const db = await connect(folder)
  const rows = documents.map((document, i) => ({
    ...document,
    vector: Array.from(vectors.subarray(i * dim, (i + 1) * dim))
  }))
  const table = await db.createTable('documents', rows)
  await table.createIndex('vector', { config: Index.ivfFlat({ distanceType: 'cosine', numPartitions: 224 }) })
  await table.createIndex('source', { config: Index.bitmap() })
  await table.createIndex('line', { config: Index.btree() })
}

export async function open(folder) {
  const table = await (await connect(folder)).openTable('documents')
  const ask = (query) => table.query().nearestTo(query).distanceType('cosine').limit(10).maximumNprobes(224)
  const take = (found) => found.select(['id', 'text', '_distance']).toArray()
  const search = (query) => take(ask(query))
  const bySource = (query, source) => take(ask(query).where(`source = '${source}'`))
  return { search, bySource, byLine: (query, line) => take(ask(query).where(`line = ${line}`)), close() {} }
}

export const textOf = (hit) => hit.text
