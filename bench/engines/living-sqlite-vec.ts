// sqlite-vec: a vec0 table, an exact scan. SQLite gets the pragmas that ZGQ's catalogue has.

import { createRequire } from 'node:module'
import { join } from 'node:path'

import type { Database } from '../packages.ts'
import { bytesOf } from './exact.ts'
import { openSqlite } from './living-bare.ts'
import { vectorOf, type LivingEngine, type LivingInput, type LivingRows, type OpenLiving } from './living.ts'

interface SqliteVec {
  load(database: Database): void
}

/** Pages of 4 KiB: 8 MB, as ZGQ's writer has it. */
const CHECKPOINT_PAGES = 2048

export const livingSqliteVec: LivingEngine = {
  name: 'sqlite-vec',
  packageName: 'sqlite-vec',
  settings: 'WAL, synchronous FULL: synced; exact scan',
  create(input) {
    const { dim, metric, hasTags } = input
    const database = connect(input)
    database.exec(
      `CREATE VIRTUAL TABLE vectors USING vec0(vector float[${dim}] distance_metric=${metric}` +
        `${hasTags ? ', tag integer' : ''})`
    )
    return wrap(database, hasTags)
  },
  async build(input, rows) {
    const opened = await this.create(input)
    await opened.add(rows)
    await opened.close()
  },
  open: (input) => wrap(connect(input), input.hasTags)
}

function connect({ folder }: LivingInput): Database {
  const database = openSqlite(join(folder, 'vectors.sqlite'))
  database.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`)
  const extension: SqliteVec = createRequire(import.meta.url)('sqlite-vec')
  extension.load(database)
  return database
}

function wrap(database: Database, hasTags: boolean): OpenLiving {
  const insert = database.prepare(
    hasTags
      ? 'INSERT INTO vectors(rowid, vector, tag) VALUES (?, ?, ?)'
      : 'INSERT INTO vectors(rowid, vector) VALUES (?, ?)'
  )
  const remove = database.prepare('DELETE FROM vectors WHERE rowid = ?')
  const search = database.prepare('SELECT rowid FROM vectors WHERE vector MATCH ? AND k = ? ORDER BY distance').pluck()
  const inTransaction = (work: () => void): void => {
    database.exec('BEGIN IMMEDIATE')
    work()
    database.exec('COMMIT')
  }
  const write = (rows: LivingRows): void => {
    const { ids, tags } = rows
    for (let i = 0; i < ids.length; i++) {
      const bytes = bytesOf(vectorOf(rows, i))
      if (tags === undefined) insert.run(BigInt(ids[i]), bytes)
      else insert.run(BigInt(ids[i]), bytes, BigInt(tags[i]))
    }
  }
  const opened: OpenLiving = {
    add(rows) {
      inTransaction(() => {
        write(rows)
      })
    },
    upsert(rows) {
      inTransaction(() => {
        for (const id of rows.ids) remove.run(BigInt(id)) // vec0 has no INSERT OR REPLACE
        write(rows)
      })
    },
    delete(ids) {
      inTransaction(() => {
        for (const id of ids) remove.run(BigInt(id))
      })
    },
    search: (query, k) => search.all(bytesOf(query), k).map(Number),
    close() {
      database.close()
    }
  }
  if (!hasTags) return opened
  const update = database.prepare('UPDATE vectors SET tag = ? WHERE rowid = ?')
  const removeTag = database.prepare('DELETE FROM vectors WHERE tag = ?')
  return {
    ...opened,
    update(ids, tag) {
      inTransaction(() => {
        for (const id of ids) update.run(BigInt(tag), BigInt(id))
      })
    },
    deleteTag(tag) {
      inTransaction(() => {
        removeTag.run(BigInt(tag))
      })
    }
  }
}
