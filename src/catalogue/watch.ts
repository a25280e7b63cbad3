// Tells an open index that others have changed it, and reads what is new. A catalogue that is sealed is only looked at
// from outside; one with a log is kept open, so that SQLite itself says whether there was a commit.

import { join } from 'node:path'

import { nowMicros } from '../clock.ts'
import { ZgqError } from '../errors.ts'
import { CATALOGUE_NAME } from '../format/layout.ts'
import { expectWritable, identifyFile, sameFile, type FileIdentity } from './catalogue-file.ts'
import { stampCatalogue } from './catalogue-stamp.ts'
import type { Database, Statement } from './driver.ts'
import { loadDriver } from './load-driver.ts'
import { canJoin, withCatalogue } from './open-catalogue.ts'
import { readNewState, SchemaWatch, type KnownState, type NewState } from './refresh.ts'
import { expectCatalogue, expectSchema, standGuard } from './schema.ts'
import { seal, SYNCED } from './seal.ts'
import type { CatalogueStamp, Snapshot } from './snapshot.ts'
import { isBusy, wrapSqliteError } from './sqlite-errors.ts'

/** A catalogue from outside is looked at so often at most. */
const LOOK_MICROS = 5000
/** How long a connection waits for one that recovers the log of a dead process. */
const BUSY_MS = 1000
const SEAL_ATTEMPTS = 3

/** A connection that is kept, for reading. */
interface Connection {
  readonly database: Database
  readonly dataVersion: Statement
  readonly schema: SchemaWatch
  readonly file: FileIdentity | undefined
}

export class CatalogueWatch {
  readonly #path: string
  #connection: Connection | undefined
  /** Of the state that was read last: from outside, and by SQLite. */
  #stamp: CatalogueStamp
  #version: unknown
  #lookedAt = -Infinity
  /** Nothing is known that keeps this from joining a log. */
  #mayJoin = true
  /** Something may be new until it is read. */
  #isNew = false
  #isClosed = false

  /** Opens nothing yet. */
  constructor(snapshot: Pick<Snapshot, 'folder' | 'stamp'>) {
    this.#path = join(snapshot.folder, CATALOGUE_NAME)
    this.#stamp = snapshot.stamp
  }

  /**
   * Tells whether there may be something new to read; takes microseconds. An index that was moved away or replaced by
   * another has nothing new: what was opened goes on. Throws ZGQ_IO.
   */
  hasChanged(): boolean {
    if (this.#isNew || this.#isClosed) return this.#isNew && !this.#isClosed
    this.#isNew = this.#connection === undefined ? this.#looksNew() : this.#isNewVersion(this.#connection)
    return this.#isNew
  }

  /**
   * Reads what is new, in one transaction that ends before this returns; undefined: the index was moved away or
   * replaced by another, and what was opened goes on. Throws ZGQ_UNSUPPORTED where a newer version has written what
   * this one does not know, ZGQ_LOCKED, ZGQ_CORRUPT and ZGQ_IO.
   */
  read(before: KnownState): NewState | undefined {
    if (this.#isClosed) throw new ZgqError('ZGQ_CLOSED', 'the index was closed', { path: this.#path })
    if (this.#connection === undefined && stampCatalogue(this.#path).file !== this.#stamp.file) return undefined
    this.#connection ??= this.#connect()
    this.#mayJoin &&= this.#connection !== undefined
    const found = this.#connection === undefined ? this.#readOnce(before) : this.#readBy(this.#connection, before)
    this.#isNew = false
    return found
  }

  /** Closes; where that was the last connection to a catalogue with a log, seals it if that can be. Never throws. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    const connection = this.#connection
    if (connection === undefined) return
    try {
      connection.database.close()
      sealIfLast(this.#path, connection.file)
    } catch {
      // What was committed is safe; whoever changes the catalogue next seals it.
    }
  }

  #looksNew(): boolean {
    const now = nowMicros()
    if (now - this.#lookedAt < LOOK_MICROS) return false
    this.#lookedAt = now
    const found = stampCatalogue(this.#path)
    if (found.file !== this.#stamp.file || found.file === '') return false
    if (found.text !== this.#stamp.text) this.#mayJoin = true
    // Commits to a log may not change how it looks from outside.
    if (found.hasLog && this.#mayJoin) return true
    return found.text !== this.#stamp.text || (!this.#stamp.isSettled && found.isSettled)
  }

  #isNewVersion({ dataVersion }: Connection): boolean {
    try {
      return versionOf(dataVersion) !== this.#version
    } catch (error) {
      if (isBusy(error)) return false
      throw wrapSqliteError(error, this.#path)
    }
  }

  /** Joins a catalogue with a log, which nobody can seal from then on; undefined where there is none to join. */
  #connect(): Connection | undefined {
    if (!canJoin(this.#path)) return undefined
    const file = identifyFile(this.#path)
    let database: Database | undefined
    try {
      database = loadDriver().open(this.#path, { mode: 'read' })
      database.pragma(`busy_timeout = ${BUSY_MS}`)
      standGuard(database, 'read')
      const connection = {
        database,
        dataVersion: database.prepare('PRAGMA data_version'),
        schema: new SchemaWatch(database),
        file
      }
      versionOf(connection.dataVersion) // reads, and so joins the log
      // Sealed a moment ago: there was none, and nobody is kept from making one.
      if (database.pragma('journal_mode') === 'wal' && sameFile(file, identifyFile(this.#path))) return connection
    } catch {
      // Reading it once says why, or does without a connection.
    }
    database?.close()
    return undefined
  }

  #readBy({ database, dataVersion, schema }: Connection, before: KnownState): NewState {
    try {
      database.exec('BEGIN')
      try {
        const version = versionOf(dataVersion) // its transaction begins here: what comes later has another
        schema.expectOurs(this.#path)
        const found = readNewState(database, before, { path: this.#path })
        this.#version = version
        return found
      } finally {
        database.exec('ROLLBACK')
      }
    } catch (error) {
      throw wrapSqliteError(error, this.#path)
    }
  }

  #readOnce(before: KnownState): NewState {
    const stamp = stampCatalogue(this.#path)
    const found = withCatalogue(this.#path, (database, opened) => {
      standGuard(database, 'read')
      expectCatalogue(database, this.#path)
      expectSchema(database, this.#path)
      return readNewState(database, before, { path: this.#path, opened })
    })
    this.#stamp = stamp
    return found
  }
}

function versionOf(dataVersion: Statement): unknown {
  return dataVersion.all()[0]?.[0]
}

function sealIfLast(path: string, file: FileIdentity | undefined): void {
  if (!sameFile(file, identifyFile(path)) || !canJoin(path)) return
  expectWritable(path)
  const database = loadDriver().open(path, { mode: 'write' })
  try {
    database.pragma('busy_timeout = 0')
    standGuard(database, 'write')
    for (const pragma of SYNCED) database.pragma(pragma)
    seal(database, SEAL_ATTEMPTS)
  } finally {
    database.close()
  }
}
