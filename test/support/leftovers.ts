// What is in the folder of an index and is no part of it.

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'

import { decodeFileRecords, fileNameOf } from '../../src/format/file-record.ts'
import { ZgqIndex } from '../../src/zgq-index.ts'

/** Names in a folder that belong neither to its index nor to what is kept beside it for good. */
export function leftovers(path: string): string[] {
  const index = ZgqIndex.open(path)
  const named = new Set(index.info().files.map(({ name }) => name))
  index.close()
  return readdirSync(path)
    .filter((name) => !named.has(name) && !/^(catalogue\.sqlite|fold\.lock)(-wal|-shm|-journal)?$/.test(name))
    .sort()
}

/** Those of them that wait for no clean-up either: nothing would ever remove them. */
export function strays(path: string): string[] {
  const database = new Sqlite(join(path, 'catalogue.sqlite'), { readonly: true })
  try {
    const records = database.prepare<[], Buffer>('SELECT record FROM superseded').pluck().all()
    const waiting = new Set(records.flatMap((bytes) => decodeFileRecords(bytes, path)).map(fileNameOf))
    return leftovers(path).filter((name) => !waiting.has(name))
  } finally {
    database.close()
  }
}
