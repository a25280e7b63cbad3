// sqlite-vec with metadata columns: an exact scan of the rows that pass. It has no IN for them.

import { eachBatch } from './engine.ts'
import { bytesOf, openDatabase } from './exact.ts'
import type { FilteredEngine } from './filtered.ts'
import type { Condition } from '../filter-cases.ts'
import type { Statement } from '../packages.ts'

export const filteredSqliteVec: FilteredEngine = {
  name: 'sqlite-vec',
  packageName: 'sqlite-vec',
  settings: 'vec0 table, float32, metadata columns: an exact scan',
  async build({ rows, metric, columns, folder }) {
    const database = openDatabase(folder, { readonly: false })
    database.exec(
      `CREATE VIRTUAL TABLE vectors USING vec0(vector float[${rows.dim}] ` +
        `distance_metric=${metric === 'l2' ? 'l2' : 'cosine'}, r float, fine integer, coarse integer)`
    )
    const insert = database.prepare('INSERT INTO vectors(rowid, vector, r, fine, coarse) VALUES (?, ?, ?, ?, ?)')
    await eachBatch(rows, 8192, (values, from, count) => {
      database.exec('BEGIN')
      for (let i = 0; i < count; i++) {
        const row = from + i
        const vector = bytesOf(values.subarray(i * rows.dim, (i + 1) * rows.dim))
        insert.run(BigInt(row), vector, columns.r[row], BigInt(columns.fine[row]), BigInt(columns.coarse[row]))
      }
      database.exec('COMMIT')
    })
    database.close()
  },
  open({ folder, queries, k }) {
    const database = openDatabase(folder, { readonly: true })
    const statements = new Map<string, Statement>()
    const prepare = (condition: string): Statement => {
      const statement =
        statements.get(condition) ??
        database
          .prepare(`SELECT rowid FROM vectors WHERE vector MATCH ? AND k = ? ${condition} ORDER BY distance`)
          .pluck()
      statements.set(condition, statement)
      return statement
    }
    let asked: { statement: Statement; values: unknown[] }[] = []
    let ids: unknown[] = []
    return Promise.resolve({
      knobs: [{ label: 'exact', sweep: 'exact' }],
      take(conditions: readonly Condition[]) {
        const spelled = conditions.map(spell)
        asked = spelled.flatMap((one) => (one === undefined ? [] : [{ ...one, statement: prepare(one.condition) }]))
        return asked.length === conditions.length
      },
      select() {
        ids = []
      },
      search(query: number) {
        const { statement, values } = asked[query]
        ids = statement.all(bytesOf(queries[query]), k, ...values)
      },
      found: () => ids.map(Number),
      close() {
        database.close()
      }
    })
  }
}

function spell({
  below,
  fine,
  coarse,
  prefix,
  paths
}: Condition): { condition: string; values: unknown[] } | undefined {
  if (prefix !== undefined || paths !== undefined || (fine !== undefined && fine.length > 1)) return undefined
  const parts: [string, unknown][] = [
    ...(below === undefined ? [] : [['r < ?', below] satisfies [string, unknown]]),
    ...(fine === undefined ? [] : [['fine = ?', BigInt(fine[0])] satisfies [string, unknown]]),
    ...(coarse === undefined ? [] : [['coarse = ?', BigInt(coarse)] satisfies [string, unknown]])
  ]
  return { condition: parts.map(([text]) => `AND ${text}`).join(' '), values: parts.map(([, value]) => value) }
}
