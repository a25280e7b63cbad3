import { join } from 'node:path'
import { CATALOGUE_NAME } from '../format/layout.ts'
import type { Database } from './driver.ts'
import { loadDriver } from './load-driver.ts'
import { readNewState, type KnownState, type NewState } from './refresh.ts'
import type { Snapshot } from './snapshot.ts'
export class CatalogueWatch {
  readonly #path: string
  #database: Database | undefined
  #seen: unknown
  constructor(snapshot: Snapshot) {
    this.#path = join(snapshot.folder, CATALOGUE_NAME)
  }
  hasChanged(): boolean {
    this.#database ??= loadDriver().open(this.#path, { mode: 'read' })
    const now = this.#database.pragma('data_version')
    const changed = now !== this.#seen
    this.#seen = now
    return changed
  }
  read(before: KnownState): NewState {
    this.#database ??= loadDriver().open(this.#path, { mode: 'read' })
    const database = this.#database
    database.exec('BEGIN')
    try {
      return readNewState(database, before, this.#path)
    } finally {
      database.exec('COMMIT')
    }
  }
  close(): void {
    this.#database?.close()
  }
}
