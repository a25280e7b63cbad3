// The lock of folds and backups: a SQLite file of its own beside the catalogue, held by an exclusive transaction that
// never writes. The system frees it when its process dies. Only SQLite opens the file: to open and close it otherwise
// would drop the lock (POSIX).

import { accessSync, constants, lstatSync } from 'node:fs'
import { join } from 'node:path'

import { systemCode, wrapWriteError, ZgqError } from '../errors.ts'
import { decodeIndexMeta } from '../format/index-record.ts'
import { CATALOGUE_NAME, FOLD_LOCK_NAME } from '../format/layout.ts'
import { describeAbout } from './about.ts'
import { whileBusy } from './busy.ts'
import type { Database } from './driver.ts'
import { loadDriver } from './load-driver.ts'
import { withCatalogue } from './open-catalogue.ts'
import { listReservations } from './reservations.ts'
import { readMeta } from './rows.ts'
import { expectSchema, standGuard } from './schema.ts'
import { isBusy, wrapSqliteWriteError } from './sqlite-errors.ts'
import { describeWriters } from './writers.ts'

const DOING = 'lock the index against other folds'

export class FoldLock {
  readonly #database: Database
  #isHeld = true

  private constructor(database: Database) {
    this.#database = database
  }

  /**
   * Takes the lock of the index in `folder`. Throws ZGQ_LOCKED where somebody else holds it for longer than
   * `lockTimeoutMs`, and names who that may be; ZGQ_READ_ONLY where the folder may not be written; ZGQ_CORRUPT where
   * the file is none of ours; ZGQ_IO.
   */
  static take(folder: string, lockTimeoutMs: number): FoldLock {
    const lock = FoldLock.#open(folder, lockTimeoutMs)
    if (lock instanceof FoldLock) return lock
    throw lockedError(folder, lockTimeoutMs, lock.busy)
  }

  /** Takes it without waiting; undefined: somebody else holds it. Throws as `take` does. */
  static tryTake(folder: string): FoldLock | undefined {
    const lock = FoldLock.#open(folder, 0)
    return lock instanceof FoldLock ? lock : undefined
  }

  static #open(folder: string, timeoutMs: number): FoldLock | { readonly busy: unknown } {
    const path = join(folder, FOLD_LOCK_NAME)
    expectWritable(folder, path)
    expectEmpty(path)
    let database: Database | undefined
    try {
      const opened = loadDriver().open(path, { mode: 'create' })
      database = opened
      opened.pragma('busy_timeout = 0')
      whileBusy(timeoutMs, () => {
        // A journal would stay where the process is killed, and there is nothing to roll back.
        opened.pragma('journal_mode = MEMORY')
        opened.exec('BEGIN EXCLUSIVE')
      })
      return new FoldLock(opened)
    } catch (error) {
      database?.close()
      if (isBusy(error)) return { busy: error }
      throw wrapSqliteWriteError(error, path, DOING)
    }
  }

  /** Frees the lock; the file stays, for the next one. A second call does nothing. */
  release(): void {
    if (!this.#isHeld) return
    this.#isHeld = false
    this.#database.close()
  }
}

function expectWritable(folder: string, path: string): void {
  for (const place of [folder, path]) {
    try {
      accessSync(place, constants.W_OK)
    } catch (error) {
      if (place === path && systemCode(error) === 'ENOENT') continue
      throw wrapWriteError(error, place, DOING)
    }
  }
}

/** What is in such a file, or beside it, is not ours: SQLite must not look at it. */
function expectEmpty(path: string): void {
  for (const ending of ['', '-journal', '-wal', '-shm']) {
    const found = lstatSync(path + ending, { throwIfNoEntry: false })
    if (found === undefined || (ending === '' && found.isFile() && found.size === 0)) continue
    throw new ZgqError('ZGQ_CORRUPT', 'this is no lock of a fold, which is an empty file: remove it', {
      path: path + ending
    })
  }
}

function lockedError(folder: string, lockTimeoutMs: number, cause: unknown): ZgqError {
  return new ZgqError(
    'ZGQ_LOCKED',
    `another process is folding this index or backs it up, for longer than ${lockTimeoutMs} ms (lockTimeoutMs): ` +
      describeHolder(folder),
    { path: join(folder, FOLD_LOCK_NAME), cause }
  )
}

/** Who holds the lock is not written anywhere; who has reserved numbers and lives, is folding. */
function describeHolder(folder: string): string {
  const path = join(folder, CATALOGUE_NAME)
  try {
    return withCatalogue(path, (database) => {
      standGuard(database, 'read')
      expectSchema(database, path)
      const meta = decodeIndexMeta(readMeta(database, path).get('index'), path)
      const folding = listReservations(database, meta, path).flatMap((found) => describeAbout(found) ?? [])
      if (folding.length > 0) return folding.join('; ')
      const writers = describeWriters(database, undefined)
      return writers.length === 0 ? UNKNOWN : `open for writing: ${writers.join('; ')}`
    })
  } catch {
    return UNKNOWN // the lock is what there is to report
  }
}

const UNKNOWN = 'who that is is not known'
