// LanceDB: a table with columns of ids and vectors, a B-tree on the ids, and IVF_FLAT where it was built; rows that
// came later are scanned. A call writes files, which it does not sync.

import { createRequire } from 'node:module'

import { COLUMN, load, vectorIndex, type Query, type Table } from './lancedb.ts'
import type { LivingEngine, LivingInput, LivingRows, OpenLiving } from './living.ts'

interface LivingTable extends Table {
  add(rows: unknown): Promise<unknown>
  update(of: { where: string; values: Record<string, number> }): Promise<unknown>
  delete(condition: string): Promise<unknown>
  optimize(options: { cleanupOlderThan: Date; deleteUnverified: boolean }): Promise<unknown>
  mergeInsert(on: string): Merge
}
interface Merge {
  whenMatchedUpdateAll(): Merge
  whenNotMatchedInsertAll(): Merge
  execute(rows: unknown): Promise<unknown>
}
interface Connection {
  createTable(name: string, rows: unknown): Promise<LivingTable>
  openTable(name: string): Promise<LivingTable>
  createEmptyTable(name: string, schema: unknown): Promise<LivingTable>
  close(): void
}
interface TypedLancedb {
  connect(path: string): Promise<Connection>
  Index: { btree(): unknown }
}

export const livingLancedb: LivingEngine = {
  name: 'lancedb',
  packageName: '@lancedb/lancedb',
  settings: 'not synced; IVF_FLAT, sqrt(count) partitions, 20 of them probed (its default)',
  efforts: [5, 10, 20, 40, 80, 160, 320],
  async create(input) {
    const connection = await connect(input)
    const table = await connection.createEmptyTable('rows', arrowOf(input.dim, undefined, input.hasTags).schema)
    return wrap({ connection, table }, input)
  },
  async build(input, rows) {
    const connection = await connect(input)
    const table = await connection.createTable('rows', arrowOf(input.dim, rows, input.hasTags))
    await table.createIndex(COLUMN, { config: vectorIndex('ivf-flat', input.metric, rows.ids.length) })
    await table.createIndex('id', { config: btree() })
    table.close()
    connection.close()
  },
  async open(input) {
    const connection = await connect(input)
    return wrap({ connection, table: await connection.openTable('rows') }, input)
  }
}

async function connect({ folder }: LivingInput): Promise<Connection> {
  const { connect: open }: TypedLancedb = createRequire(import.meta.url)('@lancedb/lancedb')
  return await open(folder)
}

function btree(): unknown {
  return load().Index.btree()
}

function wrap(
  { connection, table }: { readonly connection: Connection; readonly table: LivingTable },
  { dim, metric, hasTags, effort }: LivingInput
): OpenLiving {
  const isIn = (ids: readonly number[]): string => `id IN (${ids.join(', ')})`
  return {
    async add(rows) {
      await table.add(arrowOf(dim, rows, hasTags))
    },
    async upsert(rows) {
      await table
        .mergeInsert('id')
        .whenMatchedUpdateAll()
        .whenNotMatchedInsertAll()
        .execute(arrowOf(dim, rows, hasTags))
    },
    async update(ids, tag) {
      await table.update({ where: isIn(ids), values: { tag } })
    },
    async delete(ids) {
      await table.delete(isIn(ids))
    },
    async deleteTag(tag) {
      await table.delete(`tag = ${tag}`)
    },
    async compact() {
      // It keeps versions of the last seven days unless it is told otherwise; no other process works on the table.
      await table.optimize({ cleanupOlderThan: new Date(), deleteUnverified: true })
    },
    async search(query, k) {
      const found: Query = table.query().nearestTo(query).column(COLUMN).distanceType(metric).limit(k)
      if (effort !== undefined) found.nprobes(effort)
      const column = (await found.select(['id', '_distance']).toArrow()).getChild('id')
      return column === null ? [] : Array.from(column.toArray(), Number)
    },
    close() {
      table.close()
      connection.close()
    }
  }
}

/** Rows, or none, as an Arrow table: id and tag as float64, the vector as a list of float32 of fixed size. */
function arrowOf(dim: number, rows: LivingRows | undefined, hasTags: boolean): { readonly schema: unknown } {
  const arrow = createRequire(import.meta.url)('apache-arrow')
  const number = new arrow.Float64()
  const type = new arrow.FixedSizeList(dim, new arrow.Field('item', new arrow.Float32(), true))
  const schema = new arrow.Schema([
    new arrow.Field('id', number, false),
    new arrow.Field(COLUMN, type, false),
    ...(hasTags ? [new arrow.Field('tag', number, false)] : [])
  ])
  if (rows === undefined) return new arrow.Table(schema)
  const length = rows.ids.length
  const numbers = (values: readonly number[]): unknown =>
    arrow.makeData({ type: number, length, nullCount: 0, data: Float64Array.from(values) })
  const child = arrow.makeData({ type: new arrow.Float32(), length: length * dim, nullCount: 0, data: rows.vectors })
  const children = [
    numbers(rows.ids),
    arrow.makeData({ type, length, nullCount: 0, child }),
    ...(hasTags ? [numbers(rows.tags ?? rows.ids)] : [])
  ]
  const struct = arrow.makeData({ type: new arrow.Struct(schema.fields), length, nullCount: 0, children })
  return new arrow.Table(schema, [new arrow.RecordBatch(schema, struct)])
}
