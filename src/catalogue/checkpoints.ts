// When the log of a catalogue in WAL mode is moved into the catalogue: a longer log takes readers longer to search, and
// the disk twice the room.

import { statSync } from 'node:fs'

import type { Database } from './driver.ts'

/** The log is moved from so many bytes on, and cut from so many on. */
const PASSIVE_BYTES = 8 * 2 ** 20
const TRUNCATE_BYTES = 64 * 2 ** 20

export class Checkpoints {
  readonly #database: Database
  readonly #path: string
  /** Bytes of rows that were written since the log was last moved, and its length then. */
  #writtenBytes = 0
  #movedBytes = 0

  constructor(database: Database, path: string) {
    this.#database = database
    this.#path = path
  }

  written(byteLength: number): void {
    this.#writtenBytes += byteLength
  }

  /**
   * Moves the log where it has grown by enough. It keeps its length when it begins again, so that its length alone does
   * not say whether there is anything to move. Readers and writers are not waited for.
   */
  run(): void {
    const byteLength = statSync(`${this.#path}-wal`, { throwIfNoEntry: false })?.size ?? 0
    if (byteLength < this.#movedBytes) this.#movedBytes = 0 // it was cut
    if (byteLength < PASSIVE_BYTES) return
    const grown = Math.max(this.#writtenBytes, byteLength - this.#movedBytes)
    if (grown < PASSIVE_BYTES) return
    const mode = byteLength < TRUNCATE_BYTES ? 'PASSIVE' : 'TRUNCATE'
    this.#database.prepare(`PRAGMA wal_checkpoint(${mode})`).all()
    this.#writtenBytes = 0
    this.#movedBytes = byteLength
  }
}
