// Exact engines: sqlite-vec (a scan inside SQLite) and a plain scan over float32 rows in memory, by usearch's
// `exactSearch`.

import { createRequire } from 'node:module'
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'

import { loadDatabase, type Database } from '../packages.ts'
import { eachBatch, type Engine, type OpenEngine, type OpenInput } from './engine.ts'

const KNOBS = [{ label: 'exact', sweep: 'exact' }]

interface SqliteVec {
  load(database: Database): void
}

export function openDatabase(folder: string, options: { readonly: boolean }): Database {
  const database = new (loadDatabase())(join(folder, 'vectors.sqlite'), options)
  const extension: SqliteVec = createRequire(import.meta.url)('sqlite-vec')
  extension.load(database)
  return database
}

export const sqliteVec: Engine = {
  name: 'sqlite-vec',
  packageName: 'sqlite-vec',
  settings: 'vec0 table, float32: an exact scan, no index',
  buildThreads: 1,
  cold: true,
  async build({ rows, metric, folder }) {
    const database = openDatabase(folder, { readonly: false })
    database.exec(
      `CREATE VIRTUAL TABLE vectors USING vec0(vector float[${rows.dim}] ` +
        `distance_metric=${metric === 'l2' ? 'l2' : 'cosine'})`
    )
    const insert = database.prepare('INSERT INTO vectors(rowid, vector) VALUES (?, ?)')
    await eachBatch(rows, 8192, (values, from, count) => {
      database.exec('BEGIN')
      for (let row = 0; row < count; row++)
        insert.run(BigInt(from + row), bytesOf(values.subarray(row * rows.dim, (row + 1) * rows.dim)))
      database.exec('COMMIT')
    })
    database.close()
  },
  open: (input) => Promise.resolve(openSqliteVec(input))
}

function openSqliteVec({ folder, queries, k }: OpenInput): OpenEngine {
  const database = openDatabase(folder, { readonly: true })
  const statement = database
    .prepare('SELECT rowid FROM vectors WHERE vector MATCH ? AND k = ? ORDER BY distance')
    .pluck()
  let ids: unknown[] = []
  return {
    knobs: KNOBS,
    select() {
      ids = []
    },
    search(query) {
      ids = statement.all(bytesOf(queries[query]), k)
    },
    found: () => ids.map(Number),
    close() {
      database.close()
    }
  }
}

interface ExactSearch {
  exactSearch(
    rows: Float32Array,
    queries: Float32Array,
    dim: number,
    k: number,
    metric: string,
    threads: number
  ): { keys: BigUint64Array }
}

export const bruteForce: Engine = {
  name: 'brute-force',
  packageName: 'usearch',
  settings: 'exact scan of all float32 rows in memory, by usearch exactSearch',
  buildThreads: 1,
  cold: 'it holds all rows in memory',
  async build({ rows, folder }) {
    const descriptor = openSync(join(folder, 'rows.f32'), 'w')
    try {
      await eachBatch(rows, 8192, (values) => {
        writeSync(descriptor, bytesOf(values))
      })
    } finally {
      closeSync(descriptor)
    }
  },
  open({ folder, metric, dim, queries, k }) {
    const { exactSearch }: ExactSearch = createRequire(import.meta.url)('usearch')
    const bytes = readFileSync(join(folder, 'rows.f32'))
    const rows = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)
    let keys: BigUint64Array = new BigUint64Array()
    return Promise.resolve({
      knobs: KNOBS,
      select() {
        keys = new BigUint64Array()
      },
      search(query: number) {
        keys = exactSearch(rows, queries[query], dim, k, metric === 'l2' ? 'l2sq' : 'cos', 1).keys
      },
      found: () => Array.from(keys, Number),
      close() {
        keys = new BigUint64Array()
      }
    })
  }
}

export function bytesOf(values: Float32Array): Buffer {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength)
}
