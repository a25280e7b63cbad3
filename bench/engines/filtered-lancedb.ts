// LanceDB with filters: before the search (its default), with a B-tree on each column of numbers. Partitions are
// a fixed number: where more are allowed than the least, it looks at all of them. Its last setting leaves out the index
// of vectors: all rows that pass are compared.

import { sqlOf, type FilteredEngine, type FilteredOpenInput, type OpenFiltered } from './filtered.ts'
import { arrowTable, COLUMN, lanceSettings, load, vectorIndex, type LanceKind, type Query } from './lancedb.ts'

const EXACT = { probes: 0, refine: 0 }

export function filteredLancedb(kind: LanceKind): FilteredEngine {
  return {
    name: `lancedb-${kind}`,
    packageName: '@lancedb/lancedb',
    settings: `${kind}, B-trees on the numbers, filter before the search`,
    async build({ rows, metric, columns, folder }) {
      const connection = await load().connect(folder)
      const table = await connection.createTable('rows', await arrowTable(rows, { ...columns }))
      await table.createIndex(COLUMN, { config: vectorIndex(kind, metric, rows.count) })
      for (const name of Object.keys(columns)) await table.createIndex(name, { config: load().Index.btree() })
      table.close()
      connection.close()
    },
    open: (input) => open(kind, input)
  }
}

async function open(kind: LanceKind, { folder, metric, count, queries, k }: FilteredOpenInput): Promise<OpenFiltered> {
  const connection = await load().connect(folder)
  const table = await connection.openTable('rows')
  for (const name of [COLUMN, 'r', 'fine', 'coarse']) await table.prewarmIndex(`${name}_idx`)
  const settings = [...lanceSettings(kind, count, k), EXACT]
  let setting = settings[0]
  let conditions: string[] = []
  let ids: number[] = []
  return {
    knobs: settings.map(({ probes, refine }) =>
      probes === 0
        ? { label: 'no index', sweep: 'exact' }
        : {
            label: `${kind === 'ivf-hnsw-sq' ? 'ef' : 'nprobes'} ${probes}, refine ${refine}`,
            sweep: `refine ${refine}`
          }
    ),
    take(given) {
      const spelled = given.map(sqlOf)
      conditions = spelled.map((condition) => condition ?? '')
      return spelled.every((condition) => condition !== undefined)
    },
    select(knob) {
      setting = settings[knob]
    },
    async search(query) {
      const found: Query = table
        .query()
        .nearestTo(queries[query])
        .column(COLUMN)
        .distanceType(metric)
        .limit(k)
        .withRowId()
        .select(['_rowid', '_distance'])
      if (conditions[query] !== '') found.where(conditions[query])
      if (setting === EXACT) found.bypassVectorIndex()
      else if (kind === 'ivf-hnsw-sq') found.ef(setting.probes)
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
