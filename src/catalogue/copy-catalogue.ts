// Copies a catalogue as it was committed last, whoever writes to it meanwhile.

import type { Database } from './driver.ts'
import { loadDriver } from './load-driver.ts'
import { expectSchema, standGuard } from './schema.ts'
import { wrapSqliteWriteError } from './sqlite-errors.ts'

/**
 * Copies the catalogue at `path` to where nothing is; the copy is sealed, and has what is part of the index alone.
 * Throws ZGQ_CORRUPT, ZGQ_LOCKED or ZGQ_IO.
 */
export function copyCatalogue(path: string, to: string): void {
  const driver = loadDriver()
  const opened: Database[] = []
  const open = (...[place, mode]: [string, 'read' | 'write']): Database => {
    const database = driver.open(place, { mode })
    opened.push(database)
    return database
  }
  try {
    const original = open(path, 'read')
    original.pragma('trusted_schema = OFF')
    expectSchema(original, path)
    original.prepare('VACUUM INTO ?').run(to)
    const copy = open(to, 'write')
    standGuard(copy, 'write')
    copy.pragma('synchronous = FULL')
    // Files that are no part of the index are not copied, and nobody folds or writes to the copy.
    copy.exec('DELETE FROM writers; DELETE FROM reservations; DELETE FROM superseded')
  } catch (error) {
    throw wrapSqliteWriteError(error, path, 'copy the catalogue')
  } finally {
    for (const database of opened) database.close()
  }
}
