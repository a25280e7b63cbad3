// What every write is held against: SQLite alone, which stores the same bytes in one transaction a call, with the
// pragmas and checkpoints of ZGQ's writer. Searches nothing.

import { statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

import { loadDatabase, type Database } from '../packages.ts'
import { bytesOf } from './exact.ts'
import { vectorOf, type LivingEngine, type LivingInput, type OpenLiving } from './living.ts'

const MIB = 2 ** 20
const PASSIVE_BYTES = 8 * MIB
const TRUNCATE_BYTES = 64 * MIB

export const bareSqlite: LivingEngine = {
  name: 'bare SQLite',
  packageName: 'zgq',
  settings: 'a table of id and vector, WAL, synchronous FULL: synced',
  create(input) {
    const database = openSqlite(join(input.folder, 'rows.sqlite'))
    database.exec('CREATE TABLE rows (id INTEGER PRIMARY KEY, vector BLOB NOT NULL, tag INTEGER)')
    if (input.hasTags) database.exec('CREATE INDEX tags ON rows (tag)')
    return wrap(database, input)
  },
  async build(input, rows) {
    const opened = await this.create(input)
    await opened.add(rows)
    await opened.close()
  },
  open: (input) => wrap(openSqlite(join(input.folder, 'rows.sqlite')), input)
}

/** Opens a database for writing as ZGQ does, by better-sqlite3 or, where that does not load, by Node's own module. */
export function openSqlite(path: string): Database {
  const database = connect(path)
  for (const pragma of ['journal_mode = WAL', 'synchronous = FULL', 'fullfsync = ON', 'wal_autocheckpoint = 0'])
    database.exec(`PRAGMA ${pragma}`)
  return database
}

function connect(path: string): Database {
  try {
    return new (loadDatabase())(path)
  } catch {
    const { DatabaseSync }: { DatabaseSync: new (path: string) => Database } = createRequire(import.meta.url)(
      'node:sqlite'
    )
    return new DatabaseSync(path)
  }
}

function wrap(database: Database, { folder, hasTags }: LivingInput): OpenLiving {
  const put = (verb: string): Parameters<typeof writeRows>[1] =>
    database.prepare(
      hasTags ? `${verb} INTO rows (id, vector, tag) VALUES (?, ?, ?)` : `${verb} INTO rows (id, vector) VALUES (?, ?)`
    )
  const [insert, replace] = [put('INSERT'), put('INSERT OR REPLACE')]
  const update = database.prepare('UPDATE rows SET tag = ? WHERE id = ?')
  const remove = database.prepare('DELETE FROM rows WHERE id = ?')
  const removeTag = database.prepare('DELETE FROM rows WHERE tag = ?')
  const log = join(folder, 'rows.sqlite-wal')
  let moved = 0
  let written = 0
  const inTransaction = (byteLength: number, work: () => void): void => {
    database.exec('BEGIN IMMEDIATE')
    work()
    database.exec('COMMIT')
    written += byteLength
    const size = statSync(log).size
    if (size < moved) moved = 0
    if (size < PASSIVE_BYTES || Math.max(written, size - moved) < PASSIVE_BYTES) return
    database.exec(`PRAGMA wal_checkpoint(${size < TRUNCATE_BYTES ? 'PASSIVE' : 'TRUNCATE'})`)
    written = 0
    moved = size
  }
  return {
    add(rows) {
      inTransaction(rows.vectors.byteLength, () => {
        writeRows(rows, insert)
      })
    },
    upsert(rows) {
      inTransaction(rows.vectors.byteLength, () => {
        writeRows(rows, replace)
      })
    },
    update(ids, tag) {
      inTransaction(0, () => {
        for (const id of ids) update.run(tag, id)
      })
    },
    delete(ids) {
      inTransaction(0, () => {
        for (const id of ids) remove.run(id)
      })
    },
    deleteTag(tag) {
      inTransaction(0, () => {
        removeTag.run(tag)
      })
    },
    search: () => [],
    close() {
      database.close()
    }
  }
}

function writeRows(rows: Parameters<OpenLiving['add']>[0], statement: ReturnType<Database['prepare']>): void {
  const { ids, tags } = rows
  for (let i = 0; i < ids.length; i++) {
    const bytes = bytesOf(vectorOf(rows, i))
    if (tags === undefined) statement.run(ids[i], bytes)
    else statement.run(ids[i], bytes, tags[i])
  }
}
