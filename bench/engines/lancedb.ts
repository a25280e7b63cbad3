// LanceDB: a table of one column of vectors with an IVF index. Hits come as row ids, which saves it the look-up of a
// column of ids. Its threads are limited by environment variables (run-engine.ts): CPU and tokio to one. With
// LANCE_IO_THREADS=1 its builds hung, so I/O is not limited.

import { createRequire } from 'node:module'

import {
  BUILD_THREADS,
  eachBatch,
  probesUpTo,
  type Engine,
  type Knob,
  type OpenEngine,
  type OpenInput,
  type PeerMetric
} from './engine.ts'

export interface ArrowColumn {
  toArray(): ArrayLike<bigint | number>
}
export interface Query {
  where(condition: string): Query
  minimumNprobes(count: number): Query
  maximumNprobes(count: number): Query
  bypassVectorIndex(): Query
  column(name: string): Query
  distanceType(metric: PeerMetric): Query
  limit(k: number): Query
  nprobes(count: number): Query
  ef(ef: number): Query
  refineFactor(factor: number): Query
  withRowId(): Query
  select(columns: string[]): Query
  toArrow(): Promise<{ getChild(name: string): ArrowColumn | null }>
}
export interface Table {
  createIndex(column: string, options: { config: unknown }): Promise<void>
  indexStats(name: string): Promise<unknown>
  prewarmIndex(name: string): Promise<void>
  query(): { nearestTo(vector: Float32Array): Query }
  close(): void
}
export interface Connection {
  createTable(name: string, data: unknown): Promise<Table>
  openTable(name: string): Promise<Table>
  close(): void
}
interface Lancedb {
  connect(path: string): Promise<Connection>
  Index: Record<'ivfFlat' | 'ivfRq' | 'hnswSq' | 'btree', (options?: Record<string, unknown>) => unknown>
}

/** A number of `probes` and of `refine` (0: hits are not compared with the stored vectors). */
export interface Setting {
  readonly probes: number
  readonly refine: number
}

export type LanceKind = 'ivf-flat' | 'ivf-rq' | 'ivf-hnsw-sq'
const INDEX_OF = { 'ivf-flat': 'ivfFlat', 'ivf-rq': 'ivfRq', 'ivf-hnsw-sq': 'hnswSq' } as const
const REFINES: Readonly<Record<LanceKind, readonly number[]>> = {
  'ivf-flat': [0],
  'ivf-rq': [0, 2],
  'ivf-hnsw-sq': [0, 2]
}
const EFFORTS = [10, 20, 40, 80, 160, 320, 640, 1280] as const
export const COLUMN = 'vector'
/** Its default of 1 needs refineFactor 10 for a recall of .95 on sift1m-100k, 2.2 ms a query; 4 bits need 2, 1.6 ms. */
const RQ_BITS = 4

/** About the square root of the count, its default; one graph for HNSW, as it recommends. */
export function partitions(kind: LanceKind, count: number): number {
  return kind === 'ivf-hnsw-sq' ? 1 : Math.round(Math.sqrt(count))
}

export function load(): Lancedb {
  return createRequire(import.meta.url)('@lancedb/lancedb')
}

export function lancedb(kind: LanceKind): Engine {
  return {
    name: `lancedb-${kind}`,
    packageName: '@lancedb/lancedb',
    settings:
      kind === 'ivf-hnsw-sq'
        ? 'IVF_HNSW_SQ, 1 partition, m 20, efConstruction 300'
        : `${kind === 'ivf-rq' ? `IVF_RQ, ${RQ_BITS} bits` : 'IVF_FLAT'}, sqrt(count) partitions`,
    buildThreads: BUILD_THREADS,
    cold: true,
    async build({ rows, metric, folder }) {
      const connection = await load().connect(folder)
      const table = await connection.createTable('rows', await arrowTable(rows, {}))
      await table.createIndex(COLUMN, { config: vectorIndex(kind, metric, rows.count) })
      table.close()
      connection.close()
    },
    open: (input) => openLancedb(kind, input)
  }
}

/** The configuration of an index of one kind. */
export function vectorIndex(kind: LanceKind, metric: PeerMetric, count: number): unknown {
  return load().Index[INDEX_OF[kind]]({
    distanceType: metric,
    numPartitions: partitions(kind, count),
    ...(kind === 'ivf-rq' ? { numBits: RQ_BITS } : {})
  })
}

export function lanceSettings(kind: LanceKind, count: number, k: number): Setting[] {
  const efforts = kind === 'ivf-hnsw-sq' ? EFFORTS : probesUpTo(partitions(kind, count))
  return REFINES[kind].flatMap((refine) =>
    efforts
      .filter((probes) => kind !== 'ivf-hnsw-sq' || probes >= k * Math.max(1, refine))
      .map((probes) => ({ probes, refine }))
  )
}

async function openLancedb(
  kind: LanceKind,
  { folder, metric, count, queries, k, isCold }: OpenInput
): Promise<OpenEngine> {
  const connection = await load().connect(folder)
  const table = await connection.openTable('rows')
  const name = `${COLUMN}_idx`
  // Opens the index (centroids, metadata) without its partitions; in memory those are read too before anything is
  // timed.
  await table.indexStats(name)
  if (!isCold) await table.prewarmIndex(name)
  const settings = lanceSettings(kind, count, k)
  const knobs = settings.map(({ probes, refine }): Knob => {
    const suffix = refine === 0 ? '' : `, refineFactor ${refine}`
    return { label: `${kind === 'ivf-hnsw-sq' ? 'ef' : 'nprobes'} ${probes}${suffix}`, sweep: suffix }
  })
  let setting = settings[0]
  let ids: number[] = []
  return {
    knobs,
    select(knob) {
      setting = settings[knob]
    },
    async search(query) {
      const found = table
        .query()
        .nearestTo(queries[query])
        .column(COLUMN)
        .distanceType(metric)
        .limit(k)
        .withRowId()
        .select(['_rowid', '_distance'])
      if (kind === 'ivf-hnsw-sq') found.ef(setting.probes)
      else found.nprobes(setting.probes)
      if (setting.refine > 0) found.refineFactor(setting.refine)
      const column = (await found.toArrow()).getChild('_rowid')
      ids = column === null ? [] : Array.from(column.toArray(), Number)
    },
    found: () => ids,
    close() {
      table.close()
      connection.close()
    }
  }
}

/** The rows as an Arrow table: a column of fixed-size lists of float32, and columns of numbers. */
export async function arrowTable(
  rows: Parameters<Engine['build']>[0]['rows'],
  columns: Readonly<Record<string, Float64Array>>
): Promise<unknown> {
  const arrow = createRequire(import.meta.url)('apache-arrow')
  const item = new arrow.Field('item', new arrow.Float32(), true)
  const type = new arrow.FixedSizeList(rows.dim, item)
  const number = new arrow.Float64()
  const schema = new arrow.Schema([
    new arrow.Field(COLUMN, type, false),
    ...Object.keys(columns).map((name) => new arrow.Field(name, number, false))
  ])
  const batches: unknown[] = []
  await eachBatch(rows, 8192, (values, from, count) => {
    const child = arrow.makeData({
      type: new arrow.Float32(),
      length: count * rows.dim,
      nullCount: 0,
      data: values.slice()
    })
    const list = arrow.makeData({ type, length: count, nullCount: 0, child })
    const numbers = Object.values(columns).map((column) =>
      arrow.makeData({ type: number, length: count, nullCount: 0, data: column.slice(from, from + count) })
    )
    const children = [list, ...numbers]
    batches.push(
      new arrow.RecordBatch(
        schema,
        arrow.makeData({ type: new arrow.Struct(schema.fields), length: count, nullCount: 0, children })
      )
    )
  })
  return new arrow.Table(schema, batches)
}
